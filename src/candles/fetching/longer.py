"""Candles of longer timeframes: the exchange's own, no sums of minutes while there is an exchange (`candles.md` 6)."""

from __future__ import annotations

from collections import OrderedDict

from candles.disk.store import CandleStore
from candles.fetching.feed import Feed
from candles.fetching.history import MonthBuffer, Span, blocked, check_version, note_missing, read
from candles.fill import missing_spans
from candles.resample import aggregate
from candles.sources.protocol import CandleSource
from core.clock import MINUTE_MS
from markets.candle import Candles

REMEMBERED_RANGES = 8

Key = tuple[str, int, int]  # timeframe, start, end


class LongerCandles:
    """Ranges of longer timeframes, remembered a few a symbol."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._remembered: dict[str, OrderedDict[Key, tuple[int, Candles]]] = {}
        self._prepared: set[tuple[str, str]] = set()

    async def load(
        self, symbol: str, timeframe: str, window: Span, max_age_ms: int | None, *, anew: bool = False
    ) -> Candles:
        """Candles of the range; periods without one are missing. `anew`: whatever is in memory. CandleFetchError."""
        start, end = window
        store = self._feed.store_of(timeframe)
        period = store.period_ms
        if self._feed.source is None:
            return await self._from_disk(store, symbol, period, window)
        remembered = None if anew else self._recall(symbol, (timeframe, start, end), max_age_ms)
        if remembered is not None:
            return remembered
        await self._prepare(self._feed.source, store, symbol)
        newest = self._feed.clock.now_ms() // period * period - period
        inception = self._feed.store.read_meta(symbol).inception_ts or 0
        start = max(start, self._feed.source.earliest(period, newest) or 0, inception // period * period)
        candles = store.read(symbol, start, end)
        if self._missing(store, symbol, candles, (start, end)):
            candles = await self._fetch(self._feed.source, store, symbol, (start, end))
        self._remember(symbol, (timeframe, *window), candles)
        return candles

    async def _prepare(self, source: CandleSource, store: CandleStore, symbol: str) -> None:
        key = (store.timeframe, symbol)
        if source.version and key not in self._prepared:
            await check_version(self._feed, source, store, symbol)
            self._prepared.add(key)

    async def _fetch(self, source: CandleSource, store: CandleStore, symbol: str, window: tuple[int, int]) -> Candles:
        start, end = window
        async with self._feed.lock(symbol, "fetch", store):
            candles = store.read(symbol, start, end)  # another program may have fetched it meanwhile
            if not self._missing(store, symbol, candles, window):
                return candles
            rows = MonthBuffer(store, symbol)
            try:
                await source.fetch(symbol, store.timeframe, start, end, rows.add)
            finally:
                rows.flush()
            candles = store.read(symbol, start, end)
            if self._feed.clock.now_ms() < end + 2 * store.period_ms:
                end -= store.period_ms  # the newest candle may just be late
            note_missing(self._feed, store, symbol, self._missing(store, symbol, candles, (start, end)))
        return candles

    def _missing(self, store: CandleStore, symbol: str, candles: Candles, window: tuple[int, int]) -> list[Span]:
        """Periods worth asking for."""
        spans = missing_spans(candles["ts"], *window, store.period_ms)
        gaps = store.read_meta(symbol).known_gaps if spans else ()
        return [span for span in spans if not blocked(gaps, span, self._feed.clock.now_ms())]

    async def _from_disk(self, store: CandleStore, symbol: str, period: int, window: tuple[int, int]) -> Candles:
        """Stored candles of that timeframe, else sums of the minutes on disk."""
        start, end = window
        candles = store.read(symbol, start, end)
        if len(candles):
            return candles
        return aggregate(await read(self._feed.store, symbol, start, end + period - MINUTE_MS), period)

    def _recall(self, symbol: str, key: Key, max_age_ms: int | None) -> Candles | None:
        ranges = self._remembered.get(symbol, OrderedDict())
        known = ranges.get(key)
        if known is None or (max_age_ms and self._feed.clock.now_ms() - known[0] > max_age_ms):
            return None
        ranges.move_to_end(key)
        return known[1]

    def _remember(self, symbol: str, key: Key, candles: Candles) -> None:
        ranges = self._remembered.setdefault(symbol, OrderedDict())
        ranges[key] = self._feed.clock.now_ms(), candles
        ranges.move_to_end(key)
        while len(ranges) > REMEMBERED_RANGES:
            ranges.popitem(last=False)
