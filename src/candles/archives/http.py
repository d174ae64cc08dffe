"""Getting the files of an archive, and telling others about it (`candles.md` 4, 12.5)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from candles.fetching.retry_after import retry_after_s
from core.clock import HOUR_MS, Clock
from core.errors import DataError

logger = logging.getLogger(__name__)

TIMEOUTS = aiohttp.ClientTimeout(total=120, connect=20, sock_read=60)
CONNECTIONS, CONNECTIONS_PER_HOST = 20, 6
ABSENT_FOR_MS = HOUR_MS

Callback = Callable[[dict[str, Any]], None]

_absent_until: dict[str, int] = {}  # by address; for all sources of the process, so that no coin asks in vain twice


class ArchiveError(DataError):
    """A file of an archive could not be had, or is not what it should be; its days are left to others."""


class Reporter:
    """Passes the events of one prefetch on to a callback, and counts its requests.

    All events hold what is `common`; a callback that raises is only logged.
    """

    def __init__(self, callback: Callback | None, common: dict[str, Any]) -> None:
        self.requests = 0
        self._callback = callback
        self._common = common

    def __call__(self, kind: str, stage: str, **details: Any) -> None:
        if self._callback is None:
            return
        try:
            self._callback({"kind": kind, "stage": stage, **self._common, **details})
        except Exception as exc:  # noqa: BLE001 - a listener never breaks a fetch
            logger.warning("archive_callback_failed kind=%s stage=%s error=%r", kind, stage, exc)


class Downloads:
    """One HTTP session; made when it is first needed, in the event loop that uses it."""

    def __init__(self, clock: Clock, rewrite_url: Callable[[str], str], timeouts: aiohttp.ClientTimeout) -> None:
        self._clock = clock
        self._rewrite_url = rewrite_url
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None
        self._pause_until_ms = 0

    async def get(self, url: str, report: Reporter, *, checksum: bool = False) -> bytes | None:
        """The content; None if there is no such file, or was none an hour ago.

        With `checksum` it is compared with its neighbour `{url}.CHECKSUM`, if there is one. Raises ArchiveError.
        """
        if _absent_until.get(self._rewrite_url(url), 0) > self._clock.now_ms():
            report("archive_http_get", "skip", url=url)
            return None
        status, content = await self._request(url, report)
        if status == 404:
            self._note_absent(url)
            return None
        if checksum:
            await self._verify(url, content, report)
        return content

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _verify(self, url: str, content: bytes, report: Reporter) -> None:
        status, line = await self._request(f"{url}.CHECKSUM", report)
        if status == 404:
            return
        wanted = line.decode("ascii", "replace").lower().split()[:1]
        found = hashlib.sha256(content).hexdigest()
        if wanted != [found]:
            logger.error("archive_checksum_wrong url=%s wanted=%s found=%s", url, "".join(wanted), found)
            raise ArchiveError(f"{url} has not the SHA-256 that its CHECKSUM file states; it is not used")

    async def _request(self, url: str, report: Reporter) -> tuple[int, bytes]:
        """Status 200 or 404 and the content; ArchiveError for whatever else happens."""
        address = self._rewrite_url(url)
        started = self._clock.now_ms()
        if started < self._pause_until_ms:
            raise ArchiveError(f"{address}: not asked for, the archive wants to be left alone for a while")
        report.requests += 1
        report("archive_http_get", "start", url=address)
        try:
            async with self._open_session().get(address) as response:
                status, content = response.status, await response.read()
                wait_s = retry_after_s(response.headers, self._clock.now_ms())
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            reason = str(exc) or type(exc).__name__
            self._tell(report, "error", address, started, error=reason)
            raise ArchiveError(f"{address}: {reason}") from exc
        if status not in (200, 404):
            self._pause_until_ms = max(self._pause_until_ms, self._clock.now_ms() + round(wait_s * 1000.0))
            self._tell(report, "error", address, started, status=status, error=f"HTTP status {status}")
            raise ArchiveError(f"{address}: HTTP status {status}")
        self._tell(report, "ok" if status == 200 else "not_found", address, started, status=status, bytes=len(content))
        return status, content

    def _tell(self, report: Reporter, stage: str, address: str, started_ms: int, **details: Any) -> None:
        elapsed_ms = self._clock.now_ms() - started_ms
        report("archive_http_get", stage, url=address, elapsed_ms=elapsed_ms, **details)
        said = " ".join(f"{name}={value}" for name, value in details.items())
        logger.debug("archive_http_get url=%s stage=%s ms=%d %s", address, stage, elapsed_ms, said)

    def _note_absent(self, url: str) -> None:
        now = self._clock.now_ms()
        while _absent_until and next(iter(_absent_until.values())) <= now:  # the oldest stand in front
            del _absent_until[next(iter(_absent_until))]
        _absent_until[self._rewrite_url(url)] = now + ABSENT_FOR_MS

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=CONNECTIONS_PER_HOST)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeouts)
        return self._session
