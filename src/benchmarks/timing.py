"""Taking times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

MIB = 1 << 20
T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and what it returned."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def seconds_of(call: Callable[[], Any]) -> float:
    return timed(call)[0]


def seconds_of_short(call: Callable[[], Any], budget_s: float, rounds: int = 5) -> float:
    """Seconds of a call too short to be timed alone: the fastest of several rounds, which together take `budget_s`."""
    once = max(seconds_of(call), 1e-7)
    calls = max(1, int(budget_s / rounds / once))

    def repeat() -> None:
        for _ in range(calls):
            call()

    return min(seconds_of(repeat) for _ in range(rounds)) / calls
