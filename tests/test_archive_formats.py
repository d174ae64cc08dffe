"""What is in the files of public archives (`candles.md` 12.1-12.4)."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from candles.archives import formats
from candles.archives.formats import complete_day
from candles.archives.venues import ARCHIVES
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import DataError
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, Candles

DAY = date_to_ts("2023-05-03")
ROWS = [(DAY, 10.5, 12.25, 9.75, 11.0, 5.5), (DAY + M, 11.0, 11.5, 10.0, 65432.17, 0.0)]
BINANCE_HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count"


def zipped(*members: bytes, suffix: str = "csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, member in enumerate(members):
            archive.writestr(f"{i}.{suffix}", member)
    return buffer.getvalue()


def csv(rows: list[tuple[Any, ...]], header: str = "", extra: str = "") -> bytes:
    return "\n".join([*([header] if header else []), *(",".join(map(str, row)) + extra for row in rows)]).encode()


def sheet(rows: list[tuple[Any, ...]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def in_unit(factor: float) -> list[tuple[Any, ...]]:
    return [(int(ts * factor), *values) for ts, *values in ROWS]


def trade_file(rows: list[tuple[Any, ...]], header: str = "timestamp,symbol,side,size,price") -> bytes:
    return gzip.compress(csv(rows, header), mtime=0)


def values(candles: Candles) -> list[tuple[Any, ...]]:
    assert (candles["src"] == ARCHIVE).all()
    return [row.tolist()[:6] for row in candles]


def test_addresses() -> None:
    """Each archive's files are where the table says; bitget has moved."""
    for exchange, date, url in (
        ("binance", "2023-05-03",
         "https://data.binance.vision/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-05-03.zip"),
        ("bybit", "2023-05-03", "https://public.bybit.com/trading/BTCUSDT/BTCUSDT2023-05-03.csv.gz"),
        ("bitget", "2024-04-18", "https://img.bitgetimg.com/online/kline/BTCUSDT/BTCUSDT_UMCBL_1min_20240418.zip"),
        ("bitget", "2024-04-19", "https://img.bitgetimg.com/online/kline/BTCUSDT/UMCBL/20240419.zip"),
        ("kucoin", "2023-05-03",
         "https://historical-data.kucoin.com/data/futures/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2023-05-03.zip"),
    ):  # fmt: skip
        assert ARCHIVES[exchange].day_url("BTCUSDT", date) == url
    month_url = ARCHIVES["binance"].month_url
    assert month_url is not None
    assert month_url("BTCUSDT", "2023-05") == (
        "https://data.binance.vision/data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2023-05.zip"
    )
    assert set(ARCHIVES) == {"binance", "bybit", "bitget", "kucoin"}


@pytest.mark.parametrize("header", ["", BINANCE_HEADER])
@pytest.mark.parametrize("factor", [1e-3, 1, 1e3])
def test_binance(header: str, factor: float) -> None:
    """The first six columns count, with a header or none; the size of times tells their unit."""
    assert values(formats.klines(zipped(csv(in_unit(factor), header, ",1683072059999,1,2")))) == ROWS


def test_every_member_counts() -> None:
    """The files of a zip follow each other."""
    content = zipped(csv(ROWS[:1], BINANCE_HEADER, ",1,1,1"), csv(ROWS[1:], "", ",1,1,1"))
    assert values(formats.klines(content)) == ROWS


def test_unreadable_numbers() -> None:
    """A row without time or price is no candle, nor is one whose price or volume makes no sense."""
    bad = [
        ("x", 1, 1, 1, 1, 1),
        (DAY, "", 1, 1, 1, 1),
        (DAY, 1, 1, 0, 1, 1),
        (DAY, 1, 1, 1, 1, -1),
        (DAY, 1, 1, 1, 1, ""),
    ]
    assert values(formats.klines(zipped(csv(ROWS + bad)))) == ROWS


@pytest.mark.parametrize("factor", [1e-3, 1])
def test_bitget(factor: float) -> None:
    """A sheet with a header, its numbers as numbers or as text."""
    rows = in_unit(factor)
    texts = [tuple(map(str, row)) for row in rows]
    header = ("timestamp", "open", "high", "low", "close", "volume", "turnover")
    for content in (rows, texts):
        assert values(formats.spreadsheets(zipped(sheet([header, *content]), suffix="xlsx"))) == ROWS


@pytest.mark.parametrize("time", [" Time", "TIMESTAMP "])
def test_kucoin(time: str) -> None:
    """Columns go by their names, whatever order they have; contracts become base units."""
    rows = [(ts // 1000, o, c, h, low, v / 0.001) for ts, o, h, low, c, v in ROWS]
    content = zipped(csv(rows, f"{time},Open,close,high,low,volume"))
    assert values(formats.named_klines(content, 0.001)) == [(*row[:5], pytest.approx(row[5])) for row in ROWS]
    with pytest.raises(DataError, match="no column high, only time, open"):
        formats.named_klines(zipped(csv(rows, "time,open,close,hi,low,volume")), 1.0)


def test_trades() -> None:
    """The example of 12.3: open and close in the order of the file, volume the sum of sizes."""
    rows = [
        (60.1, "X", "Buy", 1, 100),
        (60.9, "X", "Sell", 2, 105),
        (119.9999, "X", "Buy", 3, 95),
        (180.0, "X", "Buy", 4, 101),
    ]
    expected = [(M, 100.0, 105.0, 95.0, 95.0, 6.0), (3 * M, 101.0, 101.0, 101.0, 101.0, 4.0)]
    assert values(formats.trades(trade_file(rows))) == expected
    bad = [("", "X", "Buy", 1, 7), (61, "X", "Buy", 1, "?")]
    assert values(formats.trades(trade_file(rows[:1] + bad + rows[1:]))) == expected
    assert values(formats.trades(trade_file(rows[::-1]))) == [
        (M, 95.0, 105.0, 95.0, 100.0, 6.0),
        (3 * M, 101.0, 101.0, 101.0, 101.0, 4.0),
    ]


def test_trades_without_their_columns() -> None:
    """No time or no price means no data; without sizes the volume is 0."""
    assert len(formats.trades(trade_file([(60.1, 5)], "timestamp,size"))) == 0
    assert len(formats.trades(trade_file([(1, 5)], "a,b"))) == 0
    assert len(formats.trades(trade_file([()], "timestamp,price,size"))) == 0
    assert values(formats.trades(trade_file([(60.1, 5.5)], "timestamp,price"))) == [(M, 5.5, 5.5, 5.5, 5.5, 0.0)]


trade = st.tuples(
    st.floats(0, 600).map(lambda s: 1_600_000_000.0 + s), st.integers(1, 1000).map(lambda p: p / 8), st.floats(0, 1e6)
)


@given(st.lists(trade, max_size=60), st.booleans())
def test_trades_agree_with_a_plain_loop(rows: list[tuple[float, float, float]], ordered: bool) -> None:
    """The vectorised sums are those of a loop over the trades, to the last bit."""
    rows = sorted(rows) if ordered else rows
    expected: dict[int, list[float]] = {}
    for time_s, price, size in rows:
        minute = int(time_s * 1000.0 // M) * M
        o, h, low, _, v = expected.get(minute, [price, price, price, price, 0.0])
        expected[minute] = [o, max(h, price), min(low, price), price, v + size]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
    found = formats.candles_of_trades(columns[:, 0], columns[:, 1], columns[:, 2])
    assert values(found) == [(minute, *expected[minute]) for minute in sorted(expected)]


@pytest.mark.parametrize(
    "content",
    [
        zipped(csv(ROWS, BINANCE_HEADER, ",1,1,1"))[:-30],
        b"<html>not found</html>",
        b"",
        zipped(),
        zipped(b"1,2,3\n4,5,6"),
        zipped(b""),
    ],
    ids=["cut off", "html", "empty", "no member", "few columns", "empty member"],
)
def test_damaged_zips(content: bytes) -> None:
    """A file that is no archive of candles is an error in one line."""
    for parse in (formats.klines, formats.spreadsheets, lambda data: formats.named_klines(data, 1.0)):
        with pytest.raises(DataError, match=r"^the file .*$"):
            parse(content)


def test_damaged_trades() -> None:
    """A gzip file that was cut off, or is none, gives no candles of the part that is there."""
    whole = trade_file([(60 + i, "X", "Buy", 1, 100) for i in range(5000)])
    for content in (whole[:-4], whole[: len(whole) // 2], b"<html>", b""):
        with pytest.raises(DataError, match="the file is damaged"):
            formats.trades(content)


def day_rows(*rows: tuple[int, float, float, float, float, float]) -> Candles:
    return np.array([(DAY + minute * M, *rest, ARCHIVE) for minute, *rest in rows], dtype=CANDLE_DTYPE)


def test_day_completion() -> None:
    """The example of 12.4: zero candles before, between and after, flagged as fill."""
    day = complete_day(day_rows((1, 10, 12, 9, 11, 5), (3, 11, 13, 10, 12, 6)), DAY)
    assert day["ts"].tolist() == list(range(DAY, DAY + 1440 * M, M))
    assert [day[i].tolist()[1:] for i in (0, 1, 2, 3, 1439)] == [
        (11, 11, 11, 11, 0, ARCHIVE_FILL),
        (10, 12, 9, 11, 5, ARCHIVE),
        (11, 11, 11, 11, 0, ARCHIVE_FILL),
        (11, 13, 10, 12, 6, ARCHIVE),
        (12, 12, 12, 12, 0, ARCHIVE_FILL),
    ]
    assert (day["src"] == ARCHIVE).sum() == 2


def test_day_completion_sorts_and_cuts() -> None:
    """Other days are left out, the last of equal times counts; a day without rows is none."""
    rows = day_rows(
        (-1, 1, 1, 1, 1, 1), (3, 2, 2, 2, 2, 2), (0, 3, 3, 3, 3, 3), (3, 4, 4, 4, 4, 4), (1440, 5, 5, 5, 5, 5)
    )
    day = complete_day(rows, DAY)
    assert len(day) == 1440
    assert day["c"][[0, 2, 3, 1439]].tolist() == [3, 3, 4, 4]
    assert len(complete_day(rows, DAY + 5 * 1440 * M)) == 0
    day["src"] = ARCHIVE_FILL
    assert (complete_day(day, DAY)["src"] == ARCHIVE).all()
    assert (day["src"] == ARCHIVE_FILL).all()
