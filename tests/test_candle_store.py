"""The Parquet store (`candles.md` 2, 17)."""

from __future__ import annotations

import logging
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from candles.disk.parquet import WRITER
from candles.disk.store import CandleStore, WriteResult, merge, period_bounds, symbol_dir_name
from core.clock import DAY_MS, HOUR_MS, ManualClock, SystemClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import DataError, RunError, StoreError
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, IMPORT, REST, Candles

SYMBOL = "BTC/USDT:USDT"
NOW = date_to_ts("2024-03-02T12:00")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path, "binanceusdm", ManualClock(NOW))


def candles(start: str, count: int, price: float = 100.0, src: int = REST) -> Candles:
    out = np.empty(count, CANDLE_DTYPE)
    out["ts"] = date_to_ts(start) + M * np.arange(count)
    for field, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.5), ("bv", 3.0)):
        out[field] = price + offset + np.arange(count) / 64.0
    out["src"] = src
    return out


def names(store: CandleStore) -> list[str]:
    return [path.name for path in store.files(SYMBOL)]


def test_names() -> None:
    """Symbols become directory names; file names mean periods, other names nothing."""
    assert symbol_dir_name(SYMBOL) == symbol_dir_name("BTC\\USDT_USDT") == "BTC_USDT_USDT"
    assert period_bounds("2023-12.parquet") == (date_to_ts("2023-12"), date_to_ts("2024-01"))
    assert period_bounds("2023-12-31.parquet") == (date_to_ts("2023-12-31"), date_to_ts("2024-01-01"))
    for name in ("2023-13.parquet", "2023-02-30.parquet", "meta.json", ".2023-12.parquet.1.ab.tmp"):
        assert period_bounds(name) is None


def test_round_trip_and_files(store: CandleStore) -> None:
    """Months over for 72 hours are month files, later rows day files; exact doubles come back."""
    rows = candles("2024-01-31T23:00", 33 * 1440, price=65432.17)
    assert store.write(SYMBOL, rows) == WriteResult(added=len(rows))
    assert store.root.parts[-3:] == ("ohlcv", "binance", "1m")
    assert names(store)[:3] == ["2024-01.parquet", "2024-02-01.parquet", "2024-02-02.parquet"]
    assert np.array_equal(store.read(SYMBOL), rows)
    low, high = date_to_ts("2024-02-01T05:00"), date_to_ts("2024-02-03T00:00")
    inside = (rows["ts"] >= low) & (rows["ts"] <= high)
    assert np.array_equal(store.read(SYMBOL, low, high), rows[inside])
    assert len(store.read("ETH/USDT:USDT")) == 0
    meta = store.read_meta(SYMBOL)
    assert (meta.first_seen_ts, meta.last_final_ts) == (rows["ts"][0], rows["ts"][-1])


def test_footer_and_encoding(store: CandleStore) -> None:
    """Footer keys, one row group, compression and encodings are those of the format."""
    store.write(SYMBOL, candles("2024-01-01", 100))
    file = pq.ParquetFile(store.files(SYMBOL)[0])
    footer = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
    start = date_to_ts("2024-01-01")
    assert footer == {
        "pb.schema": "1", "pb.volume_unit": "base", "pb.exchange": "binance", "pb.symbol": SYMBOL, "pb.timeframe": "1m",
        "pb.period": "2024-01", "pb.rows": "100", "pb.min_ts": str(start), "pb.max_ts": str(start + 99 * M),
        "pb.written_at": str(NOW), "pb.writer": WRITER,
    }  # fmt: skip
    group = file.metadata.row_group(0)
    assert file.metadata.num_row_groups == 1
    assert {group.column(i).compression for i in range(7)} == {"ZSTD"}
    encodings = {group.column(i).path_in_schema: set(group.column(i).encodings) for i in range(7)}
    assert "DELTA_BINARY_PACKED" in encodings["ts"]
    assert all("BYTE_STREAM_SPLIT" in encodings[name] for name in ("o", "h", "l", "c", "bv"))


def test_newer_rows_win_and_equal_rows_write_nothing(store: CandleStore) -> None:
    """A later set replaces whole rows; storing the same again leaves the files alone."""
    old = candles("2024-01-10", 10)
    new = candles("2024-01-10T00:05", 10, price=7.0)
    store.write(SYMBOL, old)
    assert store.write(SYMBOL, new) == WriteResult(added=5, replaced=5)
    assert np.array_equal(store.read(SYMBOL), np.concatenate((old[:5], new)))
    before = store.files(SYMBOL)[0].stat().st_mtime_ns
    assert store.write(SYMBOL, new[::-1]) == WriteResult()
    assert store.files(SYMBOL)[0].stat().st_mtime_ns == before


def test_merge_order() -> None:
    """The newer row wins, whatever its columns; archive rows replace nothing; fill yields to everything."""
    old, new = candles("2024-01-10", 2), candles("2024-01-10", 3, price=7.0)
    assert merge(old, new)["c"].tolist() == new["c"].tolist()
    example = np.array([(0, 10, 11, 9, 10, 5, REST), (0, 10, 11, 8, 8.5, 7, REST)], dtype=CANDLE_DTYPE)
    for first, second in ((0, 1), (1, 0)):
        assert merge(example[[first]], example[[second]]).tolist() == example[[second]].tolist()
    new["src"] = ARCHIVE
    assert merge(old, new)["c"].tolist() == [*old["c"], new["c"][2]]
    new["src"] = ARCHIVE_FILL
    twice = np.concatenate((old[:1], new))
    assert merge(old[:0], twice)["src"].tolist() == [REST, ARCHIVE_FILL, ARCHIVE_FILL]


def test_days_override_months_and_are_compacted(tmp_path: Path) -> None:
    """Reading takes the union, the day file wins; when the month is over its days move into it."""
    early = CandleStore(tmp_path, "binance", ManualClock(NOW - 40 * DAY_MS))
    late = CandleStore(tmp_path, "binance", ManualClock(NOW + 40 * DAY_MS))
    month, day = candles("2024-01-14", 2880), candles("2024-01-15", 10, price=7.0)
    early.write(SYMBOL, day)
    assert names(early) == ["2024-01-15.parquet"]
    late._merge_into("OTHER", "2024-01.parquet", month)
    late.write(SYMBOL, month[:1440])
    assert names(late) == ["2024-01.parquet"]
    assert np.array_equal(late.read(SYMBOL), np.concatenate((month[:1440], day)))
    early.write(SYMBOL, day)
    early.write(SYMBOL, candles("2024-01-15", 2, price=3.0))
    assert late.read(SYMBOL)["o"][1440] == 3.0
    late.compact(SYMBOL)
    assert names(late) == ["2024-01.parquet"]
    assert late.read(SYMBOL)["o"][1440] == 3.0


def test_last_row_before(store: CandleStore) -> None:
    """However old, from whichever file; nothing if there is none."""
    store.write(SYMBOL, candles("2023-11-30T23:50", 20))
    store.write(SYMBOL, candles("2024-03-01", 5))
    assert store.read_last_before(SYMBOL, date_to_ts("2024-02-20"))["ts"].tolist() == [date_to_ts("2023-12-01T00:09")]
    assert store.read_last_before(SYMBOL, NOW)["ts"].tolist() == [date_to_ts("2024-03-01T00:04")]
    assert len(store.read_last_before(SYMBOL, date_to_ts("2023-11-30T23:50"))) == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("c", np.nan, "a price that is not a positive number"),
        ("l", 0.0, "a price that is not a positive number"),
        ("h", np.inf, "a price that is not a positive number"),
        ("bv", -1.0, "a volume that is negative"),
        ("ts", 1, "a time off the candle grid"),
    ],
)
def test_bad_rows_are_refused(store: CandleStore, field: str, value: float, message: str) -> None:
    """Rows that the schema forbids never reach the disk; the error names symbol and time."""
    rows = candles("2024-01-10", 10)
    rows[field][3] = rows["ts"][3] + 1 if field == "ts" else value
    with pytest.raises(DataError, match=rf"candle of BTC/USDT:USDT at 2024-01-10T00:03:00.* has {message}"):
        store.write(SYMBOL, rows)
    assert names(store) == []


def test_odd_prices_are_kept_with_a_warning(store: CandleStore, caplog: pytest.LogCaptureFixture) -> None:
    """Open or close outside low and high is what some sources deliver."""
    rows = candles("2024-01-10", 10)
    rows["h"][4] = rows["l"][4]
    store.write(SYMBOL, rows)
    assert "1 candles with open or close outside low and high, first at 2024-01-10T00:04:00" in caplog.text
    assert np.array_equal(store.read(SYMBOL), rows)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


def _other_symbol(path: Path) -> None:
    other = CandleStore(path.parents[3].parent, "binance", ManualClock(NOW))
    other.write("ETH/USDT:USDT", candles("2024-01-01", 5))
    path.write_bytes(other.files("ETH/USDT:USDT")[0].read_bytes())


def _text(path: Path) -> None:
    path.write_text("hello")


@pytest.mark.parametrize("damage", [_truncate, _flip, _other_symbol, _text])
def test_damaged_files_are_put_aside(
    store: CandleStore, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that fails a check counts as missing, with an error line; writing again heals."""
    rows = candles("2024-01-01", 1000)
    more = candles("2023-12-31T23:00", 60)
    store.write(SYMBOL, rows)
    store.write(SYMBOL, more)
    damage(store.directory(SYMBOL) / "2024-01.parquet")
    assert np.array_equal(store.read(SYMBOL), more)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "2024-01.parquet is damaged" in caplog.text
    assert len(list((store.directory(SYMBOL) / "quarantine").iterdir())) == 1
    store.write(SYMBOL, rows)
    assert len(store.read(SYMBOL)) == 1060


def test_newer_schema_is_refused(store: CandleStore) -> None:
    """A file of a newer program is neither read nor overwritten."""
    store.write(SYMBOL, candles("2024-01-01", 5))
    path = store.files(SYMBOL)[0]
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"pb.schema": b"2"}), path)
    content = path.read_bytes()
    for action in (lambda: store.read(SYMBOL), lambda: store.write(SYMBOL, candles("2024-01-02", 5))):
        with pytest.raises(StoreError, match="newer version"):
            action()
    assert path.read_bytes() == content


def test_unreadable_meta_is_made_anew(store: CandleStore) -> None:
    """Gaps are lost, the first row is found again."""
    rows = candles("2024-01-01", 5)
    store.write(SYMBOL, rows)
    (store.directory(SYMBOL) / "meta.json").write_text("{")
    assert store.read_meta(SYMBOL).first_seen_ts == rows["ts"][0]
    store.write(SYMBOL, rows)
    assert store.read_meta(SYMBOL).last_final_ts == rows["ts"][-1]


def test_orphaned_temporary_files(store: CandleStore) -> None:
    """Those a crashed writer left an hour ago are removed, fresh ones belong to somebody, whatever the store's time."""
    store.write(SYMBOL, candles("2024-01-01", 5))
    for name, age in ((".a.1.x.tmp", 2 * HOUR_MS), (".b.2.y.tmp", M)):
        path = store.directory(SYMBOL) / name
        path.write_text("")
        os.utime(path, ((SystemClock().now_ms() - age) / 1000,) * 2)
    store.write(SYMBOL, candles("2024-01-02", 5, src=IMPORT))
    assert [path.name for path in store.directory(SYMBOL).glob("*.tmp")] == [".b.2.y.tmp"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write more, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_leaves_the_old_file(store: CandleStore) -> None:
    """A refused write is one clear error; what was there stays, no temporary file remains."""
    rows = candles("2024-01-01", 5)
    store.write(SYMBOL, rows)
    with (
        pytest.raises(RunError, match=r"cannot write .*2024-01\.parquet: .*; nothing was changed"),
        files_of_at_most(2000),
    ):
        store.write(SYMBOL, candles("2024-01-02", 2000))
    assert np.array_equal(store.read(SYMBOL), rows)
    assert not list(store.directory(SYMBOL).glob(".*.tmp"))


def test_longer_timeframes_use_months_only(tmp_path: Path) -> None:
    """Hours of the current month are in its month file."""
    hours = CandleStore(tmp_path, "binance", ManualClock(NOW), "1h")
    rows = candles("2024-03-01", 5)
    rows["ts"] = date_to_ts("2024-03-01") + HOUR_MS * np.arange(5)
    hours.write(SYMBOL, rows)
    assert names(hours) == ["2024-03.parquet"]
    with pytest.raises(DataError, match="off the candle grid"):
        hours.write(SYMBOL, candles("2024-03-01T00:01", 1))


def test_a_healed_file_is_not_put_aside(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has seen the damaged file does not put aside the sound one that took its place meanwhile."""
    rows = candles("2024-01-01", 1000)
    store.write(SYMBOL, rows)
    path = store.files(SYMBOL)[0]
    sound = path.read_bytes()
    _truncate(path)
    read_bytes = Path.read_bytes

    def then_healed(file: Path) -> bytes:
        content = read_bytes(file)
        (file.parent / "new").write_bytes(sound)
        (file.parent / "new").replace(file)
        return content

    monkeypatch.setattr(Path, "read_bytes", then_healed)
    assert np.array_equal(store.read(SYMBOL), rows)
    assert not (store.directory(SYMBOL) / "quarantine").exists()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, which no permission binds."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_read_only_directory() -> None:
    """Reading goes on; writing is one clear error that names the file, before anything is changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = CandleStore(folder, "binance", ManualClock(NOW))
        rows = candles("2024-01-01", 5)
        store.write(SYMBOL, rows)
        (store.directory(SYMBOL) / ".lock").unlink()
        folder.chmod(0o755)
        store.directory(SYMBOL).chmod(0o555)
        with as_nobody():
            assert np.array_equal(store.read(SYMBOL), rows)
            with pytest.raises(RunError, match=r"cannot lock .*BTC_USDT_USDT/\.lock: Permission denied"):
                store.write(SYMBOL, candles("2024-01-02", 5))
        store.directory(SYMBOL).chmod(0o755)


def test_unreadable_file() -> None:
    """A file without permission is an error that says so: it is neither damaged nor missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = CandleStore(folder, "binance", ManualClock(NOW))
        store.write(SYMBOL, candles("2024-01-01", 5))
        folder.chmod(0o755)
        store.files(SYMBOL)[0].chmod(0o000)
        with as_nobody(), pytest.raises(StoreError, match=r"2024-01\.parquet cannot be read: Permission denied; check"):
            store.read(SYMBOL)


def test_newer_meta_is_refused(store: CandleStore) -> None:
    """What a newer program knows of a symbol is neither read nor overwritten."""
    store.write(SYMBOL, candles("2024-01-01", 5))
    path = store.directory(SYMBOL) / "meta.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    content = path.read_text()
    for action in (lambda: store.read_meta(SYMBOL), lambda: store.write(SYMBOL, candles("2024-01-02", 5))):
        with pytest.raises(DataError, match="newer version"):
            action()
    assert path.read_text() == content


def test_rows_in_memory(tmp_path: Path) -> None:
    """How much is kept of each symbol; nothing without a memory."""
    rows = candles("2024-03-02T11:00", 7)
    kept = CandleStore(tmp_path, "binance", ManualClock(NOW), memory_rows=100)
    kept.write("BTC/USDT:USDT", rows)
    assert kept.rows_in_memory() == {kept.directory("BTC/USDT:USDT").name: 7}
    without = CandleStore(tmp_path, "binance", ManualClock(NOW))
    without.read("BTC/USDT:USDT")
    assert without.rows_in_memory() == {}
