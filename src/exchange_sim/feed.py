"""What brings the prices of this moment to a venue that simulates orders only (`--paper-data live`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from exchange_sim.klines import Page
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.trading.matching import Candle
from markets.candle import Candles


@dataclass(frozen=True, slots=True)
class Floor:
    """What a feed may do to the venue: ask which symbols orders wait for, and show minutes `{symbol: candle}`."""

    watched: Callable[[], set[str]]
    match: Callable[[Mapping[str, Candle]], None]


class Feed(Protocol):
    """Real prices."""

    @property
    def market(self) -> VenueMarket:
        """The instruments, with the last quotes."""

    def is_fresh(self) -> bool:
        """Whether prices are young enough to trade at."""

    async def klines(self, item: Instrument, page: Page) -> Candles:
        """The page, the unfinished kline included. Raises RunError if the exchange does not answer."""

    def run(self, floor: Floor) -> Awaitable[None]:
        """Bring quotes and finished minutes until cancelled."""
