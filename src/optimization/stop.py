"""The wish to stop, as threads of the engine can read it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from core.signals import SIGNALS


class Stop:
    """`flag` is uint8 [1], the form that the engine's `cancel` arguments have."""

    def __init__(self) -> None:
        self.flag = np.zeros(1, dtype=np.uint8)

    def set(self) -> None:
        self.flag[0] = 1

    def is_set(self) -> bool:
        return bool(self.flag[0])


@contextmanager
def stopped_by_signals(stop: Stop, again: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM sets `stop`; another calls `again`. Only in the main thread.

    When one has ended what is done here, more of them change nothing: the program is leaving.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            again()
        stop.set()

    before: dict[int, Any] = {number: signal.signal(number, on_signal) for number in SIGNALS}
    leaving = True
    try:
        yield
        leaving = False
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if leaving and stop.is_set() else handler)
