"""Many candidates over one dataset, on one thread and on two."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import passivbot_rust as pbr

from benchmarks.memory import Task, memory_of
from benchmarks.options import Options
from benchmarks.timing import MIB, seconds_of
from benchmarks.workload import Workload

COINS = 5
THREADS = (1, 2)
PAIRS = 5
MEMORY_TARGET_MIB = 16  # a thread, over the dataset


@dataclass(frozen=True, slots=True)
class BatchRow:
    """Fastest of five; `scaling` is the best of the five pairs with one thread, beside it the median."""

    threads: int
    coins: int
    minutes: int
    candidates: int
    runs_a_second: float
    coin_minutes_a_second: float
    scaling: float
    scaling_median: float
    dataset_mib: float
    memory_mib: float | None


def measure(options: Options, directory: Path) -> list[BatchRow]:
    workload = Workload(COINS, options.batch_minutes, directory / "batch.npy")
    workload.store()
    bundle, specs = workload.bundle(), workload.candidates(options.candidates)

    def seconds_on(threads: int) -> float:
        return seconds_of(lambda: pbr.backtest_batch(bundle, specs, threads))

    errors = [error for error in pbr.backtest_batch(bundle, specs, THREADS[-1])[1] if error]
    assert not errors, errors[0]
    pairs = [[seconds_on(threads) for threads in THREADS] for _ in range(PAIRS)]
    rows = []
    for at, threads in enumerate(THREADS):
        factors = [pair[0] / pair[at] for pair in pairs]
        runs = len(specs) / min(pair[at] for pair in pairs)
        rows.append(
            BatchRow(
                threads=threads,
                coins=COINS,
                minutes=workload.minutes,
                candidates=len(specs),
                runs_a_second=runs,
                coin_minutes_a_second=runs * workload.work,
                scaling=max(factors),
                scaling_median=statistics.median(factors),
                dataset_mib=workload.dataset_bytes / MIB,
                memory_mib=_over_dataset(workload, threads, len(specs)),
            )
        )
    return rows


def _over_dataset(workload: Workload, threads: int, candidates: int) -> float | None:
    task = Task(workload.coins, workload.minutes, str(workload.file), "batch", threads=threads, candidates=candidates)
    peak = memory_of(task)
    return None if peak is None else (peak - workload.dataset_bytes) / MIB
