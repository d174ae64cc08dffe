"""What every way of running candidates looks like to the driver (`optimizer_pareto_tools.md` 13.4, 13.5).

A task is one candidate, or with `split_scenarios` some of its runs. Its answer holds the engine's metrics, one row a
run; scoring is the driver's. Executors own no randomness, write no files and never change a vector: same task, same
bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from optimization.space import Vector


@dataclass(frozen=True, slots=True)
class Task:
    """Runs of one candidate: the evaluated vector, and which of the context's runs (all if empty)."""

    id: int
    vector: Vector
    runs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """float64 [runs, 106]: metrics in USD, then in BTC, NaN where not finite; and the seconds the engine took."""

    id: int
    values: npt.NDArray[np.float64]
    engine_seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that has no answer, and why. `lost` if its worker went away: the vector need not be at fault."""

    id: int
    reason: str
    lost: bool = False


Reply: TypeAlias = Answer | Failure


class Executor(Protocol):
    """Runs tasks on `workers` workers.

    Every submitted id is answered once, whatever happens to workers: an answer or a failure, in any order.
    """

    workers: int

    def submit(self, task: Task) -> None:
        """Queue a task; returns at once."""
        ...

    def poll(self, timeout_s: float) -> list[Reply]:
        """What has been answered; waits until there is something, or for `timeout_s`. Raises RunError when no worker
        is left and none can be had."""
        ...

    def close(self, *, hard: bool = False) -> None:
        """Drop what is queued, stop what is running, end all workers.

        `hard` comes from a signal handler, in the middle of whatever: it kills those that are processes, waits for
        nothing, and is followed by a plain one.
        """
        ...
