"""One candidate after the other, in the driver's own thread: for debugging, and the yardstick of all others."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from optimization.evaluator import Evaluator
from optimization.executors.protocol import Reply, Task


class SerialExecutor:
    """Evaluates when it is asked for answers. `cancel`, uint8 [1], stops what is running when it is set."""

    workers = 1

    def __init__(self, evaluator: Evaluator, cancel: npt.NDArray[np.uint8] | None = None) -> None:
        self._evaluator = evaluator
        self._waiting: deque[Task] = deque()
        self._cancel = cancel

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def poll(self, timeout_s: float) -> list[Reply]:
        if not self._waiting:
            return []
        return [self._evaluator.evaluate(self._waiting.popleft(), self._cancel)]

    def close(self, *, hard: bool = False) -> None:
        self._waiting.clear()
