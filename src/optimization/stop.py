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

    leaving = True
    with _handled_by(on_signal) as before:
        try:
            yield
            leaving = False
        finally:
            if leaving and stop.is_set():
                before.update(dict.fromkeys(SIGNALS, signal.SIG_IGN))


@contextmanager
def interrupted_by_signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop` and raise KeyboardInterrupt, for what takes long and does not look at `stop`.

    Raises KeyboardInterrupt at the end, too, where a library has swallowed it.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        raise KeyboardInterrupt

    with _handled_by(on_signal):
        yield
    if stop.is_set():
        raise KeyboardInterrupt


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[dict[int, Any]]:
    """Have signals handled so; yields the handlers that stand again afterwards."""
    before: dict[int, Any] = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield before
    finally:
        for number, former in before.items():
            signal.signal(number, former)
