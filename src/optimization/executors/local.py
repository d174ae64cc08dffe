"""Threads of the engine over one mapped dataset: nothing is copied, nothing is pickled.

The engine's threads live in `EngineQueue` and never need the interpreter lock, so that all Python is the driver's: it
describes runs and reads metrics while the threads work. One Python call a thread (each needs the lock before and after)
and batches (their last run keeps the other threads waiting) are both slower; `./passivbot tool bench --only search`.
"""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.errors import RunError
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Answer, Failure, Reply, Task

_DoneRun = tuple[int, npt.NDArray[np.float64], str | None, float]
"""Number, metrics, error text, seconds: what the queue says of a finished run."""

NOTHING: npt.NDArray[np.float64] = np.empty(0)
LOOK_S = 0.05  # between looks at runs that may take too long


@dataclass(slots=True)
class _Unfinished:
    """A task of which some runs are not done."""

    task: Task
    rows: list[npt.NDArray[np.float64]]
    missing: int
    errors: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0


class LocalExecutor:
    """`workers` threads. A run that takes longer than `timeout_s` (None: no limit) is stopped and fails its task."""

    def __init__(self, evaluator: Evaluator, workers: int, timeout_s: float | None = None) -> None:
        from passivbot_rust import EngineQueue  # lazily: programs rebuild a stale extension before its first import

        self.workers, self._timeout_s = workers, timeout_s
        self._evaluator = evaluator
        self._queue = EngineQueue(evaluator.bundles)
        self._numbers = itertools.count()
        self._runs: dict[int, tuple[_Unfinished, int]] = {}
        self._refused: list[_DoneRun] = []
        self._thread = threading.Thread(target=self._queue.serve, args=(workers,), name="engine", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        runs = self._evaluator.engine_runs(task)
        unfinished = _Unfinished(task, [NOTHING] * len(runs), len(runs))
        for at, (dataset, spec) in enumerate(runs):
            number = next(self._numbers)
            self._runs[number] = (unfinished, at)
            try:
                self._queue.submit(number, dataset, spec)
            except ValueError as exc:  # the engine cannot read the parameters
                self._refused.append((number, NOTHING, str(exc), 0.0))

    def poll(self, timeout_s: float) -> list[Reply]:
        until = time.monotonic() + timeout_s
        while True:
            left = until - time.monotonic()
            done = self._refused or self._queue.poll(max(0.0, left if self._timeout_s is None else min(left, LOOK_S)))
            self._refused = []
            self._stop_slow_runs()
            replies = [reply for run in done if (reply := self._reply(run)) is not None]
            if not done and not self._thread.is_alive():
                raise RunError("the engine's threads have ended: what stands above this line says why")
            if replies or left <= 0:
                return replies

    def _reply(self, done: _DoneRun) -> Reply | None:
        """The answer of a task whose last run has come in; of several errors that of the first run."""
        number, values, error, seconds = done
        unfinished, run = self._runs.pop(number)
        unfinished.missing -= 1
        unfinished.seconds += seconds
        unfinished.rows[run] = values
        if error is not None:
            unfinished.errors[run] = self._explained(error, seconds)
        if unfinished.missing:
            return None
        if unfinished.errors:
            return Failure(unfinished.task.id, unfinished.errors[min(unfinished.errors)])
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
        if not hard:
            self._thread.join()
