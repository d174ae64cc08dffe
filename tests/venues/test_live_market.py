"""Real prices for simulated orders; a venue of ours plays the real exchange (`exchange_simulator.md` 2, `live`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from venue_cases import NOW, PROTOCOLS, SYMBOL, endpoints_of, floor, minutes

from core.clock import MINUTE_MS, ManualClock
from core.errors import CandleFetchError, RunError
from exchange_sim.driver import candles_of
from exchange_sim.feed import Floor
from exchange_sim.klines import INTERVALS, Page, klines
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.trading.matching import Candle
from exchange_sim.trading.records import OrderRequest, Reject
from runs.live_market import LiveFeed, live_feed, ticker_of

OTHER = "ETH/USDT:USDT"
TICKERS = {"binance": "/fapi/v1/ticker/24hr", "bybit": "/v5/market/tickers"}
Case = Callable[[SimServer, LiveFeed, ManualClock], Awaitable[None]]


def with_feed(tmp_path: Path, case: Case, protocol: str = "bybit", since_ms: int | None = None) -> None:
    """Run a case with a real exchange, a feed of it, and the clock of both."""

    async def run() -> None:
        clock = ManualClock(NOW)
        async with (
            SimServer(SimConfig(clock=clock)) as real,
            live_feed(protocol, endpoints_of(real), tmp_path, clock, since_ms) as feed,
        ):
            await case(real, feed, clock)

    asyncio.run(run())


class Shown:
    """A venue's floor that remembers the minutes it was shown."""

    def __init__(self, *watched: str) -> None:
        self.minutes: list[Mapping[str, Candle]] = []
        self.floor = Floor(lambda: set(watched), self.minutes.append)

    @property
    def times(self) -> list[int]:
        return [next(iter(candles.values())).ts for candles in self.minutes]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_quotes(protocol: str, tmp_path: Path) -> None:
    """All contracts are listed with the exchange's steps and quoted at its prices; they follow with the next poll."""

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        theirs = real.venue.market
        assert set(feed.market.by_symbol) == set(theirs.by_symbol)
        for symbol, item in feed.market.by_symbol.items():
            other = theirs.by_symbol[symbol]
            assert (item.id, item.launch_ms) == (other.id, other.launch_ms)
            assert (item.market.price_step, item.market.qty_step) == (other.market.price_step, other.market.qty_step)
        for _ in range(2):
            for item in feed.market.by_id.values():
                assert feed.market.price(item, clock.now_ms()) == theirs.price(item, clock.now_ms())
                ticker, other = feed.market.ticker(item, clock.now_ms()), theirs.ticker(item, clock.now_ms())
                assert ticker is not None
                assert other is not None
                assert (ticker.high, ticker.low, ticker.open) == (other.high, other.low, other.open)
            clock.advance(20_000)
            await feed.poll()
        assert feed.market.with_fees(maker=0.5).price(item, 0) == feed.market.price(item, 0), "quotes are shared"

    with_feed(tmp_path, case, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_klines_pass_through(protocol: str, tmp_path: Path) -> None:
    """Pages are the exchange's own, with the unfinished kline; out of reach is an error, not an empty page."""

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        item = feed.market.by_symbol[SYMBOL]
        for page in (
            Page(INTERVALS["1m"], 5),
            Page(INTERVALS["1h"], 48, floor(NOW) - 2 * 86_400_000),
            Page(INTERVALS["1m"], 100, floor(NOW) - 60 * MINUTE_MS, floor(NOW) - 50 * MINUTE_MS),
        ):
            rows = await feed.klines(item, page)
            own = klines(real.venue.market, real.venue.market.by_symbol[SYMBOL], page, clock.now_ms())
            assert rows[["ts", "o", "h", "l", "c"]].tolist() == own[["ts", "o", "h", "l", "c"]].tolist()
        real.faults.add("http", status=503, count=0)
        with pytest.raises(RunError, match="does not answer fetch_ohlcv"):
            await feed.klines(item, page)

    with_feed(tmp_path, case, protocol)


def test_finished_minutes(tmp_path: Path) -> None:
    """Contracts with orders see each minute once, some seconds after its end; the others none."""

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        shown = Shown(SYMBOL)
        clock.ms = floor(NOW) + MINUTE_MS + 4_000
        await feed.match(shown.floor)
        assert shown.minutes == []
        for _ in range(2):
            clock.ms = floor(NOW) + MINUTE_MS + 6_000
            await feed.match(shown.floor)
        (real_one,) = candles_of(minutes(SYMBOL, floor(NOW), floor(NOW)))
        (mine,) = shown.minutes
        assert set(mine) == {SYMBOL}
        assert (mine[SYMBOL].low, mine[SYMBOL].high, mine[SYMBOL].ts) == (real_one.low, real_one.high, real_one.ts)

    with_feed(tmp_path, case)


def test_minutes_while_it_was_off(tmp_path: Path) -> None:
    """What passed since the accounts were saved comes first, oldest first, all contracts of a minute together."""

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        shown = Shown(SYMBOL, OTHER)
        await feed.match(shown.floor)
        assert shown.times == [floor(NOW) - n * MINUTE_MS for n in range(90, 0, -1)]
        assert all(set(candles) == {SYMBOL, OTHER} for candles in shown.minutes)

    with_feed(tmp_path, case, since_ms=floor(NOW) - 90 * MINUTE_MS + 1234)


def test_a_late_minute(tmp_path: Path) -> None:
    """A minute that the exchange does not show yet is waited for; it is not taken for one without trades."""

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        shown = Shown(SYMBOL)
        late = real.faults.add("late", minutes=2, path="/v5/market/kline", count=0)
        clock.ms = floor(NOW) + MINUTE_MS + 6_000
        await feed.match(shown.floor)
        assert shown.minutes == []
        real.faults.remove(late.id)
        clock.ms += 10_000
        await feed.match(shown.floor)
        assert shown.times == [floor(NOW)]

    with_feed(tmp_path, case)


class EndedError(Exception):
    """The clock has had enough."""


class ShortClock(ManualClock):
    """A clock that wakes nobody after some waits; `then` is called with the number of each."""

    def __init__(self, ms: int, waits: int, then: Callable[[int], None]) -> None:
        super().__init__(ms)
        self.waits, self.then = waits, then

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.then(len(self.sleeps))
        if len(self.sleeps) >= self.waits:
            raise EndedError


def test_out_of_reach(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One warning when prices are lost and one when they are back; they stand still, orders end after a minute."""
    caplog.set_level(logging.WARNING, "runs.live_market")

    async def case(real: SimServer, feed: LiveFeed, clock: ManualClock) -> None:
        venue = SimServer(SimConfig(market=feed.market, clock=clock, feed=feed)).venue
        engine = venue.engine("bybit")
        engine.account("key").hedge = True
        item = venue.market.by_symbol[SYMBOL]
        price = venue.market.price(item, clock.now_ms())
        assert price is not None
        taken: list[object] = []

        def then(wait: int) -> None:
            if wait == 2:
                real.faults.add("http", status=503, path=TICKERS["bybit"], count=0)
            request = OrderRequest(
                SYMBOL, "buy", "long", "limit", 0.01, round(price * 0.9, 1), "gtc", False, f"c{wait}"
            )
            taken.append(engine.submit("key", request, feed.clock.now_ms()))
            if wait == 26:
                real.faults.clear()

        feed.clock = ShortClock(clock.ms, 28, then)
        with pytest.raises(EndedError):
            await feed.run(venue.floor())
        refused = [isinstance(order, Reject) and order.reason == "not_trading" for order in taken]
        assert refused == [False] * 20 + [True] * 6 + [False] * 2
        assert venue.market.price(item, 0) == price
        assert [record.message.split()[0] for record in caplog.records] == ["live_prices_lost", "live_prices_back"]

    with_feed(tmp_path, case)


def test_nobody_there(tmp_path: Path) -> None:
    """An exchange that cannot be reached at the start is an error with a remedy."""

    async def run() -> None:
        async with SimServer(SimConfig(clock=ManualClock(NOW))) as real:
            real.faults.add("http", status=503, count=0)
            async with live_feed("bybit", endpoints_of(real), tmp_path, real.config.clock):
                pass

    with pytest.raises(CandleFetchError, match="--paper-data sample"):
        asyncio.run(run())


def test_sparse_tickers() -> None:
    """What an exchange does not tell of a contract is its last price, or no volume."""
    ticker = ticker_of({"last": 5, "open": None, "baseVolume": None}, NOW)
    assert (ticker.open, ticker.high, ticker.low, ticker.volume, ticker.quote_volume) == (5.0, 5.0, 5.0, 0.0, 0.0)
