"""Candles of the past: what is missing is fetched from archives first, then from the exchange (`candles.md` 5.6-5.8).

What an exchange was asked for and does not have becomes a known gap, so that it is not asked for ever again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from candles.disk.meta import SymbolMeta
from candles.disk.store import CandleStore
from candles.fetching.events import tell
from candles.fetching.feed import Feed
from candles.fill import missing_spans
from candles.gaps import PERSISTENT_AFTER, Gaps, Reason, add_gap
from candles.older.legacy import log_hint
from candles.sources.protocol import CandleSource
from core.clock import DAY_MS, MINUTE_MS
from core.dates import ts_to_date
from core.errors import LockTimeoutError
from markets.candle import CANDLE_DTYPE, Candles

logger = logging.getLogger(__name__)

Span = tuple[int, int]  # first and last minute


async def prepare_symbol(feed: Feed, symbol: str, *, compact: bool) -> None:
    """Drop what another version of the source has left in the store, note since when the symbol exists, tidy up."""
    if not feed.hinted:
        feed.hinted = True
        log_hint(feed.store.cache_dir, feed.exchange)
    if feed.source and feed.source.version:
        await check_version(feed, feed.source, feed.store, symbol)
    if compact:
        await asyncio.to_thread(feed.store.compact, symbol)


async def check_version(feed: Feed, source: CandleSource, store: CandleStore, symbol: str) -> None:
    """Drop stored candles that another version of a computing source has made."""
    inception = await source.first_ts(symbol)
    meta = store.read_meta(symbol)
    if (meta.inception_source, meta.inception_ts) == (source.version, inception):
        return
    async with feed.lock(symbol, "prepare", store):
        if store.files(symbol):
            logger.info("candles_dropped exchange=%s symbol=%s: made by another version", feed.exchange, symbol)
            store.clear(symbol)
        store.update_meta(symbol, lambda meta: replace(meta, inception_ts=inception, inception_source=source.version))


async def load_history(feed: Feed, symbol: str, start: int, end: int, *, tail_allowed: bool = True) -> Candles:
    """The real rows of the range, after asking for those that are missing and worth asking for.

    Without `tail_allowed` a missing end is left alone. Raises CandleFetchError, with all that has arrived stored.
    """
    candles = await read(feed.store, symbol, start, end)
    if feed.source is None or is_covered(candles, start, end):
        return candles
    del candles  # while downloading, nothing of the range needs to be in memory
    await ensure_history(feed, symbol, start, end, tail_allowed=tail_allowed)
    return await read(feed.store, symbol, start, end)


async def ensure_history(feed: Feed, symbol: str, start: int, end: int, *, tail_allowed: bool = True) -> None:
    """Bring what is missing of the range into the store, as far as it can be had, without loading the range."""
    source = feed.source
    if source is None or await asyncio.to_thread(feed.store.has_all, symbol, start, end):
        return
    missing = _Missing(feed, symbol, (start, end), tail_allowed)
    if not await missing.spans():
        _note_pre_inception(feed, symbol, start)
        return
    began = feed.clock.now_ms()
    async with feed.lock(symbol, "fetch"):
        spans = await missing.spans(began)  # another program may have fetched it meanwhile, or asked in vain
        if spans and feed.archive:
            await from_archive(feed, symbol, start, end)
            spans = await missing.spans()
        if spans:
            await _from_source(feed, source, symbol, (start, end), spans)
            note_missing(feed, feed.store, symbol, await missing.spans())
        _note_pre_inception(feed, symbol, start)


@dataclass(frozen=True, slots=True)
class _Missing:
    """What the store lacks of a window and is worth asking for."""

    feed: Feed
    symbol: str
    window: Span
    tail_allowed: bool

    async def spans(self, asked_since_ms: int | None = None) -> list[Span]:
        """Missing spans that do not lie inside a gap known for good, or one that was asked for later than a time.

        Before the first candle nothing is missing.
        """
        start, end = self.window
        ts = (await asyncio.to_thread(self.feed.store.read_columns, self.symbol, (), start, end))["ts"]
        meta = self.feed.store.read_meta(self.symbol)
        spans = missing_spans(ts, max(start, meta.inception_ts or start), end)
        if not self.tail_allowed and spans and spans[-1][1] == end:
            spans.pop()
        gaps = meta.known_gaps
        now, since = self.feed.clock.now_ms(), asked_since_ms
        just_asked = [gap for gap in gaps if since is not None and gap.last_attempt_at > since]
        return [span for span in spans if not blocked(gaps, span, now) and not _inside(just_asked, span)]


async def read(store: CandleStore, symbol: str, start: int, end: int) -> Candles:
    """Stored rows; long ranges are read beside the event loop."""
    if end - start > 2 * DAY_MS:
        return await asyncio.to_thread(store.read, symbol, start, end)
    return store.read(symbol, start, end)


def is_covered(candles: Candles, start: int, end: int) -> bool:
    """Whether ascending candles within the range are all of its minutes."""
    return len(candles) == (end - start) // MINUTE_MS + 1


def blocked(gaps: Gaps, span: Span, now_ms: int) -> bool:
    """Whether the span lies inside one gap that is not worth another try."""
    return _inside([gap for gap in gaps if gap.blocks_fetching(now_ms)], span)


def _inside(gaps: Gaps, span: Span) -> bool:
    return any(gap.start_ts <= span[0] and span[1] <= gap.end_ts for gap in gaps)


async def from_archive(feed: Feed, symbol: str, start: int, end: int) -> None:
    """Store what the archive has of the whole days in the range; since when the coin exists may spare it a search."""
    start = max(start, feed.store.read_meta(symbol).inception_ts or start)
    if feed.archive and start < end:
        contract = feed.contract(symbol)
        await feed.archive.prefetch(feed.store, symbol, start, end, market_id=contract.id, contract_size=contract.size)


async def _from_source(feed: Feed, source: CandleSource, symbol: str, window: Span, spans: Sequence[Span]) -> None:
    """Ask for every touched day once, however many holes it has."""
    earliest = source.earliest(MINUTE_MS, feed.last_final())
    start = max(window[0], earliest or 0, feed.store.read_meta(symbol).inception_ts or 0)
    if earliest is not None:
        _note_out_of_reach(feed, symbol, [(s, min(e, earliest - MINUTE_MS)) for s, e in spans if s < earliest])
    days = list(_days(spans, start, window[1]))
    rows = MonthBuffer(feed.store, symbol)
    try:
        for done, (low, high) in enumerate(days, start=1):
            await source.fetch(symbol, "1m", low, high, rows.add)
            _tell_progress(feed, symbol, done, len(days))
    finally:  # what has arrived is stored, whatever stopped the rest
        rows.flush()


def _days(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """The parts of `[start, end]` that lie in UTC days which a span touches."""
    touched: set[int] = set()
    for low, high in spans:
        if high >= start:
            touched.update(range(max(low, start) // DAY_MS, high // DAY_MS + 1))
    for day in sorted(touched):
        yield max(day * DAY_MS, start), min((day + 1) * DAY_MS - MINUTE_MS, end)


def _tell_progress(feed: Feed, symbol: str, done: int, total: int) -> None:
    tell(
        feed.callback,
        {"kind": "ccxt_fetch_ohlcv", "stage": "progress", "symbol": symbol, "tf": "1m", "done": done, "total": total},
    )


def _note_out_of_reach(feed: Feed, symbol: str, spans: Sequence[Span]) -> None:
    """What lies before the exchange's last so many candles cannot be had from it any more."""
    if spans:
        note_gaps(feed, feed.store, symbol, spans, "no_archive", retry_count=PERSISTENT_AFTER)


async def forget_gaps(feed: Feed, symbol: str, timeframe: str, window: Span) -> None:
    """Have the gaps of a timeframe that overlap the window asked for again."""
    store = feed.store_of(timeframe) if timeframe != feed.store.timeframe else feed.store
    if any(gap.overlaps(*window) for gap in store.read_meta(symbol).known_gaps):
        async with feed.lock(symbol, "gaps", store):
            store.clear_gaps(symbol, window)


def _note_pre_inception(feed: Feed, symbol: str, start: int) -> None:
    """Nothing was there before the first candle; the gap record says so to whoever looks."""
    meta = feed.store.read_meta(symbol)
    span = (start, (meta.inception_ts or 0) - MINUTE_MS)
    now = feed.clock.now_ms()
    if span[0] <= span[1] and not blocked(meta.known_gaps, span, now):
        _if_free(
            feed,
            symbol,
            lambda meta: meta.with_gaps(
                add_gap(meta.known_gaps, span, "pre_inception", now, retry_count=PERSISTENT_AFTER)
            ),
        )


def note_missing(feed: Feed, store: CandleStore, symbol: str, spans: Sequence[Span]) -> None:
    """The exchange has answered and these candles were not in the answer."""
    if spans:
        meta = note_gaps(feed, store, symbol, spans, "fetch_failed")
        logger.info(
            "candles_missing exchange=%s symbol=%s timeframe=%s spans=%d candles=%d first=%s last=%s known_gaps=%d",
            feed.exchange, symbol, store.timeframe, len(spans),
            sum((high - low) // store.period_ms + 1 for low, high in spans),
            ts_to_date(spans[0][0]), ts_to_date(spans[-1][1]), len(meta.known_gaps),
        )  # fmt: skip


def note_gaps(
    feed: Feed, store: CandleStore, symbol: str, spans: Sequence[Span], reason: Reason, retry_count: int | None = None
) -> SymbolMeta:
    """Enter gaps, or count one more attempt at those that are known; the meta data afterwards."""
    now = feed.clock.now_ms()

    def noted(meta: SymbolMeta) -> SymbolMeta:
        gaps: Gaps = meta.known_gaps
        for span in spans:
            gaps = add_gap(gaps, span, reason, now, retry_count=retry_count)
        return meta.with_gaps(gaps)

    return store.update_meta(symbol, noted)


def note_inception(feed: Feed, symbol: str, inception_ts: int, source: str) -> None:
    """Enter the first candle an exchange ever had; nothing before it is asked for."""
    known = feed.store.read_meta(symbol)
    if known.inception_ts is not None and known.inception_ts <= inception_ts:
        return
    if known.first_seen_ts is not None and known.first_seen_ts < inception_ts:
        inception_ts = known.first_seen_ts
    _if_free(feed, symbol, lambda meta: meta.with_inception(inception_ts, source))


def _if_free(feed: Feed, symbol: str, change: Callable[[SymbolMeta], SymbolMeta]) -> None:
    """Note what spares requests, unless somebody is at work on the symbol: it can be found out again."""
    with suppress(LockTimeoutError):
        feed.store.update_meta(symbol, change, timeout_s=0.0)


class MonthBuffer:
    """Rows of one symbol gathered a month at a time, so that each month's file is written once."""

    def __init__(self, store: CandleStore, symbol: str) -> None:
        self._store, self._symbol = store, symbol
        self._parts: list[Candles] = []

    async def add(self, candles: Candles) -> None:
        """Take a page; pages come in ascending order, months that are complete are written."""
        months = candles["ts"].astype("M8[ms]").astype("M8[M]")
        for month in np.unique(months):
            if self._parts and month != self._parts[-1]["ts"][-1].astype("M8[ms]").astype("M8[M]"):
                self.flush()  # not in a thread: one that outlives a cancelled task would write without the lock
            self._parts.append(candles[months == month])

    def flush(self) -> None:
        """Write what has been gathered."""
        parts, self._parts = self._parts, []
        rows = np.concatenate(parts) if parts else np.empty(0, CANDLE_DTYPE)
        self._store.write(self._symbol, rows, "fetch")
