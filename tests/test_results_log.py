"""`all_results.bin` (`optimizer_pareto_tools.md` 6.2): written, compressed, cut, read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import pytest

from core.errors import DataError
from optimization.results_log import RecordPacker, diff, load_results, overlay
from optimization.run_logs import ORDER

CONSTANT = {"backtest": {"coins": {"x": ["A"]}}, "live": {"a": 1}, "optimize": {"scoring": ["m"]}, "results_dir": "r"}


def entry(number: int, *, with_extra: bool = False) -> dict[str, Any]:
    stats = {"m": {"mean": number / 3, "min": 0.0, "max": 1.0, "std": 0.0}}
    if with_extra:
        stats["sometimes"] = {"mean": 1.0, "min": 1.0, "max": 1.0, "std": 0.0}
    return {
        "bot": {"long": {"a": float(number), "b": 2.0}, "short": {"a": 1.0}},
        "metrics": {"stats": stats, "objectives": {"w_0": number / 3}, "constraint_violation": 0.0},
    }


def complete(varying: dict[str, Any]) -> dict[str, Any]:
    parts = {**CONSTANT, **varying}
    return {key: parts[key] for key in ORDER if key in parts}


def test_diff_and_overlay() -> None:
    """The example of 6.2, and back."""
    previous, current = {"a": 1, "b": {"c": 1, "d": [1, 2]}}, {"a": 1, "b": {"c": 2, "d": [1, 2], "e": 0}}
    assert diff(previous, current) == {"b": {"c": 2, "e": 0}}
    assert overlay(previous, diff(previous, current)) == current
    assert diff(current, current) == {}


@pytest.mark.parametrize("compress", [False, True])
def test_round_trip(compress: bool, tmp_path: Path) -> None:
    """What is read is what was recorded, in every record whole, also where a metric is absent again later."""
    packer = RecordPacker(CONSTANT, ORDER, compress=compress)
    entries = [entry(number, with_extra=number % 7 == 0) for number in range(230)]
    path = tmp_path / "all_results.bin"
    path.write_bytes(b"".join(packer.pack(number, one) for number, one in enumerate(entries)))
    assert list(load_results(path)) == [complete(one) for one in entries]
    with path.open("rb") as file:
        raw = list(msgpack.Unpacker(file, raw=False))
    assert all({"bot", "metrics"} <= set(one) for one in raw)
    assert [number for number, one in enumerate(raw) if "live" in one] == (
        [0, 100, 200] if compress else list(range(230))
    )


def test_older_files_hold_differences_in_every_section(tmp_path: Path) -> None:
    """Differences of parameters and metrics are laid over what was before."""
    states = [complete(entry(number)) for number in range(5)]
    maps = [states[0], *(diff(a, b) for a, b in pairwise(states))]
    path = tmp_path / "old.bin"
    path.write_bytes(b"".join(msgpack.packb(one) for one in maps))
    assert list(load_results(path)) == states


def test_cut_anywhere(tmp_path: Path) -> None:
    """A file that ends in the middle of a record gives those before it."""
    packer = RecordPacker(CONSTANT, ORDER, compress=False)
    packed = [packer.pack(number, entry(number)) for number in range(4)]
    path = tmp_path / "all_results.bin"
    for size in range(0, sum(map(len, packed)), 37):
        path.write_bytes(b"".join(packed)[:size])
        whole = next(n for n in range(5) if n == 4 or sum(map(len, packed[: n + 1])) > size)
        assert len(list(load_results(path))) == whole


def test_no_results_file(tmp_path: Path) -> None:
    """Something else is named."""
    path = tmp_path / "numbers.bin"
    path.write_bytes(msgpack.packb(5))
    with pytest.raises(DataError, match=r"numbers\.bin holds a int"):
        list(load_results(path))
