"""Looking at the candle cache, cleaning and comparing it (`candles.md` 21.1, 21.3), through the programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inspect_candles
import numpy as np
import pad_historical_daily
import pyarrow.parquet as pq
import pytest
import verify_hlcvs_data
from programs import run_program

from candles.checks.audit import problem_of, timeframe_of
from candles.checks.coverage import coverage_of, find_series
from candles.disk.store import CandleStore
from candles.gaps import KnownGap
from candles.older.padding import pad_file
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import DataError, StoreError
from core.program import run_program as in_process
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, REST, Candles

NOW = date_to_ts("2024-03-20T12:00")
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
START = date_to_ts("2024-01-30")

SOURCES = Path(__file__).resolve().parents[1] / "src"


def candles(start: int = START, count: int = 3 * 1440, src: int = REST, price: float = 100.0) -> Candles:
    out = np.empty(count, CANDLE_DTYPE)
    out["ts"] = start + M * np.arange(count)
    for name, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.5), ("bv", 3.0)):
        out[name] = price + offset
    out["src"] = src
    return out


def shifted(rows: Candles, ms: int) -> Candles:
    rows["ts"] += ms
    return rows


def with_nan(rows: Candles) -> Candles:
    rows["h"][3] = np.nan
    return rows


class Cache:
    """A working directory with a candle cache, and the programs started in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.store = CandleStore(folder / "caches", "binance", ManualClock(NOW))

    def files(self, symbol: str = BTC) -> list[Path]:
        return self.store.files(symbol)

    def day_file(self, name: str, rows: Candles, unit_ms: int = 1) -> Path:
        path = self.folder / "historical_data" / "ohlcvs_binanceusdm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.column_stack([rows["ts"] / unit_ms, *(rows[name] for name in ("o", "h", "l", "c", "bv"))]))
        return path

    def run(self, program: Any, *args: Any) -> tuple[int, str]:
        """Status and output; started in this process, which is quick."""
        status = in_process(program.main, [str(arg) for arg in args])
        out, err = self.capsys.readouterr()
        return status, out + err

    def verify(self, *args: Any) -> tuple[int, str]:
        return self.run(verify_hlcvs_data, *args)

    def inspect(self, *args: Any) -> tuple[int, str]:
        return self.run(inspect_candles, *args)


@pytest.fixture
def cache(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.chdir(tmp_path)
    return Cache(tmp_path, capsys)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_coverage(cache: Cache) -> None:
    """By month: rows, of those between the first and the last, where they come from, when they were written."""
    rows = np.delete(candles(), np.s_[100:110])
    rows["src"][2000:] = ARCHIVE
    rows["src"][4000:] = ARCHIVE_FILL
    cache.store.write(BTC, rows, "test")
    cache.store.write(BTC, candles(date_to_ts("2024-03-19"), 60))
    cache.store.update_meta(BTC, lambda meta: meta.with_gaps([KnownGap(START, START, 3, "manual", 0)]))
    (series,) = find_series(cache.folder / "caches")
    assert (series.exchange, series.timeframe, series.symbol) == ("binance", "1m", BTC)
    found = coverage_of(series, cache.folder / "caches", ManualClock(NOW))
    january, february, march = found.months
    assert (january.rows, january.expected, january.files, january.written_at) == (2870, 2880, 1, NOW)
    assert january.sources == {"rest": 2000, "archive": 870}
    assert february.sources == {"archive": 1130, "fill": 310}
    assert (february.month, february.expected) == ("2024-02", 29 * 1440)
    assert (march.rows, march.expected) == (60, 18 * 1440 + 60)
    assert (found.first_ts, found.last_ts) == (START, date_to_ts("2024-03-19") + 59 * M)
    assert f"by process {os.getpid()}" in found.writer
    assert found.writer.startswith("2024-03-20T12:00:00, ")
    assert found.errors == ()


def test_coverage_of_hours(cache: Cache) -> None:
    """Other timeframes count their own periods."""
    rows = candles(count=48)
    rows["ts"] = START + HOUR_MS * np.arange(48)
    CandleStore(cache.folder / "caches", "binance", ManualClock(NOW), "1h").write(BTC, rows)
    (series,) = find_series(cache.folder / "caches")
    (month,) = coverage_of(series, cache.folder / "caches", ManualClock(NOW)).months
    assert (series.timeframe, month.rows, month.expected) == ("1h", 48, 48)


def test_inspect(cache: Cache) -> None:
    """A line a market; months and gaps of the coins that are named."""
    cache.store.write(BTC, np.delete(candles(), np.s_[100:110]))
    cache.store.write(ETH, candles())
    cache.store.update_meta(BTC, lambda meta: meta.with_gaps([KnownGap(START, START, 2, "fetch_failed", 0)]))
    status, output = cache.inspect()
    assert status == 0
    assert [line.split()[5:11:2] for line in output.splitlines() if "│ binance" in line] == [
        [BTC, "4310", "10"],
        [ETH, "4320", "0"],
    ]
    assert "2024-02" not in output.replace("2024-02-01T23:59", "")
    status, output = cache.inspect("--coins", "BTC", "--exchange", "binanceusdm")
    assert "ETH" not in output
    assert "99.65%" in output
    assert "rest 2870" in output
    assert "fetch_failed" in output


def test_inspect_without_candles(cache: Cache) -> None:
    """Nothing found is an error; so is a coin that is not there."""
    assert cache.inspect() == (1, "error: no such candles below caches/ohlcv\n")
    cache.store.write(BTC, candles())
    assert cache.inspect("--coins", "DOGE")[0] == 1
    assert cache.inspect("--timeframe", "1h")[0] == 1


def test_inspect_changes_nothing(cache: Cache) -> None:
    """A damaged file stays where it is; the status says that it is there."""
    cache.store.write(BTC, candles())
    damage(cache.files()[0])
    before = {path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()}
    status, output = cache.inspect()
    assert status == 1
    assert f"WRONG {cache.files()[0].relative_to(cache.folder)} is damaged" in output
    assert {path: path.read_bytes() for path in cache.folder.rglob("*") if path.is_file()} == before


def test_verify_compares_with_meta(cache: Cache) -> None:
    """First candle, inception and gaps must fit the candles."""
    cache.store.write(BTC, candles())
    assert "1 markets verified, 0 errors" in cache.inspect("--verify")[1]
    path = cache.store.directory(BTC) / "meta.json"
    meta = json.loads(path.read_text())
    gap = {"start_ts": START, "end_ts": START + 4 * M, "retry_count": 1, "reason": "manual", "added_at": 0}
    path.write_text(json.dumps(meta | {"first_seen_ts": START + M, "inception_ts": START + M, "known_gaps": [gap]}))
    status, output = cache.inspect("--verify")
    assert status == 1
    for text in ("the first candle is of", "before the inception", "5 candles in the gap", "3 errors"):
        assert text in output
    assert cache.inspect()[0] == 0


def test_clear_gaps(cache: Cache) -> None:
    """Those of the markets shown are forgotten, no others."""
    for symbol in (BTC, ETH):
        cache.store.write(symbol, candles())
        cache.store.update_meta(symbol, lambda meta: meta.with_gaps([KnownGap(0, M, 3, "manual", 0)]))
    status, output = cache.inspect("--coins", "BTC", "--clear-gaps")
    assert (status, "binance BTC/USDT:USDT 1m: 1 gaps forgotten" in output) == (0, True)
    assert [len(cache.store.read_meta(symbol).known_gaps) for symbol in (BTC, ETH)] == [0, 1]


def test_summarize_historical(cache: Cache) -> None:
    """One line a market, in the store's form or an older one; hashes do not depend on how rows are packed."""
    cache.store.write(BTC, candles())
    early = CandleStore(cache.folder / "elsewhere", "binance", ManualClock(START + 4 * DAY_MS))
    early.write(BTC, candles(src=ARCHIVE))
    assert len(early.files(BTC)) > len(cache.files())
    cache.day_file("BTC/2024-01-30.npy", np.delete(candles(count=1440), 7))
    status, output = cache.verify("summarize-historical", "caches", "elsewhere", "historical_data", "--hash", "--json")
    assert status == 0
    store, days, old = json.loads(output)
    assert store["folder"] == "caches/ohlcv/binance/1m/BTC_USDT_USDT"
    assert (store["rows"], store["full_days"], store["missing"], store["contiguous"]) == (4320, 3, 0, True)
    assert (store["first_ts"], store["last_ts"], store["nan"]) == (START, START + 4319 * M, 0)
    assert store["sha256"] == days["sha256"]
    assert (old["rows"], old["full_days"], old["missing"], old["regular"], old["ordered"]) == (1439, 0, 1, False, True)
    status, output = cache.verify("summarize-historical", "--fast", "--progress")
    assert status == 0
    assert [line.split("\t")[1:3] for line in output.splitlines()[1:]] == [["2", "4320"], ["1", "1439"]]


def test_bad_candle_files(cache: Cache) -> None:
    """They are listed, and deleted on demand; the rest stays."""
    cache.store.write(BTC, candles())
    cache.store.write(ETH, candles())
    damage(cache.files()[0])
    good = cache.day_file("BTC/2024-01-30.npy", candles(count=1440))
    short = cache.day_file("BTC/2024-01-31.npy", candles(START + DAY_MS, 1000))
    status, output = cache.verify("clean-historical")
    assert status == 1
    assert f"{cache.files()[0].relative_to(cache.folder)} is damaged" in output
    assert f"{short.relative_to(cache.folder)} has 1000 rows, not 1440" in output
    assert "2 bad files; --apply deletes them" in output
    assert short.exists()
    assert cache.verify("summarize-historical", "caches")[0] == 1
    assert "BAD" in cache.verify("summarize-historical")[1]
    bad = cache.files()[0]
    assert "2 bad files deleted" in cache.verify("clean-historical", "--apply")[1]
    assert (bad.exists(), short.exists(), good.exists(), len(cache.files(ETH))) == (False, False, True, 2)
    assert json.loads((bad.parent / ".lock").read_text())["purpose"] == "clean"
    assert cache.verify("clean-historical") == (0, "0 bad files\n")


def test_a_file_of_another_market(cache: Cache) -> None:
    """A file that was copied into the folder of another market is bad."""
    for symbol in (BTC, ETH):
        cache.store.write(symbol, candles())
    cache.files(ETH)[0].write_bytes(cache.files()[0].read_bytes())
    assert "holds candles of BTC/USDT:USDT, not those of its folder" in (problem_of(cache.files(ETH)[0]) or "")


@pytest.mark.parametrize("change", [lambda rows: rows[::-1], with_nan])
def test_summaries_of_odd_files(cache: Cache, change: Callable[[Candles], Candles]) -> None:
    """Missing numbers and times that do not ascend show in the status."""
    assert cache.day_file("BTC/2024-01-30.npy", candles(count=1440)).exists()
    assert cache.verify("summarize-historical")[0] == 0
    cache.day_file("BTC/2024-01-30.npy", change(candles(count=1440)))
    assert cache.verify("summarize-historical")[0] == 1


def test_what_is_bad(cache: Cache) -> None:
    """Times must ascend, lie on the grid and in the file's period; no number may be missing."""
    for change, text in (
        (lambda rows: rows[::-1], "do not ascend"),
        (lambda rows: shifted(rows, 1), "off the candle grid"),
        (lambda rows: shifted(rows, DAY_MS), "outside its period"),
        (with_nan, "missing"),
    ):
        path = cache.day_file("BTC/2024-01-30.npy", change(candles(count=1440)))
        assert text in (problem_of(path) or "")
    assert problem_of(cache.day_file("BTC/2024-01-30.npy", candles(count=1440), 1000)) is None
    assert problem_of(cache.day_file("BTC/2024-01.npy", candles(count=700))) is None


def test_shards_need_not_be_whole(cache: Cache) -> None:
    """Records of the older manager hold the rows that there are."""
    path = cache.folder / "caches/ohlcv/binance/1m/X/2024-01-30.npy"
    path.parent.mkdir(parents=True)
    np.save(path, candles(count=50))
    assert problem_of(path) is None
    assert timeframe_of(path) == "1m"
    assert timeframe_of(cache.day_file("BTC/2024-01-30.npy", candles())) == "1m"


def test_newer_files_are_not_judged(cache: Cache) -> None:
    """What a newer program wrote is not bad, and is never deleted."""
    cache.store.write(BTC, candles())
    path = cache.files()[0]
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"pb.schema": b"2"}), path)
    with pytest.raises(StoreError, match="newer version"):
        problem_of(path)
    assert cache.verify("clean-historical", "--apply")[0] == 1
    assert path.exists()


def test_hashes(cache: Cache) -> None:
    """Manifests name files by their place below the root; differences are listed, local files deleted on demand."""
    for symbol in (BTC, ETH):
        cache.store.write(symbol, candles())
    assert cache.verify("hash-historical", "--output", "mine.json") == (0, "4 hashes written to mine.json\n")
    mine = json.loads(Path("mine.json").read_text())
    assert sorted(mine) == ["files", "generated_at", "roots"]
    assert sorted(mine["files"])[0] == "binance/1m/BTC_USDT_USDT/2024-01.parquet"
    theirs = mine | {"files": {name: digest for name, digest in mine["files"].items() if "ETH" not in name}}
    Path("theirs.json").write_text(json.dumps(theirs))
    assert cache.verify("compare-historical-hashes", "mine.json", "mine.json") == (0, "identical\n")
    theirs["files"]["binance/1m/BTC_USDT_USDT/2024-02.parquet"] = "0"
    theirs["files"]["../../mine.json"] = "0"
    theirs["files"]["gone/2024-01.parquet"], mine["files"]["gone/2024-01.parquet"] = "0", "1"
    Path("theirs.json").write_text(json.dumps(theirs))
    Path("mine.json").write_text(json.dumps(mine))
    status, output = cache.verify("compare-historical-hashes", "mine.json", "theirs.json")
    assert status == 1
    assert output.splitlines() == [
        "only in B\t../../mine.json",
        "differs\tbinance/1m/BTC_USDT_USDT/2024-02.parquet",
        "only in A\tbinance/1m/ETH_USDT_USDT/2024-01.parquet",
        "only in A\tbinance/1m/ETH_USDT_USDT/2024-02.parquet",
        "differs\tgone/2024-01.parquet",
        "5 differences",
    ]
    flags = ("compare-historical-hashes", "mine.json", "theirs.json", "--apply")
    assert cache.verify(*flags)[0] == 2
    assert "1 files deleted" in cache.verify(*flags, "--local-root", "caches/ohlcv")[1]
    assert [path.name for path in cache.files()] == ["2024-01.parquet"]
    assert len(cache.files(ETH)) == 2
    assert cache.verify("hash-historical", "caches/ohlcv", "caches/ohlcv", "--output", "x.json")[0] == 2


def test_hashes_go_with_the_data(cache: Cache) -> None:
    """Another price is another hash; another source or time of writing is not."""
    cache.store.write(BTC, candles())
    cache.verify("hash-historical", "--output", "a.json")
    path = cache.folder / "b"
    for price, expected in ((100.0, 0), (100.25, 1)):
        later = CandleStore(path / str(price), "binance", ManualClock(NOW + 1))
        later.write(BTC, candles(src=ARCHIVE, price=price))
        cache.verify("hash-historical", path / str(price) / "ohlcv", "--output", "b.json")
        assert cache.verify("compare-historical-hashes", "a.json", "b.json")[0] == expected


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[]"])
def test_no_manifest(cache: Cache, content: str) -> None:
    """What is no manifest is named."""
    Path("x.json").write_text(content)
    status, output = cache.verify("compare-historical-hashes", "x.json", "x.json")
    assert status in (1, 2)
    assert "x.json" in output


@pytest.mark.parametrize("unit_ms", [1, 1000])
def test_padding(cache: Cache, unit_ms: int) -> None:
    """A day becomes whole: leading minutes at its first close, others at the close before; the unit stays."""
    rows = candles(count=1440)[[5, 6, 700, 800]]
    rows["c"][:] = [100.0, 101.0, 102.0, 103.0]
    rows["h"][3] = np.nan
    path = cache.day_file("BTC/2024-01-30.npy", rows, unit_ms)
    whole = cache.day_file("BTC/2024-01-31.npy", candles(START + DAY_MS, 1440), unit_ms)
    before, inode = path.read_bytes(), whole.stat().st_ino
    status, output = cache.run(pad_historical_daily, "--dry-run")
    assert "2 day files, 1 to be filled up (dry run) with 1437 rows, 0 failures" in output
    assert path.read_bytes() == before
    status, output = cache.run(pad_historical_daily)
    assert (status, "1437 rows added" in output) == (0, True)
    array = np.load(path)
    assert array[:, 0].tolist() == [(START + i * M) / unit_ms for i in range(1440)]
    assert array[[0, 4, 5, 6, 699, 700, 1439], 4].tolist() == [100, 100, 100, 101, 101, 102, 102]
    assert array[[0, 5, 8, 700], 5].tolist() == [0, 103, 0, 103]
    assert array[0, 1:5].tolist() == [100.0] * 4
    assert whole.stat().st_ino == inode
    assert "1 filled up" not in cache.run(pad_historical_daily)[1]


def test_what_is_not_padded(cache: Cache) -> None:
    """Days that are not over, records of the older manager; damaged files and such with further columns are errors."""
    today = cache.day_file("BTC/2024-03-20.npy", candles(date_to_ts("2024-03-20"), 700))
    assert pad_file(today, NOW) == 0
    assert len(np.load(today)) == 700
    shard = cache.folder / "2024-01-30.npy"
    np.save(shard, candles(count=5))
    assert pad_file(shard, NOW) == 0
    empty = cache.day_file("BTC/2024-01-30.npy", candles(START + DAY_MS, 10))
    with pytest.raises(DataError, match="no row of 2024-01-30"):
        pad_file(empty, NOW)
    np.save(empty, np.ones((3, 8)))
    with pytest.raises(DataError, match="8 columns"):
        pad_file(empty, NOW)
    status, output = cache.run(pad_historical_daily)
    assert (status, "FAILED" in output, "1 failures" in output) == (1, True, True)


def test_the_programs(tmp_path: Path) -> None:
    """Each starts from the command line, and answers wrong words with status 2."""
    store = CandleStore(tmp_path / "caches", "binance", ManualClock(NOW))
    store.write(BTC, candles())
    assert "1 markets verified" in run_program("tools/inspect_candles.py", "--verify", cwd=tmp_path).stdout
    assert "0 bad files" in run_program("tools/verify_hlcvs_data.py", "clean-historical", cwd=tmp_path).stdout
    wrong = run_program("tools/pad_historical_daily.py", cwd=tmp_path, expect=2)
    assert wrong.stderr == "error: historical_data is no directory; name one with candle files\n"
    run_program("tools/inspect_candles.py", "--nonsense", cwd=tmp_path, expect=2)


@pytest.mark.parametrize(
    "name", ["inspect_candles", "verify_hlcvs_data", "pad_historical_daily", "migrate_historical_data"]
)
def test_help_needs_nothing_heavy(name: str, tmp_path: Path) -> None:
    """The help texts have examples, and come without numpy."""
    program = (
        f"import sys; sys.path[:0] = {[str(SOURCES), str(SOURCES / 'tools')]!r}; import {name}\n"
        "assert 'examples:' in {0}.parser().format_help()\n"
        "assert 'numpy' not in sys.modules and 'pyarrow' not in sys.modules\n"
    ).replace("{0}", name)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
