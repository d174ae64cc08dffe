"""What the protocols of one simulated venue share: market, clock, faults."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from core.clock import Clock
from exchange_sim.faults import Fault, FaultBook, spoil
from exchange_sim.klines import Page, klines
from exchange_sim.market import Instrument, VenueMarket
from markets.candle import Candles

FAULT = web.RequestKey("fault", Fault)  # what a request met, for handlers that have to act on it


@dataclass(frozen=True, slots=True)
class Venue:
    """The state behind all protocols; they only translate."""

    market: VenueMarket
    clock: Clock
    faults: FaultBook

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def stated_ms(self, request: web.Request) -> int:
        """The time as told to this request: a fault may skew it."""
        fault = request.get(FAULT)
        skew = int(fault.parameters["ms"]) if fault is not None and fault.action == "clock_skew" else 0
        return self.now_ms() + skew

    def is_trading(self, item: Instrument) -> bool:
        return item.market.active and not self.faults.delisted(item.id, self.now_ms())

    def listed(self) -> list[Instrument]:
        """What has been launched by now."""
        now_ms = self.now_ms()
        return [item for item in self.market.by_id.values() if item.launch_ms <= now_ms]

    def klines(self, request: web.Request, item: Instrument, page: Page) -> Candles:
        """The candles of a page, spoilt by the fault that the request met, if any."""
        now_ms = self.now_ms()
        return spoil(klines(self.market, item, page, now_ms), request.get(FAULT), item, now_ms)
