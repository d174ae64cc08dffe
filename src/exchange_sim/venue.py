"""What the protocols of one simulated venue share: market, clock, faults, websockets, and one matching engine each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from aiohttp import web

from candles.fill import floor_minute
from core.clock import MINUTE_MS, Clock, ManualClock, SystemClock
from core.errors import ConfigError, RunError
from exchange_sim.driver import Driver, watched
from exchange_sim.faults import Fault, FaultBook, spoil
from exchange_sim.feed import Feed, Floor
from exchange_sim.klines import Page, klines
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.sockets import Hub
from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.matching import Candle
from exchange_sim.trading.records import BINANCE, BYBIT, Rules
from exchange_sim.wire import VenueError
from markets.candle import Candles

FAULT = web.RequestKey("fault", Fault)  # what a request met, for handlers that have to act on it
OUT_OF_REACH = -1001
RULES: Mapping[str, Rules] = {"binance": BINANCE, "bybit": BYBIT}


class Venue:
    """The state behind all protocols; they only translate. `engines` by name of the protocol.

    `secrets` are those of the API keys that may sign; without any, every key and secret is as good.
    """

    def __init__(
        self,
        market: VenueMarket,
        clock: Clock,
        faults: FaultBook,
        protocols: Iterable[str] = (),
        trading: Options | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.market, self.clock, self.faults, self.secrets = market, clock, faults, secrets or {}
        markets = {symbol: item.market for symbol, item in market.by_symbol.items()}
        self.engines: Mapping[str, Engine] = {
            name: Engine(markets, RULES[name], trading, self._trades) for name in protocols
        }
        self.driver = Driver(market, self.engines, self.now_ms(), stepped=self.is_stepped)
        self.sockets = Hub(faults, self.now_ms)
        for name, engine in self.engines.items():
            engine.subscribe(partial(self.sockets.tell, name))
        self.feed: Feed | None = None  # of live prices
        self._lead_ms = 0  # of the venue's time over the machine's, as clients know it
        self._listeners: list[Callable[[], None]] = [self.sockets.move]

    @property
    def is_stepped(self) -> bool:
        """Whether time moves only when told to."""
        return isinstance(self.clock, ManualClock)

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def engine(self, protocol: str) -> Engine:
        return self.engines[protocol]

    def settle(self) -> None:
        """Bring the engines up to now. Whoever reads or changes accounts does this first."""
        self.driver.advance(self.now_ms())

    def pulse(self) -> None:
        """Settle, and let those who push what the market does know that time has moved."""
        self.settle()
        for listener in self._listeners:
            listener()

    def on_pulse(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def advance(self, ms: int) -> None:
        """Move a stepped clock, and everything with it. Raises ConfigError for a clock that runs by itself, or back."""
        if not isinstance(self.clock, ManualClock):
            raise ConfigError("only a stepped clock can be advanced; start the venue with speed 0")
        if ms < 0:
            raise ConfigError(f"cannot advance by {ms} ms: time does not go back")
        self.clock.advance(ms)
        self.pulse()

    def trade(self, item: Instrument, price: float) -> None:
        """Have a contract trade at a price now; the rest of the minute stays there. Raises ConfigError for a bad price.

        At a full minute, when nothing has happened in the new one, it is the minute before that ends there.
        """
        if not 0.0 < price < float("inf"):
            raise ConfigError(f"price of {item.id} is {price:g}, it must be above 0")
        self.settle()
        now_ms, minute = self.now_ms(), floor_minute(self.now_ms())
        at = minute if now_ms > minute else minute - MINUTE_MS
        row = self.market.finished(item, at, at).copy()
        if not len(row):
            raise ConfigError(f"{item.id} is not traded at this time; put candles first")
        for name in ("o", "h", "l", "c") if at == minute else ("c",):
            row[name] = price
        row["h"], row["l"] = np.maximum(row["h"], price), np.minimum(row["l"], price)
        self.market.put(item.symbol, row)
        for engine in self.engines.values():
            engine.on_price(item.symbol, price, now_ms)
        self.pulse()

    def skew_ms(self, request: web.Request) -> int:
        """By how much a fault shifts the time as told to this request."""
        fault = request.get(FAULT)
        return int(fault.parameters["ms"]) if fault is not None and fault.action == "clock_skew" else 0

    def stated_ms(self, request: web.Request) -> int:
        """The time as told to this request."""
        self._lead_ms = self.now_ms() - SystemClock().now_ms()
        return self.now_ms() + self.skew_ms(request)

    def clients_ms(self) -> int:
        """The time as clients reckon it that were told it last: they go on by the machine's clock."""
        return SystemClock().now_ms() + self._lead_ms

    def is_trading(self, item: Instrument) -> bool:
        return item.market.active and not self.faults.delisted(item.id, self.now_ms())

    def _trades(self, symbol: str) -> bool:
        item = self.market.by_symbol[symbol]
        is_fresh = self.feed is None or self.feed.is_fresh()
        return is_fresh and item.launch_ms <= self.now_ms() and self.is_trading(item)

    def floor(self) -> Floor:
        """The venue as its feed sees it."""

        def match(candles: Mapping[str, Candle]) -> None:
            self.settle()
            self.driver.show(candles, self.now_ms())

        return Floor(lambda: set().union(*map(watched, self.engines.values())), match)

    def listed(self) -> list[Instrument]:
        """What has been launched by now."""
        now_ms = self.now_ms()
        return [item for item in self.market.by_id.values() if item.launch_ms <= now_ms]

    async def klines(self, request: web.Request, item: Instrument, page: Page) -> Candles:
        """The candles of a page, spoilt by the fault that the request met, if any."""
        now_ms = self.now_ms()
        if self.feed is None:
            rows = klines(self.market, item, page, now_ms)
        else:
            try:
                rows = await self.feed.klines(item, page)
            except RunError as exc:
                raise VenueError(OUT_OF_REACH, str(exc), 503) from exc
        return spoil(rows, request.get(FAULT), item, now_ms)
