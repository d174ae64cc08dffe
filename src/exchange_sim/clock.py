"""A clock that follows a venue in another process (`exchange_simulator.md` 4)."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

import aiohttp

from core.errors import RunError

TOKEN_HEADER = "X-Sim-Token"
TIMEOUT_S = 40.0  # an answer may wait for 25 s until time moves


class VenueClock:
    """The venue's time. One that runs by itself is asked once; a stepped one whenever somebody sleeps, until it moves.

    Made by `connect`; an async context, or `aclose` at the end. `speed` is 0 for a stepped clock.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/sim/v1/clock"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(headers={TOKEN_HEADER: token}, timeout=timeout)
        self._told_ms, self._asked_s, self.speed = 0, 0.0, 0.0

    @classmethod
    async def connect(cls, url: str, token: str) -> Self:
        """The clock of the venue at `url`. Raises RunError if it does not answer, or not to this token."""
        clock = cls(url, token)
        try:
            await clock._ask()
        except BaseException:
            await clock.aclose()
            raise
        return clock

    def now_ms(self) -> int:
        return self._told_ms + int((time.monotonic() - self._asked_s) * self.speed * 1000.0)

    async def sleep(self, seconds: float) -> None:
        """Wait by the venue's time. Raises RunError if the venue goes away meanwhile."""
        if self.speed > 0.0:
            await asyncio.sleep(seconds / self.speed)
            return
        until = self._told_ms + round(seconds * 1000.0)
        while self._told_ms < until:
            await self._ask(after_ms=self._told_ms)
        await asyncio.sleep(0)

    async def aclose(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def _ask(self, after_ms: int = -1) -> None:
        try:
            async with self._session.get(self._url, params={"after_ms": str(after_ms)}) as response:
                reply: Any = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise RunError(f"the venue at {self._url} does not tell the time ({exc!r}); is it still running?") from exc
        if response.status != 200:
            raise RunError(f"the venue at {self._url} does not tell the time: {reply.get('error')}")
        self._told_ms = max(self._told_ms, int(reply["now_ms"]))
        self._asked_s, self.speed = time.monotonic(), float(reply["speed"])
