"""Threads of the engine over one mapped dataset: nothing is copied, nothing is pickled.

The engine's threads live in `EngineQueue` and never need the interpreter lock, so that all Python is the driver's: it
describes runs and reads metrics while the threads work. One Python call a thread (each needs the lock before and after)
and batches (their last run keeps the other threads waiting) are both slower; `./passivbot tool bench --only search`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from optimization.evaluator import Evaluator
from optimization.executors.protocol import Answer, Failure, Reply, Task

_DoneRun = tuple[int, npt.NDArray[np.float64], str | None, float]
"""Number, metrics, error text, seconds: what the queue says of a finished run."""

LOOK_S = 0.2  # between looks at runs that may take too long


@dataclass(slots=True)
class _Unfinished:
    """A task of which some runs are not done."""

    task: Task
    rows: list[npt.NDArray[np.float64] | None]
    missing: int
    seconds: float = 0.0
    error: str | None = None


@dataclass(slots=True)
class _Numbers:
    """The queue's numbers of runs: which task and which of its runs."""

    next: int = 0
    of: dict[int, tuple[int, int]] = field(default_factory=dict)


class LocalExecutor:
    """`workers` threads. A run that takes longer than `timeout_s` (None: no limit) is stopped and fails its task."""

    def __init__(self, evaluator: Evaluator, workers: int, timeout_s: float | None = None) -> None:
        from passivbot_rust import EngineQueue  # lazily: programs rebuild a stale extension before its first import

        self.workers, self._timeout_s = workers, timeout_s
        self._evaluator = evaluator
        self._queue = EngineQueue(evaluator.bundles)
        self._numbers = _Numbers()
        self._tasks: dict[int, _Unfinished] = {}
        self._refused: list[Reply] = []
        self._thread = threading.Thread(target=self._queue.serve, args=(workers,), name="engine", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        try:
            runs = self._evaluator.engine_runs(task)
            self._tasks[task.id] = _Unfinished(task, [None] * len(runs), len(runs))
            for at, (dataset, spec) in enumerate(runs):
                self._queue.submit(self._number(task.id, at), dataset, spec)
        except ValueError as exc:  # the engine cannot read the parameters: the other runs of the task are for nothing
            self._tasks.pop(task.id, None)
            self._refused.append(Failure(task.id, str(exc)))

    def _number(self, task_id: int, run: int) -> int:
        self._numbers.next += 1
        self._numbers.of[self._numbers.next] = (task_id, run)
        return self._numbers.next

    def poll(self, timeout_s: float) -> list[Reply]:
        replies, self._refused = self._refused, []
        until = time.monotonic() + timeout_s
        while not replies:
            left = until - time.monotonic()
            done = self._queue.poll(max(0.0, left if self._timeout_s is None else min(left, LOOK_S)))
            self._stop_slow_runs()
            replies = [reply for run in done if (reply := self._reply(run)) is not None]
            if left <= 0:
                break
        return replies

    def _reply(self, number: int, values: npt.NDArray[np.float64], error: str | None, seconds: float) -> Reply | None:
        """The answer of a task whose last run has come in."""
        task_id, run = self._numbers.of.pop(number)
        unfinished = self._tasks.get(task_id)
        if unfinished is None:  # refused after some of its runs had been queued
            return None
        unfinished.rows[run], unfinished.missing = values, unfinished.missing - 1
        unfinished.seconds += seconds
        unfinished.error = unfinished.error or (None if error is None else self._explained(error, seconds))
        if unfinished.missing:
            return None
        del self._tasks[task_id]
        if unfinished.error is not None:
            return Failure(task_id, unfinished.error)
        return Answer(task_id, np.array(unfinished.rows), unfinished.seconds)

    def _explained(self, error: str, seconds: float) -> str:
        if self._timeout_s is not None and seconds > self._timeout_s:
            return f"took longer than optimize.eval_timeout_s ({self._timeout_s:g} s)"
        return error

    def _stop_slow_runs(self) -> None:
        if self._timeout_s is None:
            return
        for number, seconds in self._queue.running():
            if seconds > self._timeout_s:
                self._queue.cancel(number)

    def close(self, *, hard: bool = False) -> None:
        self._queue.close()
        self._thread.join()
