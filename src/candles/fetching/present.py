"""The newest candles: refreshing the tail, filling what is missing in a recent window (`candles.md` 5.7, 9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from candles.fetching.feed import Feed
from candles.fetching.history import Span, blocked, is_covered, note_gaps
from candles.fill import missing_spans
from candles.sources.protocol import CandleSource
from core.clock import HOUR_MS, MINUTE_MS
from markets.candle import Candles

RELOAD_MARGIN = 10
TAIL_TRIES = 3
MOST_HOLES = 3
WARMUP_LEAVES_HOLES_OLDER_THAN_MS = 24 * HOUR_MS


async def refresh(feed: Feed, symbol: str, through_ts: int | None = None) -> int:
    """Bring the tail up to the last finished minute, or through `through_ts`; the first minute asked for.

    The last minutes held are asked for again, so that late corrections land. Raises CandleFetchError.
    """
    source = feed.source
    if source is None:
        return feed.last_final() + MINUTE_MS
    end = feed.last_final() if through_ts is None else min(feed.last_final(), through_ts // MINUTE_MS * MINUTE_MS)
    async with feed.lock(symbol, "refresh"):
        began = feed.clock.now_ms()
        start = _refresh_from(feed, symbol, end)
        if start > end or not await source.fetch(symbol, "1m", start, end, _keeper(feed, symbol, began)):
            feed.store.update_meta(symbol, lambda meta: meta.with_refresh(began))
        feed.refreshed_ms[symbol] = began
    return start


def _refresh_from(feed: Feed, symbol: str, end: int) -> int:
    """The first minute to ask for; after `end` if nothing is missing there."""
    reload = max(feed.window, feed.overlap) + RELOAD_MARGIN
    held = feed.store.read(symbol, end - (reload - 1) * MINUTE_MS, end)
    if not len(held):
        return end - (feed.window - 1) * MINUTE_MS
    last = int(held["ts"][-1])
    return last + MINUTE_MS if last >= end else last - feed.overlap * MINUTE_MS


def _keeper(feed: Feed, symbol: str, refreshed_ms: int | None = None) -> Callable[[Candles], Awaitable[None]]:
    """Stores page by page."""

    async def keep(page: Candles) -> None:
        feed.store.write(symbol, page, "refresh", refreshed_ms)

    return keep


async def load_present(feed: Feed, symbol: str, start: int, end: int, *, edges_only: bool = False) -> Candles:
    """The real rows of a recent window, after asking for its end and for a few holes. Raises CandleFetchError.

    With `edges_only` (warm-up) holes older than a day are neither asked for nor noted.
    """
    candles = feed.store.read(symbol, start, end)
    source = feed.source
    if source is None or is_covered(candles, start, end):
        return candles
    async with feed.lock(symbol, "fetch"):
        candles = await _with_tail(feed, source, symbol, (start, end))
        await _fill_holes(feed, source, symbol, _holes(feed, symbol, candles, (start, end), edges_only))
    return feed.store.read(symbol, start, end)


async def _with_tail(feed: Feed, source: CandleSource, symbol: str, window: Span) -> Candles:
    """Ask from the last row on, and again while that brings the end nearer."""
    start, end = window
    for _ in range(TAIL_TRIES):
        candles = feed.store.read(symbol, start, end)
        tail = (int(candles["ts"][-1]) + MINUTE_MS if len(candles) else start, end)
        if tail[0] > end or blocked(feed.store.read_meta(symbol).known_gaps, tail, feed.clock.now_ms()):
            return candles
        span = _within_reach(feed, source, symbol, tail)
        if span[0] > span[1] or not await source.fetch(symbol, "1m", *span, _keeper(feed, symbol)):
            return candles
    return feed.store.read(symbol, start, end)


def _within_reach(feed: Feed, source: CandleSource, symbol: str, span: Span) -> Span:
    """From the first candle that there was and that can still be had; the start is after the end if there is none."""
    earliest = source.earliest(MINUTE_MS, feed.last_final()) or 0
    return max(span[0], earliest, feed.store.read_meta(symbol).inception_ts or 0), span[1]


def _holes(feed: Feed, symbol: str, candles: Candles, window: Span, edges_only: bool) -> list[Span]:
    """Missing spans worth asking for; the tail has been asked for already."""
    meta = feed.store.read_meta(symbol)
    now = feed.clock.now_ms()
    start = max(window[0], meta.inception_ts or window[0])
    spans = [span for span in missing_spans(candles["ts"], start, window[1]) if span[1] < window[1]]
    if edges_only:
        recent = now - WARMUP_LEAVES_HOLES_OLDER_THAN_MS
        spans = [span for span in spans if span[0] == start or span[1] >= recent]
    return [span for span in spans if not blocked(meta.known_gaps, span, now)][:MOST_HOLES]


async def _fill_holes(feed: Feed, source: CandleSource, symbol: str, holes: list[Span]) -> None:
    for hole in holes:
        span = _within_reach(feed, source, symbol, hole)
        if span[0] <= span[1] and await source.fetch(symbol, "1m", *span, _keeper(feed, symbol)):
            continue
        note_gaps(feed, feed.store, symbol, [hole], "auto_detected")
