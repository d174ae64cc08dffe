"""EMAs of the manager (`candles.md` 10)."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candles.indicators.emas import SyntheticMinutes
from candles.indicators.series import ema_series, latest_ema
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import ConfigError
from fake_exchange import FakeExchange
from markets.candle import CANDLE_DTYPE, FILLED, REST, Candles

SYMBOL = "BTC/USDT:USDT"
MINUTE = date_to_ts("2024-03-02T10:00")
CLOSES = (100.0, 101.0, 102.0, 101.0, 103.0, 104.0)

EXAMPLES = [
    ([1, 2, 3, 4, 5], 3, [1, 1.5, 2.25, 3.125, 4.0625]),
    ([10, 11, 12, 10], 2.5, [10, 10.571428571428573, 11.387755102040817, 10.59475218658892]),
    ([1, math.nan, 3], 3, [1, 1, 2]),
    ([5, 6, 7], 1, [5, 6, 7]),
    ([7, 7, 7], 10, [7, 6.999999999999999, 6.999999999999998]),
]


def six(count: int = 6) -> Candles:
    """The six candles of the examples at the last finished minutes."""
    out = np.empty(6, CANDLE_DTYPE)
    out["ts"] = MINUTE + M * np.arange(-6, 0)
    out["o"] = out["c"] = CLOSES
    out["h"], out["l"] = out["c"] + 1, out["c"] - 1
    out["bv"] = np.arange(2, 8)
    out["src"] = REST
    return out[-count:]


def one_ulp(value: float) -> object:
    """Equal up to the last bit: logarithms are those of the engine, the examples' those of another library."""
    return pytest.approx(value, rel=2.3e-16, abs=0.0)


def manager(cache: Path, rows: Candles) -> CandlestickManager:
    cm = CandlestickManager(None, "fake", cache_dir=cache, clock=ManualClock(MINUTE + 1))
    cm.store.write(SYMBOL, rows)
    return cm


@pytest.mark.parametrize(("values", "span", "expected"), EXAMPLES)
def test_formula(values: list[float], span: float, expected: list[float]) -> None:
    """To the last digit, with the weight that is carried along; a value that is no number repeats the one before."""
    assert ema_series(np.array(values, dtype=float), span).tolist() == expected


def test_first_value_that_is_no_number() -> None:
    """As a seed it makes everything no number."""
    assert np.isnan(ema_series(np.array([math.nan, 2.0, 3.0]), 3)).all()
    assert len(ema_series(np.empty(0), 3)) == 0


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60), st.floats(1.0, 500.0))
def test_formula_as_written(values: list[float], span: float) -> None:
    """The crate's loop is the one of the text."""
    alpha = 2 / (span + 1)
    num, den, expected = values[0], 1.0, [values[0]]
    for value in values[1:]:
        num, den = alpha * value + (1 - alpha) * num, alpha + (1 - alpha) * den
        expected.append(num / den)
    assert ema_series(np.array(values), span).tolist() == expected


def test_windows(tmp_path: Path) -> None:
    """As many candles as the span rounded up, seeded by the first of them; as many as there are if there are fewer."""
    cm = manager(tmp_path, six())

    def ema(span: float) -> float:
        return asyncio.run(cm.get_latest_ema_close(SYMBOL, span))

    assert [ema(span) for span in (1, 3, 3.2, 4, 6, 20)] == [
        104.0, 103.0, 103.07115862217903, 102.89599999999999, 102.18349497233297, 100.92230872840804,
    ]  # fmt: skip
    assert asyncio.run(cm.get_latest_ema_quote_volume(SYMBOL, 3)) == 644.75
    assert asyncio.run(cm.get_latest_ema_volume(SYMBOL, 3)) == 6.25
    assert asyncio.run(cm.get_latest_ema_log_range(SYMBOL, 3)) == one_ulp(0.019420859252264104)
    assert asyncio.run(cm.get_ema_bounds(SYMBOL, 2, 5)) == (102.54320987654322, 103.66666666666666)


def test_missing_candle(tmp_path: Path) -> None:
    """A minute without candle counts with the close before it, no volume and no range."""
    cm = manager(tmp_path, np.delete(six(), 3))
    assert asyncio.run(cm.get_latest_ema_close(SYMBOL, 4)) == 103.03999999999999
    assert asyncio.run(cm.get_latest_ema_log_range(SYMBOL, 4)) == one_ulp(0.016588315196748686)


def test_several_at_once(tmp_path: Path) -> None:
    """Several metrics with one read equal the single ones; an unknown one is a KeyError."""
    cm = manager(tmp_path, np.delete(six(), 3))
    spans = {"close": 4.0, "qv": 2.5, "volume": 6.0, "log_range": 4.0}
    single = {name: asyncio.run(manager(tmp_path, six(0))._latest(name, SYMBOL, span, None, "1m"))
              for name, span in spans.items()}  # fmt: skip
    assert asyncio.run(cm.get_latest_ema_metrics(SYMBOL, spans)) == single
    with pytest.raises(KeyError, match="unknown metric 'vwap'"):
        asyncio.run(cm.get_latest_ema_metrics(SYMBOL, {"vwap": 3.0}))
    with pytest.raises(ConfigError, match="EMA span is nan"):
        asyncio.run(cm.get_latest_ema_close(SYMBOL, math.nan))


def test_nothing_known(tmp_path: Path) -> None:
    """Without candles NaN; the bulk questions answer with zeros."""
    cm = CandlestickManager(None, "fake", cache_dir=tmp_path, clock=ManualClock(MINUTE + 1))
    assert math.isnan(asyncio.run(cm.get_latest_ema_close(SYMBOL, 3)))
    assert asyncio.run(cm.get_ema_bounds_many([(SYMBOL, 2.0, 5.0)])) == {SYMBOL: (0.0, 0.0)}
    assert asyncio.run(cm.get_latest_ema_log_range_many([(SYMBOL, 2.0)])) == {SYMBOL: 0.0}


def test_bulk_survives_failures(tmp_path: Path) -> None:
    """A symbol whose exchange fails is zero, the others are answered."""
    exchange = FakeExchange(errors=[RuntimeError("no")] * 5)
    exchange.hold(six())
    cm = CandlestickManager(exchange, "fake", cache_dir=tmp_path, clock=ManualClock(MINUTE + 1), archive_enabled=False)
    answers = asyncio.run(cm.get_ema_bounds_many([("A/USDT:USDT", 2.0, 5.0), (SYMBOL, 2.0, 5.0)], max_age_ms=0))
    assert answers == {"A/USDT:USDT": (0.0, 0.0), SYMBOL: (102.54320987654322, 103.66666666666666)}


def test_series(tmp_path: Path) -> None:
    """Times and EMAs over the window, the last one the newest."""
    ts, values = asyncio.run(manager(tmp_path, six()).get_ema_close_series(SYMBOL, 4))
    assert ts.tolist() == [MINUTE + i * M for i in range(-4, 0)]
    assert values[-1] == 102.89599999999999
    assert values[0] == 102.0


def test_hourly(tmp_path: Path) -> None:
    """Longer timeframes take the exchange's candles of that timeframe."""
    exchange = FakeExchange()
    exchange.hold([[MINUTE - i * HOUR_MS, 1.0, 2.0, 1.0, 1.5, 1.0] for i in (3, 2, 1)], "1h")
    cm = CandlestickManager(exchange, "fake", cache_dir=tmp_path, clock=ManualClock(MINUTE + 1))
    assert asyncio.run(cm.get_latest_ema_log_range(SYMBOL, 2.0, tf="1h")) == pytest.approx(math.log(2.0))
    assert exchange.calls[0][1] == "1h"


def test_remembered_until_the_minute_or_a_late_candle(tmp_path: Path) -> None:
    """An EMA is served from memory within its age and minute; a candle that came late makes it computed anew."""
    exchange = FakeExchange()
    exchange.hold(six(5))
    exchange.rows["1m"] = exchange.rows["1m"][:-1]  # the newest is late
    clock = ManualClock(MINUTE + 1)
    cm = CandlestickManager(
        exchange, "fake", cache_dir=tmp_path, clock=clock, archive_enabled=False, default_window_candles=5
    )

    def ema() -> float:
        return asyncio.run(cm.get_latest_ema_close(SYMBOL, 4.0, max_age_ms=30_000))

    without = ema()
    calls = len(exchange.calls)
    assert ema() == without
    assert len(exchange.calls) == calls
    assert not cm.needs_ema_recompute(SYMBOL)
    exchange.hold(six())
    asyncio.run(cm.get_candles(SYMBOL, max_age_ms=0))
    assert cm.needs_ema_recompute(SYMBOL)
    assert ema() == 102.89599999999999 != without
    assert not cm.needs_ema_recompute(SYMBOL)
    cm.clear_synthetic_tracking(SYMBOL)


@pytest.mark.parametrize("how", ["refresh", "strict query"])
def test_a_late_candle_by_another_way(tmp_path: Path, how: str) -> None:
    """Whatever brought the late candle into the store, EMAs made without it are not answered with any more."""
    exchange = FakeExchange()
    exchange.hold(six()[:-1])
    cm = CandlestickManager(exchange, "fake", cache_dir=tmp_path, clock=ManualClock(MINUTE + 1), archive_enabled=False)
    without = asyncio.run(cm.get_latest_ema_close(SYMBOL, 4.0, max_age_ms=30_000))
    spans = {"close": [4.0]}
    deep = asyncio.run(cm.get_deep_emas(SYMBOL, spans, max_age_ms=30_000))
    exchange.hold(six())
    work = cm.refresh(SYMBOL) if how == "refresh" else cm.get_candles(SYMBOL, max_age_ms=0, strict=True)
    asyncio.run(work)
    assert cm.needs_ema_recompute(SYMBOL)
    assert asyncio.run(cm.get_latest_ema_close(SYMBOL, 4.0, max_age_ms=30_000)) == 102.89599999999999 != without
    assert asyncio.run(cm.get_deep_emas(SYMBOL, spans, max_age_ms=30_000)) != deep


def test_synthetic_minutes_are_remembered_for_seven_days() -> None:
    """Minutes served without their candle are listed for seven days, until it comes or they are cleared."""
    minutes, now = SyntheticMinutes(), MINUTE + 1
    served = six()
    served["src"][2:4] = FILLED
    served["ts"][2] = now - 7 * DAY_MS - M
    minutes.note(SYMBOL, served, now)
    assert not minutes.arrived(SYMBOL, served[:3])
    minutes.note(SYMBOL, six()[:0], now + 7 * DAY_MS)
    assert not minutes.arrived(SYMBOL, served)
    minutes.note(SYMBOL, served, now)
    minutes.clear(SYMBOL)
    assert not minutes.arrived(SYMBOL, six())
    assert minutes.outdated == set()


def test_metrics_of_a_window() -> None:
    """Quote volume is the volume at the mean of high, low and close, summed in that order; the range is logarithmic."""
    assert latest_ema(six(1), "qv", 1) == (7.0 * (105.0 + 103.0 + 104.0)) / 3.0
    assert latest_ema(six(1), "log_range", 1) == math.log(105.0 / 103.0)
