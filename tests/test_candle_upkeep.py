"""Beside serving candles: hints, options, memory, retention, refresh times of a manager (`candles.md` 4, 9, 17)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candles.disk.memory import FileMemory
from candles.disk.retention import Retention
from candles.disk.store import CandleStore
from candles.fetching.open_feed import FeedOptions
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from fake_exchange import candles
from markets.candle import IMPORT, Candles
from test_candlestick_manager import LAST, MINUTE, NOW, SYMBOL, Managed, held

DAY = 1440


def day(n: int, count: int = DAY) -> Candles:
    """Rows of the n-th day before the one in progress; `src` REST."""
    return candles(MINUTE // DAY_MS * DAY_MS - n * DAY_MS, count)


def names(store: CandleStore) -> list[str]:
    return [path.name for path in store.files(SYMBOL)]


# --- options and the hint (4, 19)


@pytest.mark.parametrize(("given", "used"), [(-1, 0), (0, 0), (2, 2), (3, 3), (9, 3)])
def test_debug_is_clamped(tmp_path: Path, given: int, used: int) -> None:
    """The level is brought into 0..3."""
    assert CandlestickManager(None, "fake", cache_dir=tmp_path, debug=given).options.debug == used


def test_unknown_options() -> None:
    """A misspelt option is a TypeError that names it."""
    with pytest.raises(TypeError, match="lock_timeout"):
        CandlestickManager(None, "fake", lock_timeout=3)
    assert FeedOptions().archive_exchanges == ("binance", "bitget", "kucoin")


def test_name_of_the_exchange(tmp_path: Path) -> None:
    """An unknown name is taken from the client; paths use the short one."""
    exchange = held()
    exchange.id = "binanceusdm"
    cm = CandlestickManager(exchange, cache_dir=tmp_path, archive_enabled=False)
    assert cm.store.directory(SYMBOL) == tmp_path / "ohlcv" / "binance" / "1m" / "BTC_USDT_USDT"


def test_hint_at_an_older_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line at a manager's first query where only candles of an older version are on disk; none with Parquet."""
    old = tmp_path / "ohlcv" / "fake" / "1m" / "BTC_USDT_USDT" / "2024-01-01.npy"
    old.parent.mkdir(parents=True)
    np.save(old, np.zeros((1, 6)))
    managed = Managed(tmp_path)
    assert caplog.text == ""
    managed.get()
    asyncio.run(managed.cm.get_candles("ETH/USDT:USDT"))
    assert caplog.text.count("migrate_historical_data.py --exchange fake --execute") == 1
    assert len(caplog.records) == 1
    managed.store.write(SYMBOL, day(3, 5))
    caplog.clear()
    Managed(tmp_path).get()
    assert caplog.text == ""


# --- refresh times (17.6)


def meta_file(managed: Managed) -> tuple[int, int]:
    """The noted refresh, and when the file was last replaced."""
    path = managed.store.directory(SYMBOL) / "meta.json"
    return managed.store.read_meta(SYMBOL).last_refresh_ms, path.stat().st_mtime_ns


def test_refresh_times_on_disk(tmp_path: Path) -> None:
    """A refresh is noted together with new rows; one without any at most once a minute."""
    exchange = held((-500, 500))
    managed = Managed(tmp_path, exchange)

    def refresh(after_ms: int) -> int:
        managed.clock.advance(after_ms)
        asyncio.run(managed.cm.refresh(SYMBOL, LAST))
        assert managed.cm.feed.last_refresh(SYMBOL) == managed.clock.now_ms()
        return meta_file(managed)[0] - NOW

    assert refresh(0) == 0
    written = meta_file(managed)
    assert refresh(30_000) == 0
    assert refresh(29_999) == 0
    assert meta_file(managed) == written
    assert refresh(1) == 60_000
    managed.clock.advance(10_000)
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert meta_file(managed)[0] == managed.clock.now_ms()  # a row came, ten seconds later


def test_refresh_that_brings_nothing(tmp_path: Path) -> None:
    """An exchange without a candle was asked all the same, and that is noted; so is one that repeats what is held."""
    managed = Managed(tmp_path, held())
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert meta_file(managed)[0] == NOW
    other = Managed(tmp_path / "other", held((-500, -3)))
    asyncio.run(other.cm.refresh(SYMBOL))
    written = meta_file(other)
    other.clock.advance(10_000)
    asyncio.run(other.cm.refresh(SYMBOL))
    assert meta_file(other) == written


# --- memory (9)


def counted(path: Path, rows: Candles, reads: list[str]) -> Callable[[], Candles]:
    def read() -> Candles:
        reads.append(path.name)
        return rows.copy()

    return read


def test_memory_keeps_the_newest_files(tmp_path: Path) -> None:
    """A symbol keeps at most so many rows, the oldest files go first; a file that has changed is read again."""
    memory, reads = FileMemory(100), list[str]()
    paths = [tmp_path / f"2024-01-0{i}.parquet" for i in (1, 2, 3)]
    for path in paths:
        path.write_text("x")
        memory.get(path, counted(path, day(1, 40), reads))
    memory.get(paths[2], counted(paths[2], day(1, 40), reads))
    memory.get(paths[1], counted(paths[1], day(1, 40), reads))
    assert len(reads) == 3
    memory.get(paths[0], counted(paths[0], day(1, 40), reads))
    assert reads[3:] == ["2024-01-01.parquet"]
    paths[2].write_text("other")
    assert not memory.get(paths[2], counted(paths[2], day(1, 30), reads)).flags.writeable
    assert reads[4:] == ["2024-01-03.parquet"]
    assert sum(len(rows) for _, rows in memory._directories[tmp_path].values()) == 70


def test_memory_of_a_manager(tmp_path: Path) -> None:
    """After merges and queries no more rows of a symbol are in memory than the option says."""
    managed = Managed(tmp_path, held((-6000, 0)), max_memory_candles_per_symbol=2000)
    for start in (-6000, -3000, -200):
        managed.get(start_ts=MINUTE + start * M)
    asyncio.run(managed.cm.refresh(SYMBOL))
    kept = managed.store._memory._directories
    assert 0 < sum(len(rows) for _, rows in kept[managed.store.directory(SYMBOL)].values()) <= 2000
    assert max(kept[managed.store.directory(SYMBOL)]) == "2024-03-02.parquet"


def test_no_memory(tmp_path: Path) -> None:
    """Programs that read everything once keep nothing."""
    managed = Managed(tmp_path, held((-500, 0)), max_memory_candles_per_symbol=0)
    managed.get()
    assert managed.store._memory._directories == {}


# --- retention (17.7)


def stored(tmp_path: Path, days: int, **sources: int) -> CandleStore:
    """A store with whole days before the one in progress; `d3=IMPORT` says where the rows of day 3 come from."""
    store = CandleStore(tmp_path, "fake", ManualClock(NOW))
    for n in range(days, 0, -1):
        rows = day(n)
        rows["src"][:1] = sources.get(f"d{n}", rows["src"][0])
        store.write(SYMBOL, rows)
    return store


def test_oldest_files_go_first(tmp_path: Path) -> None:
    """Whole files go until the limit is kept; what is known of the first row follows. 0 keeps everything."""
    store = stored(tmp_path, 5)
    assert store.prune(SYMBOL, 0) == store.prune(SYMBOL, 5 * DAY) == 0
    assert store.prune(SYMBOL, 5 * DAY - 1) == DAY
    assert store.prune(SYMBOL, 2 * DAY + 1) == 2 * DAY
    assert names(store) == ["2024-02-29.parquet", "2024-03-01.parquet"]
    assert store.read_meta(SYMBOL).first_seen_ts == day(2)["ts"][0]


def test_imported_rows_stay(tmp_path: Path) -> None:
    """A file with a row of the user's is never removed; others go in its place."""
    store = stored(tmp_path, 5, d5=IMPORT, d3=IMPORT)
    assert store.prune(SYMBOL, 3 * DAY) == 2 * DAY
    assert names(store) == ["2024-02-26.parquet", "2024-02-28.parquet", "2024-03-01.parquet"]
    assert store.prune(SYMBOL, 1) == DAY
    assert names(store) == ["2024-02-26.parquet", "2024-02-28.parquet"]
    assert store.read_meta(SYMBOL).first_seen_ts == day(5)["ts"][0]


def test_when_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At first, when a file has come, and after an hour; not at every refresh. Without a limit never."""
    store, counts = stored(tmp_path, 2), list[int]()
    prune = store.prune
    monkeypatch.setattr(store, "prune", lambda *words, **more: counts.append(1) or prune(*words, **more))
    retention, clock = Retention(10 * DAY), store.clock
    assert isinstance(clock, ManualClock)
    retention.apply(store, SYMBOL)
    clock.advance(HOUR_MS - 1)
    retention.apply(store, SYMBOL)
    assert len(counts) == 1
    clock.advance(1)
    retention.apply(store, SYMBOL)
    assert len(counts) == 2
    store.write(SYMBOL, day(0, 5))
    retention.apply(store, SYMBOL)
    assert len(counts) == 3
    Retention(0).apply(store, SYMBOL)
    assert len(counts) == 3


def test_retention_of_a_manager(tmp_path: Path) -> None:
    """A refresh removes what is too much, as soon as a new day begins; queries remove nothing."""
    managed = Managed(tmp_path, held((-4000, 2000)), max_disk_candles_per_symbol_per_tf=650)
    managed.get(start_ts=MINUTE - 2000 * M)
    assert len(managed.store.read(SYMBOL)) == 2000
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert names(managed.store) == ["2024-03-02.parquet"]
    managed.clock.advance(900 * M)
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert names(managed.store) == ["2024-03-03.parquet"]


# --- compaction (17.2)


@pytest.mark.parametrize("compact", [False, True])
def test_compaction(tmp_path: Path, compact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that ask for it have the days of a month that is over merged, once a symbol; the live bot never."""
    early = CandleStore(tmp_path, "fake", ManualClock(date_to_ts("2024-01-31T12:00")))
    rows = candles(date_to_ts("2024-01-29"), 3000)
    early.write(SYMBOL, rows)
    managed, calls = Managed(tmp_path, compact=compact), list[Any]()
    merge = managed.store.compact
    monkeypatch.setattr(managed.store, "compact", lambda symbol: calls.append(symbol) or merge(symbol))
    for _ in range(2):
        served = managed.get(start_ts=rows["ts"][0], end_ts=rows["ts"][-1], strict=True)
        assert np.array_equal(served, rows)
    assert names(managed.store) == (["2024-01.parquet"] if compact else [f"2024-01-{n}.parquet" for n in (29, 30, 31)])
    assert len(calls) == int(compact)


def test_orphans_go_with_the_next_write(tmp_path: Path) -> None:
    """What a killed writer left an hour ago is gone after a refresh that brings rows."""
    managed = Managed(tmp_path, held((-500, 0)))
    orphan = managed.store.directory(SYMBOL) / ".2024-03-02.parquet.7.ab.tmp"
    orphan.parent.mkdir(parents=True)
    orphan.write_text("half")
    long_ago = orphan.stat().st_mtime - 2 * 3600.0
    os.utime(orphan, (long_ago, long_ago))
    asyncio.run(managed.cm.refresh(SYMBOL))
    assert not orphan.exists()
