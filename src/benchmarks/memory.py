"""Peak memory of a run, measured in a process of its own.

Counted is the resident memory (RSS: heap and the mapped dataset, as far as it was read) at its highest during the run,
minus that of the interpreter once NumPy, the sample market and the extension are imported.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks.workload import Workload
from core.errors import RunError
from core.paths import SOURCE_ROOT

Kind = Literal["metrics only", "full", "batch"]
STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Task:
    """What the process runs; threads and candidates are those of a batch."""

    coins: int
    minutes: int
    file: str
    kind: Kind
    short: bool = True
    threads: int = 1
    candidates: int = 1


def memory_of(task: Task) -> int | None:
    """Bytes over the idle interpreter; None where the system does not tell. Raises RunError if the process fails."""
    if not STATUS.exists():
        return None
    path = os.pathsep.join(filter(None, [str(SOURCE_ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "benchmarks.memory", json.dumps(asdict(task))]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"measuring memory failed: {done.stderr.strip().splitlines()[-1:]}")
    return int(done.stdout)


def _resident(field: Literal["VmRSS", "VmHWM"]) -> int:
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _run(task: Task) -> None:
    import passivbot_rust as pbr

    workload = Workload(task.coins, task.minutes, Path(task.file))
    bundle = workload.bundle()  # a single run has times and BTC prices in memory too, as in the programs
    if task.kind == "batch":
        pbr.backtest_batch(bundle, workload.candidates(task.candidates), task.threads)
    elif task.kind == "full":
        pbr.run_backtest_columns(*workload.arguments(short=task.short))
    else:
        pbr.run_backtest(*workload.arguments(short=task.short, metrics_only=True))


def main() -> None:
    """The process: prints the bytes."""
    import passivbot_rust  # noqa: F401 - belongs to the baseline

    task = Task(**json.loads(sys.argv[1]))
    gc.collect()
    with suppress(OSError):  # forget the peak of the imports; refused, the figure can only be too high
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    _run(task)
    sys.stdout.write(str(max(0, _resident("VmHWM") - before)))


if __name__ == "__main__":
    main()
