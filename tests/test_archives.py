"""Filling the store from archives (`candles.md` 12.5), against a server on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from candles.archives.download import GIVE_UP_AFTER, ArchiveSource, PrefetchResult
from candles.archives.plan import monthly_file_due_ms
from candles.disk.store import CandleStore
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, REST, Candles
from test_archive_formats import csv, sheet, trade_file, zipped

SYMBOL, ID = "BTC/USDT:USDT", "BTCUSDT"
DAY = date_to_ts("2023-05-03")
NOW = date_to_ts("2023-06-20T12:00")

Answer = bytes | int | Callable[[], Awaitable[bytes]]


def day_file(day: int, minutes: int = 1440, price: float = 100.0) -> bytes:
    rows = [(day + i * M, price, price + 1, price - 1, price + 0.5, i + 1, 0, 0) for i in range(minutes)]
    return zipped(csv(rows, "open_time,open,high,low,close,volume,close_time,count"))


def stored_rows(day: int, minutes: int, price: float, start: int = 0) -> Candles:
    rows = [(day + i * M, price, price, price, price, 1.0, REST) for i in range(start, start + minutes)]
    return np.array(rows, dtype=CANDLE_DTYPE)


class Venue:
    """A server of files by the end of their address, and a store to fill; all else is 404."""

    def __init__(self, tmp_path: Path) -> None:
        self.files: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.clock = ManualClock(NOW)
        self.store = CandleStore(tmp_path, "binance", self.clock)
        self.timeouts = aiohttp.ClientTimeout(total=5)

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        content = self.files.get(name, 404)
        if isinstance(content, int):
            return web.Response(status=content)
        return web.Response(body=content if isinstance(content, bytes) else await content())

    async def serve(self, use: Callable[[ArchiveSource], Awaitable[Any]], exchange: str = "binance") -> Any:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        async with TestServer(app) as server:
            root = str(server.make_url("/"))
            async with ArchiveSource(
                exchange,
                self.clock,
                rewrite_url=lambda url: url.replace("https://", root),
                callback=self.events.append,
                timeouts=self.timeouts,
            ) as source:
                return await use(source)

    def prefetch(
        self, start: int, end: int, *, exchange: str = "binance", contract_size: float = 1.0
    ) -> PrefetchResult:
        async def use(source: ArchiveSource) -> PrefetchResult:
            return await source.prefetch(self.store, SYMBOL, start, end, market_id=ID, contract_size=contract_size)

        result: PrefetchResult = asyncio.run(self.serve(use, exchange))
        return result

    def add_days(self, *days: int) -> None:
        self.files.update({name(day): day_file(day) for day in days})


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    return Venue(tmp_path)


def name(day: int) -> str:
    return f"{ID}-1m-{ts_to_date(day)[:10]}.zip"


def days(count: int, first: int = DAY) -> list[int]:
    return [first + i * DAY_MS for i in range(count)]


def test_stores_days_and_tells_about_it(venue: Venue) -> None:
    """Whole days arrive as 1440 rows; the result and the events say what happened."""
    venue.files[name(DAY)] = day_file(DAY, minutes=1000)
    venue.add_days(DAY + DAY_MS)
    result = venue.prefetch(DAY, DAY + 3 * DAY_MS - M)
    assert result == PrefetchResult(
        wanted=tuple(days(3)), stored=tuple(days(2)), unavailable=(DAY + 2 * DAY_MS,), requests=5
    )
    rows = venue.store.read(SYMBOL)
    assert len(rows) == 2880
    assert (rows["src"] == ARCHIVE_FILL).sum() == 440
    assert rows[2879].tolist() == (DAY + 2879 * M, 100.0, 101.0, 99.0, 100.5, 1440.0, ARCHIVE)
    kinds = [(event["kind"], event["stage"]) for event in venue.events]
    assert kinds[0] == ("archive_prefetch", "start")
    assert kinds[-2:] == [("archive_prefetch", "progress"), ("archive_prefetch", "done")]
    assert kinds.count(("archive_http_get", "start")) == 5
    assert kinds.count(("archive_http_get", "not_found")) == 3
    assert all(event["symbol"] == SYMBOL and event["tf"] == "1m" for event in venue.events)
    assert {"stored": 2, "unavailable": 1, "failed": 0, "requests": 5}.items() <= venue.events[-1].items()


@pytest.mark.parametrize(
    ("exchange", "file", "content"),
    [
        ("bybit", f"{ID}2023-05-03.csv.gz", trade_file([(DAY / 1000 + 61.5, "X", "Buy", 2.0, 100.25)])),
        ("bitget", f"{ID}_UMCBL_1min_20230503.zip",
         zipped(sheet([tuple("tohlcv"), (DAY + M, 100.25, 100.25, 100.25, 100.25, 2.0)]), suffix="xlsx")),
        ("kucoin", f"{ID}-1m-2023-05-03.zip",
         zipped(csv([(DAY + M, 100.25, 100.25, 100.25, 100.25, 0.5)], "time,open,close,high,low,volume"))),
    ],
)  # fmt: skip
def test_other_archives(venue: Venue, exchange: str, file: str, content: bytes) -> None:
    """Every archive's day gets to the store, in base units; none but Binance has months and checksums."""
    venue.files[file] = content
    assert venue.prefetch(DAY, DAY + 20 * DAY_MS - M, exchange=exchange, contract_size=4.0).stored == (DAY,)
    rows = venue.store.read(SYMBOL)
    assert len(rows) == 1440
    assert rows[rows["src"] == ARCHIVE].tolist() == [(DAY + M, 100.25, 100.25, 100.25, 100.25, 2.0, ARCHIVE)]
    assert len(venue.asked) == 20


def test_an_exchange_without_archive() -> None:
    """The message says which exchanges have one."""
    with pytest.raises(DataError, match="okx has no public archive; there are those of binance"):
        ArchiveSource("okx", ManualClock(NOW))


def test_which_days(venue: Venue) -> None:
    """Only days that the request covers whole, that are over for 72 hours, and that are not complete."""
    last = date_to_ts("2023-06-16")  # over on the 17th; 72 hours later is the 20th
    venue.store.write(SYMBOL, stored_rows(last - 2 * DAY_MS, 1440, 5.0))
    venue.store.write(SYMBOL, stored_rows(last - 3 * DAY_MS, 1439, 5.0))
    result = venue.prefetch(last - 5 * DAY_MS + M, NOW)
    assert [ts_to_date(day)[:10] for day in result.wanted] == ["2023-06-12", "2023-06-13", "2023-06-15", "2023-06-16"]
    venue.clock.ms = date_to_ts("2023-06-19T23:59") - 1
    assert ts_to_date(venue.prefetch(last - 5 * DAY_MS, NOW).wanted[-1])[:10] == "2023-06-15"
    assert venue.prefetch(DAY, DAY + DAY_MS - 2 * M) == PrefetchResult()
    assert venue.events[-1]["stage"] == "skip"


def test_stored_rows_stay(venue: Venue) -> None:
    """Neither rows of the archive nor its fill replace what is there."""
    mine = stored_rows(DAY, 700, 5.0, start=500)
    venue.store.write(SYMBOL, mine)
    venue.files[name(DAY)] = day_file(DAY, minutes=1000)
    assert venue.prefetch(DAY, DAY + DAY_MS - M).stored == (DAY,)
    rows = venue.store.read(SYMBOL)
    assert len(rows) == 1440
    assert np.array_equal(rows[500:1200], mine)
    assert (rows["src"][:500] == ARCHIVE).all()
    assert (rows["src"][1200:] == ARCHIVE_FILL).all()


def test_an_absent_day_is_asked_for_once_an_hour(venue: Venue) -> None:
    """Also by another source of the process; then it may have come."""

    async def twice(source: ArchiveSource) -> None:
        for _ in range(2):
            result = await source.prefetch(venue.store, SYMBOL, DAY, DAY + DAY_MS - M, market_id=ID)
            assert result.unavailable == (DAY,)
        assert (len(venue.asked), result.requests, venue.events[-3]["stage"]) == (1, 0, "skip")
        venue.add_days(DAY)
        venue.clock.advance(HOUR_MS)
        assert (await source.prefetch(venue.store, SYMBOL, DAY, DAY + DAY_MS - M, market_id=ID)).stored == (DAY,)

    asyncio.run(venue.serve(twice))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (500, "HTTP status 500"),
        (403, "HTTP status 403"),
        (day_file(DAY)[:-50], "the file is damaged: File is not a zip"),
    ],
)
def test_a_failing_day_is_left_to_others(
    venue: Venue, caplog: pytest.LogCaptureFixture, answer: Answer, reason: str
) -> None:
    """Its reason is logged and in the result; other days arrive."""
    venue.files[name(DAY)] = answer
    venue.add_days(DAY + DAY_MS)
    result = venue.prefetch(DAY, DAY + 2 * DAY_MS - M)
    assert (result.stored, result.unavailable) == ((DAY + DAY_MS,), ())
    assert reason in result.failed[DAY]
    assert name(DAY) in caplog.text
    assert reason in caplog.text
    assert len(venue.store.read(SYMBOL)) == 1440


def test_a_slow_archive(venue: Venue) -> None:
    """A file that does not come in time fails."""

    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    venue.timeouts = aiohttp.ClientTimeout(total=0.05)
    venue.files[name(DAY)] = never
    result = venue.prefetch(DAY, DAY + DAY_MS - M)
    assert list(result.failed) == [DAY]
    assert [event["stage"] for event in venue.events] == ["start", "start", "error", "progress", "done"]


def test_nobody_there(venue: Venue) -> None:
    """A refused connection fails the day; nothing is raised."""

    async def use() -> PrefetchResult:
        async with ArchiveSource("binance", venue.clock, rewrite_url=lambda _: "http://127.0.0.1:1/x") as source:
            return await source.prefetch(venue.store, SYMBOL, DAY, DAY + DAY_MS - M, market_id=ID)

    assert list(asyncio.run(use()).failed) == [DAY]


def test_gives_up(venue: Venue, caplog: pytest.LogCaptureFixture) -> None:
    """After some failures in a row an archive is not asked any more; one success starts the count anew."""
    venue.files |= {name(day): 500 for day in days(25)}
    result = venue.prefetch(DAY, DAY + 25 * DAY_MS - M)
    assert len(result.failed) == 25
    assert sum("not asked for" in reason for reason in result.failed.values()) >= 25 - GIVE_UP_AFTER - 4
    assert "archive_given_up" in caplog.text
    venue.add_days(*days(25)[::2])
    result = venue.prefetch(DAY, DAY + 25 * DAY_MS - M)
    assert (len(result.failed), len(result.stored)) == (12, 13)


def test_checksum(venue: Venue, caplog: pytest.LogCaptureFixture) -> None:
    """A file whose neighbour states another hash is not used; without a neighbour it is taken as it is."""
    venue.add_days(*days(3))
    good = venue.files[name(DAY)]
    assert isinstance(good, bytes)
    venue.files[name(DAY) + ".CHECKSUM"] = f"{hashlib.sha256(good).hexdigest().upper()}  {name(DAY)}\n".encode()
    venue.files[name(DAY + DAY_MS) + ".CHECKSUM"] = f"{'0' * 64}  x".encode()
    result = venue.prefetch(DAY, DAY + 3 * DAY_MS - M)
    assert result.stored == (DAY, DAY + 2 * DAY_MS)
    assert "SHA-256" in result.failed[DAY + DAY_MS]
    assert [record.levelno for record in caplog.records if "archive_checksum_wrong" in record.message] == [
        logging.ERROR
    ]


def test_monthly_files_are_due_after_the_first_monday() -> None:
    """24 hours after the first Monday that follows the month's end; a month may end on the day before one."""
    for month, due in (("2023-05", "2023-06-06"), ("2023-04", "2023-05-02"), ("2023-12", "2024-01-02")):
        assert ts_to_date(monthly_file_due_ms(month))[:10] == due


def month_file(skip: int = 0) -> bytes:
    start = date_to_ts("2023-05")
    rows = [(start + i * M, 1, 1, 1, 1, 1) for i in range(skip * 1440, 31 * 1440, 60)]
    return zipped(csv(rows))


MAY = (date_to_ts("2023-05"), date_to_ts("2023-06") - M)


def test_a_month_as_one_file(venue: Venue) -> None:
    """One request and its checksum fill a month; days that it lacks are asked for one by one."""
    venue.files[f"{ID}-1m-2023-05.zip"] = month_file(skip=2)
    venue.add_days(MAY[0])
    result = venue.prefetch(*MAY)
    assert (len(result.stored), result.unavailable) == (30, (MAY[0] + DAY_MS,))
    assert len(venue.asked) == 5
    assert len(venue.store.read(SYMBOL)) == 30 * 1440


def test_when_a_month_is_worth_its_file(venue: Venue) -> None:
    """It misses more than 7 days, and its file is due."""
    venue.files[f"{ID}-1m-2023-05.zip"] = month_file()
    venue.prefetch(MAY[0], MAY[0] + 7 * DAY_MS - M)
    assert f"{ID}-1m-2023-05.zip" not in venue.asked
    venue.clock.ms = date_to_ts("2023-06-06") - 1
    venue.prefetch(*MAY)
    assert f"{ID}-1m-2023-05.zip" not in venue.asked
    venue.clock.ms += 1
    venue.prefetch(MAY[0], MAY[0] + 8 * DAY_MS - M)
    assert f"{ID}-1m-2023-05.zip" in venue.asked
    assert len(venue.store.read(SYMBOL)) == 8 * 1440


@pytest.mark.parametrize("answer", [404, 500, b"nonsense"])
def test_a_month_that_fails_falls_back_to_days(venue: Venue, answer: Answer) -> None:
    """Whatever is wrong with the month's file, its days have files of their own."""
    venue.files[f"{ID}-1m-2023-05.zip"] = answer
    venue.add_days(*days(3))
    result = venue.prefetch(*MAY)
    assert (len(result.stored), len(result.unavailable), len(result.failed)) == (3, 28, 0)


def test_an_abort_stores_what_has_arrived(venue: Venue) -> None:
    """Days that came before a cancellation are in the store."""
    hanging = asyncio.Event()

    async def hang() -> bytes:
        hanging.set()
        await asyncio.Event().wait()
        return b""

    async def use(source: ArchiveSource) -> None:
        fetch = source.prefetch(venue.store, SYMBOL, DAY, DAY + 7 * DAY_MS - M, market_id=ID)
        task = asyncio.create_task(fetch)
        await hanging.wait()  # five files at a time: when the seventh is asked for, two have arrived
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    venue.add_days(*days(6))
    venue.files[name(DAY + 6 * DAY_MS)] = hang
    asyncio.run(venue.serve(use))
    rows = len(venue.store.read(SYMBOL))
    assert rows >= 2 * 1440
    assert rows % 1440 == 0


def test_months_are_written_one_by_one(venue: Venue) -> None:
    """While the second month is fetched, the first is in the store."""
    seen: list[int] = []

    async def look() -> bytes:
        seen.append(len(venue.store.read(SYMBOL)))
        return day_file(date_to_ts("2023-06"))

    venue.add_days(date_to_ts("2023-05-31"))
    venue.files[f"{ID}-1m-2023-06-01.zip"] = look
    assert len(venue.prefetch(date_to_ts("2023-05-31"), date_to_ts("2023-06-02") - M).stored) == 2
    assert seen == [1440]


def test_a_raising_callback_breaks_nothing(venue: Venue) -> None:
    """A listener's failure is its own."""

    async def use(source: ArchiveSource) -> PrefetchResult:
        source.callback = lambda event: event["no such key"]
        return await source.prefetch(venue.store, SYMBOL, DAY, DAY + DAY_MS - M, market_id=ID)

    venue.add_days(DAY)
    assert asyncio.run(venue.serve(use)).stored == (DAY,)
