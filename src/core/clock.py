"""Time as an argument: programs use `SystemClock`, tests a `ManualClock`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Clock(Protocol):
    """Tells the time in milliseconds since 1970 UTC, and waits by it."""

    def now_ms(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        import asyncio  # 60 ms, which --help should not wait for

        await asyncio.sleep(seconds)


class ScaledClock:
    """A clock that starts at `start_ms` and runs `speed` times as fast as the machine's; the speed may be changed."""

    def __init__(self, start_ms: int, speed: float = 1.0) -> None:
        self._start_ms, self._started_s, self.speed = start_ms, time.monotonic(), 1.0
        self.set_speed(speed)

    def now_ms(self) -> int:
        return self._start_ms + int((time.monotonic() - self._started_s) * self.speed * 1000.0)

    def set_speed(self, speed: float) -> None:
        """Go on at another pace from now. Raises ValueError for one that is not above 0."""
        if not 0.0 < speed < float("inf"):
            raise ValueError(f"clock speed is {speed}, it must be above 0")
        self._start_ms, self._started_s = self.now_ms(), time.monotonic()
        self.speed = speed

    async def sleep(self, seconds: float) -> None:
        import asyncio  # as above

        await asyncio.sleep(seconds / self.speed)


@dataclass
class ManualClock:
    """A clock that only moves when told to. Sleeping takes no time, moves it, and is remembered in `sleeps`."""

    ms: int = 0
    sleeps: list[float] = field(default_factory=list)

    def now_ms(self) -> int:
        return self.ms

    def advance(self, ms: int) -> None:
        self.ms += ms

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.ms += round(seconds * 1000.0)
        import asyncio  # as above

        await asyncio.sleep(0)


class SteppedClock(ManualClock):
    """A clock that moves by `advance` alone: waits are over at once. One minute of a market holds a whole cycle."""

    async def sleep(self, seconds: float) -> None:
        import asyncio  # as above

        self.sleeps.append(seconds)
        await asyncio.sleep(0)
