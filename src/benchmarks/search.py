"""The optimizer: evaluations a second end to end, the share of time outside the engine, the driver alone, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.options import Options
from core.errors import RunError
from core.paths import SOURCE_ROOT

COINS = {1: "BTC", 5: "ADA,BTC,ETH,SOL,XRP"}
DATES = ("2025-01-01", "2025-04-01")  # 90 days
WORKERS = 2
SHARE_TARGETS = {1: 10.0, 5: 4.0}  # per cent
DRIVER_TARGET = 300  # candidates a second
MEMORY_TARGET = 1.2  # of one worker
PSS_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class SearchRow:
    """What was run, and what came of it; a dash where something has no such figure."""

    what: str
    workers: int
    evaluations: int
    seconds: float
    evaluations_a_second: float
    outside_percent: float | None = None
    outside_cpu_percent: float | None = None
    target: str = ""
    memory_mib: float | None = None
    times_one_worker: float | None = None


def measure(options: Options, directory: Path) -> list[SearchRow]:
    rows = [_end_to_end(options, directory, count) for count in COINS]
    return [*rows, *_ways(options, directory), _driver_alone(options, directory), *_memory(options, directory)]


# --- the whole program


def _end_to_end(options: Options, directory: Path, coins: int) -> SearchRow:
    """The command of a user, template bounds; a short run before has made the dataset."""
    dates = (DATES[0], "2025-01-10") if options.quick else DATES
    place = directory / f"search_{coins}"
    place.mkdir()
    words = ["-e", "sample", "-s", COINS[coins], "-sd", dates[0], "-ed", dates[1], "--seed", "1", "-c", str(WORKERS)]
    _optimize(place, [*words, "-i", "8", "-ps", "8"])
    info = _optimize(place, [*words, "-i", "60" if options.quick else "2000", "-ps", "20" if options.quick else "250"])
    target = SHARE_TARGETS[coins]
    return SearchRow(
        what=f"end to end, {coins} coin{'s' if coins > 1 else ''}, {(9 if options.quick else 90)} days",
        workers=WORKERS,
        evaluations=info["evaluations"],
        seconds=info["seconds"],
        evaluations_a_second=info["evaluations"] / info["seconds"],
        outside_percent=info["outside_percent"],
        outside_cpu_percent=info["outside_cpu_percent"],
        target=f"outside <= {target:g} %",
    )


def _optimize(place: Path, words: list[str]) -> dict[str, Any]:
    """Run it; what its last sitting says of itself. Raises RunError if it fails."""
    command = [sys.executable, str(SOURCE_ROOT / "src" / "optimize.py"), str(SOURCE_ROOT / "configs" / "template.json")]
    done = subprocess.run([*command, *words], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"optimize.py ended with status {done.returncode}: {done.stderr[-300:]}")
    run = max((place / "optimize_results").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))["last_sitting"]
    return found


# --- how candidates reach the threads


def _ways(options: Options, directory: Path) -> list[SearchRow]:
    """The queue of the executor `local`, and the other ways there are."""
    from benchmarks.stub_search import ways

    count = 20 if options.quick else 250
    found = ways(directory / "search_ways.npy", options.batch_minutes, count, WORKERS)
    return [SearchRow(f"{name}, 1 coin, scored", WORKERS, count, s, count / s) for name, s in found.items()]


# --- the driver alone


def _driver_alone(options: Options, directory: Path) -> SearchRow:
    """A search whose engine takes no time: asking, duplicates, scoring, records, archive."""
    from benchmarks.stub_search import stub_search

    evaluations = 200 if options.quick else 3000
    done, seconds = stub_search(directory / "driver", evaluations)
    target = f">= {DRIVER_TARGET} a second"
    return SearchRow("driver alone, engine of 0 ms", 1, done, seconds, done / seconds, target=target)


# --- memory


def _memory(options: Options, directory: Path) -> list[SearchRow]:
    """Threads over one mapped dataset of twenty coins: the peak of the process's proportional share (PSS)."""
    from benchmarks.workload import Workload

    if not Path("/proc/self/smaps_rollup").exists():
        return []
    workload = Workload(20, options.minutes, directory / "search_memory.npy")
    workload.store()
    rows: list[SearchRow] = []
    for workers in (1, 8):
        seconds, peak = _peak_pss(workload.file, workload.minutes, workers)
        one = rows[0].memory_mib if rows else peak
        assert one is not None
        rows.append(
            SearchRow(
                what=f"memory, 20 coins, {workload.minutes / 1440:.0f} days",
                workers=workers,
                evaluations=workers,
                seconds=seconds,
                evaluations_a_second=workers / seconds,
                target=f"<= {MEMORY_TARGET} times" if rows else "",
                memory_mib=peak,
                times_one_worker=peak / one,
            )
        )
    return rows


def _peak_pss(file: Path, minutes: int, workers: int) -> tuple[float, float]:
    """Seconds and MiB of a process that evaluates a candidate a worker."""
    path = os.pathsep.join(filter(None, [str(SOURCE_ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "benchmarks.stub_search", str(file), str(minutes), str(workers)]
    started, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _pss_mib(process.pid))
            time.sleep(PSS_INTERVAL_S)
        if process.returncode:
            raise RunError(f"measuring memory failed: {process.stderr and process.stderr.read()[-300:]}")
    return time.perf_counter() - started, peak


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
