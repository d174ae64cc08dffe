"""Downloads through real clients from a venue that misbehaves: stored candles equal the venue's bit for bit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_cases import KLINES, NOW, PROTOCOLS, SYMBOL, endpoints_of, in_venue, minutes

from candles.archives import http
from candles.archives.download import ArchiveSource
from candles.rows import equal_values
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.dates import date_to_ts
from core.errors import CandleFetchError
from exchange_sim.server import SimServer

RANGE = (date_to_ts("2025-05-20"), date_to_ts("2025-05-23") - MINUTE_MS)  # three days, long over
DAY = (RANGE[0], RANGE[0] + DAY_MS - MINUTE_MS)
ARCHIVE_PATHS = {"binance": "/archive/data.binance.vision/*", "bybit": "/archive/public.bybit.com/*"}

Case = Callable[[SimServer, CandlestickManager], Awaitable[None]]


@pytest.fixture(autouse=True)
def _forget_absent_files() -> Iterator[None]:
    """What one venue does not have, the next one at the same port may have."""
    http._absent_until.clear()
    yield


def manager(sim: SimServer, client: Any, cache_dir: Path, protocol: str, **options: Any) -> CandlestickManager:
    """A manager on the venue's clock whose archives are the venue's."""
    return CandlestickManager(
        client,
        protocol,
        cache_dir=cache_dir,
        clock=sim.config.clock,
        rewrite_archive_url=endpoints_of(sim).archive_url,
        max_memory_candles_per_symbol=0,
        **options,
    )


def with_manager(protocol: str, cache_dir: Path, case: Case, *, archives: bool = False, now: int = NOW) -> None:
    """Run `case(sim, manager)`; with `archives` history comes from the exchange's archive first."""

    async def run(sim: SimServer, client: Any) -> None:
        await client.load_markets()
        named = (protocol,) if archives else ()
        async with manager(sim, client, cache_dir, protocol, archive_exchanges=named) as cm:
            sim.clear()
            await case(sim, cm)

    in_venue(protocol, run, now=now)


def stored(cm: CandlestickManager, span: tuple[int, int] = RANGE, symbol: str = SYMBOL) -> bool:
    """Whether exactly the venue's candles of the span are on disk."""
    return equal_values(cm.store.read(symbol, *span), minutes(symbol, *span))


def gaps(cm: CandlestickManager) -> list[tuple[int, int, int]]:
    return [(gap.start_ts, gap.end_ts, gap.retry_count) for gap in cm.store.read_meta(SYMBOL).known_gaps]


def archive_statuses(sim: SimServer) -> list[int]:
    return [r.status for r in sim.requests if r.path.endswith((".zip", ".gz"))]


def klines_of(sim: SimServer) -> list[Any]:
    return [r for r in sim.requests if r.path in KLINES.values()]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_archives_alone(protocol: str, tmp_path: Path) -> None:
    """Whole days that are over come from the archive, and nobody asks the exchange for them."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        await cm.ensure(SYMBOL, *RANGE)
        assert archive_statuses(sim) == [200, 200, 200]
        assert not klines_of(sim)
        assert stored(cm)
        asked = len(sim.requests)
        await cm.ensure(SYMBOL, *RANGE)
        assert len(sim.requests) == asked

    with_manager(protocol, tmp_path, case, archives=True)


@pytest.mark.parametrize(
    ("protocol", "action", "options"),
    [
        ("binance", "truncated", {}),
        ("binance", "checksum", {}),
        ("binance", "http", {"status": 404}),
        ("binance", "http", {"status": 500}),
        ("binance", "http", {"status": 403, "body": "<html>denied</html>"}),
        ("binance", "http", {"status": 200, "body": "<html>soon back</html>"}),
        ("binance", "http", {"status": 200, "body": ""}),
        ("binance", "disconnect", {"count": 2}),
        ("binance", "reset", {}),
        ("binance", "missing", {}),
        ("binance", "duplicated", {}),
        ("binance", "reversed", {}),
        ("binance", "short", {}),
        ("binance", "partial", {}),
        ("binance", "late", {"minutes": 14 * 1440}),
        ("bybit", "truncated", {}),
        ("bybit", "truncated", {"share": 0.0}),
        ("bybit", "http", {"status": 404}),
        ("bybit", "http", {"status": 500}),
        ("bybit", "http", {"status": 200, "body": "<html>soon back</html>"}),
        ("bybit", "reset", {}),
        ("bybit", "reversed", {}),
    ],
)
@pytest.mark.parametrize("lasting", [False, True])
def test_spoilt_archives(protocol: str, action: str, options: Any, lasting: bool, tmp_path: Path) -> None:
    """What an archive spoils, one file or all of them, is asked of the exchange; the rest is taken from the archive."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        count = {"count": 0} if lasting else {}
        sim.faults.add(action, path=ARCHIVE_PATHS[protocol], **(options | count))
        await cm.ensure(SYMBOL, *RANGE)
        assert stored(cm)
        assert sim.faults.faults[0].fired
        assert len(klines_of(sim)) <= (6 if lasting else 2)
        assert gaps(cm) == []

    with_manager(protocol, tmp_path, case, archives=True)


def test_archive_that_does_not_answer(tmp_path: Path) -> None:
    """A file that does not come in time is left to the exchange."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        await cm.aclose()
        cm.feed.archive = ArchiveSource(
            "binance",
            cm.feed.clock,
            rewrite_url=endpoints_of(sim).archive_url,
            timeouts=aiohttp.ClientTimeout(total=0.2),
        )
        sim.faults.add("timeout", path="*-2025-05-21.zip")
        await cm.ensure(SYMBOL, *RANGE)
        assert stored(cm)
        assert len(klines_of(sim)) == 2

    with_manager("binance", tmp_path, case, archives=True)


RET = [("bybit", "ret", {"code": code, "msg": "x"}) for code in (10006, 10016, 10000)]


@pytest.mark.parametrize(
    ("protocol", "action", "options"),
    [
        ("binance", "ret", {"code": -1003, "msg": "Too many requests", "status": 429}),
        ("binance", "ret", {"code": -1001, "msg": "internal", "status": 503}),
        *RET,
        *[
            (protocol, action, options)
            for protocol in PROTOCOLS
            for action, options in (
                ("http", {"status": 429, "headers": {"Retry-After": "7"}, "count": 2}),
                ("http", {"status": 418, "headers": {"Retry-After": "60"}}),
                ("http", {"status": 502, "body": "<html>bad gateway</html>"}),
                ("http", {"status": 200, "body": "<html>soon back</html>"}),
                ("http", {"status": 200, "body": ""}),
                ("http", {"status": 403, "body": "<html>forbidden</html>"}),
                ("maintenance", {"count": 3}),
                ("disconnect", {"count": 3}),
                ("reset", {"count": 2}),
                ("duplicated", {"count": 0, "every": 3}),
                ("reversed", {"count": 0}),
                ("short", {"count": 3, "share": 0.7}),
            )
        ],
    ],
)
def test_spoilt_replies(protocol: str, action: str, options: Any, tmp_path: Path) -> None:
    """An exchange that fails now and then, or sends pages twice, in reverse or in part, costs time and nothing else."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add(action, path=KLINES[protocol], **options)
        await cm.ensure(SYMBOL, *DAY)
        assert sim.faults.faults[0].fired
        assert stored(cm, DAY)
        assert gaps(cm) == []

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_answer_in_time(protocol: str, tmp_path: Path) -> None:
    """Requests that run into the client's time limit are made again."""

    async def run(sim: SimServer, client: Any) -> None:
        await client.load_markets()
        client.timeout = 200
        cm = manager(sim, client, tmp_path, protocol, archive_enabled=False)
        sim.faults.add("timeout", path=KLINES[protocol], count=2)
        await cm.ensure(SYMBOL, *DAY)
        assert stored(cm, DAY)

    in_venue(protocol, run)


@pytest.mark.parametrize(
    ("protocol", "status", "stated"),
    [
        *[(protocol, 429, stated) for protocol in PROTOCOLS for stated in ("30", "Sun, 01 Jun 2025 12:34:50 GMT")],
        ("binance", 418, "30"),
    ],
)
def test_told_to_wait(protocol: str, status: int, stated: str, tmp_path: Path) -> None:
    """After a 429 or 418 with Retry-After nobody asks that exchange before it ends, whatever symbol it is about."""
    symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add("http", status=status, headers={"Retry-After": stated}, path=KLINES[protocol], nth=2)
        await asyncio.gather(*(cm.ensure(symbol, *DAY) for symbol in symbols))
        refused = next(r.ts_ms for r in sim.requests if r.status == status)
        later = sorted(r.ts_ms for r in sim.requests if r.ts_ms > refused)
        assert later[0] == refused + 30_000
        assert all(stored(cm, DAY, symbol) for symbol in symbols)

    with_manager(protocol, tmp_path, case)


def test_archive_that_says_wait(tmp_path: Path) -> None:
    """An archive that answers 429 with Retry-After is left alone that long; its days come from the exchange."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        path = ARCHIVE_PATHS["binance"]
        sim.faults.add("http", status=429, headers={"Retry-After": "30"}, path=path, nth=1)
        await cm.ensure(SYMBOL, RANGE[0] - 20 * DAY_MS, RANGE[0] - 5 * DAY_MS - MINUTE_MS)
        refused = next(i for i, r in enumerate(sim.requests) if r.status == 429)
        after = list(sim.requests)[refused + 1 :]
        assert stored(cm, (RANGE[0] - 20 * DAY_MS, RANGE[0] - 5 * DAY_MS - MINUTE_MS))
        assert sum(r.path.startswith("/archive/") for r in after) < 12, "five may be on their way, with checksums"

    with_manager("binance", tmp_path, case, archives=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_candles_that_come_later(protocol: str, tmp_path: Path) -> None:
    """Candles that an answer lacks are a known gap, asked for again next time, and no gap once they are there."""
    hole = (DAY[0] + 3 * HOUR_MS, DAY[0] + 3 * HOUR_MS + 9 * MINUTE_MS)

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add("missing", span=hole, count=0)
        await cm.ensure(SYMBOL, *DAY)
        assert gaps(cm) == [(*hole, 1)]
        assert not stored(cm, DAY)
        sim.faults.clear()
        await cm.ensure(SYMBOL, *DAY)
        assert stored(cm, DAY)
        assert gaps(cm) == []

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_lasting_gap_is_asked_for_three_times(protocol: str, tmp_path: Path) -> None:
    """The fourth download takes the venue's word for it; told to, it asks again."""
    hole = (DAY[0] + 3 * HOUR_MS, DAY[0] + 5 * HOUR_MS)

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add("missing", span=hole, count=0)
        asked = []
        for forced in (False, False, False, False, True):
            sim.requests.clear()
            await cm.ensure(SYMBOL, *DAY, force_refetch_gaps=forced)
            asked.append(bool(klines_of(sim)))
        assert asked == [True, True, True, False, True]

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize(
    ("protocol", "action", "options"),
    [("binance", "partial", {}), *[(protocol, "late", {"minutes": 4, "count": 2}) for protocol in PROTOCOLS]],
)
def test_the_newest_candles_are_corrected(protocol: str, action: str, options: Any, tmp_path: Path) -> None:
    """A last candle that was unfinished, and candles that were late, are right after the next refresh."""
    last = NOW // MINUTE_MS * MINUTE_MS - MINUTE_MS

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add(action, path=KLINES[protocol], **options)
        through = last - 5 * MINUTE_MS if action == "partial" else last
        await cm.refresh(SYMBOL, through)
        assert len(cm.store.read(SYMBOL)) == (100 if action == "partial" else 97)
        assert not stored(cm, (through - 50 * MINUTE_MS, through))
        await cm.refresh(SYMBOL)
        assert stored(cm, (last - 50 * MINUTE_MS, last))

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_minute_in_progress_is_never_stored(protocol: str, tmp_path: Path) -> None:
    """Replies that hold the current minute leave the store at the last one that is over."""
    last = NOW // MINUTE_MS * MINUTE_MS - MINUTE_MS

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        await cm.get_candles(SYMBOL, start_ts=last - HOUR_MS, end_ts=NOW + HOUR_MS, max_age_ms=0)
        assert stored(cm, (last - HOUR_MS, last))
        assert cm.store.read(SYMBOL)["ts"][-1] == last

    with_manager(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_failed_for_good(protocol: str, tmp_path: Path) -> None:
    """What had arrived stays, no gap is noted, and the next start asks only for the rest."""

    async def case(sim: SimServer, cm: CandlestickManager) -> None:
        sim.faults.add("slow", ms=0, path=KLINES[protocol], count=3)  # three sound answers
        sim.faults.add("http", status=503, path=KLINES[protocol], count=0)
        with pytest.raises(CandleFetchError, match=f"{protocol} did not answer fetch_ohlcv of {SYMBOL}.*503"):
            await cm.ensure(SYMBOL, *RANGE)
        held = cm.store.read(SYMBOL, *RANGE)
        assert len(held) == 2440
        assert gaps(cm) == []
        sim.clear()
        await cm.ensure(SYMBOL, *RANGE)
        assert stored(cm)
        first = min(int(r.params.get("startTime") or r.params["start"]) for r in klines_of(sim))
        assert first >= RANGE[0] + DAY_MS

    with_manager(protocol, tmp_path, case)
