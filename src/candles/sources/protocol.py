"""Where candles come from: what an archive, an exchange's REST interface or the sample market offers to the manager."""

from __future__ import annotations

from typing import Protocol

from markets.candle import Candles


class CandleSource(Protocol):
    """A supplier of one-minute candles of one exchange."""

    id: str  # the exchange's name
    version: str  # stored candles of another version are dropped; "" if versions do not apply

    def first_ts(self, symbol: str) -> int | None:
        """The open time of the first candle there ever was, in ms; None if unknown."""

    def fetch(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        """The candles with `start_ts <= ts <= end_ts`, ascending; minutes without one are absent.

        Raises DataError for a symbol the source does not have, and when it cannot deliver: never silently nothing.
        """
