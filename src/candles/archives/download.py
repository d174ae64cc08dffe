"""Filling the store from an exchange's public archive, month by month (`candles.md` 12.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import aiohttp
import numpy as np

from candles.archives.formats import complete_day
from candles.archives.http import TIMEOUTS, ArchiveError, Callback, Downloads, Reporter
from candles.archives.plan import MonthPlan, plan_range
from candles.archives.venues import ARCHIVES, Archive
from candles.disk.store import CandleStore
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import DataError
from markets.candle import CANDLE_DTYPE, Candles
from markets.symbols import short_exchange

__all__ = ["ARCHIVES", "ArchiveError", "ArchiveSource", "PrefetchResult"]

logger = logging.getLogger(__name__)

PARALLEL_FILES = 5
GIVE_UP_AFTER = 10  # files in a row that failed, or an archive that is down would cost minutes for every day


def unchanged(url: str) -> str:
    return url


@dataclass(frozen=True, slots=True)
class PrefetchResult:
    """What became of the days that were wanted, each named by its first minute in ms.

    `unavailable`: the archive has no candles of the day. `failed`: the reason; these days are left to others.
    """

    wanted: tuple[int, ...] = ()
    stored: tuple[int, ...] = ()
    unavailable: tuple[int, ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    requests: int = 0


class ArchiveSource:
    """The archive of one exchange, with one HTTP session; also an async context manager.

    `rewrite_url` may send requests elsewhere, `callback` gets events of kind `archive_http_get` and `archive_prefetch`.
    Raises DataError for an exchange that is not in `ARCHIVES`.
    """

    def __init__(
        self,
        exchange: str,
        clock: Clock,
        *,
        rewrite_url: Callable[[str], str] = unchanged,
        callback: Callback | None = None,
        timeouts: aiohttp.ClientTimeout = TIMEOUTS,
    ) -> None:
        self.exchange = short_exchange(exchange)
        if self.exchange not in ARCHIVES:
            raise DataError(f"{exchange} has no public archive; there are those of {', '.join(ARCHIVES)}")
        self.archive = ARCHIVES[self.exchange]
        self.clock = clock
        self.callback = callback
        self.downloads = Downloads(clock, rewrite_url, timeouts)
        self.slots = asyncio.Semaphore(PARALLEL_FILES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the session."""
        await self.downloads.aclose()

    async def prefetch(
        self,
        store: CandleStore,
        symbol: str,
        start_ts: int,
        end_ts: int,
        *,
        market_id: str,
        contract_size: float = 1.0,
    ) -> PrefetchResult:
        """Store the whole UTC days in `[start_ts, end_ts]` (ms) that are over for 72 hours and not complete yet.

        Rows that are stored already stay. What the archive cannot deliver is logged and in the result, not raised; the
        store's own errors are. An abort stores what has arrived.
        """
        report = Reporter(self.callback, {"symbol": symbol, "tf": "1m"})
        months = plan_range(store, symbol, start_ts, end_ts)
        wanted = tuple(day for month in months for day in month.days)
        if not wanted:
            report("archive_prefetch", "skip", start_ts=start_ts, end_ts=end_ts)
            return PrefetchResult()
        started = self.clock.now_ms()
        report("archive_prefetch", "start", days=len(wanted))
        run = _Prefetch(self, report, market_id, contract_size)
        for month in months:
            try:
                await run.month(month)
            finally:
                rows = run.take()
                store.write(symbol, rows, "archive")
            report("archive_prefetch", "progress", month=month.month, rows=len(rows), done=run.done, total=len(wanted))
        result = run.result(wanted)
        self._tell(symbol, result, report, self.clock.now_ms() - started)
        return result

    def _tell(self, symbol: str, result: PrefetchResult, report: Reporter, elapsed_ms: int) -> None:
        counts = {name: len(getattr(result, name)) for name in ("wanted", "stored", "unavailable", "failed")}
        report("archive_prefetch", "done", **counts, requests=result.requests, elapsed_ms=elapsed_ms)
        logger.info(
            "archive_prefetch exchange=%s symbol=%s %s requests=%d ms=%d",
            self.exchange,
            symbol,
            " ".join(f"{name}={count}" for name, count in counts.items()),
            result.requests,
            elapsed_ms,
        )


class _Prefetch:
    """One market's days on their way from the archive into the store."""

    def __init__(self, source: ArchiveSource, report: Reporter, market_id: str, contract_size: float) -> None:
        self._source = source
        self._archive: Archive = source.archive
        self._report = report
        self._market_id = market_id
        self._contract_size = contract_size
        self._arrived: list[Candles] = []
        self._stored: list[int] = []
        self._unavailable: list[int] = []
        self._failed: dict[int, str] = {}
        self._failures_in_a_row = 0

    @property
    def done(self) -> int:
        return len(self._stored) + len(self._unavailable) + len(self._failed)

    def take(self) -> Candles:
        """The rows that have arrived since the last time."""
        rows = np.concatenate([np.empty(0, CANDLE_DTYPE), *self._arrived])
        self._arrived = []
        return rows

    def result(self, wanted: tuple[int, ...]) -> PrefetchResult:
        stored, unavailable = tuple(sorted(self._stored)), tuple(sorted(self._unavailable))
        return PrefetchResult(wanted, stored, unavailable, dict(sorted(self._failed.items())), self._report.requests)

    async def month(self, month: MonthPlan) -> None:
        """Bring the days of a month: as one file where there is one, what that lacks day by day."""
        days: Iterable[int] = month.days
        if self._archive.month_url and month.as_one_file(self._source.clock.now_ms()):
            days = await self._month_file(self._archive.month_url(self._market_id, month.month), month.days)
        async with asyncio.TaskGroup() as group:
            for day in days:
                group.create_task(self._day_file(day))

    async def _month_file(self, url: str, days: tuple[int, ...]) -> list[int]:
        """Take the days that are in the file; the days that are not, all of them if it cannot be used."""
        rows = None
        with suppress(ArchiveError):
            rows = await self._candles(url)
        return [day for day in days if rows is None or not self._keep(day, complete_day(rows, day))]

    async def _day_file(self, day: int) -> None:
        try:
            rows = await self._candles(self._archive.day_url(self._market_id, ts_to_date(day)[:10]))
        except ArchiveError as exc:
            self._failed[day] = str(exc)
            return
        if rows is None or not self._keep(day, complete_day(rows, day)):
            self._unavailable.append(day)

    def _keep(self, day: int, rows: Candles) -> bool:
        if len(rows):
            self._arrived.append(rows)
            self._stored.append(day)
        return bool(len(rows))

    async def _candles(self, url: str) -> Candles | None:
        """The rows of a file, None if there is no such file; ArchiveError, logged, for one that cannot be used."""
        async with self._source.slots:
            if self._failures_in_a_row >= GIVE_UP_AFTER:
                raise ArchiveError(f"{url}: not asked for, {GIVE_UP_AFTER} files in a row failed")
            try:
                content = await self._source.downloads.get(url, self._report, checksum=self._archive.checksums)
                rows = None if content is None else await asyncio.to_thread(self._parse, url, content)
            except ArchiveError as exc:
                self._note_failure(exc)
                raise
            self._failures_in_a_row = 0
            return rows

    def _parse(self, url: str, content: bytes) -> Candles:
        try:
            return self._archive.parse(content, self._contract_size)
        except DataError as exc:
            raise ArchiveError(f"{url}: {exc}") from exc

    def _note_failure(self, error: ArchiveError) -> None:
        self._failures_in_a_row += 1
        logger.warning("archive_file_failed error=%s: its days are left to others", error)
        if self._failures_in_a_row == GIVE_UP_AFTER:
            logger.warning("archive_given_up exchange=%s failures_in_a_row=%d", self._source.exchange, GIVE_UP_AFTER)
