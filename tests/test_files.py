"""Atomic writes and the repair of what killed processes left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import RunError
from core.files import ORPHAN_AGE_MS, remove_orphans, replacing, temporary_name, write_json


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    """An error while writing keeps the old file and no temporary one."""
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(RunError, match=r"x\.json"), replacing(path):
        raise OSError(28, "No space left on device")
    assert path.read_text() == '{\n    "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_orphans_go_after_an_hour(tmp_path: Path) -> None:
    """Old temporary files and directories of the name are removed, young ones and others stay."""
    old, young, other = (temporary_name(tmp_path / name) for name in ("result", "result", "thing"))
    old.mkdir()
    (old / "part").write_text("x")
    young.write_text("y")
    other.write_text("z")
    now_ms = 10 * ORPHAN_AGE_MS
    for path, age_ms in ((old, 2 * ORPHAN_AGE_MS), (young, 1000), (other, 2 * ORPHAN_AGE_MS)):
        os.utime(path, (0, (now_ms - age_ms) / 1000))
    remove_orphans(tmp_path, "result", now_ms)
    assert sorted(tmp_path.iterdir()) == sorted([young, other])
