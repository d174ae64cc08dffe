"""Time until a program answers `--help`: the launcher's checks, the interpreter, the imports."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.timing import seconds_of
from core.errors import RunError
from core.paths import SOURCE_ROOT

PROGRAMS = {"live": "main.py", "backtest": "backtest.py", "optimize": "optimize.py"}


@dataclass(frozen=True, slots=True)
class StartupRow:
    """Median of several starts; the files are in memory after the first, which is not counted."""

    program: str
    seconds: float


def programs() -> dict[str, list[str]]:
    """What is there to start, by the name that the table shows."""
    there = {name: script for name, script in PROGRAMS.items() if (SOURCE_ROOT / "src" / script).is_file()}
    launched = {f"./passivbot {name} --help": ["passivbot", name, "--help"] for name in there}
    direct = {f"python3 src/{script} --help": [f"src/{script}", "--help"] for script in there.values()}
    return {"python3 -c pass (for comparison)": ["-c", "pass"], **launched, **direct}


def measure(options: Options) -> list[StartupRow]:
    repeats = 2 * options.repeats + 1
    return [StartupRow(name, start_seconds(words, repeats)) for name, words in programs().items()]


def start_seconds(words: Sequence[str], repeats: int) -> float:
    """Median seconds of running this environment's Python with the arguments. Raises RunError if it fails."""

    def start() -> None:
        done = subprocess.run([sys.executable, *words], cwd=SOURCE_ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(f"{' '.join(words)} ended with status {done.returncode}: {done.stderr[-300:]}")

    start()
    return statistics.median(seconds_of(start) for _ in range(repeats))
