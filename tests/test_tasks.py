"""Coroutines that run at once (`core.tasks`)."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import together


async def _give(value: int) -> int:
    await asyncio.sleep(0)
    return value


def test_results_in_order() -> None:
    """As they were given, however many."""

    async def run() -> list[int]:
        return await together(*(_give(i) for i in range(5)))

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_the_first_failure_stops_the_others() -> None:
    """The error is raised as it is, once the others have come to their ends."""
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("this one")

    async def run() -> None:
        with pytest.raises(KeyError, match="this one"):
            await together(wait(), fail(), wait())
        assert len(ended) == 2

    asyncio.run(run())
