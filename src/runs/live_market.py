"""Real prices for a simulated exchange: quotes and candles of this moment, over public endpoints and without keys.

Quotes of all contracts are asked for every few seconds; minutes that are over are fetched for contracts with orders, so
that what happened between two quotes is filled; pages of klines are passed on. Out of reach, the prices stand still,
and after a minute nothing is traded any more (`exchange_simulator.md` 2, 5).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from candlestick_manager import CandlestickManager
from core.clock import MINUTE_MS, Clock
from core.errors import CandleFetchError, DataError, RunError
from exchange_sim.driver import candles_of
from exchange_sim.feed import Floor
from exchange_sim.klines import Page
from exchange_sim.market import Instrument, Ticker, VenueMarket
from exchange_sim.trading.matching import Candle
from exchanges.clients import public_client
from exchanges.endpoints import Endpoints
from exchanges.market_cache import load_markets_cached
from markets.candle import CANDLE_DTYPE, REST, Candles
from markets.market import market_of

logger = logging.getLogger(__name__)

POLL_S = 3.0
STALE_MS = MINUTE_MS
SETTLED_MS = 5_000  # after its end the candle of a minute is final
LATEST_MS = 2 * MINUTE_MS  # a minute that is not there so long after its end had no trades
TIMEOUT_MS = 10_000


class QuotedMarket(VenueMarket):
    """Instruments with the last quotes; candles are not kept here."""

    def __init__(self, instruments: list[Instrument], note: str) -> None:
        super().__init__(instruments, lambda symbol, start, end: np.empty(0, CANDLE_DTYPE), note)
        self.quotes: dict[str, Ticker] = {}

    def price(self, item: Instrument, now_ms: int) -> float | None:
        quote = self.quotes.get(item.symbol)
        return quote.last if quote else None

    def ticker(self, item: Instrument, now_ms: int) -> Ticker | None:
        return self.quotes.get(item.symbol)


class LiveFeed:
    """The feed of an exchange; `since_ms` is how far accounts that were kept have seen the market.

    `client` is a public ccxt client that knows its markets, `manager` serves that exchange's candles.
    """

    def __init__(
        self, client: Any, market: QuotedMarket, manager: CandlestickManager, clock: Clock, since_ms: int | None = None
    ) -> None:
        self.client, self.market, self.manager, self.clock = client, market, manager, clock
        self._quoted_ms = 0
        self._is_lost = False
        self._next = (clock.now_ms() if since_ms is None else since_ms) // MINUTE_MS * MINUTE_MS

    def is_fresh(self) -> bool:
        return self.clock.now_ms() - self._quoted_ms < STALE_MS

    async def klines(self, item: Instrument, page: Page) -> Candles:
        until = {} if page.end_ms is None else {"until": page.end_ms}
        rows = await self._ask("fetch_ohlcv", item.symbol, page.interval.name, page.start_ms, page.limit, until)
        out = np.zeros(len(rows), CANDLE_DTYPE)
        for name, column in zip(("ts", "o", "h", "l", "c", "bv"), zip(*rows, strict=True), strict=False):
            out[name] = column
        out["src"] = REST
        return out

    async def run(self, floor: Floor) -> None:
        """An exchange out of reach is told once, and again when it is back; nothing ends this but being cancelled."""
        while True:
            try:
                await self.poll()
                await self.match(floor)
                if self._is_lost:
                    logger.warning("live_prices_back exchange=%s", self.client.id)
                self._is_lost = False
            except (RunError, DataError) as exc:
                if not self._is_lost:
                    logger.warning("live_prices_lost error=%s; prices stand still", exc)
                self._is_lost = True
            except Exception:  # the venue goes on without news, and nothing is traded after a minute
                logger.exception("live_prices_failed exchange=%s", self.client.id)
            await self.clock.sleep(POLL_S)

    async def poll(self) -> None:
        """Take the quotes of all contracts. Raises RunError if the exchange does not answer."""
        replies = await self._ask("fetch_tickers")
        now_ms = self.clock.now_ms()
        for symbol, reply in replies.items():
            if symbol in self.market.by_symbol and reply.get("last"):
                self.market.quotes[symbol] = ticker_of(reply, now_ms)
        self._quoted_ms = now_ms

    async def match(self, floor: Floor) -> None:
        """Show the minutes that are over to the orders that were there, oldest first; later if they cannot be had."""
        now_ms = self.clock.now_ms()
        last = (now_ms - SETTLED_MS) // MINUTE_MS * MINUTE_MS - MINUTE_MS
        if last < self._next:
            return
        found: dict[int, dict[str, Candle]] = {}
        missing = False
        for symbol in sorted(floor.watched()):
            rows = await self.manager.get_candles(
                symbol, start_ts=self._next, end_ts=last, max_age_ms=0, strict=True, skip_historical_gap_fill=False
            )
            missing |= not len(rows) or int(rows["ts"][-1]) < last
            for candle in candles_of(rows):
                found.setdefault(candle.ts, {})[symbol] = candle
        if missing and now_ms - last < LATEST_MS:
            return
        for ts in sorted(found):
            floor.match(found[ts])
        self._next = last + MINUTE_MS

    async def _ask(self, method: str, *args: Any) -> Any:
        try:
            return await getattr(self.client, method)(*args)
        except _ccxt_error() as exc:
            raise RunError(f"{self.client.id} does not answer {method}: {type(exc).__name__}: {exc}") from exc


def _ccxt_error() -> type[Exception]:
    error: type[Exception] = importlib.import_module("ccxt.base.errors").BaseError
    return error


def ticker_of(reply: dict[str, Any], now_ms: int) -> Ticker:
    """ccxt's ticker; what an exchange does not tell is the last price, or no volume."""
    last = float(reply["last"])

    def number(name: str, default: float) -> float:
        return float(reply.get(name) or default)

    return Ticker(
        last=last,
        open=number("open", last),
        high=number("high", last),
        low=number("low", last),
        volume=number("baseVolume", 0.0),
        quote_volume=number("quoteVolume", 0.0),
        open_ms=now_ms - 24 * 60 * MINUTE_MS,
        close_ms=now_ms,
    )


def instruments_of(markets: dict[str, dict[str, Any]], exchange: str) -> Iterator[Instrument]:
    """The perpetual contracts settled in USDT; those without steps or fees are left out."""
    for entry in markets.values():
        if not (entry.get("swap") and entry.get("linear") and entry.get("quote") == entry.get("settle") == "USDT"):
            continue
        try:
            market = market_of(entry, exchange)
        except DataError as exc:
            logger.debug("live_market_left_out %s", exc)
            continue
        yield Instrument(str(entry["id"]), market, int(entry.get("created") or 0))


@asynccontextmanager
async def live_feed(
    exchange: str, endpoints: Endpoints, cache_dir: Path, clock: Clock, since_ms: int | None = None
) -> AsyncIterator[LiveFeed]:
    """The feed of an exchange, with first quotes. Raises RunError if it cannot be reached."""
    client = public_client(exchange, endpoints, timeout_ms=TIMEOUT_MS)
    try:
        try:
            markets = await load_markets_cached(client, cache_dir, exchange, clock)
        except _ccxt_error() as exc:
            raise CandleFetchError(
                f"the markets of {exchange} could not be fetched: {type(exc).__name__}: {exc}; check the connection, "
                "or trade with --paper-data sample"
            ) from exc
        market = QuotedMarket(list(instruments_of(markets, exchange)), f"live prices of {exchange}")
        options = {"cache_dir": cache_dir, "clock": clock, "archive_enabled": False}
        async with CandlestickManager(client, exchange, **options) as manager:
            feed = LiveFeed(client, market, manager, clock, since_ms)
            await feed.poll()
            yield feed
    finally:
        await client.close()
