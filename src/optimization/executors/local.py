"""Threads of the engine over one mapped dataset: nothing is copied, nothing is pickled.

The engine's threads live in `EngineQueue` and never need the interpreter lock, so that all Python is the driver's: it
describes runs and reads metrics while the threads work. One Python call a thread (each needs the lock before and after)
and batches (their last run keeps the other threads waiting) are both slower; `./passivbot tool bench --only search`.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass

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
    refused: bool = False


class LocalExecutor:
    """`workers` threads. A run that takes longer than `timeout_s` (None: no limit) is stopped and fails its task."""

    def __init__(self, evaluator: Evaluator, workers: int, timeout_s: float | None = None) -> None:
        from passivbot_rust import EngineQueue  # lazily: programs rebuild a stale extension before its first import

        self.workers, self._timeout_s = workers, timeout_s
        self._evaluator = evaluator
        self._queue = EngineQueue(evaluator.bundles)
        self._numbers = itertools.count()
        self._runs: dict[int, tuple[_Unfinished, int]] = {}
        self._refused: list[Reply] = []
        self._thread = threading.Thread(target=self._queue.serve, args=(workers,), name="engine", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        unfinished = _Unfinished(task, [], 0)
        try:
            runs = self._evaluator.engine_runs(task)
            unfinished.rows, unfinished.missing = [None] * len(runs), len(runs)
            for at, (dataset, spec) in enumerate(runs):
                number = next(self._numbers)
                self._queue.submit(number, dataset, spec)
                self._runs[number] = (unfinished, at)
        except ValueError as exc:  # the engine cannot read the parameters: the other runs of the task are for nothing
            unfinished.refused = True
            self._refused.append(Failure(task.id, str(exc)))

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

    def _reply(self, done: _DoneRun) -> Reply | None:
        """The answer of a task whose last run has come in."""
        number, values, error, seconds = done
        unfinished, run = self._runs.pop(number)
        unfinished.rows[run], unfinished.missing = values, unfinished.missing - 1
        unfinished.seconds += seconds
        unfinished.error = unfinished.error or (None if error is None else self._explained(error, seconds))
        if unfinished.missing or unfinished.refused:
            return None
        if unfinished.error is not None:
            return Failure(unfinished.task.id, unfinished.error)
        return Answer(unfinished.task.id, np.array(unfinished.rows), unfinished.seconds)

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
