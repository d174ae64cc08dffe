"""Runs of the optimizer as a user starts them, and what two equal runs have in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
from programs import REPOSITORY, run_program

TEMPLATE = REPOSITORY / "configs" / "template.json"
MARKET = ["-e", "sample", "-s", "BTC", "-sd", "2025-01-01", "-ed", "2025-04-01"]
SMALL = [*MARKET, "-i", "48", "-ps", "24", "--optimize.pipeline", '{"chunk_size": 12, "lag": 2}', "--seed", "7"]
"""72 candidates: a population of 24, then four chunks of 12 with a lag of two."""

FREE = ("results_dir", "results_filename", "logging")
FREE_OPTIMIZE = ("executor", "n_cpus", "iters", "split_scenarios", "checkpoint_interval_s")


def optimize(cwd: Path, *args: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run_program("optimize.py", *args, cwd=cwd, expect=expect)


def small(caches: Path, *more: str) -> list[str | Path]:
    """The arguments of the small run."""
    return [TEMPLATE, *SMALL, "--cache-dir", caches, *more]


def only_run(cwd: Path) -> Path:
    """The one run below `cwd`."""
    runs = sorted((cwd / "optimize_results").iterdir())
    assert len(runs) == 1, runs
    return runs[0]


def run_info(run: Path) -> dict[str, Any]:
    info: dict[str, Any] = json.loads((run / "run.json").read_text())
    return info


def records(run: Path) -> list[dict[str, Any]]:
    """The records without what may differ between equal runs."""
    with (run / "all_results.bin").open("rb") as file:
        found = list(msgpack.Unpacker(file, raw=False))
    for record in found:
        for key in FREE:
            record.pop(key, None)
        for key in FREE_OPTIMIZE:
            record["optimize"].pop(key, None)
        record["live"].pop("base_config_path", None)
    return found


def front(run: Path) -> list[str]:
    """The members' parameters and metrics, sorted."""
    members = [json.loads(path.read_text()) for path in (run / "pareto").glob("*.json")]
    return sorted(json.dumps([m["bot"], m["metrics"], m.get("suite_metrics")], sort_keys=True) for m in members)


def same_run(a: Path, b: Path) -> bool:
    """Same records, same digest, same front."""
    digests = {run_info(run)["records_sha256"] for run in (a, b)}
    return len(digests) == 1 and records(a) == records(b) and front(a) == front(b)


def start(cwd: Path, *args: str | Path) -> subprocess.Popen[str]:
    """The optimizer in the background, in a process group of its own."""
    command = [sys.executable, str(REPOSITORY / "src" / "optimize.py"), *map(str, args)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60.0) -> bool:
    """Wait until the condition holds; false if the process ends before."""
    until = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)
    return True


def recorded(cwd: Path) -> int:
    """Bytes of results so far."""
    return sum(path.stat().st_size for path in cwd.glob("optimize_results/*/all_results.bin"))


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL for the driver alone: its workers have to notice."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def left_behind(process: subprocess.Popen[str], seconds: float = 2.0) -> list[int]:
    """What still runs in the group of a process that has ended; the tracker of multiprocessing ends a little later."""
    until = time.monotonic() + seconds
    while (found := members_of_group(process.pid)) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def members_of_group(group: int) -> list[int]:
    """Processes of a process group that are still there, zombies apart."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
