"""The manager's answers over real clients equal what the sample market's own minutes give (`candles.md` 6, 9, 10)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from venue_cases import KLINES, NOW, PROTOCOLS, SYMBOL, floor, in_venue, minutes

from candles.fetching.history import note_inception
from candles.resample import aggregate
from candles.rows import equal_values
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, ManualClock
from exchange_sim.server import SimServer
from markets.candle import Candles, timeframe_ms

LAST = floor(NOW) - MINUTE_MS
SPAN = 33.7

VALUES: dict[str, Callable[[Candles], Any]] = {
    "close": lambda rows: rows["c"],
    "volume": lambda rows: rows["bv"],
    "quote_volume": lambda rows: rows["bv"] * (rows["h"] + rows["l"] + rows["c"]) / 3,
    "log_range": lambda rows: np.log(rows["h"] / rows["l"]),
}


def with_manager(
    protocol: str, cache_dir: Path, case: Callable[[SimServer, CandlestickManager], Awaitable[None]]
) -> None:
    async def run(sim: SimServer, client: Any) -> None:
        await client.load_markets()
        sim.clear()
        await case(sim, CandlestickManager(client, protocol, cache_dir=cache_dir, clock=sim.config.clock))

    in_venue(protocol, run)


def ema(values: Any, span: float) -> float:
    """The newest one, as `candles.md` 10.1 writes it down."""
    alpha = 2.0 / (span + 1.0)
    num, den = float(values[0]), 1.0
    for value in values[1:]:
        num, den = alpha * float(value) + (1.0 - alpha) * num, alpha + (1.0 - alpha) * den
    return num / den


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h"])
def test_longer_candles(protocol: str, timeframe: str, tmp_path: Path) -> None:
    """The venue's own candles of a longer timeframe are sums of its minutes; the unfinished one is left out."""
    period = timeframe_ms(timeframe)
    end = NOW // period * period - period
    start = end - 120 * period

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        rows = await cm.get_candles(SYMBOL, timeframe=timeframe, start_ts=start, end_ts=NOW)
        sums = aggregate(minutes(SYMBOL, start, end + period - MINUTE_MS), period)
        for name in ("ts", "o", "h", "l", "c"):
            assert np.array_equal(rows[name], sums[name])
        assert rows["bv"] == pytest.approx(sums["bv"], rel=1e-12)
        asked = len(sim.requests)
        again = await cm.get_candles(SYMBOL, tf=timeframe, start_ts=start, end_ts=NOW)
        assert equal_values(again, rows)
        assert len(sim.requests) == asked

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("metric", VALUES)
@pytest.mark.parametrize("timeframe", ["1m", "1h"])
def test_emas(protocol: str, metric: str, timeframe: str, tmp_path: Path) -> None:
    """Over as many finished candles as the span rounded up, from the sample market's minutes."""
    period, count = timeframe_ms(timeframe), math.ceil(SPAN)
    end = NOW // period * period
    rows = minutes(SYMBOL, end - count * period, end - MINUTE_MS)
    expected = ema(VALUES[metric](rows if period == MINUTE_MS else aggregate(rows, period)), SPAN)

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        ask = getattr(cm, f"get_latest_ema_{metric}")
        assert await ask(SYMBOL, SPAN, max_age_ms=60_000, timeframe=timeframe) == pytest.approx(expected, rel=1e-12)
        asked = len(sim.requests)
        assert await ask(SYMBOL, SPAN, max_age_ms=60_000, timeframe=timeframe) == pytest.approx(expected, rel=1e-12)
        assert len(sim.requests) == asked

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_current_close(protocol: str, tmp_path: Path) -> None:
    """The price of this moment, within the age asked for from memory; the minute in progress is not stored."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        clock = sim.config.clock
        assert isinstance(clock, ManualClock)
        item = sim.venue.market.by_symbol[SYMBOL]
        first = sim.venue.market.price(item, NOW)
        assert await cm.get_current_close(SYMBOL, max_age_ms=10_000) == first
        clock.advance(9_000)
        assert await cm.get_current_close(SYMBOL, max_age_ms=10_000) == first
        assert len(sim.requests) == 1
        clock.advance(21_000)  # 50 s into the minute
        now = clock.now_ms()
        assert await cm.get_current_close(SYMBOL, max_age_ms=10_000) == sim.venue.market.price(item, now)
        assert len(sim.requests) == 2
        assert cm.store.read(SYMBOL)["ts"][-1] == LAST
        assert equal_values(cm.store.read(SYMBOL), minutes(SYMBOL, LAST - 28 * MINUTE_MS, LAST))

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_minute_later(protocol: str, tmp_path: Path) -> None:
    """As time goes on one request a minute keeps the default window whole."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        clock = sim.config.clock
        assert isinstance(clock, ManualClock)
        for minute in range(4):
            rows = await cm.get_candles(SYMBOL, max_age_ms=30_000)
            last = LAST + minute * MINUTE_MS
            assert equal_values(rows, minutes(SYMBOL, last - 100 * MINUTE_MS, last))
            clock.advance(MINUTE_MS)
        assert len(sim.requests) <= 5

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_candle(protocol: str, tmp_path: Path) -> None:
    """One request finds the day of the launch; a download from before it holds the candles from the launch on."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        symbol = max(sim.venue.market.by_symbol, key=lambda name: sim.venue.market.by_symbol[name].launch_ms)
        launch = sim.venue.market.by_symbol[symbol].launch_ms
        source = cm.feed.source
        assert source is not None
        first = await source.first_ts(symbol)
        assert first == launch // DAY_MS * DAY_MS
        assert len(sim.requests) == 1  # a request in days
        span = (first - 2 * DAY_MS, first + DAY_MS - MINUTE_MS)
        await cm.ensure(symbol, *span)
        assert equal_values(cm.store.read(symbol), minutes(symbol, launch, span[1]))

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_asked_for_before_the_inception(protocol: str, tmp_path: Path) -> None:
    """Once the first candle is known, requests begin there, and the time before is a gap that stays."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        begin = floor(NOW) // DAY_MS * DAY_MS - 3 * DAY_MS
        note_inception(cm.feed, SYMBOL, begin, "rest")
        await cm.ensure(SYMBOL, begin - 5 * DAY_MS, begin + 2 * HOUR_MS)
        asked = [int(r.params.get("startTime") or r.params["start"]) for r in sim.requests if r.path in KLINES.values()]
        assert asked == [begin]
        (gap,) = cm.store.read_meta(SYMBOL).known_gaps
        assert (gap.start_ts, gap.end_ts, gap.reason) == (begin - 5 * DAY_MS, begin - MINUTE_MS, "pre_inception")
        assert gap.persistent

    with_manager(protocol, tmp_path, case)
