"""A vector to the engine's metrics: pure, the same bits for the same vector in every thread, process and machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optimization.context import EvalContext
from optimization.executors.protocol import Answer, Failure, Reply, Task

EngineRun = tuple[int, dict[str, Any]]
"""Position of the dataset, and the run as `backtest_batch` takes it."""


class Evaluator:
    """Runs tasks over the datasets of a context. `bundles` are those of `context.engine_bundle`, in its order."""

    def __init__(self, context: EvalContext, bundles: Sequence[Any]) -> None:
        self.context, self.bundles = context, list(bundles)

    def runs_of(self, task: Task) -> tuple[int, ...]:
        """Which of the context's runs a task makes."""
        return task.runs or tuple(range(len(self.context.runs)))

    def engine_runs(self, task: Task) -> list[EngineRun]:
        """What the engine is to do for a task, in the order of its runs."""
        genes = self.context.genes(task.vector)
        templates = [self.context.runs[at] for at in self.runs_of(task)]
        return [(template.dataset, template.spec(template.sides(genes))) for template in templates]

    def evaluate(self, task: Task, cancel: npt.NDArray[np.uint8] | None = None) -> Reply:
        """Do a task here and now, on one thread. Whatever goes wrong with the vector is a Failure."""
        import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

        rows, seconds = [], 0.0
        try:
            for dataset, spec in self.engine_runs(task):
                started = time.perf_counter()
                values, errors = passivbot_rust.backtest_batch(self.bundles[dataset], [spec], 1, cancel)
                seconds += time.perf_counter() - started
                if errors[0] is not None:
                    return Failure(task.id, errors[0])
                rows.append(values[0])
        except ValueError as exc:
            return Failure(task.id, str(exc))
        return Answer(task.id, np.array(rows), seconds)

    def probe(self) -> npt.NDArray[np.float64] | str:
        """The metrics of the middle of all bounds, which every worker must find to the bit; a text if it fails."""
        reply = self.evaluate(Task(0, self.context.space.middle()))
        return reply.values if isinstance(reply, Answer) else reply.reason
