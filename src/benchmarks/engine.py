"""Speed of the engine on the sample market, against the floor (`additions.md` 12)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import passivbot_rust as pbr

from benchmarks.floor import Floor
from benchmarks.memory import Kind, Task, memory_of
from benchmarks.options import Options
from benchmarks.timing import MIB, seconds_of, timed
from benchmarks.workload import Workload

TARGETS = {1: 0.12, 5: 0.18, 20: 0.30}  # of the floor, metrics only
MEMORY_TARGET_MIB = 100  # over the dataset

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineRow:
    """Rates are coin-minutes a second; memory is over the dataset, in MiB."""

    coins: int
    sides: str
    metrics_only: float
    full: float
    boxed: float
    floor: float | None
    of_floor: float | None
    target: float | None
    fills: int
    fills_hash: str
    dataset_mib: float
    memory_metrics_only_mib: float | None
    memory_full_mib: float | None


def measure(options: Options, floor: Floor | None, directory: Path, say: Say) -> Iterator[EngineRow]:
    """One row for each number of coins, long, then long and short."""
    for coins in options.coins:
        say(f"candles of {coins} coins")
        workload = Workload(coins, options.minutes, directory / f"engine_{coins}.npy")
        workload.store()
        for short in (False, True):
            say(f"engine, {coins} coins, {_sides(short)}")
            yield _row(workload, floor, options.repeats, short=short)
        workload.file.unlink()


def _sides(short: bool) -> str:
    return "long and short" if short else "long"


def _row(workload: Workload, floor: Floor | None, repeats: int, *, short: bool) -> EngineRow:
    """Everything that is compared is timed alternately, so that a busy machine slows all of it."""
    quick_arguments = workload.arguments(short=short, metrics_only=True)
    arguments = workload.arguments(short=short)
    floors, quick, full = [], [], []
    for _ in range(repeats * max(1, 10 // workload.coins)):  # a year of one coin takes 30 ms, too little for few tries
        if floor:
            floors.append(floor.rate(workload.coins))
        quick.append(seconds_of(lambda: pbr.run_backtest(*quick_arguments)))
        full.append(seconds_of(lambda: pbr.run_backtest_columns(*arguments)))
    best_floor = max(floors, default=None)
    metrics_only = workload.work / min(quick)
    boxed_s, (fills, _, _, _) = timed(lambda: pbr.run_backtest(*arguments))
    assert fills is not None  # only metrics_only leaves them out
    return EngineRow(
        coins=workload.coins,
        sides=_sides(short),
        metrics_only=metrics_only,
        full=workload.work / min(full),
        boxed=workload.work / boxed_s,
        floor=best_floor,
        of_floor=metrics_only / best_floor if best_floor else None,
        target=TARGETS.get(workload.coins),
        fills=len(fills),
        fills_hash=hashlib.sha256(json.dumps(fills.tolist()).encode()).hexdigest()[:12],
        dataset_mib=workload.dataset_bytes / MIB,
        memory_metrics_only_mib=_over_dataset(workload, "metrics only", short=short),
        memory_full_mib=_over_dataset(workload, "full", short=short),
    )


def _over_dataset(workload: Workload, kind: Kind, *, short: bool) -> float | None:
    peak = memory_of(Task(workload.coins, workload.minutes, str(workload.file), kind, short))
    return None if peak is None else (peak - workload.dataset_bytes) / MIB
