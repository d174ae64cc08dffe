"""Taking over the candles of older versions (`candles.md` 19, 24)."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import run_program

from candles.disk.store import CandleStore, WriteResult
from candles.gaps import KnownGap
from candles.older.legacy import legacy_hint, read_legacy_file, shortest_decimals
from candles.older.migrate import MigrationRequest, MigrationResult, choose_rows, run_migration
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import DataError, RunError
from markets.candle import CANDLE_DTYPE, IMPORT, UNKNOWN, Candles

NOW = date_to_ts("2024-06-01")
DAY = date_to_ts("2023-10-31")
SYMBOL = "BTC/USDT:USDT"
OLD_DTYPE = np.dtype([("ts", "i8"), ("o", "f4"), ("h", "f4"), ("l", "f4"), ("c", "f4"), ("bv", "f4")])
TOOL = "tools/migrate_historical_data.py"


def candles(day: int = DAY, count: int = 1440, price: float = 65432.17, start: int = 0) -> Candles:
    out = np.empty(count, CANDLE_DTYPE)
    out["ts"] = day + M * np.arange(start, start + count)
    for name, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.5)):
        out[name] = np.round(price + offset, 2)
    out["bv"], out["src"] = 0.125, UNKNOWN
    return out


class Old:
    """A working directory with caches of older versions."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "caches"
        self.clock = ManualClock(NOW)

    def shard(
        self, rows: Candles, folder: str = "binance/1m/BTC_USDT:USDT", crc32: int | None = None, **meta: Any
    ) -> Path:
        """A day file as the older manager wrote it, and its entry in the index."""
        path = self.cache / "ohlcv" / folder / f"{np.datetime64(int(rows['ts'][0]), 'ms').astype('M8[D]')}.npy"
        records = np.empty(len(rows), OLD_DTYPE)
        for name in OLD_DTYPE.names or ():
            records[name] = rows[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, records)
        index_path = path.with_name("index.json")
        index = json.loads(index_path.read_text()) if index_path.exists() else {"shards": {}}
        index["shards"][path.stem] = {
            "path": path.name,
            "crc32": zlib.crc32(records.tobytes()) if crc32 is None else crc32,
        }
        index["meta"] = meta
        index_path.write_text(json.dumps(index))
        return path

    def history(self, rows: Candles, name: str, unit_ms: int = 1) -> Path:
        path = self.folder / "historical_data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.column_stack([rows["ts"] / unit_ms, *(rows[name] for name in ("o", "h", "l", "c", "bv"))]))
        return path

    def markets(self, exchange: str, **sizes: float) -> None:
        path = self.cache / exchange / "markets.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({
            f"{base}/USDT:USDT": {"id": f"X{base}USDTM", "swap": True, "base": base, "contractSize": size}
            for base, size in sizes.items()
        }))  # fmt: skip

    def store(self, exchange: str = "binance", timeframe: str = "1m") -> CandleStore:
        return CandleStore(self.cache, exchange, self.clock, timeframe)

    def migrate(self, *, execute: bool = True, **options: Any) -> MigrationResult:
        return run_migration(MigrationRequest(self.cache, self.folder, execute=execute, **options), self.clock)

    def snapshot(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


def test_shards(old: Old) -> None:
    """Day files of single precision become months of the decimals that were meant; the source stays unknown."""
    rows = np.concatenate((candles(DAY, 1440), candles(DAY + DAY_MS, 700)))
    for part in (rows[:1440], rows[1440:]):
        old.shard(part)
    result = old.migrate()
    assert np.array_equal(old.store().read(SYMBOL), rows)
    assert [path.name for path in old.store().files(SYMBOL)] == ["2023-10.parquet", "2023-11.parquet"]
    (series,) = result.series
    assert (series.files, series.rows, series.new, series.first_ts, series.last_ts) == (
        2, 2140, 2140, rows["ts"][0], rows["ts"][-1]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "exchange", "symbol"),
    [
        ("binanceusdm/1m/BTC_USDT_USDT", "binance", SYMBOL),
        ("bybit/1m/1000SHIB_USDT:USDT", "bybit", "1000SHIB/USDT:USDT"),
        ("hyperliquid/1m/kPEPE_USDC:USDC", "hyperliquid", "kPEPE/USDC:USDC"),
    ],
)
def test_names_of_shard_folders(old: Old, folder: str, exchange: str, symbol: str) -> None:
    """Exchanges by either name, symbols in either spelling."""
    old.shard(candles(), folder)
    old.migrate()
    assert len(old.store(exchange).read(symbol)) == 1440


@pytest.mark.parametrize("unit_ms", [1, 1000])
@pytest.mark.parametrize(
    ("name", "exchange", "symbol"),
    [
        ("ohlcvs_binanceusdm/BTC/2023-10-31.npy", "binance", SYMBOL),
        ("ohlcvs_futures/1000SHIBUSDT/2023-10-31.npy", "binance", "1000SHIB/USDT:USDT"),
        ("ohlcvs_bybit/BTCUSDT/2023-10.npy", "bybit", SYMBOL),
        ("ohlcvs_hyperliquid/BTC/2023-10-31.npy", "hyperliquid", "BTC/USDC:USDC"),
    ],
)
def test_history(old: Old, name: str, exchange: str, symbol: str, unit_ms: int) -> None:
    """Rows of six numbers, by day or month, in s or ms; folders are named after coins or market ids."""
    old.history(candles(), name, unit_ms)
    old.migrate()
    assert np.array_equal(old.store(exchange).read(symbol), candles())


def test_market_settings_tell_the_symbol(old: Old) -> None:
    """Where they are known, coins and market ids are found under the symbol that the exchange has for them."""
    old.markets("binance", **{"1000SHIB": 1.0, "BTC": 1.0})
    old.history(candles(), "ohlcvs_binanceusdm/SHIB/2023-10-31.npy")
    old.history(candles(), "ohlcvs_futures/XBTCUSDTM/2023-10-31.npy")
    assert [series.symbol for series in old.migrate().series] == ["1000SHIB/USDT:USDT", SYMBOL]


def test_other_timeframes(old: Old) -> None:
    """Hours stay hours."""
    rows = candles(count=24)
    rows["ts"] = DAY + HOUR_MS * np.arange(24)
    old.shard(rows, "binance/1h/BTC_USDT:USDT")
    old.migrate()
    assert np.array_equal(old.store(timeframe="1h").read(SYMBOL), rows)


def test_what_is_stored_stays(old: Old) -> None:
    """No row of an older cache replaces one in the store."""
    mine = candles(price=7.0, start=100, count=50)
    mine["src"] = IMPORT
    old.store().write(SYMBOL, mine)
    old.shard(candles())
    assert old.migrate().series[0].new == 1390
    rows = old.store().read(SYMBOL)
    assert np.array_equal(rows[100:150], mine)
    assert np.array_equal(np.delete(rows, np.s_[100:150]), np.delete(candles(), np.s_[100:150]))


def test_which_file_wins() -> None:
    """A whole day wins over a part; of parts, and of whole days, the later wins row by row and as a whole."""
    whole, other, part = candles(), candles(price=5.0), candles(price=7.0, start=10, count=20)
    for parts in ([whole, part], [part, whole], [other, whole], [other, part, whole]):
        assert np.array_equal(choose_rows(parts, M), whole)
    early, late = candles(count=100), candles(price=7.0, start=50, count=100)
    assert choose_rows([early, late], M)["c"].tolist() == [*early["c"][:50], *late["c"]]
    tomorrow = candles(DAY + DAY_MS, count=3)
    assert np.array_equal(choose_rows([np.concatenate((whole, tomorrow)), part], M), np.concatenate((whole, tomorrow)))


def test_history_wins_over_shards(old: Old) -> None:
    """Where both have a part of a day; a whole shard wins over a part of the history."""
    old.shard(candles(count=100))
    old.shard(candles(DAY + DAY_MS))
    old.history(candles(price=7.0, start=50, count=100), "ohlcvs_binanceusdm/BTC/2023-10-31.npy")
    old.history(candles(DAY + DAY_MS, price=7.0, count=100), "ohlcvs_binanceusdm/BTC/2023-11-01.npy")
    (old.cache / "ohlcv").rename(old.folder / "ohlcv")
    old.migrate()
    rows = old.store().read(SYMBOL)
    assert rows["o"][[0, 49, 50, 149]].tolist() == [65432.17, 65432.17, 7.0, 7.0]
    assert np.array_equal(rows[150:], candles(DAY + DAY_MS))


def test_known_gaps(old: Old) -> None:
    """They come along, without those before the inception, and without what has arrived in the meantime."""

    def gap(first: int, last: int, reason: str) -> dict[str, Any]:
        return {
            "start_ts": DAY + first * M,
            "end_ts": DAY + last * M,
            "retry_count": 3,
            "reason": reason,
            "added_at": 5,
        }

    old.shard(
        candles(start=100, count=100),
        known_gaps=[gap(0, 49, "pre_inception"), gap(60, 109, "fetch_failed"), [DAY + 300 * M, DAY + 310 * M]],
    )
    assert old.migrate().series[0].gaps == 2
    expected = (
        KnownGap(DAY + 60 * M, DAY + 99 * M, 3, "fetch_failed", 5),
        KnownGap(DAY + 300 * M, DAY + 310 * M, 3, "auto_detected", 0),
    )
    assert old.store().read_meta(SYMBOL).known_gaps == expected
    old.migrate()
    assert old.store().read_meta(SYMBOL).known_gaps == expected


def test_a_wrong_checksum(old: Old) -> None:
    """The file is left out and named; the others come along."""
    path = old.shard(candles(), crc32=12345)
    old.shard(candles(DAY + DAY_MS))
    result = old.migrate(delete_legacy=True)
    assert len(result.errors) == 1
    assert str(path) in result.errors[0]
    assert "CRC-32" in result.errors[0]
    assert np.array_equal(old.store().read(SYMBOL), candles(DAY + DAY_MS))
    assert (path.exists(), result.deleted) == (True, 0)


def test_the_checksum_is_that_of_sorted_records(old: Old) -> None:
    """However the rows of a file are ordered."""
    path = old.shard(candles())
    np.save(path, np.load(path)[::-1])
    assert old.migrate().errors == []
    assert np.array_equal(old.store().read(SYMBOL), candles())


def test_damaged_files(tmp_path: Path) -> None:
    """What cannot be read, has another shape, or holds no candle of its day is an error that names the file."""
    path = tmp_path / "2023-10-31.npy"
    np.save(path, np.zeros((5, 3)))
    with pytest.raises(DataError, match=r"2023-10-31\.npy holds float64 of shape \(5, 3\)"):
        read_legacy_file(path, "1m")
    np.save(path, np.ones((5, 6)))
    with pytest.raises(DataError, match="none of its 5 rows is a candle of 2023-10-31"):
        read_legacy_file(path, "1m")
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DataError, match=r"2023-10-31\.npy is damaged"):
        read_legacy_file(path, "1m")


def test_rows_that_are_no_candles(old: Old) -> None:
    """They are left out and counted."""
    rows = candles()
    rows["l"][5], rows["c"][6], rows["bv"][7], rows["ts"][8], rows["ts"][9] = 0.0, np.nan, -1.0, DAY + 1, DAY - M
    rows["ts"][10] = DAY + DAY_MS
    old.history(rows, "ohlcvs_binanceusdm/BTC/2023-10-31.npy")
    assert old.migrate().series[0].dropped == 6
    assert np.array_equal(old.store().read(SYMBOL), np.delete(candles(), np.s_[5:11]))


def test_contracts(old: Old) -> None:
    """Shards of gateio and kucoin count contracts: they become base units, or stay where they are."""
    old.shard(candles(), "gateio/1m/BTC_USDT:USDT")
    old.history(candles(), "ohlcvs_gateio/ETH/2023-10-31.npy")
    result = old.migrate()
    assert "contract size is not in" in result.errors[0]
    assert len(old.store("gateio").read(SYMBOL)) == 0
    assert old.store("gateio").read("ETH/USDT:USDT")["bv"][0] == 0.125
    old.markets("gateio", BTC=0.5)
    old.history(candles(DAY + DAY_MS), "ohlcvs_gateio/BTC/2023-11-01.npy")
    assert old.migrate().errors == []
    assert old.store("gateio").read(SYMBOL)["bv"][[0, -1]].tolist() == [0.0625, 0.125]


def test_selection(old: Old) -> None:
    """By exchange, under either of its names, and by coin."""
    for folder in ("binance/1m/BTC_USDT:USDT", "binance/1m/ETH_USDT:USDT", "bybit/1m/BTC_USDT:USDT"):
        old.shard(candles(), folder)

    def found(**options: Any) -> list[tuple[str, str]]:
        return [(series.exchange, series.symbol[:3]) for series in old.migrate(execute=False, **options).series]

    assert found() == [("binance", "BTC"), ("binance", "ETH"), ("bybit", "BTC")]
    assert found(exchange="binanceusdm") == [("binance", "BTC"), ("binance", "ETH")]
    assert found(coins=frozenset({"BTC"})) == [("binance", "BTC"), ("bybit", "BTC")]


class FullDisk(CandleStore):
    """Refuses the third write."""

    writes = 0

    def write(self, symbol: str, candles: Candles, purpose: str = "store") -> WriteResult:
        FullDisk.writes += 1
        if FullDisk.writes == 3:
            raise RunError("cannot write: no space left")
        return super().write(symbol, candles, purpose)


def test_cut_off_and_done_again(old: Old) -> None:
    """What was stored stays, nothing is deleted; the next migration stores the rest, one after it nothing."""
    months = [date_to_ts(f"2023-{month:02d}-15") for month in range(5, 10)]
    for day in months:
        old.shard(candles(day, count=100))
    request = MigrationRequest(old.cache, old.folder, execute=True, delete_legacy=True)
    with pytest.raises(RunError):
        run_migration(request, old.clock, None, FullDisk)
    assert len(old.store().read(SYMBOL)) == 200
    assert len(list(old.folder.rglob("*.npy"))) == 5
    assert old.migrate().series[0].new == 300
    before = old.snapshot()
    assert old.migrate().series[0].new == 0
    assert old.snapshot() == before
    assert np.array_equal(old.store().read(SYMBOL), np.concatenate([candles(day, count=100) for day in months]))


def test_deletion(old: Old) -> None:
    """After a migration without errors the old files and empty folders are gone, all else stays."""
    old.shard(candles())
    old.shard(candles(), "binance/1m/BTC_USDT_USDT")
    kept = old.history(candles(), "ohlcvs_bybit/BTC/2023-10-31.npy").with_name("notes.txt")
    kept.write_text("mine")
    assert old.migrate(delete_legacy=True).deleted == 5
    assert not list(old.folder.rglob("*.npy"))
    assert not (old.cache / "ohlcv/binance/1m/BTC_USDT:USDT").exists()
    assert kept.exists()
    assert np.array_equal(old.store().read(SYMBOL), candles())


@given(st.lists(st.integers(1, 9_999_999), min_size=1), st.integers(0, 7))
def test_decimals_survive_single_precision(digits: list[int], places: int) -> None:
    """Numbers of up to seven digits come back as they were before they were stored in single precision."""
    numbers = np.array([float(f"{number}e-{places}") for number in digits])
    assert shortest_decimals(numbers.astype(np.float32)).tolist() == numbers.tolist()


def test_shortest_decimals_of_odd_numbers() -> None:
    """All other numbers round back to what was stored, too."""
    bits = np.random.default_rng(1).integers(0, 2**32, 20_000, dtype=np.uint32)
    numbers = bits.view(np.float32)[np.isfinite(bits.view(np.float32))]
    found = shortest_decimals(numbers)
    assert np.array_equal(found.astype(np.float32), numbers)
    assert found[:2000].tolist() == [float(str(number)) for number in numbers[:2000]]


def test_hint(old: Old) -> None:
    """Only users who have nothing but old files are told."""
    assert legacy_hint(old.cache, "binance") is None
    old.shard(candles(), "binanceusdm/1m/BTC_USDT:USDT")
    assert "migrate_historical_data.py --exchange binance" in (legacy_hint(old.cache, "binance") or "")
    old.migrate()
    assert legacy_hint(old.cache, "binanceusdm") is None


def test_the_program(old: Old) -> None:
    """Totals in both modes, a dry run that writes nothing, and its exit status."""
    old.shard(candles(), known_gaps=[[DAY + DAY_MS, DAY + DAY_MS + M]])
    before = old.snapshot()
    result = run_program(TOOL, "--dry-run", cwd=old.folder)
    assert (
        "1 markets, 1 files, 1440 rows, of which 1440 new to be stored (dry run, nothing was written)" in result.stdout
    )
    assert old.snapshot() == before
    result = run_program(TOOL, "--execute", "--delete-legacy", cwd=old.folder)
    assert "1 markets, 1 files, 1440 rows, of which 1440 new stored, 0 failures, 2 old files deleted" in result.stdout
    assert np.array_equal(old.store().read(SYMBOL), candles())
    old.shard(candles(DAY + DAY_MS), crc32=1)
    result = run_program(TOOL, "--execute", "--delete-legacy", cwd=old.folder, expect=1)
    assert "FAILED" in result.stdout
    assert "0 old files deleted because of the failures" in result.stdout
    assert "is no directory" in run_program(TOOL, "--dry-run", "--source", "x", cwd=old.folder, expect=2).stderr
    result = run_program(TOOL, "--dry-run", "--source", old.cache / "ohlcv" / "binance", cwd=old.folder)
    assert "no candles of older versions found below" in result.stdout


@pytest.mark.parametrize("flags", [[], ["--dry-run", "--execute"], ["--dry-run", "--delete-legacy"]])
def test_usage(tmp_path: Path, flags: list[str]) -> None:
    """One of two modes, and deletion only when something is done; else nothing happens."""
    result = run_program(TOOL, *flags, cwd=tmp_path, expect=2)
    assert "--execute" in result.stderr
    assert list(tmp_path.iterdir()) == []
