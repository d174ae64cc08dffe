"""The measuring command: what it prints and writes, never how fast anything was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bench import main, options_of, parser

from benchmarks import startup, tables
from benchmarks.floor import Floor
from benchmarks.options import SECTIONS, YEAR, Options
from core.errors import RunError, UsageError


def options(*words: str) -> Options:
    return options_of(parser().parse_args(words))


def test_every_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run measures what it was asked to, in its order; the file holds what the tables show."""
    file = tmp_path / "figures.json"
    sections = "batch,engine,planner,dataset,candles"
    words = ["--quick", "--minutes", "600", "--coins", "1,2", "--no-floor", "--only", sections, "--json", str(file)]
    assert main(words) == 0
    text = capsys.readouterr().out
    titles = ["; load ", "Engine", "Planner through JSON", "Loading candles", "A minute of", "Batch"]
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    figures = json.loads(file.read_text())
    assert list(figures) == ["machine", "options", "engine", "planner", "dataset", "candles", "batch"]
    rows = figures["engine"]
    assert [(r["coins"], r["sides"]) for r in rows] == [
        (coins, sides) for coins in (1, 2) for sides in ("long", "long and short")
    ]
    assert [r["target"] for r in rows] == [0.12, 0.12, None, None]
    assert all(r["floor"] is None and r["of_floor"] is None for r in rows)
    assert all(len(r["fills_hash"]) == 12 and r["fills_hash"] in text for r in rows)
    assert all(min(r["metrics_only"], r["full"], r["boxed"]) > 0 for r in rows)
    assert [r["coins"] for r in figures["planner"]] == [1, 5, 20, 100]
    assert all(r["orders"] >= r["coins"] for r in figures["planner"])
    assert [r["what"].split()[0] for r in figures["dataset"]] == ["candles", "from", "from", "the", "the", "from"]
    assert [(r["symbols"], r["emas"], r["target"]) for r in figures["candles"]] == [(5, 4, None)]
    assert all(0.0 < r["refresh_seconds"] < r["seconds"] for r in figures["candles"])
    assert [(r["threads"], r["candidates"]) for r in figures["batch"]] == [(1, 4), (2, 4)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak")
def test_memory_counts_the_dataset(tmp_path: Path) -> None:
    """A run reads its whole dataset, so the peak contains it."""
    from benchmarks.memory import Task, memory_of
    from benchmarks.workload import Workload

    workload = Workload(3, 200_000, tmp_path / "cube.npy")
    workload.store()
    for kind in ("metrics only", "full"):
        peak = memory_of(Task(3, 200_000, str(workload.file), kind))
        assert peak is not None
        assert workload.dataset_bytes < peak < workload.dataset_bytes + (100 << 20)


def test_floor_and_start_up() -> None:
    """The floor is read from its program's line; a program that fails is an error; programs that exist are started."""
    assert Floor([sys.executable, "-c", "print('5 2000000')"]).rate(5) == 2e6
    for code in ("print('1 2000000')", "raise SystemExit(3)", "pass"):
        with pytest.raises(RunError, match="the floor"):
            Floor([sys.executable, "-c", code]).rate(5)
    assert "python3 src/backtest.py --help" in startup.programs()
    assert startup.start_seconds(["-c", "pass"], 1) > 0
    with pytest.raises(RunError, match="status 3"):
        startup.start_seconds(["-c", "raise SystemExit(3)"], 1)
    assert tables.startup_table([startup.StartupRow("x", 0.1)]).row_count == 1


def test_options() -> None:
    """Without flags a year of everything; `--quick` a tenth; wrong values name the flag."""
    assert options() == Options(coins=(1, 5, 20), minutes=YEAR, sections=SECTIONS)
    assert options("--quick").minutes == YEAR // 10
    assert options("--quick", "--minutes", "7").minutes == 7
    assert options("--only", "startup,engine").sections == ("engine", "startup")
    for words, flag in (
        (("--coins", "1,x"), "--coins"),
        (("--only", "speed"), "--only"),
        (("--minutes", "0"), "--min"),
    ):
        with pytest.raises(UsageError, match=flag):
            options(*words)
