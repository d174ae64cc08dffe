"""Clocks: time that only moves when told to (`core.clock`)."""

from __future__ import annotations

import asyncio

from core.clock import ManualClock, SteppedClock


def test_manual_clock() -> None:
    """Waiting takes no time and moves the clock, to the millisecond; it is remembered."""
    clock = ManualClock(1000)
    asyncio.run(clock.sleep(1.2345))
    clock.advance(10)
    assert (clock.now_ms(), clock.sleeps) == (2244, [1.2345])


def test_stepped_clock() -> None:
    """Waiting does not move it: a cycle with all its waits lies in one minute. Others have their turn meanwhile."""
    clock = SteppedClock(1000)
    order: list[str] = []

    async def wait() -> None:
        await clock.sleep(5.0)
        order.append("waited")

    async def both() -> None:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        order.append("other")
        await task

    asyncio.run(both())
    assert (clock.now_ms(), clock.sleeps, order) == (1000, [5.0], ["other", "waited"])
    clock.advance(60_000)
    assert clock.now_ms() == 61_000
