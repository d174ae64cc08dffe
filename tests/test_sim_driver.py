"""What the market does to the engines: stepped minutes, the path through a running one (`exchange_simulator.md` 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.clock import DAY_MS, MINUTE_MS, ManualClock, SystemClock
from core.errors import ConfigError
from exchange_sim.driver import Driver, candles_of
from exchange_sim.faults import FaultBook
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.sources import ArraySource, sample_market
from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.matching import FillModel
from exchange_sim.trading.records import BINANCE, BYBIT, Order
from exchange_sim.trading.upkeep import Funding
from exchange_sim.venue import Venue
from markets import sample
from markets.candle import CANDLE_DTYPE, REST, Candles
from sim_engine_cases import KEY, A, B, listen, market, order

T0 = 1_750_032_000_000  # a midnight
UP, DOWN = (100.0, 110.0, 90.0, 105.0), (100.0, 110.0, 90.0, 95.0)
FLAT = (100.0, 100.0, 100.0, 100.0)


def rows(*candles: Sequence[float], start: int = T0) -> Candles:
    """Minutes of open, high, low, close."""
    out = np.zeros(len(candles), CANDLE_DTYPE)
    out["ts"], out["src"], out["bv"] = start + MINUTE_MS * np.arange(len(candles)), REST, 1000.0
    for i, name in enumerate(("o", "h", "l", "c")):
        out[name] = [candle[i] for candle in candles]
    return out


def driven(*candles: Sequence[float], stepped: bool = False, **options: Any) -> tuple[Engine, Driver]:
    """An engine at midnight; its contract A was flat for a minute and then does this, B stays flat."""
    minutes = {
        A: rows(FLAT, *candles, start=T0 - MINUTE_MS),
        B: rows(*[FLAT] * (len(candles) + 1), start=T0 - MINUTE_MS),
    }
    items = [Instrument(s[0], market(s), T0 - MINUTE_MS) for s in (A, B)]
    engine = Engine({s: market(s) for s in (A, B)}, BINANCE, Options(**options))
    engine.account(KEY).hedge = True
    venue = VenueMarket(items, ArraySource(minutes).minutes)
    return engine, Driver(venue, {"binance": engine}, T0, stepped=stepped)


def put(engine: Engine, words: str, now: int, symbol: str = A) -> Order:
    taken = engine.submit(KEY, order(words, symbol), now)
    assert isinstance(taken, Order), taken
    return taken


def fill_times(engine: Engine) -> list[tuple[int, float]]:
    """Seconds after midnight and price of each fill."""
    return [((fill.ts - T0) // 1000, fill.price) for fill in engine.fills(KEY)]


@pytest.mark.parametrize(
    ("candle", "seconds"),
    [(UP, {"sell long 1 @ 109": 40, "buy long 1 @ 91": 20}), (DOWN, {"sell short 1 @ 109": 20, "buy long 1 @ 91": 40})],
)
def test_corners_of_the_path(candle: Sequence[float], seconds: dict[str, int]) -> None:
    """Orders near the extremes fill at the corners, even if nobody looked in between, in the order of the path."""
    engine, driver = driven(candle)
    put(engine, "buy long 1", T0)
    for words in seconds:
        put(engine, words, T0)
    driver.advance(T0 + 59_000)
    expected = sorted((at, float(words.split("@")[1])) for words, at in seconds.items())
    assert fill_times(engine)[1:] == expected


def test_the_present_point() -> None:
    """Between corners the price is linear; an order fills when the present price is beyond it, not before."""
    engine, driver = driven(DOWN)
    put(engine, "sell short 1 @ 105", T0)
    driver.advance(T0 + 10_000)  # exactly 105
    assert engine.quotes.last[A] == 105.0
    assert fill_times(engine) == []
    driver.advance(T0 + 10_200)
    assert fill_times(engine) == [(10, 105.0)]


def test_the_open_is_seen() -> None:
    """A minute that opens with a gap fills at its open, unless the order came later."""
    engine, driver = driven((95.0, 101.0, 95.0, 101.0))
    put(engine, "buy long 1 @ 96", T0)
    driver.advance(T0 + 15_000)
    assert fill_times(engine) == [(0, 96.0)]


def test_a_full_minute_is_not_open_yet() -> None:
    """At a full minute the price is the last close; what the next one opens at comes right after."""
    engine, driver = driven(FLAT, (95.0, 101.0, 95.0, 101.0))
    put(engine, "buy long 1 @ 96", T0)
    driver.advance(T0 + MINUTE_MS)
    assert (fill_times(engine), engine.quotes.last[A]) == ([], 100.0)
    driver.advance(T0 + MINUTE_MS + 1)
    assert fill_times(engine) == [(60, 96.0)]


@pytest.mark.parametrize(("placed", "filled"), [(0, [(20, 90.5)]), (18, [(20, 90.5)]), (30, [])])
def test_orders_placed_within_the_minute(placed: int, filled: list[tuple[int, float]]) -> None:
    """An order sees the path from its own time on: prices from before it do not fill it when the minute ends."""
    engine, driver = driven(UP, FLAT)
    driver.advance(T0 + placed * 1000)
    put(engine, "buy long 1 @ 90.5", T0 + placed * 1000)
    driver.advance(T0 + 90_000)
    assert fill_times(engine) == filled


def test_the_close_is_seen_by_young_orders() -> None:
    """The last third of a path that nobody watched still fills what was placed before it."""
    engine, driver = driven(UP, FLAT)
    driver.advance(T0 + 41_000)
    put(engine, "buy long 1 @ 106", T0 + 41_000)
    driver.advance(T0 + MINUTE_MS)
    assert fill_times(engine) == [(60, 106.0)]


def test_the_range_is_official_when_the_minute_ends() -> None:
    """A model that decides by whole candles fills at the minute's end what was there when it opened."""
    engine, driver = driven(UP, UP, fill_model=FillModel("partial"))
    put(engine, "buy long 1 @ 91", T0)
    driver.advance(T0 + 1000)
    put(engine, "buy long 1 @ 92", T0 + 1000)
    driver.advance(T0 + MINUTE_MS + 1)
    assert fill_times(engine) == [(60, 91.0)]
    driver.advance(T0 + 2 * MINUTE_MS)
    assert fill_times(engine) == [(60, 91.0), (120, 92.0)]


def test_catching_up() -> None:
    """After a pause the minutes in between are matched oldest first, each fill at its own minute's end."""
    engine, driver = driven(FLAT, UP, FLAT, (100.0, 130.0, 100.0, 130.0), FLAT)
    put(engine, "buy long 1 @ 95", T0)
    put(engine, "sell short 1 @ 120", T0)
    driver.advance(T0 + 4 * MINUTE_MS + 30_000)
    assert fill_times(engine) == [(120, 95.0), (240, 120.0)]
    assert [fill.id for fill in engine.fills(KEY)] == [1, 2]
    assert engine.quotes.last[A] == 100.0


def test_restart() -> None:
    """A driver put back matches from there what has passed meanwhile."""
    engine, driver = driven(UP, FLAT)
    driver.advance(T0 + 90_000)
    driver.restart(T0)
    put(engine, "buy long 1 @ 95", T0)
    driver.advance(T0 + 90_000)
    assert fill_times(engine) == [(20, 95.0)]


def test_stepped_time_knows_whole_minutes() -> None:
    """Nothing happens within a minute; when it is over all orders are matched, at the time it opened."""
    engine, driver = driven(UP, FLAT, stepped=True)
    put(engine, "buy long 1 @ 95", T0)
    driver.advance(T0 + 59_999)
    assert fill_times(engine) == []
    put(engine, "buy long 1 @ 94", T0 + 59_999)
    driver.advance(T0 + MINUTE_MS)
    assert fill_times(engine) == [(0, 95.0), (0, 94.0)]


def test_time_gone_by() -> None:
    """The same time again, or an earlier one, changes nothing; a price that was put in stays until time moves."""
    engine, driver = driven(UP, stepped=True)
    engine.on_price(A, 77.0, T0)
    driver.advance(T0)
    driver.advance(T0 - 1)
    assert engine.quotes.last[A] == 77.0
    driver.advance(T0 + MINUTE_MS)
    assert engine.quotes.last[A] == 105.0


def test_last_prices_of_all() -> None:
    """Every contract that has been traded has a last price, with or without orders; others have none."""
    engine, driver = driven(UP, stepped=True)
    assert dict(engine.quotes.last) == {A: 100.0, B: 100.0}
    driver.advance(T0 + MINUTE_MS)
    assert dict(engine.quotes.last) == {A: 105.0, B: 100.0}
    driver.restart(T0 - DAY_MS)
    assert len(engine.quotes.last) == 0
    assert engine.quotes.last.get(A) is None


def test_positions_that_cost() -> None:
    """With funding, a position is charged at each of its hours although there are no orders."""
    engine, driver = driven(*[FLAT] * 3, stepped=True, funding=Funding(0.001))
    put(engine, "buy long 1", T0)
    wallet = engine.balance(KEY)
    driver.advance(T0 + 3 * MINUTE_MS)
    assert engine.balance(KEY) == pytest.approx(wallet - 0.1)


def ladder(engine: Engine, now: int) -> None:
    """Orders around the last price of three coins, closes where there is a position."""
    for coin in ("BTC", "ETH", "SOL"):
        symbol = f"{coin}/USDT:USDT"
        rules, last = engine.quotes.markets[symbol], engine.quotes.last[symbol]
        qty = round(50.0 / last / rules.qty_step + 1.0) * rules.qty_step
        for side, pside, share in (("buy", "long", 0.999), ("sell", "short", 1.001), ("sell", "long", 1.0007)):
            price = round(last * share / rules.price_step) * rules.price_step
            request = order(f"{side} {pside} {qty} @ {price}", symbol)
            engine.submit(KEY, replace(request, tif="post_only"), now)


def test_a_stepped_day_is_the_engines_day() -> None:
    """A day through the driver equals the same candles given to the engine by hand: every fill, wallet, last price."""
    start = T0 - 10 * DAY_MS
    symbols = [f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL")]
    venue = Venue(sample_market(), ManualClock(start), FaultBook(), ["bybit"])
    driven_engine = venue.engine("bybit")
    plain = Engine(driven_engine.quotes.markets, BYBIT)
    minutes = {s: candles_of(sample.candles(s, start - MINUTE_MS, start + DAY_MS - MINUTE_MS)) for s in symbols}
    plain.quotes.last.update({s: minutes[s][0].close for s in symbols})
    for engine in (driven_engine, plain):
        engine.account(KEY).hedge = True
    for i in range(1, 1441):
        now = start + (i - 1) * MINUTE_MS
        if i % 30 == 1:
            ladder(driven_engine, now)
            ladder(plain, now)
        venue.advance(MINUTE_MS)
        plain.on_minute({s: minutes[s][i] for s in symbols})
    assert len(plain.fills(KEY)) > 50
    assert driven_engine.fills(KEY) == plain.fills(KEY)
    assert driven_engine.account(KEY).wallet == plain.account(KEY).wallet
    assert driven_engine.equity(KEY) == plain.equity(KEY)


def test_idle_days_are_not_read() -> None:
    """A jump of weeks without orders loads no candles but those of the day it ends in."""
    asked: list[int] = []

    def minutes(symbol: str, start: int, end: int) -> Candles:
        asked.append(start)
        return sample.candles(symbol, start, end)

    market = VenueMarket(sample_market().by_id.values(), minutes)
    venue = Venue(market, ManualClock(T0), FaultBook(), ["binance", "bybit"])
    venue.advance(30 * DAY_MS)
    assert venue.engine("bybit").quotes.last["BTC/USDT:USDT"] > 0.0
    assert set(asked) <= {T0 + 29 * DAY_MS, T0 + 30 * DAY_MS}


def test_events_come_with_the_time_they_happened() -> None:
    """A fill of the catching up is told with its minute, not with the time of looking."""
    engine, driver = driven(FLAT, UP, FLAT)
    put(engine, "buy long 1 @ 95", T0)
    events = listen(engine)
    driver.advance(T0 + 3 * MINUTE_MS)
    assert [(event.kind, event.time_ms - T0) for event in events][:1] == [("fill", 120_000)]


def test_clocks_that_run_are_not_advanced() -> None:
    """Only a stepped venue takes steps, and never back."""

    with pytest.raises(ConfigError, match="only a stepped clock"):
        Venue(sample_market(), SystemClock(), FaultBook()).advance(1)
    with pytest.raises(ConfigError, match="does not go back"):
        Venue(sample_market(), ManualClock(T0), FaultBook()).advance(-1)
