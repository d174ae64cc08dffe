"""The manager's queries over store and exchange (`candles.md` 4-9, 20.6)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candles.disk.retention import Retention
from candles.disk.store import CandleStore
from candles.fetching import history
from candles.fetching.feed import Feed
from candles.gaps import KnownGap
from candles.sources.sample import SampleSource
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import CandleFetchError, DataError
from fake_exchange import FakeExchange, candles
from markets import sample
from markets.candle import FILLED, REST, Candles

SYMBOL = "BTC/USDT:USDT"
NOW = date_to_ts("2024-03-02T10:00:01")
MINUTE = date_to_ts("2024-03-02T10:00")  # the minute in progress
LAST = MINUTE - M  # the last finished minute


class Managed:
    """A manager over a fake exchange, with the coroutines run to their ends."""

    def __init__(self, cache: Path, exchange: Any = None, name: str = "fake", now: int = NOW, **options: Any) -> None:
        self.exchange, self.clock = exchange, ManualClock(now)
        self.cm = CandlestickManager(
            exchange, name, cache_dir=cache, clock=self.clock, archive_enabled=False, **options
        )
        self.store = self.cm.store

    def get(self, **query: Any) -> Candles:
        return asyncio.run(self.cm.get_candles(SYMBOL, **query))

    def gaps(self) -> list[tuple[int, int, int, str]]:
        """Minutes relative to the one in progress."""
        minute = self.clock.now_ms() // M
        known = self.store.read_meta(SYMBOL).known_gaps
        return [(g.start_ts // M - minute, g.end_ts // M - minute, g.retry_count, g.reason) for g in known]


def held(*spans: tuple[int, int]) -> FakeExchange:
    """An exchange with the minutes of the spans, relative to the one in progress."""
    exchange = FakeExchange()
    for low, high in spans:
        exchange.hold(candles(MINUTE + low * M, high - low + 1))
    return exchange


def test_default_window(tmp_path: Path) -> None:
    """101 rows, minutes -101..-1; the current minute is never served, nor stored."""
    managed = Managed(tmp_path, held((-500, 0)))
    ts = managed.get()["ts"]
    assert (len(ts), ts[0], ts[-1]) == (101, MINUTE - 101 * M, LAST)
    assert managed.get(start_ts=LAST, end_ts=NOW + HOUR_MS)["ts"].tolist() == [LAST]
    assert len(managed.get(start_ts=LAST + M)) == 0
    assert managed.store.read(SYMBOL)["ts"][-1] == LAST


def test_negative_age(tmp_path: Path) -> None:
    """No data are minus some seconds old."""
    with pytest.raises(ValueError, match="max_age_ms cannot be negative"):
        Managed(tmp_path).get(max_age_ms=-1)


def test_cache_only(tmp_path: Path) -> None:
    """Without an exchange the manager serves what is stored: nothing, real rows, or rows and zero candles."""
    managed = Managed(tmp_path)
    assert len(managed.get()) == 0
    managed.store.write(SYMBOL, candles(LAST - 10 * M, 3))
    assert managed.get(start_ts=LAST - 20 * M, strict=True)["src"].tolist() == [REST] * 3
    filled = managed.get(start_ts=LAST - 20 * M)
    assert (filled["ts"][0], filled["ts"][-1], len(filled)) == (LAST - 10 * M, LAST, 11)
    assert filled["src"].tolist() == [REST] * 3 + [FILLED] * 8
    assert managed.get(start_ts=LAST - 20 * M, fill_leading_gaps=True)["c"][0] == 100.0


def test_seed_from_before_the_window(tmp_path: Path) -> None:
    """The last stored candle before the window, however old, is carried into it."""
    managed = Managed(tmp_path)
    managed.store.write(SYMBOL, candles(date_to_ts("2023-01-05"), 2, price=7.0))
    managed.store.write(SYMBOL, candles(LAST - 2 * M, 1))
    assert managed.get(start_ts=LAST - 4 * M)["c"].tolist() == [8.0, 8.0, 100.0, 100.0, 100.0]
    assert managed.get(start_ts=date_to_ts("2024"), end_ts=date_to_ts("2024") + M)["c"].tolist() == [8.0, 8.0]


# --- history (5.6-5.8, 8, 11.2)


def test_history_is_asked_for_by_day(tmp_path: Path) -> None:
    """A day with holes is asked for once, from where the query begins, not from the hole."""
    midnight = date_to_ts("2024-03-01")
    exchange = FakeExchange()
    exchange.hold(candles(midnight, 1440))
    managed = Managed(tmp_path, exchange)
    rows = candles(midnight, 301)
    managed.store.write(SYMBOL, np.delete(rows, np.arange(100, 105)))
    assert len(managed.get(start_ts=midnight, end_ts=midnight + 300 * M)) == 301
    assert exchange.sinces == [midnight]


@pytest.mark.parametrize(("served", "n_calls"), [(1000, 3), (300, 6), (200, 9)])
def test_pages_of_an_empty_cache(tmp_path: Path, served: int, n_calls: int) -> None:
    """1491 rows over a midnight: windows by day, pages as long as the exchange serves them."""
    midnight = date_to_ts("2024-03-02")
    exchange = FakeExchange(served=served)
    exchange.hold(candles(midnight - 1500 * M, 1500))
    managed = Managed(tmp_path, exchange, now=midnight + 1)
    served_rows = managed.get(start_ts=midnight - 1500 * M, end_ts=midnight - 10 * M)
    assert np.array_equal(served_rows, candles(midnight - 1500 * M, 1491))
    assert len(exchange.calls) == n_calls
    if served == 1000:
        assert [(since - midnight) // M for since in exchange.sinces] == [-1500, -1440, -440]
        assert [call[4]["until"] for call in exchange.calls] == [midnight - 1440 * M - 1] + [midnight - 9 * M - 1] * 2
    assert managed.gaps() == []
    exchange.calls.clear()
    managed.get(start_ts=midnight - 1500 * M, end_ts=midnight - 10 * M)
    assert exchange.calls == []


def test_hole_is_tried_three_times(tmp_path: Path) -> None:
    """A five-minute hole is fetched on queries 1, 2, 3 and no more; forgetting gaps asks again and leaves no record."""
    exchange = held((-3000, -2801), (-2795, -1))
    managed = Managed(tmp_path, exchange)
    window = {"start_ts": MINUTE - 2900 * M, "end_ts": MINUTE - 2700 * M}
    counts = []
    for _ in range(5):
        exchange.calls.clear()
        assert len(managed.get(**window, strict=True)) == 196
        counts.append(len(exchange.calls))
    assert [count > 0 for count in counts] == [True, True, True, False, False]
    assert managed.gaps() == [(-2800, -2796, 3, "fetch_failed")]
    exchange.hold(candles(MINUTE - 2800 * M, 5))
    assert len(managed.get(**window, strict=True, force_refetch_gaps=True)) == 201
    assert managed.gaps() == []


def test_who_waited_takes_the_answer_of_whom_it_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two downloads at once ask for a hole once; one that begins later asks again."""
    exchange, clock = held((-6000, -5000), (-4990, -4000)), ManualClock(NOW)
    fetch, lock = exchange.fetch_ohlcv, Feed.lock
    begun = downloads = 0

    def counted_lock(*args: Any) -> Any:
        nonlocal begun
        begun += 1
        return lock(*args)

    async def slow_fetch(*args: Any) -> Any:
        while begun < downloads:
            await asyncio.sleep(0.001)
        clock.advance(10)
        return await fetch(*args)

    monkeypatch.setattr(Feed, "lock", counted_lock)
    exchange.fetch_ohlcv = slow_fetch  # type: ignore[method-assign]
    options: dict[str, Any] = {"cache_dir": tmp_path, "clock": clock, "archive_enabled": False}
    window = (MINUTE - 5500 * M, MINUTE - 4500 * M)

    async def download(count: int) -> int:
        nonlocal begun, downloads
        begun, downloads, calls = 0, count, len(exchange.calls)
        managers = [CandlestickManager(exchange, "fake", **options) for _ in range(count)]
        await asyncio.gather(*(cm.ensure(SYMBOL, *window) for cm in managers))
        return len(exchange.calls) - calls

    at_once, later = asyncio.run(download(2)), asyncio.run(download(1))
    assert (at_once, later) == (2, 1), "two days, then the day of the hole"
    assert [gap.retry_count for gap in CandleStore(tmp_path, "fake", clock).read_meta(SYMBOL).known_gaps] == [2]


def test_persistent_gaps_expire(tmp_path: Path) -> None:
    """After seven days a hole that was not delivered may be tried once more; a manual one never."""
    exchange = held((-2000, -1801), (-1795, -1))
    managed = Managed(tmp_path, exchange)
    window = {"start_ts": MINUTE - 1900 * M, "end_ts": MINUTE - 1700 * M}
    for _ in range(4):
        managed.get(**window)
    managed.clock.advance(7 * DAY_MS + 1)
    exchange.calls.clear()
    managed.get(**window)
    managed.get(**window)
    assert len(exchange.calls) == 1
    gap = KnownGap(MINUTE - 1800 * M, MINUTE - 1796 * M, 3, "manual", 0)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    exchange.calls.clear()
    managed.get(**window)
    assert exchange.calls == []


def test_failure_is_no_answer(tmp_path: Path) -> None:
    """If the exchange cannot be asked the error reaches the caller, no gap is recorded, what had arrived is kept."""
    midnight = date_to_ts("2024-03-01")
    exchange = held()
    exchange.hold(candles(midnight - DAY_MS, 2880))
    managed = Managed(tmp_path, exchange)
    managed.get(start_ts=midnight - DAY_MS, end_ts=midnight - M)
    exchange.errors = [RuntimeError("gone")] * 5
    with pytest.raises(
        CandleFetchError, match=r"fake did not answer fetch_ohlcv of BTC/USDT:USDT 1m since 2024-03-01T"
    ):
        managed.get(start_ts=midnight - 2 * DAY_MS + DAY_MS, end_ts=midnight + DAY_MS - M)
    assert managed.gaps() == []
    assert len(managed.store.read(SYMBOL)) == 1440


def test_what_arrived_before_a_failure_is_kept(tmp_path: Path) -> None:
    """Pages that were delivered before the failing one are in the store."""
    exchange = held((-4000, -1))
    managed = Managed(tmp_path, exchange)

    async def fail_third(*args: Any, fetch: Any = exchange.fetch_ohlcv, **more: Any) -> Any:
        if len(exchange.calls) >= 2:
            raise BadSymbol("no such thing")
        return await fetch(*args, **more)

    exchange.fetch_ohlcv = fail_third  # type: ignore[method-assign]
    with pytest.raises(CandleFetchError, match="1 times asked: BadSymbol"):
        managed.get(start_ts=MINUTE - 3500 * M, end_ts=MINUTE - 10 * M)
    assert len(managed.store.read(SYMBOL)) > 500


class BadSymbol(Exception):  # noqa: N818 - CCXT's name
    """As CCXT calls what cannot heal."""


def test_nothing_is_asked_for_before_the_first_candle(tmp_path: Path) -> None:
    """Requests begin at the inception; what lies before is a gap known for good."""
    exchange = held((-2000, -1))
    managed = Managed(tmp_path, exchange)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_inception(MINUTE - 1900 * M, "rest"))
    assert len(managed.get(start_ts=MINUTE - 2500 * M, end_ts=MINUTE - 1800 * M, strict=True)) == 101
    assert min(exchange.sinces) == MINUTE - 1900 * M
    assert managed.gaps() == [(-2500, -1901, 3, "pre_inception")]
    assert managed.cm.stored_first_ts(SYMBOL) == MINUTE - 1900 * M


def test_recent_rows_do_not_hide_the_past(tmp_path: Path) -> None:
    """A cache with day 20 only still fetches days 0-3: the first stored row is no inception."""
    day = date_to_ts("2024-02-01")
    exchange = FakeExchange()
    exchange.hold(candles(day, 25 * 1440))
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(day + 20 * DAY_MS, 1440))
    assert len(managed.get(start_ts=day, end_ts=day + 3 * DAY_MS, strict=True)) == 3 * 1440 + 1


def test_only_the_newest_candles_are_served(tmp_path: Path) -> None:
    """hyperliquid: minutes -9000..-100 give 4901 rows from -5000 on; what lies before is a gap known for good."""
    exchange = held((-9000, -1))
    managed = Managed(tmp_path, exchange, "hyperliquid")
    rows = managed.get(start_ts=MINUTE - 9000 * M, end_ts=MINUTE - 100 * M)
    assert (len(rows), rows["ts"][0]) == (4901, MINUTE - 5000 * M)
    assert min(exchange.sinces) == MINUTE - 5000 * M
    assert managed.gaps() == [(-9000, -5001, 3, "no_archive")]
    exchange.calls.clear()
    managed.get(start_ts=MINUTE - 9000 * M, end_ts=MINUTE - 100 * M)
    managed.get(start_ts=MINUTE - 9000 * M, end_ts=MINUTE - 6000 * M)
    assert exchange.calls == []


def test_only_what_is_missing_is_out_of_reach(tmp_path: Path) -> None:
    """Stored minutes before the oldest that can be had are no gap; gateio is not asked for what lies before."""
    exchange = held((-12000, -1))
    managed = Managed(tmp_path, exchange, "gateio")
    managed.store.write(SYMBOL, candles(MINUTE - 11500 * M, 300))
    window = {"start_ts": MINUTE - 12000 * M, "end_ts": MINUTE - 11000 * M}
    assert len(managed.get(**window, strict=True)) == 300
    assert exchange.calls == []
    assert managed.gaps() == [(-12000, -11501, 3, "no_archive"), (-11200, -11000, 3, "no_archive")]
    managed.get(**window)
    assert exchange.calls == []


def test_contracts_become_base_units(tmp_path: Path) -> None:
    """gateio and kucoin count contracts: volumes are multiplied by the contract size before they are stored."""
    exchange = held((-2000, -1))
    exchange.markets = {SYMBOL: {"id": "BTC_USDT", "contractSize": 0.01}}
    window = {"start_ts": MINUTE - 1900 * M, "end_ts": MINUTE - 1800 * M}
    plain = Managed(tmp_path / "a", exchange).get(**window)
    for name in ("gateio", "kucoin"):
        assert np.array_equal(Managed(tmp_path, exchange, name).get(**window)["bv"], plain["bv"] * 0.01)


def test_minutes_without_trades_do_not_end_kucoin(tmp_path: Path) -> None:
    """Pages overlap by one candle, and a page's time without trades is no end of the data."""
    exchange = held((-1900, -1801), (-1200, -1))
    managed = Managed(tmp_path, exchange, "kucoin")
    rows = managed.get(start_ts=MINUTE - 1900 * M, end_ts=MINUTE - 1100 * M, strict=True)
    assert len(rows) == 100 + 101
    assert exchange.calls[0][2:4] == (MINUTE - 1901 * M, 200)


# --- the present (5.4, 5.7, 9)


def test_refresh_overlaps(tmp_path: Path) -> None:
    """Last row three minutes back: asked since minute -33; nothing held: the default window; up to date: not at all."""
    exchange = held((-500, 0))
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(MINUTE - 50 * M, 48, price=7.0))
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert [(since - MINUTE) // M for since in exchange.sinces] == [-33]
    assert exchange.calls[0][3] == 1000
    assert managed.get(start_ts=MINUTE - 33 * M, strict=True)["c"][0] == candles(MINUTE - 500 * M, 500)["c"][467]
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert len(exchange.calls) == 1
    fresh = Managed(tmp_path / "other", exchange)
    asyncio.run(fresh.cm.refresh(SYMBOL))
    assert (exchange.sinces[-1] - MINUTE) // M == -100
    assert fresh.store.read_meta(SYMBOL).last_refresh_ms == NOW


def test_ttl(tmp_path: Path) -> None:
    """Within the age asked for, a missing tail is zero candles and costs no call; beyond it, one call, real rows."""
    exchange = held((-500, 10))
    managed = Managed(tmp_path, exchange)
    managed.get(max_age_ms=0)
    managed.clock.advance(2 * M)
    exchange.calls.clear()
    tail = managed.get(max_age_ms=10 * M)[-3:]
    assert (tail["bv"][1:].tolist(), tail["src"][1:].tolist(), exchange.calls) == ([0.0, 0.0], [FILLED, FILLED], [])
    assert tail["c"].tolist() == [tail["c"][0]] * 3
    tail = managed.get(max_age_ms=M)[-3:]
    assert (tail["src"].tolist(), len(exchange.calls)) == ([REST] * 3, 1)


def test_missing_tail_without_an_age(tmp_path: Path) -> None:
    """Without an age nothing is refreshed, but the missing end is fetched from the last row on, while that helps."""
    exchange = held((-500, -1))
    exchange.served = 40
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(MINUTE - 200 * M, 100))
    rows = managed.get(start_ts=MINUTE - 200 * M)
    assert [(since - MINUTE) // M for since in exchange.sinces] == [-100, -60, -20]
    assert len(rows) == 200
    assert managed.gaps() == []


def test_three_holes_a_query(tmp_path: Path) -> None:
    """Of the holes in a recent window the three oldest are asked for; what gives nothing becomes a known gap."""
    spans = [(-400, -391), (-380, -371), (-360, -351), (-340, -331), (-320, -1)]
    exchange = held(*spans)
    managed = Managed(tmp_path, exchange)
    for low, high in spans:
        managed.store.write(SYMBOL, candles(MINUTE + low * M, high - low + 1))
    managed.get(start_ts=MINUTE - 400 * M)
    assert [(since - MINUTE) // M for since in exchange.sinces] == [-390, -370, -350]
    assert managed.gaps() == [(low, low + 9, 1, "auto_detected") for low in (-390, -370, -350)]


def test_late_minutes_are_no_gaps(tmp_path: Path) -> None:
    """A newest minute that the exchange does not have yet is asked for again and again."""
    exchange = held((-500, -3))
    managed = Managed(tmp_path, exchange)
    for _ in range(5):
        managed.get(max_age_ms=0)
    assert managed.gaps() == []
    exchange.hold(candles(MINUTE - 2 * M, 2))
    assert managed.get(max_age_ms=0)["src"].tolist() == [REST] * 101


def test_warm_up_leaves_old_holes_alone(tmp_path: Path) -> None:
    """With `skip_historical_gap_fill` the ends of the window are fetched, holes older than a day are not even noted."""
    exchange = held((-4000, -1))
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(MINUTE - 3500 * M, 500))
    managed.store.write(SYMBOL, candles(MINUTE - 2500 * M, 2000))
    managed.get(start_ts=MINUTE - 4000 * M, max_age_ms=300_000, skip_historical_gap_fill=True)
    stored = managed.store.read(SYMBOL)
    assert (stored["ts"][0], stored["ts"][-1]) == (MINUTE - 4000 * M, LAST)
    assert len(stored) == 4000 - 500
    assert managed.gaps() == []


def test_warm_up_of_a_window_in_the_past(tmp_path: Path) -> None:
    """The same for a window that ended long ago: its ends are fetched, its holes are left alone."""
    exchange = held((-9000, -1))
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(MINUTE - 7900 * M, 100))
    managed.store.write(SYMBOL, candles(MINUTE - 7100 * M, 50))
    window = {"start_ts": MINUTE - 8000 * M, "end_ts": MINUTE - 7000 * M, "strict": True}
    ts = managed.get(**window, skip_historical_gap_fill=True)["ts"]
    assert (ts[0], ts[-1], len(ts)) == (MINUTE - 8000 * M, MINUTE - 7000 * M, 1001 - 700)
    assert managed.gaps() == []


def test_recent_windows_begin_with_the_first_candle(tmp_path: Path) -> None:
    """A recent window, too, is asked for from the inception on only."""
    exchange = held((-500, -1))
    managed = Managed(tmp_path, exchange)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_inception(MINUTE - 60 * M, "rest"))
    assert len(managed.get(start_ts=MINUTE - 300 * M, strict=True)) == 60
    assert exchange.sinces == [MINUTE - 60 * M]
    managed.get(start_ts=MINUTE - 300 * M, strict=True)
    assert len(exchange.calls) == 1


# --- known gaps, sample, longer timeframes


def test_known_gaps(tmp_path: Path) -> None:
    """A gap known for good is not asked for; forgetting it, alone or with a query, asks again."""
    exchange = held((-2000, -1990))
    managed = Managed(tmp_path, exchange)
    gap = KnownGap(MINUTE - 1900 * M, MINUTE - 1800 * M, 3, "manual", 0)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    assert managed.cm.get_gap_summary(SYMBOL)["total_minutes"] == 101
    window = {"start_ts": MINUTE - 1900 * M, "end_ts": MINUTE - 1800 * M}
    managed.get(**window)
    assert exchange.calls == []
    managed.get(**window, force_refetch_gaps=True)
    assert exchange.sinces[0] == MINUTE - 1900 * M
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    assert managed.cm.clear_known_gaps(SYMBOL, (0, MINUTE - 1901 * M)) == 0
    assert managed.cm.clear_known_gaps(SYMBOL) == 1


def test_sample_is_computed_and_stored(tmp_path: Path) -> None:
    """The sample market needs nothing; its candles are stored like others and equal the formula."""
    managed = Managed(tmp_path, None, "sample")
    start, end = date_to_ts("2024-01-30"), date_to_ts("2024-02-02")
    assert np.array_equal(managed.get(start_ts=start, end_ts=end), sample.candles(SYMBOL, start, end))
    assert managed.store.files(SYMBOL)[0].name == "2024-01.parquet"
    assert managed.store.root.parts[-2:] == ("sample", "1m")
    launch = sample.INSTRUMENTS["BTC"].launch_ms
    assert managed.store.read_meta(SYMBOL).inception_ts == launch == managed.cm.stored_first_ts(SYMBOL)
    assert len(managed.get(end_ts=date_to_ts("2017-06"))) == 0
    with pytest.raises(DataError, match="no market NONE"):
        asyncio.run(managed.cm.get_candles("NONE/USDT:USDT"))


def test_candles_of_another_version_are_dropped(tmp_path: Path) -> None:
    """Stored candles that another version of a computing source made are not mixed with new ones."""
    start = date_to_ts("2024-01-30")
    for seed in (1, 0):
        served = Managed(tmp_path, SampleSource(seed), "sample").get(start_ts=start, end_ts=start + 9 * M)
        assert np.array_equal(served, sample.candles(SYMBOL, start, start + 9 * M, seed))


def test_hours_of_another_version_are_dropped(tmp_path: Path) -> None:
    """The same for longer timeframes, which are stored apart."""
    window = {"timeframe": "1h", "start_ts": MINUTE - 9 * HOUR_MS}
    for seed in (1, 0):
        served = Managed(tmp_path, SampleSource(seed), "sample").get(**window)
        minutes = sample.candles(SYMBOL, MINUTE - 9 * HOUR_MS, LAST, seed)
        assert np.array_equal(served["c"], minutes["c"][59::60])


def test_longer_timeframes_have_their_limits(tmp_path: Path) -> None:
    """Nothing is asked for before the first candle, nor, on hyperliquid, before the newest five thousand."""
    exchange = FakeExchange()
    exchange.hold(hours(300), "1h")
    managed = Managed(tmp_path, exchange)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_inception(MINUTE - 40 * HOUR_MS + 7 * M, "rest"))
    assert managed.get(timeframe="1h")["ts"][0] == MINUTE - 40 * HOUR_MS
    assert exchange.sinces == [MINUTE - 40 * HOUR_MS]
    far = FakeExchange(served=5000)
    far.hold(hours(6000), "1h")
    rows = Managed(tmp_path, far, "hyperliquid").get(
        timeframe="1h", start_ts=MINUTE - 5500 * HOUR_MS, end_ts=MINUTE - 4990 * HOUR_MS
    )
    assert (rows["ts"][0], rows["ts"][-1]) == (MINUTE - 5000 * HOUR_MS, MINUTE - 4990 * HOUR_MS)
    assert far.sinces == [MINUTE - 5000 * HOUR_MS]


def test_longer_timeframes_without_exchange(tmp_path: Path) -> None:
    """Stored hours come first, else sums of stored minutes."""
    managed = Managed(tmp_path)
    managed.store.write(SYMBOL, candles(MINUTE - 102 * HOUR_MS, 102 * 60))
    hours = managed.get(timeframe="1h")
    assert len(hours) == 101
    assert (hours["ts"][-1], hours["c"][-1]) == (MINUTE - HOUR_MS, hours["o"][-1] + 59)
    stored = candles(MINUTE - HOUR_MS, 1, price=5.0)
    CandleStore(tmp_path, "fake", ManualClock(NOW), "1h").write(SYMBOL, stored)
    assert np.array_equal(managed.get(tf="1H"), stored)


def hours(count: int) -> list[list[float]]:
    """The last finished hours."""
    return [[MINUTE - (count - i) * HOUR_MS, 1.0, 2.0, 0.5, 1.5, float(i)] for i in range(count)]


def test_longer_timeframes_are_the_exchanges_own(tmp_path: Path) -> None:
    """At 10:00:01 the default 1h query ends with hour 9: 101 rows, fetched once, stored, remembered; no filling."""
    exchange = FakeExchange()
    exchange.hold(hours(200), "1h")
    managed = Managed(tmp_path, exchange)
    rows = managed.get(timeframe="1h")
    assert (len(rows), rows["ts"][0], rows["ts"][-1]) == (101, MINUTE - 101 * HOUR_MS, MINUTE - HOUR_MS)
    managed.get(timeframe="1h")
    Managed(tmp_path, exchange).get(timeframe="1h")
    assert len(exchange.calls) == 1
    del exchange.rows["1h"][150:152]
    other = Managed(tmp_path / "other", exchange)
    for _ in range(5):
        assert len(other.get(timeframe="1h")) == 99
        other.clock.advance(1)
    assert len(exchange.calls) == 2  # the other's first; the range is remembered
    assert other.gaps() == []
    assert len(CandleStore(tmp_path / "other", "fake", other.clock, "1h").read_meta(SYMBOL).known_gaps) == 1


def test_ways_to_write_an_hour(tmp_path: Path) -> None:
    """They are one timeframe, for the exchange and on disk."""
    exchange = FakeExchange()
    exchange.hold(hours(200), "1h")
    managed = Managed(tmp_path, exchange)
    for text in ("60m", " 1H ", "3600s"):
        assert len(managed.get(timeframe=text)) == 101
    assert [call[1] for call in exchange.calls] == ["1h"]
    assert sorted(path.name for path in (tmp_path / "ohlcv" / "fake").iterdir()) == ["1h"]


def test_longer_ranges_age(tmp_path: Path) -> None:
    """A remembered range serves as long as the age allows; a hole is asked for three times in all."""
    exchange = FakeExchange()
    exchange.hold(hours(200), "1h")
    del exchange.rows["1h"][150:152]
    managed = Managed(tmp_path, exchange)
    for _ in range(6):
        managed.get(timeframe="1h", max_age_ms=1000)
        managed.clock.advance(1001)
    assert len(exchange.calls) == 3


def test_eight_ranges_are_remembered(tmp_path: Path) -> None:
    """Of the ranges of longer timeframes the eight that were asked for last are remembered."""
    exchange = FakeExchange()
    exchange.hold(hours(200), "1h")
    managed = Managed(tmp_path, exchange)

    def ask(*numbers: int) -> None:
        for n in numbers:
            managed.get(timeframe="1h", start_ts=MINUTE - (100 + n) * HOUR_MS)

    ask(*range(8), 0, 8)
    shutil.rmtree(tmp_path / "ohlcv")
    exchange.calls.clear()
    ask(0, *range(2, 9))
    assert exchange.calls == []
    ask(1)
    assert len(exchange.calls) == 1


def test_a_late_hour_is_no_gap(tmp_path: Path) -> None:
    """That the newest hour is not there yet says nothing; older missing hours are noted, under their timeframe."""
    exchange = FakeExchange()
    exchange.hold(hours(50)[:-1], "1h")
    del exchange.rows["1h"][40]
    managed = Managed(tmp_path, exchange)
    for n in range(5):
        managed.get(timeframe="1h", start_ts=MINUTE - (20 + n) * HOUR_MS)
    known = CandleStore(tmp_path, "fake", managed.clock, "1h").read_meta(SYMBOL).known_gaps
    assert [(gap.start_ts, gap.end_ts) for gap in known] == [(MINUTE - 10 * HOUR_MS,) * 2]
    exchange.hold(hours(50)[-1:], "1h")
    assert managed.get(timeframe="1h", start_ts=MINUTE - 30 * HOUR_MS)["ts"][-1] == MINUTE - HOUR_MS
    assert managed.gaps() == []


def test_forced_refetch_of_hours(tmp_path: Path) -> None:
    """Forgetting gaps with a query of a longer timeframe forgets those of that timeframe, and what is remembered."""
    exchange = FakeExchange()
    exchange.hold(hours(200), "1h")
    late = exchange.rows["1h"][150:152]
    del exchange.rows["1h"][150:152]
    managed = Managed(tmp_path, exchange)
    managed.store.write(SYMBOL, candles(LAST - 10 * M, 3))
    gap = KnownGap(MINUTE - 50 * HOUR_MS, MINUTE - 49 * HOUR_MS, 3, "manual", 0)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    for _ in range(3):
        managed.get(timeframe="1h", max_age_ms=1)
        managed.clock.advance(2)
    exchange.hold(late, "1h")
    assert len(managed.get(timeframe="1h")) == 99
    assert len(managed.get(timeframe="1h", force_refetch_gaps=True)) == 101
    assert managed.cm.get_gap_summary(SYMBOL)["total_gaps"] == 1


# --- prices


def test_current_close(tmp_path: Path) -> None:
    """A recent refresh answers with the last finished candle; else a page up to the current minute, not stored."""
    exchange = held((-500, 0))
    managed = Managed(tmp_path, exchange)
    managed.get(max_age_ms=0)
    last = candles(MINUTE - 500 * M, 501)["c"]
    exchange.calls.clear()
    assert asyncio.run(managed.cm.get_current_close(SYMBOL, 10_000)) == last[-2]
    assert exchange.calls == []
    managed.clock.advance(20_000)
    assert asyncio.run(managed.cm.get_current_close(SYMBOL, 10_000)) == last[-1]
    assert exchange.calls[-1][2:4] == (MINUTE - 29 * M, 30)
    assert managed.store.read(SYMBOL)["ts"][-1] == LAST
    managed.clock.advance(9_000)
    asyncio.run(managed.cm.get_current_close(SYMBOL, 10_000))
    assert len(exchange.calls) == 1


def test_price_page_is_merged(tmp_path: Path) -> None:
    """The finished rows of the price page join the day's file, they do not take its place."""
    managed = Managed(tmp_path, held((-500, 0)))
    managed.store.write(SYMBOL, candles(MINUTE - 200 * M, 100, price=9.0))
    asyncio.run(managed.cm.get_current_close(SYMBOL, 0))
    assert len(managed.store.read(SYMBOL)) == 100 + 29


def test_price_of_last_resort(tmp_path: Path) -> None:
    """Without candles the ticker's last, bid, ask; then the newest stored candle; NaN or 0 when nobody knows."""
    exchange = FakeExchange(ticker={"last": 0.0, "bid": 5.5})
    managed = Managed(tmp_path, exchange)
    assert asyncio.run(managed.cm.get_last_prices([SYMBOL])) == {SYMBOL: 5.5}
    exchange.ticker = {}
    managed.clock.advance(60_000)
    assert np.isnan(asyncio.run(managed.cm.get_current_close(SYMBOL, 0)))
    assert asyncio.run(managed.cm.get_last_prices([SYMBOL])) == {SYMBOL: 0.0}
    managed.store.write(SYMBOL, candles(MINUTE - DAY_MS, 1, price=9.0))
    assert asyncio.run(managed.cm.get_current_close(SYMBOL, 0)) == 9.0


def test_minute_that_ends_while_the_price_is_asked(tmp_path: Path) -> None:
    """The answer's last candle was in progress when it was made: it is not stored, though it is over by now."""
    managed = Managed(tmp_path, held((-40, 0)))
    fetch = managed.exchange.fetch_ohlcv

    async def slow(*args: Any, **kwargs: Any) -> Any:
        answer = await fetch(*args, **kwargs)
        managed.clock.ms = MINUTE + M + 500
        return answer

    managed.exchange.fetch_ohlcv = slow
    assert asyncio.run(managed.cm.get_current_close(SYMBOL, 0)) == 140.0
    assert managed.store.read(SYMBOL)["ts"][-1] == LAST


class Held(FakeExchange):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def fetch_ohlcv(self, *args: Any, **kwargs: Any) -> list[list[Any]]:
        self.asked.set()
        await self.let_go.wait()
        return await super().fetch_ohlcv(*args, **kwargs)


@pytest.mark.parametrize("what", ["force", "ensure"])
def test_no_task_blocks_the_loop_that_holds_the_lock(tmp_path: Path, what: str) -> None:
    """While one task fetches, another that wants to change gaps of the symbol waits, and lets it go on."""

    async def run() -> None:
        exchange, managed = managed_fetch(tmp_path)
        fetching = asyncio.create_task(managed.cm.get_candles(SYMBOL, start_ts=MINUTE - 60 * M, strict=True))
        await exchange.asked.wait()
        other = {
            "force": lambda: managed.cm.get_candles(SYMBOL, force_refetch_gaps=True, strict=True),
            "ensure": lambda: managed.cm.ensure(SYMBOL, MINUTE - 60 * M, LAST, force_refetch_gaps=True),
        }[what]
        changing = asyncio.create_task(other())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not changing.done()
        exchange.let_go.set()
        assert len(await fetching) == 60
        await changing
        assert managed.store.read_meta(SYMBOL).known_gaps == ()

    asyncio.run(run())


def managed_fetch(cache: Path) -> tuple[Held, Managed]:
    """A manager whose exchange holds back its answers, and a store with rows and a gap."""
    exchange = Held()
    exchange.hold(candles(MINUTE - 900 * M, 900))
    managed = Managed(cache, exchange)
    managed.store.write(SYMBOL, candles(MINUTE - 3000 * M, 10))
    gap = KnownGap(MINUTE - 20 * M, MINUTE - 10 * M, 3, "fetch_failed", NOW, NOW)
    managed.store.update_meta(SYMBOL, lambda meta: meta.with_gaps([gap]))
    return exchange, managed


def test_what_can_be_done_later_does_not_wait(tmp_path: Path) -> None:
    """While a symbol is being fetched, no first candle is noted and no file removed: at the next chance."""

    async def run() -> None:
        exchange, managed = managed_fetch(tmp_path)
        fetching = asyncio.create_task(managed.cm.get_candles(SYMBOL, start_ts=MINUTE - 60 * M, strict=True))
        await exchange.asked.wait()
        for done in (False, True):
            history.note_inception(managed.cm.feed, SYMBOL, MINUTE - 3000 * M, "rest")
            Retention(5).apply(managed.store, SYMBOL)
            assert (managed.store.read_meta(SYMBOL).inception_ts is not None) is done
            assert (len(managed.store.read(SYMBOL)) == 0) is done
            exchange.let_go.set()
            await fetching

    asyncio.run(run())


def test_two_managers_of_a_process_ask_once(tmp_path: Path) -> None:
    """What one of them fetches the other finds on disk, whatever it had in memory before."""
    exchange = held((-3000, -1))
    one, other = Managed(tmp_path, exchange), Managed(tmp_path, exchange)
    assert len(one.get(start_ts=MINUTE - 60 * M)) == len(other.get(start_ts=MINUTE - 60 * M)) == 60
    exchange.calls.clear()

    async def both() -> list[Candles]:
        query = {"start_ts": MINUTE - 500 * M, "end_ts": MINUTE - 10 * M, "strict": True}
        return await asyncio.gather(one.cm.get_candles(SYMBOL, **query), other.cm.get_candles(SYMBOL, **query))

    rows = asyncio.run(both())
    assert np.array_equal(*rows)
    assert len(rows[0]) == 491
    assert len(exchange.calls) == 1


def test_hours_are_asked_for_again(tmp_path: Path) -> None:
    """`force_refetch_gaps` forgets the gaps of the timeframe that is asked for, and what is in memory."""
    exchange, rows = FakeExchange(), hours(20)
    exchange.hold([row for row in rows if row is not rows[5]], "1h")
    managed = Managed(tmp_path, exchange)
    query: dict[str, Any] = {"start_ts": rows[0][0], "end_ts": rows[-1][0], "tf": "1h"}
    for _ in range(3):
        managed.cm = Managed(tmp_path, exchange).cm
        assert len(managed.get(**query)) == 19
    exchange.hold(rows, "1h")
    managed.cm = Managed(tmp_path, exchange).cm
    assert len(managed.get(**query)) == 19
    assert len(managed.get(**query, force_refetch_gaps=True)) == 20
