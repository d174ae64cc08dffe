"""The bounded archive and its files (`optimizer_pareto_tools.md` 6.4-6.6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.dump import streamlined_json
from optimization.archive import Archive, ArchiveFiles, Change, entry_id, member_text, rounded_entry
from optimization.samplers.protocol import Fitness

EXAMPLE = {
    "metrics": {"objectives": {"w_0": 1.23456, "w_1": 2.0}, "constraint_violation": 0.0},
    "optimize": {"scoring": ["m0", "m1"]},
    "bot": {"long": {"x": 7.0}},
}


def offered(archive: Archive, objectives: tuple[float, ...], violation: float) -> tuple[bool, list[tuple[float, ...]]]:
    entry = {"metrics": {"objectives": {f"w_{i}": v for i, v in enumerate(objectives)}, "violation": violation}}
    found = archive.offer(Fitness(objectives, violation), lambda: entry)
    return found is not None, archive.objectives


def test_trace() -> None:
    """The trace of 6.4: domination by violation first, equal vectors, rounding, pruning to three."""
    archive = Archive(3, 3)
    trace = [
        ((3, 3), 5, True, [(3, 3)]), ((3, 3), 4, True, [(3, 3)]), ((4, 4), 1, True, [(4, 4)]),
        ((9, 9), 0, True, [(9, 9)]),
        ((1, 5), 0, True, [(1, 5)]), ((5, 1), 0, True, [(1, 5), (5, 1)]), ((1.0001, 5), 0, False, [(1, 5), (5, 1)]),
        ((2, 3), 0, True, [(1, 5), (5, 1), (2, 3)]), ((3, 2), 0, True, [(1, 5), (5, 1), (3, 2)]),
        ((2.5, 2.5), 0, True, [(1, 5), (5, 1), (2.5, 2.5)]),
    ]  # fmt: skip
    for objectives, violation, accepted, members in trace:
        vector = tuple(map(float, objectives))
        assert offered(archive, vector, float(violation)) == (accepted, [tuple(map(float, m)) for m in members])


def test_id_and_rounding() -> None:
    """The id of 6.4's example; only metrics are rounded."""
    rounded = rounded_entry({**EXAMPLE, "backtest": {"starting_balance": 12345.67}}, 3)
    assert rounded["backtest"]["starting_balance"] == 12345.67
    assert rounded["metrics"]["objectives"]["w_0"] == 1.23
    assert entry_id(rounded_entry(EXAMPLE, 3)) == "92839ff86b850ff6ecd0a21acbbd8df98a3b7657e2b29e678872edbc16158e60"
    assert entry_id({**rounded_entry(EXAMPLE, 3), "holdout": {"x": 1}}) == entry_id(rounded_entry(EXAMPLE, 3))


def test_member_text() -> None:
    """The streamlined layout of the whole entry, nothing cached wrongly."""
    for entry in (EXAMPLE, {**EXAMPLE, "live": {"a": list(range(60)), "b": {}}}):
        assert member_text(entry) == streamlined_json(entry, indent=4, max_inline=72)
        assert json.loads(member_text(entry)) == entry


def test_files(tmp_path: Path) -> None:
    """Newcomers are written, leavers deleted; strangers are swept; one that is pruned at once leaves no file."""
    files = ArchiveFiles(tmp_path / "pareto")
    files.apply(Change("a", ()), {"x": 1})
    files.apply(Change("b", ("a",)), {"x": 2})
    files.apply(Change("c", ("c",)), {"x": 3})
    files.flush()
    (tmp_path / "pareto" / "012.3000_d.json").write_text("{}")
    assert {path.name for path in files.folder.iterdir()} == {"b.json", "012.3000_d.json"}
    assert [path.name for path in files.sweep(["b"])] == ["012.3000_d.json"]
    assert json.loads((files.folder / "b.json").read_text()) == {"x": 2}


def test_the_entry_is_only_made_for_those_that_come_in() -> None:
    """Most candidates are dominated: nothing is rounded or hashed for them."""
    archive = Archive(3, 10)
    offered(archive, (1.0, 1.0), 0.0)
    assert archive.offer(Fitness((2.0, 2.0), 0.0), lambda: pytest.fail("not needed")) is None
