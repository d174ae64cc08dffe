"""The market moves the engines: whole minutes, and in running time the path through the minute in progress.

Stepped time knows whole minutes only, and fills bear the time at which their candle opened, as in the backtester
(`additions.md` 13). In running time prices follow the path of `exchange_simulator.md` 5: the engines see every corner
of it and the present point. When the minute is over, its range fills, at its end, only orders that were there when it
opened: younger ones have seen the rest of the path, and must not be filled at prices from before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Set
from itertools import chain

from candles.fill import floor_minute
from core.clock import DAY_MS, MINUTE_MS
from exchange_sim.market import VenueMarket, corners_of
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.matching import Candle
from exchange_sim.trading.records import Quotes
from markets.candle import Candles

CORNER_MS = MINUTE_MS // 3


class LastPrices(MutableMapping[str, float]):
    """The market's last prices at `now_ms`, looked up when somebody asks; what engines put in holds until time moves.

    Symbols that were not traded by then are not in it.
    """

    def __init__(self, market: VenueMarket, now_ms: int) -> None:
        self.market, self.now_ms = market, now_ms
        self._known: dict[str, float] = {}

    def move(self, now_ms: int) -> None:
        """Go to another time."""
        self.now_ms = now_ms
        self._known.clear()

    def __getitem__(self, symbol: str) -> float:
        if symbol not in self._known:
            price = self.market.price(self.market.by_symbol[symbol], self.now_ms)
            if price is None:
                raise KeyError(symbol)
            self._known[symbol] = price
        return self._known[symbol]

    def __setitem__(self, symbol: str, price: float) -> None:
        self._known[symbol] = price

    def __delitem__(self, symbol: str) -> None:
        del self._known[symbol]

    def __iter__(self) -> Iterator[str]:
        return (symbol for symbol in self.market.by_symbol if self.get(symbol) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Driver:
    """Brings engines up to a time. They have seen the market up to `now_ms`; `stepped` knows whole minutes only."""

    def __init__(
        self, market: VenueMarket, engines: Mapping[str, Engine], start_ms: int, *, stepped: bool = False
    ) -> None:
        self.market, self.engines, self.stepped = market, engines, stepped
        self.now_ms = start_ms
        self._last = [LastPrices(market, start_ms) for _ in engines]
        for engine, last in zip(engines.values(), self._last, strict=True):
            engine.quotes = Quotes(engine.quotes.markets, last)

    def restart(self, start_ms: int) -> None:
        """Stand at another time: the next advance matches what came after it."""
        self.now_ms = start_ms
        self._price(start_ms)

    def advance(self, now_ms: int) -> None:
        """Show the engines what the market did until `now_ms`, oldest first. A time gone by changes nothing."""
        since = self.now_ms
        if now_ms <= since:
            return
        minute, end = floor_minute(since), floor_minute(now_ms)
        if end > minute:
            if not self.stepped:
                self._walk(minute, since, minute + MINUTE_MS)
            self._match(minute, end)
            since = end
        if not self.stepped and now_ms > since:
            self._walk(end, since, now_ms)
        self.now_ms = now_ms
        self._price(now_ms)

    def show(self, candles: Mapping[str, Candle], now_ms: int) -> None:
        """Have the engines see a finished minute late, as a feed brings it; orders younger than it are left alone."""
        ts = next(iter(candles.values())).ts
        for engine in self.engines.values():
            engine.on_minute(candles, fill_ms=now_ms, placed_by=ts)
        self._price(now_ms)

    def _price(self, now_ms: int) -> None:
        for last in self._last:
            last.move(now_ms)

    def _match(self, start: int, end: int) -> None:
        """Whole minutes from `start` up to `end`, a day at a time: nobody looks at days without orders."""
        while start < end:
            until = min(end, (start // DAY_MS + 1) * DAY_MS)
            for engine in self.engines.values():
                minutes = self._minutes(watched(engine), start, until)
                for ts in sorted(minutes):
                    if self.stepped:
                        engine.on_minute(minutes[ts])
                    else:
                        engine.on_minute(minutes[ts], fill_ms=ts + MINUTE_MS, placed_by=ts)
            start = until

    def _minutes(self, symbols: Set[str], start: int, end: int) -> dict[int, dict[str, Candle]]:
        """The candles of symbols, by minute."""
        found: dict[int, dict[str, Candle]] = {}
        for symbol in sorted(symbols):
            for candle in candles_of(self.market.finished(self.market.by_symbol[symbol], start, end - MINUTE_MS)):
                found.setdefault(candle.ts, {})[symbol] = candle
        return found

    def _walk(self, minute: int, since: int, now_ms: int) -> None:
        """The path of a minute after `since`: its corners until `now_ms`, and the price then."""
        for engine in self.engines.values():
            paths = [self._path(symbol, minute, since, now_ms) for symbol in sorted(watched(engine))]
            for ts, symbol, price in sorted(chain(*paths), key=lambda point: point[0]):
                engine.on_price(symbol, price, ts)

    def _path(self, symbol: str, minute: int, since: int, now_ms: int) -> list[tuple[int, str, float]]:
        """`(time, symbol, price)` of what a walk passes; the open counts as passed right after the full minute."""
        item = self.market.by_symbol[symbol]
        present = self.market.price(item, now_ms)
        points = [(now_ms, symbol, present)] if present is not None else []
        for candle in candles_of(self.market.finished(item, minute, minute)):
            start, *extremes = corners_of(candle.open, candle.high, candle.low, candle.close)[:3]
            corners = [(minute + CORNER_MS * i, symbol, price) for i, price in enumerate(extremes, 1)]
            points = [corner for corner in corners if since < corner[0] <= now_ms] + points
            if since == minute:
                points.insert(0, (minute, symbol, start))
        return points


def candles_of(rows: Candles) -> list[Candle]:
    """Rows as the engine takes them."""
    return [
        Candle(*row) for row in zip(*(rows[name].tolist() for name in ("ts", "o", "h", "l", "c", "bv")), strict=True)
    ]


def watched(engine: Engine) -> set[str]:
    """What the market can change something about: contracts with orders; where positions cost or end, those too."""
    accounts = engine.accounts.values()
    watched = {order.symbol for account in accounts for order in account.open_orders.values()}
    if engine.options.funding is not None or engine.options.liquidation:
        watched |= {position.symbol for account in accounts for position in account.positions.values()}
    return watched
