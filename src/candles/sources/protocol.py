"""Where candles come from: what an exchange's REST interface or the sample market offers to the manager."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from markets.candle import Candles

Keep = Callable[[Candles], Awaitable[None]]
"""Stores what a source has delivered so far, before it asks for more."""


class CandleSource(Protocol):
    """A supplier of candles of one exchange."""

    id: str  # the exchange's name
    version: str  # stored candles of another version are dropped; "" if versions do not apply

    def earliest(self, period_ms: int, last_ts: int) -> int | None:
        """The first open time it can still deliver when `last_ts` is the newest one; None: there is no limit."""

    async def first_ts(self, symbol: str) -> int | None:
        """The open time of the first candle there ever was, in ms; None if it does not know."""

    async def fetch(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, keep: Keep) -> int:
        """Hand the candles with `start_ts <= ts <= end_ts`, ascending, to `keep` piece by piece; the rows delivered.

        Candles that do not exist are absent. Raises CandleFetchError when it could not ask, which is not the same.
        """

    async def newest(self, symbol: str, count: int, now_ms: int) -> Candles:
        """The newest one-minute candles, that of the minute in progress included."""

    async def last_price(self, symbol: str) -> float | None:
        """The last price of the ticker, else its bid, else its ask; None if it has none."""
