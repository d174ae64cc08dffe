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
