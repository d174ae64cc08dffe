"""One candidate after the other, in the driver's own thread: for debugging, and the yardstick of all others."""

from __future__ import annotations

from collections import deque

import numpy as np

from optimization.evaluator import Evaluator
from optimization.executors.protocol import Reply, Task


class SerialExecutor:
    """Evaluates when it is asked for answers. `close` from a signal handler stops what is running."""

    workers = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._waiting: deque[Task] = deque()
        self._cancel = np.zeros(1, dtype=np.uint8)

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def poll(self, timeout_s: float) -> list[Reply]:
        if not self._waiting:
            return []
        return [self._evaluator.evaluate(self._waiting.popleft(), self._cancel)]

    def close(self, *, hard: bool = False) -> None:
        self._cancel[0] = 1
        self._waiting.clear()
