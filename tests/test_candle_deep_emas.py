"""EMAs to trade by: over many spans of what is stored (`additions.md` 13, `candles.md` 10)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from candles.disk.store import CandleStore
from candles.indicators.deep_emas import DEPTH, DeepEmas
from candles.indicators.series import ema_series, latest_ema
from core.clock import HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from fake_exchange import candles
from markets.candle import CANDLE_DTYPE, Candles

SYMBOL = "BTC/USDT:USDT"
NOW = date_to_ts("2024-03-02T10:00") + 5_000
LAST = NOW // M * M - M
LAST_HOUR = NOW // HOUR_MS * HOUR_MS - HOUR_MS


def walk(count: int, last: int = LAST, period: int = M) -> Candles:
    """Candles of a walk, the newest opening at `last`."""
    rows = candles(0, count)
    rows["ts"] = last - period * np.arange(count)[::-1]
    steps = np.random.default_rng(count).normal(0.0, 1.0, count)
    rows["c"] = 1000.0 + np.cumsum(steps)
    rows["h"], rows["l"], rows["bv"] = rows["c"] + 1.0, rows["c"] - 2.0, 5.0 + np.abs(steps)
    return rows


@dataclass
class Bench:
    """EMAs over a store; `loaded` are the windows that were asked for: what is stored, or `rows` in its place."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    loaded: list[tuple[int, int, int | None, str]] = field(default_factory=list)
    rows: Candles | None = None

    def __post_init__(self) -> None:
        self.stores = {name: CandleStore(self.folder, "binance", self.clock, name) for name in ("1m", "1h", "4h")}
        self.emas = DeepEmas(self._load, self.stores.__getitem__, self.clock)

    async def _load(self, symbol: str, start: int, end: int, max_age_ms: int | None, timeframe: str) -> Candles:
        self.loaded.append((start, end, max_age_ms, timeframe))
        return self.stores[timeframe].read(symbol, start, end) if self.rows is None else self.rows

    def hold(self, rows: Candles, timeframe: str = "1m") -> None:
        self.stores[timeframe].write(SYMBOL, rows)

    def latest(
        self, spans: Mapping[str, list[float]], age: int | None = 30_000, timeframe: str = "1m"
    ) -> dict[tuple[str, float], float]:
        return asyncio.run(self.emas.latest(SYMBOL, spans, age, timeframe))

    def close(self, span: float, age: int | None = 30_000) -> float:
        return self.latest({"close": [span]}, age)["close", span]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("span", [10.0, 3.2, 7.75, 1.0])
def test_many_spans(bench: Bench, span: float) -> None:
    """Over at least ten spans, rounded up to whole candles, the span itself as it is; what is older changes nothing."""
    rows = walk(400)
    bench.hold(rows)
    expected = {name: latest_ema(rows[-math.ceil(DEPTH * span) :], name, span) for name in ("close", "qv", "log_range")}
    assert bench.latest({name: [span] for name in expected}) == {(name, span): v for name, v in expected.items()}
    far = ema_series(rows["c"], span)[-1]
    assert bench.close(span) == pytest.approx(float(far), rel=1e-9)
    assert DEPTH >= 10


def test_only_the_span_is_fetched(bench: Bench) -> None:
    """As many candles as the longest span are asked for, rounded up, to the last finished minute; once for all."""
    bench.hold(walk(400))
    bench.latest({"close": [3.2, 20.5], "qv": [7.0]}, 1234)
    assert bench.loaded == [(LAST - 20 * M, LAST, 1234, "1m")]


@pytest.mark.parametrize("count", [1, 5, 30, 70])
def test_young_coins(bench: Bench, count: int) -> None:
    """Fewer candles are better than none."""
    rows = walk(count)
    bench.hold(rows)
    assert bench.close(10.0) == latest_ema(rows, "close", 10.0)


def test_no_candles(bench: Bench) -> None:
    """NaN, for every span."""
    assert all(math.isnan(value) for value in bench.latest({"close": [3.0, 5.0], "qv": [2.0]}).values())
    bench.rows = walk(5, LAST - 600 * M)
    assert math.isnan(bench.close(6.0, 0))


def test_short_holes_are_filled(bench: Bench) -> None:
    """A missing minute is a candle at the last close, as everywhere else."""
    rows = walk(100)
    bench.hold(np.delete(rows, [40, 41]))
    rows[40:42] = rows[39]
    rows["ts"][40:42] += M * np.array([1, 2])
    for name in ("o", "h", "l"):
        rows[name][40:42] = rows["c"][39]
    rows["bv"][40:42] = 0.0
    found = bench.latest({"close": [10.0], "qv": [10.0], "log_range": [10.0]})
    assert found == {(name, 10.0): latest_ema(rows, name, 10.0) for name in ("close", "qv", "log_range")}


@pytest.mark.parametrize(("hole", "kept"), [(119, True), (120, False)])
def test_long_holes_end_the_history(bench: Bench, hole: int, kept: bool) -> None:
    """What lies more than two hours before the next candle is of another time."""
    new = walk(100)
    old = walk(200, int(new["ts"][0]) - (hole + 1) * M)
    bench.hold(np.concatenate((old, new)))
    alone = latest_ema(new, "close", 50.0)
    assert (bench.close(50.0) != alone) is kept
    bench.stores["1m"].write(SYMBOL, walk(50, int(new["ts"][0]) - (hole + 1 + 300) * M))
    assert (bench.close(50.0, 0) != alone) is kept


def test_a_hole_right_before_the_window(bench: Bench) -> None:
    """Nothing older counts then."""
    new = walk(50)
    bench.hold(np.concatenate((walk(200, int(new["ts"][0]) - 200 * M), new)))
    assert bench.close(50.0) == latest_ema(new, "close", 50.0)


def test_hours(bench: Bench) -> None:
    """To the last hour that counts; a missing hour is not filled, two in a row end the history."""
    bench.clock.advance(M)
    hours = walk(60, LAST_HOUR, HOUR_MS)
    bench.hold(np.delete(hours, 20), "1h")
    found = bench.latest({"log_range": [5.5]}, timeframe="1h")
    assert bench.loaded == [(LAST_HOUR - 5 * HOUR_MS, LAST_HOUR, 30_000, "1h")]
    rows = np.delete(hours, 20)
    inside = rows[rows["ts"] > LAST_HOUR - math.ceil(DEPTH * 5.5) * HOUR_MS]
    assert found == {("log_range", 5.5): latest_ema(inside, "log_range", 5.5)}
    other = Bench(bench.folder / "other", bench.clock)
    other.hold(np.delete(hours, [20, 21]), "1h")
    assert other.latest({"log_range": [5.5]}, timeframe="1h") == {
        ("log_range", 5.5): latest_ema(hours[22:], "log_range", 5.5)
    }


def test_longer_candles(bench: Bench) -> None:
    """One of four hours may be missing, as one of an hour may."""
    period = 4 * HOUR_MS
    last = LAST_HOUR // period * period - period
    rows = np.delete(walk(60, last, period), 40)
    bench.hold(rows, "4h")
    inside = rows[rows["ts"] > last - 5 * DEPTH * period]
    assert bench.latest({"close": [5.0]}, timeframe="4h") == {("close", 5.0): latest_ema(inside, "close", 5.0)}


@pytest.mark.parametrize(("now", "hour"), [(NOW, 8), (NOW + M - 5_001, 8), (NOW + M - 5_000, 9), (NOW + 61 * M, 10)])
def test_when_an_hour_counts(bench: Bench, now: int, hour: int) -> None:
    """A minute after it has ended, as the engine knows it with the first minute of the next one."""
    bench.clock.ms = now
    bench.latest({"log_range": [1.0]}, timeframe="1h")
    assert bench.loaded[0][1] == date_to_ts(f"2024-03-02T{hour:02d}:00")


def test_answers_are_kept(bench: Bench) -> None:
    """While they are as new as asked for; another span is added; without an age, and in a new minute, anew."""
    bench.hold(walk(100))
    first = bench.close(10.0)
    bench.hold(walk(7))
    bench.clock.advance(30_000)
    assert bench.close(10.0) == first
    assert bench.latest({"close": [10.0, 3.0]})["close", 10.0] == first
    assert len(bench.loaded) == 2
    assert bench.loaded[1][0] == LAST - 2 * M
    bench.clock.advance(1)
    assert bench.close(10.0) != first
    assert len(bench.loaded) == 3
    for age in (0, None):
        bench.close(10.0, age)
    assert len(bench.loaded) == 5
    bench.clock.advance(M)
    bench.close(10.0, 10 * M)
    assert len(bench.loaded) == 6


def test_minutes_and_hours_apart(bench: Bench) -> None:
    """Both have EMAs of the same metric and span."""
    bench.hold(walk(100))
    bench.hold(walk(60, LAST_HOUR, HOUR_MS), "1h")
    spans = {"close": [5.0]}
    assert bench.latest(spans) != bench.latest(spans, timeframe="1h")
    assert bench.latest(spans) == {("close", 5.0): latest_ema(walk(100)[-5 * DEPTH :], "close", 5.0)}


def test_unknown_metric(bench: Bench) -> None:
    """An error, not silence."""
    bench.hold(walk(10))
    with pytest.raises(KeyError, match="vwap"):
        bench.latest({"vwap": [3.0]})
    assert walk(3).dtype == CANDLE_DTYPE
