"""Importing candles (`candles.md` 20.1-20.4): the program, what it reads, what it refuses, what it writes."""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candles.disk.store import CandleStore
from candles.importing.reader import ReadOptions, read_candles
from core.clock import MINUTE_MS as M
from core.clock import ManualClock, SystemClock
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from markets.candle import CANDLE_DTYPE, IMPORT, Candles
from simulation.dataset import prepare_dataset
from simulation.request import DatasetRequest

sys.path.append(str(Path(__file__).resolve().parents[1] / "src" / "tools"))  # tools find `_src_path` beside them
from import_candles import main

NOW = date_to_ts("2024-06-01")
T0 = date_to_ts("2024-01-31T22:00")
DEFAULTS = {"price_step": 0.01, "qty_step": 0.001, "maker_fee": 0.0002, "taker_fee": 0.0005}


def frame(count: int = 240, start: int = T0, price: float = 100.0) -> pd.DataFrame:
    steps = np.arange(count)
    return pd.DataFrame(
        {
            "timestamp": start + M * steps,
            "open": price + steps / 100,
            "high": price + 1 + steps / 100,
            "low": price - 1 + steps / 100,
            "close": price + 0.5 + steps / 100,
            "volume": 3.25 + steps,
        }
    )


def expected(data: pd.DataFrame) -> Candles:
    out = np.empty(len(data), CANDLE_DTYPE)
    for name, column in zip(("ts", "o", "h", "l", "c", "bv"), data.columns, strict=False):
        out[name] = data[column].to_numpy()
    out["src"] = IMPORT
    return out


class Import:
    """The program with its usual flags, in a directory of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.cache, self.capsys = folder, folder / "caches", capsys
        self.settings = folder / "settings.json"
        self.set(coins={"BTC": {}, "ETH": {}})

    def set(self, **content: Any) -> None:
        self.settings.write_text(json.dumps({"defaults": DEFAULTS, **content}))

    def csv(self, name: str, data: pd.DataFrame, **options: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.to_csv(path, index=False, **options)
        return path

    def __call__(self, *args: Any, exchange: str = "local") -> tuple[int, str]:
        flags = ["--exchange", exchange, "--market-settings", self.settings, "--cache-dir", self.cache]
        status = main([str(arg) for arg in (*args, *flags)])
        out, err = self.capsys.readouterr()
        return status, out + err

    @property
    def store(self) -> CandleStore:
        return CandleStore(self.cache, "local", SystemClock())

    def rows(self, coin: str = "BTC") -> Candles:
        return self.store.read(f"{coin}/USDT:USDT")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    return Import(tmp_path, capsys)


def test_what_is_written(run: Import) -> None:
    """Candles, meta data with known gaps, markets, coin maps, first timestamps and the manifest."""
    data = frame().drop(index=range(100, 110))
    run.set(coins={"BTC": {"min_qty": 0.002, "inception": "2019-09-08"}})
    status, text = run(run.csv("BTC.csv", data))
    assert status == 0, text
    assert "230" in text
    assert np.array_equal(run.rows(), expected(data))
    meta = run.store.read_meta("BTC/USDT:USDT")
    assert (meta.inception_ts, meta.inception_source) == (date_to_ts("2019-09-08"), "import")
    assert [(gap.start_ts, gap.end_ts, gap.reason, gap.retry_count) for gap in meta.known_gaps] == [
        (T0 + 100 * M, T0 + 109 * M, "manual", 3)
    ]
    entry = json.loads((run.cache / "local" / "markets.json").read_text())["BTC/USDT:USDT"]
    assert entry == {
        "id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "baseName": "BTC", "quote": "USDT", "settle": "USDT",
        "active": True, "swap": True, "linear": True, "contract": True, "contractSize": 1.0,
        "maker": 0.0002, "taker": 0.0005, "limits": {"amount": {"min": 0.002}, "cost": {"min": None}},
        "precision": {"amount": 0.001, "price": 0.01}, "info": {"source": "import"},
    }  # fmt: skip
    assert json.loads((run.cache / "local" / "coin_to_symbol_map.json").read_text()) == {"BTC": ["BTC/USDT:USDT"]}
    assert json.loads((run.cache / "symbol_to_coin_map.json").read_text())["BTCUSDT"] == "BTC"
    for name in ("local/first_timestamps.json", "first_ohlcv_timestamps_unified.json"):
        assert json.loads((run.cache / name).read_text()) == {"BTC": date_to_ts("2019-09-08")}
    nested = json.loads((run.cache / "first_ohlcv_timestamps_unified_exchange_specific.json").read_text())
    assert nested == {"BTC": {"local": date_to_ts("2019-09-08")}}
    (done,) = json.loads((run.cache / "ohlcv" / "local" / "import_manifest.json").read_text())["imports"]
    assert done["coins"][0]["written"] == {"added": 230, "replaced": 0}
    assert len(done["inputs"][0]["sha256"]) == 64


def as_zip(path: Path, data: pd.DataFrame) -> Path:
    """Two members, without header, as some archives have them."""
    path = path.with_suffix(".zip")
    half = len(data) // 2
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", data[:half].to_csv(index=False, header=False))
        archive.writestr("b.csv", data[half:].to_csv(index=False, header=False))
    return path


def as_gz(path: Path, data: pd.DataFrame) -> Path:
    path = path.with_suffix(".csv.gz")
    path.write_bytes(gzip.compress(data.to_csv(index=False).encode()))
    return path


def as_parquet(path: Path, data: pd.DataFrame) -> Path:
    data.assign(timestamp=pd.to_datetime(data["timestamp"], unit="ms", utc=True)).to_parquet(
        path.with_suffix(".parquet")
    )
    return path.with_suffix(".parquet")


def as_feather(path: Path, data: pd.DataFrame) -> Path:
    data.to_feather(path.with_suffix(".feather"))
    return path.with_suffix(".feather")


def as_npy(path: Path, data: pd.DataFrame) -> Path:
    np.save(path.with_suffix(".npy"), data.to_numpy(dtype=float))
    return path.with_suffix(".npy")


def as_structured_npy(path: Path, data: pd.DataFrame) -> Path:
    np.save(path.with_suffix(".npy"), expected(data))
    return path.with_suffix(".npy")


@pytest.mark.parametrize("store_as", [as_zip, as_gz, as_parquet, as_feather, as_npy, as_structured_npy])
def test_formats(run: Import, store_as: Callable[[Path, pd.DataFrame], Path]) -> None:
    """Every format gives the same rows, across the end of a month."""
    status, text = run(store_as(run.folder / "BTC", frame()))
    assert (status, text.count("FAILED")) == (0, 0)
    assert np.array_equal(run.rows(), expected(frame()))


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        (lambda d: d.assign(timestamp=d["timestamp"] // 1000), []),
        (lambda d: d.assign(timestamp=d["timestamp"] * 1000), []),
        (lambda d: d.assign(timestamp=d["timestamp"] * 1_000_000), ["--ts-unit", "ns"]),
        (lambda d: d.assign(timestamp=[ts_to_date(ts) for ts in d["timestamp"]]), []),
        (lambda d: d.assign(timestamp=[ts_to_date(ts).replace("T", " ") + "+00:00" for ts in d["timestamp"]]), []),
        (
            lambda d: d.assign(timestamp=[ts_to_date(ts + 3_600_000) for ts in d["timestamp"]]),
            ["--tz", "Europe/Berlin"],
        ),
        (lambda d: d.assign(timestamp=d["timestamp"] + M), ["--ts-is", "close"]),
        (lambda d: d.assign(timestamp=d["timestamp"] + M - 1), ["--ts-is", "close"]),
        (lambda d: d.rename(columns={"timestamp": "Open_Time", "open": "O", "high": "H", "volume": "Base_Volume"}), []),
        (lambda d: d.rename(columns={"timestamp": "t", "volume": "q"}), ["--columns", "ts=t,bv=q"]),
        (lambda d: d.assign(volume=d["volume"] * d["close"]), ["--volume", "quote"]),
        (lambda d: d.iloc[::-1], []),
        (lambda d: pd.concat((d.assign(close=1.0, low=1.0), d)), []),
        (lambda d: d.assign(extra="text", close_time=0), []),
    ],
)
def test_reading(run: Import, change: Callable[[pd.DataFrame], pd.DataFrame], flags: list[str]) -> None:
    """Units, zones, close times, names, volumes, order and repeated rows: the same candles come out."""
    status, text = run(run.csv("BTC.csv", change(frame())), *flags)
    assert (status, text.count("FAILED")) == (0, 0), text
    rows, wanted = run.rows(), expected(frame())
    assert np.allclose(rows["bv"], wanted["bv"], rtol=1e-15)
    rows["bv"] = wanted["bv"]
    assert np.array_equal(rows, wanted)


def test_contract_volume_and_missing_volume(run: Import) -> None:
    """Contracts count c_mult base units each; no volume column means no volume."""
    run.set(coins={"BTC": {"c_mult": 0.5}, "ETH": {}})
    run(run.csv("BTC.csv", frame(5)), run.csv("ETH.csv", frame(5).drop(columns="volume")), "--volume", "contracts")
    assert run.rows()["bv"].tolist() == [(3.25 + step) * 0.5 for step in range(5)]
    assert run.rows("ETH")["bv"].tolist() == [0.0] * 5


def test_exact_doubles(run: Import) -> None:
    """Decimals become the nearest doubles, as Python reads them."""
    texts = ["65432.17", "0.1", "123456.789012345678", "1e-7", "9007199254740993"]
    lines = [f"{T0 + i * M};{text};{text};{text};{text};1" for i, text in enumerate(texts)]
    (run.folder / "BTC.csv").write_text(
        "\ufefftime;open;high;low;close;volume\r\n" + "\r\n".join(lines) + "\r\n", encoding="utf-8"
    )
    assert run(run.folder / "BTC.csv")[0] == 0
    assert run.rows()["c"].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "coin"),
    [
        ("BTC.csv", "BTC"),
        ("BTCUSDT-1m-2024-01.csv", "BTC"),
        ("BTC_USDT_USDT.csv", "BTC"),
        ("1000SHIBUSDT-1m-2024-01-31.csv", "SHIB"),
        ("SHIB.csv", "SHIB"),
        ("ETH/2024-01-31.csv", "ETH"),
    ],
)
def test_coin_from_the_file_name(run: Import, name: str, coin: str) -> None:
    """Coin, market id, symbol or the folder of files named after dates."""
    symbol = "1000SHIB/USDT:USDT"
    run.set(coins={"BTC": {}, "ETH": {}, "SHIB": {"symbol": symbol}})
    assert run(run.csv(name, frame(5)))[0] == 0
    assert len(run.store.read(symbol if coin == "SHIB" else f"{coin}/USDT:USDT")) == 5


@pytest.mark.parametrize("flag", [["--coin", "ETH"], ["--symbol", "ETH/USDT:USDT"]])
def test_coin_by_flag(run: Import, flag: list[str]) -> None:
    """A flag overrules the name."""
    assert run(run.csv("BTC.csv", frame(5)), *flag)[0] == 0
    assert (len(run.rows("ETH")), len(run.rows("BTC"))) == (5, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.iloc[::5], "holds candles of 300 s; one-minute candles are needed"),
        (lambda d: d.drop(columns="close"), "no column for close, there are"),
        (lambda d: d.assign(close=np.nan), "240 of 240 rows are bad; row 1: a number is missing or not finite"),
        (lambda d: d.assign(low=-1.0), "a price is not positive"),
        (lambda d: d.assign(open="n/a"), "a number is missing or not finite"),
        (lambda d: d.assign(volume=-5.0), "volume is negative"),
        (lambda d: d.assign(high=50.0), "high is below open or close"),
        (lambda d: d.assign(low=500.0), "low is above open or close"),
        (lambda d: d.assign(timestamp=d["timestamp"] + 1), "time is not a full minute"),
        (lambda d: d.assign(timestamp=range(240)), "time is not readable or outside 2009"),
        (lambda d: d.assign(timestamp=d["timestamp"] + 10**13), "outside 2009 .. now (wrong --ts-unit?)"),
        (lambda d: d.assign(timestamp="soon"), "time is not readable"),
        (lambda d: d[:0], "holds no rows"),
    ],
)
def test_refused_files(run: Import, change: Callable[[pd.DataFrame], pd.DataFrame], reason: str) -> None:
    """A file that is wrong as a whole fails with one line, the others are imported, the status is 1."""
    bad = run.csv("BTC.csv", change(frame()))
    status, text = run(bad, run.csv("ETH.csv", frame()))
    assert status == 1
    (line,) = [line for line in text.splitlines() if "FAILED" in line]
    assert str(bad) in line
    assert reason in line
    assert len(run.rows("ETH")) == 240
    assert not run.store.directory("BTC/USDT:USDT").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("BTC.parquet", b"PAR1 no", "cannot be read"),
        ("BTC.zip", b"PK no", "cannot be read"),
        ("BTC.csv.gz", b"\x1f\x8b", "cannot be read"),
        ("BTC.npy", b"no", "cannot be read"),
        ("BTC.csv", b"", "cannot be read"),
        ("BTC.csv", b"time,open,high,low,close\n1,2\n", "cannot be read"),
        ("BTC.csv", bytes(range(256)), "BTC.csv"),
    ],
)
def test_malformed_files(run: Import, name: str, content: bytes, reason: str) -> None:
    """Garbage is one clear line naming the file, and nothing is written."""
    (run.folder / name).write_bytes(content)
    status, text = run(run.folder / name)
    assert status == 1
    assert text.count("FAILED") == 1
    assert reason in text
    assert not run.cache.exists()


def test_few_bad_rows_are_dropped_and_listed(run: Import) -> None:
    """One row in a thousand may be bad."""
    data = frame(2000)
    data.loc[500, "close"] = 0.0
    status, text = run(run.csv("BTC.csv", pd.concat((data, data[-1:]))))
    assert status == 0
    assert "1 bad rows dropped, 1 times given twice" in text
    assert f"row 501: a price is not positive: {ts_to_date(T0 + 500 * M)}" in text
    assert len(run.rows()) == 1999


def test_minute_in_progress(tmp_path: Path) -> None:
    """A candle that is not over yet is no candle."""
    path = tmp_path / "BTC.csv"
    frame(2000).to_csv(path, index=False)
    clock = ManualClock(T0 + 1999 * M + 30_000)
    rows, report = read_candles(path, ReadOptions(), 1.0, clock.now_ms())
    assert (len(rows), report.dropped) == (1999, 1)
    assert report.complaints[0].startswith("row 2000: minute is not over yet")
    with pytest.raises(DataError, match="minute is not over yet"):
        read_candles(path, ReadOptions(), 1.0, T0 + 100 * M)


def test_conflicts(run: Import) -> None:
    """Replace, keep or refuse what is stored with other values."""
    run(run.csv("BTC.csv", frame(10)))
    later = run.csv("BTC.csv", frame(10, T0 + 5 * M, price=7.0))
    status, text = run(later, "--on-conflict", "error")
    assert status == 1
    assert "5 minutes are stored with other values" in text
    assert len(run.rows()) == 10
    assert run(later, "--on-conflict", "keep")[0] == 0
    assert run.rows()["o"][5] == 100.05
    assert len(run.rows()) == 15
    assert run(later)[0] == 0
    assert np.array_equal(run.rows()[5:], expected(frame(10, T0 + 5 * M, price=7.0)))
    assert run(later, "--on-conflict", "error")[0] == 0


def test_second_import_fills_gaps_and_keeps_other_coins(run: Import) -> None:
    """Markets and first timestamps are merged; rows that arrive end their gap."""
    run(run.csv("BTC.csv", frame(20).drop(index=range(5, 10))))
    run(run.csv("ETH.csv", frame(20, T0 - 60 * M)))
    run(run.csv("BTC.csv", frame(20)))
    assert run.store.read_meta("BTC/USDT:USDT").known_gaps == ()
    assert len(json.loads((run.cache / "local" / "markets.json").read_text())) == 2
    assert json.loads((run.cache / "local" / "first_timestamps.json").read_text()) == {"BTC": T0, "ETH": T0 - 60 * M}


def test_dry_run(run: Import) -> None:
    """Everything is read and checked, nothing is written."""
    status, text = run(run.csv("BTC.csv", frame()), "--dry-run")
    assert status == 0
    assert "240" in text
    assert "dry run" in text
    assert not run.cache.exists()


def test_flat_btc(run: Import) -> None:
    """One price over the range of what is imported, with no market to trade."""
    assert run(run.csv("ETH.csv", frame(30)), "--btc-flat", "30000")[0] == 0
    assert run.rows()["c"].tolist() == [30000.0] * 30
    assert list(json.loads((run.cache / "local" / "markets.json").read_text())) == ["ETH/USDT:USDT"]
    status, text = run(run.csv("BTC.csv", frame(30)), "--btc-flat", "30000")
    assert status == 2
    assert "--btc-flat is for imports without BTC" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"coins": {"BTC": {"price_stop": 1}}}, "coins.BTC has unknown keys price_stop"),
        ({"coin": {}}, "has unknown keys coin"),
        ({"coins": {"BTC": []}}, "coins.BTC is list, an object is needed"),
        (
            {"coins": {"BTC": {}}, "defaults": {"price_step": 1, "maker_fee": 0, "taker_fee": 0}},
            "coins.BTC.qty_step is missing",
        ),
        ({"coins": {"BTC": {"qty_step": "1"}}}, "coins.BTC.qty_step is '1', a number is needed"),
        ({"coins": {"BTC": {"qty_step": 0}}}, "coins.BTC.qty_step is 0, it must be a number above 0"),
        ({"coins": {"BTC": {"maker_fee": 0.1}}}, "coins.BTC.maker_fee is 0.1, it must be a fraction"),
        ({"coins": {"BTC": {"symbol": "BTCUSDT"}}}, "coins.BTC.symbol is 'BTCUSDT', it must look like"),
        ({"coins": {"BTC": {"symbol": "ETH/USDT:USDT"}}}, "the coin of symbol ETH/USDT:USDT is ETH"),
        ({"coins": {"BTC": {"symbol": "BTC/USDC:USDC"}}}, "but the quote currency is USDT"),
        ({"coins": {"BTC": {"inception": "yesterday"}}}, "Unable to parse date string 'yesterday'"),
        ({"coins": {"ETH": {}}}, "'BTC' is no coin of"),
        ({"quote": 5, "coins": {}}, "quote is 5"),
    ],
)
def test_settings_errors(run: Import, content: dict[str, Any], message: str) -> None:
    """Wrong settings are a usage error naming the key, before anything is written."""
    run.set(**content)
    status, text = run(run.csv("BTC.csv", frame(5)))
    assert status == 2
    assert message in text
    assert len(text.strip().splitlines()) == 1
    assert not run.cache.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing.csv"], "missing.csv does not exist"),
        (["settings.json"], "can be imported"),
        (["BTC.csv", "--coin", "A", "--symbol", "B"], "exclude each other"),
        (["BTC.csv", "--columns", "x=y"], "--columns x=y: write it as"),
        (["BTC.csv", "--btc-flat", "-1"], "--btc-flat -1.0"),
        (["BTC.csv", "--tz", "Mars/Base"], "--tz Mars/Base"),
    ],
)
def test_usage_errors(run: Import, args: list[str], message: str) -> None:
    """What cannot be meant is refused with status 2."""
    run.csv("BTC.csv", frame(5))
    status, text = run(*[run.folder / arg if arg.endswith((".csv", ".json")) else arg for arg in args])
    assert status == 2
    assert message in text
    assert not run.cache.exists()


@pytest.mark.parametrize("exchange", ["sample", "Bad Name"])
def test_exchange_names(run: Import, exchange: str) -> None:
    """The built-in exchange takes no candles; names are short and plain."""
    assert run(run.csv("BTC.csv", frame(5)), exchange=exchange)[0] == 2


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows examples and the exit status."""
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "Exit status" in text


def golden_settings(folder: Path, target: Path) -> dict[str, Any]:
    """The golden market file in the form of imports."""
    names = {"maker": "maker_fee", "taker": "taker_fee"}
    markets = json.loads((folder / "markets.json").read_text())
    coins = {coin: {names.get(key, key): value for key, value in market.items()} for coin, market in markets.items()}
    target.write_text(json.dumps({"quote": "USDT", "coins": coins}))
    return coins


@pytest.mark.parametrize("name", ["um_2025may_jun_6", "um_2023jul_aug_11", "um_2023aug_oct_2", "syn_late_delist_5"])
def test_golden_datasets(run: Import, shared: Path, name: str) -> None:
    """Each golden set can be imported, and prepared to exactly its own candles."""
    folder = shared / "golden" / "datasets" / name
    coins = golden_settings(folder, run.settings)
    files = [folder / f"{coin}.parquet" for coin in coins]
    flat = [] if "BTC" in coins else ["--btc-flat", "30000"]
    status, text = run(*files, *flat)
    assert (status, text.count("FAILED")) == (0, 0)

    facts = json.loads((folder / "dataset.json").read_text())
    first = int(pd.read_parquet(folder / "btc_usd.parquet")["timestamp"].iloc[0])
    names = tuple(coins)
    dataset = prepare_dataset(
        DatasetRequest(
            name="local", exchanges=("local",), combined=False, coins={"long": names, "short": names},
            start_date=ts_to_date(first + 600 * M), end_date="2026-01-01", warmup_minutes=100_000,
            coin_warmup_minutes={"__default__": 0}, minimum_coin_age_days=0, gap_tolerance_ohlcvs_minutes=120,
            cache_dir=run.cache,
        ),
        clock=SystemClock(),
    )  # fmt: skip
    assert list(dataset.coins) == sorted(facts["coins"])
    assert dataset.timestamps[0] == first
    for i, coin in enumerate(dataset.coins):
        real = pd.read_parquet(folder / f"{coin}.parquet")
        rows = dataset.markets[coin]["first_valid_index"], dataset.markets[coin]["last_valid_index"]
        assert rows == tuple((int(real["timestamp"].iloc[at]) - first) // M for at in (0, -1))
        values = real[["high", "low", "close", "volume"]].to_numpy()
        assert np.array_equal(dataset.hlcvs[rows[0] : rows[1] + 1, i], values)
