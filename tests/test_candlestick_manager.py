"""The manager's queries over store and source (`candles.md` 4-8, 20.6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from candles.gaps import KnownGap
from candles.sources.sample import SampleSource
from candles.store import CandleStore
from candlestick_manager import CandlestickManager
from core.clock import HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import DataError
from markets import sample
from markets.candle import CANDLE_DTYPE, FILLED, REST, Candles

SYMBOL = "BTC/USDT:USDT"
NOW = date_to_ts("2024-03-02T10:00:01")
LAST = date_to_ts("2024-03-02T09:59")  # the last finished minute


def candles(start: int, count: int, price: float = 100.0) -> Candles:
    out = np.empty(count, CANDLE_DTYPE)
    out["ts"] = start + M * np.arange(count)
    for name in ("o", "h", "l", "c", "bv"):
        out[name] = price + np.arange(count)
    out["src"] = REST
    return out


@dataclass
class FakeSource:
    """Delivers what it holds, and remembers what it was asked."""

    rows: Candles
    id: str = "fake"
    version: str = ""
    first: int | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def first_ts(self, symbol: str) -> int | None:
        return self.first

    def fetch(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        self.asked.append((start_ts, end_ts))
        return self.rows[(self.rows["ts"] >= start_ts) & (self.rows["ts"] <= end_ts)]


def manager(cache: Path, source: FakeSource | SampleSource | None = None, name: str = "fake") -> CandlestickManager:
    return CandlestickManager(source, name, cache_dir=cache, clock=ManualClock(NOW))


def test_default_window(tmp_path: Path) -> None:
    """101 rows, the last one the last finished minute; the current minute is never served."""
    cm = manager(tmp_path, FakeSource(candles(LAST - 500 * M, 502)))
    ts = cm.get_candles(SYMBOL)["ts"]
    assert (len(ts), ts[0], ts[-1]) == (101, LAST - 100 * M, LAST)
    assert cm.get_candles(SYMBOL, start_ts=LAST, end_ts=NOW + HOUR_MS)["ts"].tolist() == [LAST]
    assert len(cm.get_candles(SYMBOL, start_ts=LAST + M)) == 0


def test_negative_age(tmp_path: Path) -> None:
    """No data are minus some seconds old."""
    with pytest.raises(ValueError, match="max_age_ms cannot be negative"):
        manager(tmp_path).get_candles(SYMBOL, max_age_ms=-1)


def test_cache_only(tmp_path: Path) -> None:
    """Without a source the manager serves what is stored: nothing, real rows, or rows and zero candles."""
    cm = manager(tmp_path)
    assert len(cm.get_candles(SYMBOL)) == 0
    cm.store.write(SYMBOL, candles(LAST - 10 * M, 3))
    assert cm.get_candles(SYMBOL, start_ts=LAST - 20 * M, strict=True)["src"].tolist() == [REST] * 3
    filled = cm.get_candles(SYMBOL, start_ts=LAST - 20 * M)
    assert (filled["ts"][0], filled["ts"][-1], len(filled)) == (LAST - 10 * M, LAST, 11)
    assert filled["src"].tolist() == [REST] * 3 + [FILLED] * 8
    assert cm.get_candles(SYMBOL, start_ts=LAST - 20 * M, fill_leading_gaps=True)["c"][0] == 100.0


def test_seed_from_before_the_window(tmp_path: Path) -> None:
    """The last stored candle before the window, however old, is carried into it."""
    cm = manager(tmp_path)
    cm.store.write(SYMBOL, candles(date_to_ts("2023-01-05"), 2, price=7.0))
    cm.store.write(SYMBOL, candles(LAST - 2 * M, 1))
    assert cm.get_candles(SYMBOL, start_ts=LAST - 4 * M)["c"].tolist() == [8.0, 8.0, 100.0, 100.0, 100.0]
    assert cm.get_candles(SYMBOL, start_ts=date_to_ts("2024"), end_ts=date_to_ts("2024") + M)["c"].tolist() == [
        8.0,
        8.0,
    ]


def test_only_missing_minutes_are_fetched(tmp_path: Path) -> None:
    """What is stored is not asked for again, another manager finds it, months are asked for one by one."""
    start = date_to_ts("2024-01-31T23:58")
    source = FakeSource(candles(start, 1000))
    assert len(manager(tmp_path, source).get_candles(SYMBOL, start_ts=start, end_ts=start + 9 * M)) == 10
    feb = date_to_ts("2024-02-01")
    assert source.asked == [(start, feb - M), (feb, start + 9 * M)]
    source.asked.clear()
    cm = manager(tmp_path, source)
    assert len(cm.get_candles(SYMBOL, start_ts=start + 5 * M, end_ts=start + 19 * M)) == 15
    assert source.asked == [(start + 10 * M, start + 19 * M)]


def test_nothing_is_asked_for_before_the_first_candle(tmp_path: Path) -> None:
    """A source that knows its first candle is not asked for earlier ones."""
    source = FakeSource(candles(LAST - 5 * M, 6), first=LAST - 5 * M)
    cm = manager(tmp_path, source)
    assert len(cm.get_candles(SYMBOL, start_ts=LAST - 50 * M)) == 6
    assert source.asked == [(LAST - 5 * M, LAST)]
    assert cm.first_ts(SYMBOL) == LAST - 5 * M


def test_known_gaps(tmp_path: Path) -> None:
    """A gap known for good is not asked for; forgetting it, alone or with a query, asks again."""
    source = FakeSource(candles(LAST - 20 * M, 5))
    cm = manager(tmp_path, source)
    gap = KnownGap(LAST - 10 * M, LAST, 3, "manual", 0)
    cm.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    assert cm.get_gap_summary(SYMBOL)["total_minutes"] == 11
    cm.get_candles(SYMBOL, start_ts=LAST - 10 * M)
    assert source.asked == []
    cm.get_candles(SYMBOL, start_ts=LAST - 10 * M, force_refetch_gaps=True)
    assert source.asked == [(LAST - 10 * M, LAST)]
    assert cm.get_gap_summary(SYMBOL)["total_gaps"] == 0
    cm.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    assert cm.clear_known_gaps(SYMBOL, (0, LAST - 11 * M)) == 0
    assert cm.clear_known_gaps(SYMBOL) == 1


def test_sample_is_computed_and_stored(tmp_path: Path) -> None:
    """The sample source needs nothing; its candles are stored like others and equal the formula."""
    cm = manager(tmp_path, SampleSource(), "unknown")
    start, end = date_to_ts("2024-01-30"), date_to_ts("2024-02-02")
    served = cm.get_candles(SYMBOL, start_ts=start, end_ts=end)
    assert np.array_equal(served, sample.candles(SYMBOL, start, end))
    assert cm.store.files(SYMBOL)[0].name == "2024-01.parquet"
    assert cm.store.root.parts[-2:] == ("sample", "1m")
    assert cm.store.read_meta(SYMBOL).inception_ts == sample.INSTRUMENTS["BTC"].launch_ms == cm.first_ts(SYMBOL)
    assert len(cm.get_candles(SYMBOL, end_ts=date_to_ts("2017-06"))) == 0
    with pytest.raises(DataError, match="no market NONE"):
        cm.get_candles("NONE/USDT:USDT")


def test_candles_of_another_version_are_dropped(tmp_path: Path) -> None:
    """Stored candles that another version of a computing source made are not mixed with new ones."""
    start = date_to_ts("2024-01-30")
    for seed in (1, 0):
        cm = manager(tmp_path, SampleSource(seed), "sample")
        served = cm.get_candles(SYMBOL, start_ts=start, end_ts=start + 9 * M)
        assert np.array_equal(served, sample.candles(SYMBOL, start, start + 9 * M, seed))


def test_longer_timeframes(tmp_path: Path) -> None:
    """The default 1h query ends with the last finished hour; stored hours come first, else sums of minutes."""
    cm = manager(tmp_path, FakeSource(candles(LAST - 101 * HOUR_MS + M, 102 * 60)))
    hours = cm.get_candles(SYMBOL, timeframe="1h")
    assert len(hours) == 101
    assert (hours["ts"][-1], hours["c"][-1]) == (LAST + M - HOUR_MS, hours["o"][-1] + 59)
    stored = candles(LAST + M - HOUR_MS, 1, price=5.0)
    CandleStore(tmp_path, "fake", ManualClock(NOW), "1h").write(SYMBOL, stored)
    assert np.array_equal(cm.get_candles(SYMBOL, timeframe="1H"), stored)
