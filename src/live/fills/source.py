"""Where fills come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from live.fills.book import KnownOrders
from live.fills.record import FillEvent

OnBatch: TypeAlias = Callable[[Sequence[FillEvent]], None]
"""Takes events as they come, so that an interrupted fetch has not been for nothing."""


class FillSource(Protocol):
    """The fill history of one account on one exchange."""

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """Hand every fill with `start_ms <= timestamp <= end_ms` to `on_batch`, in any order, piece by piece.

        Orders of trades in `known` are not asked for again. Errors of the exchange are raised, never swallowed: what
        returns normally was complete.
        """
