"""The archives of the venue, opened with common libraries, hold the sample market's candles (`candles.md` 12)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
from typing import Any

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_cases import NOW, as_lists, endpoints_of, get, in_venue, minutes

from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts
from exchange_sim.archive_files import trade_sizes
from exchange_sim.server import SimServer
from exchange_sim.sources import sample_market
from markets.candle import CANDLE_DTYPE

MARKET = sample_market()
BINANCE = "https://data.binance.vision/data/futures/um"


async def fetch(sim: SimServer, url: str) -> tuple[int, bytes]:
    """A file by its real URL, redirected as programs do it."""
    moved = endpoints_of(sim).archive_url(url)
    assert moved.startswith(sim.url)
    return await get(sim, moved.removeprefix(sim.url))


def day_of(symbol: str, date: str, days: int = 1) -> list[list[float]]:
    start = date_to_ts(date)
    return as_lists(minutes(symbol, start, start + days * DAY_MS - MINUTE_MS))


def only_member(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(("date", "header"), [("2021-12-31", False), ("2025-05-30", True)])
def test_binance_day(date: str, header: bool) -> None:
    """A zip of CSV, with a header row in newer files; the sidecar holds the hash and the name of the file."""

    async def case(sim: SimServer, client: Any) -> None:
        url = f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{date}.zip"
        status, content = await fetch(sim, url)
        assert status == 200
        rows = table(only_member(content).decode())
        assert (rows[0][0] == "open_time") is header
        rows = rows[header:]
        assert [[float(cell) for cell in row[:6]] for row in rows] == day_of("BTC/USDT:USDT", date)
        assert all(len(row) == 12 and int(row[6]) == int(row[0]) + 59_999 for row in rows)
        _, sidecar = await fetch(sim, f"{url}.CHECKSUM")
        assert sidecar.decode() == f"{hashlib.sha256(content).hexdigest()}  BTCUSDT-1m-{date}.zip\n"

    in_venue("binance", case)


def test_binance_month() -> None:
    """A month's file holds all its days, and has a sidecar too."""

    async def case(sim: SimServer, client: Any) -> None:
        url = f"{BINANCE}/monthly/klines/ETHUSDT/1m/ETHUSDT-1m-2024-02.zip"
        status, content = await fetch(sim, url)
        assert status == 200
        rows = table(only_member(content).decode())[1:]
        assert [[float(cell) for cell in row[:6]] for row in rows] == day_of("ETH/USDT:USDT", "2024-02-01", 29)
        _, sidecar = await fetch(sim, f"{url}.CHECKSUM")
        assert sidecar.decode().startswith(hashlib.sha256(content).hexdigest())

    in_venue("binance", case)


@pytest.mark.parametrize("coin", ["BTC", "TRX", "LTC"])
def test_bybit_trades(coin: str) -> None:
    """Gzipped trades in order of time, whose candles are those of the day to the last bit."""

    async def case(sim: SimServer, client: Any) -> None:
        url = f"https://public.bybit.com/trading/{coin}USDT/{coin}USDT2025-05-30.csv.gz"
        status, content = await fetch(sim, url)
        assert status == 200
        rows = list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))
        stamps = [float(row["timestamp"]) for row in rows]
        assert stamps == sorted(stamps)
        candles: dict[int, list[float]] = {}
        for stamp, row in zip(stamps, rows, strict=True):
            minute = int(stamp * 1000 / 60_000) * 60_000
            price, size = float(row["price"]), float(row["size"])
            candle = candles.setdefault(minute, [minute, price, price, price, price, 0.0])
            candle[2:] = [max(candle[2], price), min(candle[3], price), price, candle[5] + size]
        assert list(candles.values()) == day_of(f"{coin}/USDT:USDT", "2025-05-30")

    in_venue("bybit", case)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=30), st.sampled_from(["BTCUSDT", "XRPUSDT", "ADAUSDT"]))
def test_sizes_of_trades_add_up(steps: list[int], name: str) -> None:
    """The four sizes of a minute are never negative and sum to its volume, whatever the order."""
    item = MARKET.by_id[name]
    rows = np.zeros(len(steps), CANDLE_DTYPE)
    rows["bv"] = [float(f"{count / 10**item.qty_decimals:.{item.qty_decimals}f}") for count in steps]
    for volume, sizes in zip(rows["bv"].tolist(), trade_sizes(rows, item), strict=True):
        a, b, c, d = map(float, sizes)
        assert min(a, b, c, d) >= 0.0
        assert a + b + c + d == d + c + b + a == (a + b) + (c + d) == volume


def test_bybit_listing() -> None:
    """The page of a symbol names every day from its launch to the last one that is over."""

    async def case(sim: SimServer, client: Any) -> None:
        status, page = await fetch(sim, "https://public.bybit.com/trading/SOLUSDT/")
        names = re.findall(r'href="([^"]+)"', page.decode())
        assert status == 200
        assert (names[0], names[-1]) == ("SOLUSDT2018-04-16.csv.gz", "SOLUSDT2025-05-31.csv.gz")
        assert len(names) == (date_to_ts("2025-06-01") - date_to_ts("2018-04-16")) // DAY_MS

    in_venue("bybit", case)


@pytest.mark.parametrize(
    ("path", "date", "unit"),
    [("BTCUSDT_UMCBL_1min_20240418.zip", "2024-04-18", 1000), ("UMCBL/20240419.zip", "2024-04-19", 1)],
)
def test_bitget(path: str, date: str, unit: int) -> None:
    """A zip of one XLSX sheet with a header; times in seconds at the old path, in milliseconds at the new one."""

    async def case(sim: SimServer, client: Any) -> None:
        root = "https://img.bitgetimg.com/online/kline/BTCUSDT"
        status, content = await fetch(sim, f"{root}/{path}")
        assert status == 200
        book = openpyxl.load_workbook(io.BytesIO(only_member(content)), read_only=True)
        (sheet,) = book.worksheets
        header, *rows = sheet.iter_rows(values_only=True)
        assert header[0] == "timestamp"
        assert [[row[0] * unit, *map(float, row[1:6])] for row in rows] == day_of("BTC/USDT:USDT", date)
        other = "UMCBL/20240418.zip" if unit == 1000 else "BTCUSDT_UMCBL_1min_20240419.zip"
        assert (await fetch(sim, f"{root}/{other}"))[0] == 404

    in_venue("binance", case)


def test_kucoin() -> None:
    """A zip of CSV with an order of columns of its own; BTC is XBT there."""

    async def case(sim: SimServer, client: Any) -> None:
        root = "https://historical-data.kucoin.com/data/futures/daily/klines"
        status, content = await fetch(sim, f"{root}/XBTUSDTM/1m/XBTUSDTM-1m-2025-05-30.zip")
        assert status == 200
        header, *rows = table(only_member(content).decode())
        at = {name.strip().lower(): i for i, name in enumerate(header)}
        order = [at[name] for name in ("time", "open", "high", "low", "close", "volume")]
        assert order != sorted(order)
        assert [[float(row[i]) for i in order] for row in rows] == day_of("BTC/USDT:USDT", "2025-05-30")
        assert (await fetch(sim, f"{root}/BTCUSDTM/1m/BTCUSDTM-1m-2025-05-30.zip"))[0] == 404

    in_venue("binance", case)


@pytest.mark.parametrize(
    "url",
    [
        f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-06-01.zip",  # not over
        f"{BINANCE}/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-06.zip",
        f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2018-01-02.zip",  # before the launch
        f"{BINANCE}/daily/klines/XYZUSDT/1m/XYZUSDT-1m-2025-05-30.zip",  # unknown
        f"{BINANCE}/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2025-05-30.zip",
        f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-02-30.zip",  # no date
        "https://public.bybit.com/trading/BTCUSDT/BTCUSDT2025-06-01.csv.gz",
        "https://public.bybit.com/trading/XYZUSDT/",
        "https://img.bitgetimg.com/online/kline/BTCUSDT/UMCBL/20250601.zip",
    ],
)
def test_files_that_are_not_there(url: str) -> None:
    """What is not over yet, lies before the launch, is unknown or no date is not found; so is its sidecar."""

    async def case(sim: SimServer, client: Any) -> None:
        assert (await fetch(sim, url))[0] == 404
        assert (await fetch(sim, f"{url}.CHECKSUM"))[0] == 404

    in_venue("binance", case, now=NOW)


def test_faults_of_archives() -> None:
    """An archive ends early, has a wrong checksum, lacks or repeats minutes; afterwards it is sound again."""
    url = f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-30.zip"

    async def case(sim: SimServer, client: Any) -> None:
        _, sound = await fetch(sim, url)
        _, sidecar = await fetch(sim, f"{url}.CHECKSUM")
        sim.faults.add("checksum")
        sim.faults.add("truncated", symbol="BTCUSDT", share=0.25)
        _, cut = await fetch(sim, url)
        assert cut == sound[: len(sound) // 4]
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(cut))
        _, wrong = await fetch(sim, f"{url}.CHECKSUM")
        assert wrong != sidecar
        for action, rows in (("missing", 1440 - 144), ("duplicated", 1440 + 144), ("short", 720)):
            sim.faults.add(action)
            _, spoilt = await fetch(sim, url)
            assert len(table(only_member(spoilt).decode())) == rows + 1
        sim.faults.add("http", status=500, path="*.zip")
        assert (await fetch(sim, url))[0] == 500
        assert await fetch(sim, url) == (200, sound)
        assert await fetch(sim, f"{url}.CHECKSUM") == (200, sidecar)

    in_venue("binance", case)


def test_launch_day() -> None:
    """The file of a launch day begins with the launch."""

    async def case(sim: SimServer, client: Any) -> None:
        url = f"{BINANCE}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2018-01-03.zip"
        rows = table(only_member((await fetch(sim, url))[1]).decode())
        assert int(rows[0][0]) == date_to_ts("2018-01-03")

    in_venue("binance", case)
