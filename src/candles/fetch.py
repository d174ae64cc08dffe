"""Bringing what the store lacks from a source into the store (`candles.md` 5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from candles.fill import missing_spans
from candles.sources.protocol import CandleSource
from candles.store import CandleStore
from core.clock import MINUTE_MS
from core.dates import ts_to_date
from markets.candle import Candles

logger = logging.getLogger(__name__)


def prepare_symbol(store: CandleStore, source: CandleSource, symbol: str) -> None:
    """Note since when the symbol exists; drop what another version of the source has left in the store."""
    if not source.version:
        return
    inception = source.first_ts(symbol)
    meta = store.read_meta(symbol)
    if (meta.inception_source, meta.inception_ts) == (source.version, inception):
        return
    with store.lock(symbol, "prepare"):
        if store.files(symbol):
            logger.info("candles_dropped exchange=%s symbol=%s: made by another version", store.exchange, symbol)
            store.clear(symbol)
        store.update_meta(symbol, lambda meta: replace(meta, inception_ts=inception, inception_source=source.version))


def load(store: CandleStore, source: CandleSource | None, symbol: str, start_ts: int, end_ts: int) -> Candles:
    """The real rows of the range, after fetching those that are missing and worth asking for."""
    candles = store.read(symbol, start_ts, end_ts)
    if source is None or len(candles) == (end_ts - start_ts) // MINUTE_MS + 1:
        return candles
    if not _wanted(store, source, symbol, candles, start_ts, end_ts):
        return candles
    with store.lock(symbol, "fetch"):
        candles = store.read(symbol, start_ts, end_ts)  # another process may have fetched it meanwhile
        for low, high in _wanted(store, source, symbol, candles, start_ts, end_ts):
            for part_low, part_high in _by_month(low, high):
                store.write(symbol, source.fetch(symbol, part_low, part_high), "fetch")
            logger.debug("candles_fetched symbol=%s from=%s to=%s", symbol, ts_to_date(low), ts_to_date(high))
    return store.read(symbol, start_ts, end_ts)


def _wanted(
    store: CandleStore, source: CandleSource, symbol: str, candles: Candles, start_ts: int, end_ts: int
) -> list[tuple[int, int]]:
    """Missing spans since the first candle that do not lie inside a gap known for good."""
    now = store.clock.now_ms()
    blocked = [gap for gap in store.read_meta(symbol).known_gaps if gap.blocks_fetching(now)]
    first = max(start_ts, source.first_ts(symbol) or start_ts)
    return [
        (low, high)
        for low, high in missing_spans(candles["ts"], first, end_ts)
        if not any(gap.start_ts <= low and high <= gap.end_ts for gap in blocked)
    ]


def _by_month(start_ts: int, end_ts: int) -> Iterator[tuple[int, int]]:
    """The span cut at months, so that one month at a time is in memory and written once."""
    while start_ts <= end_ts:
        month = np.datetime64(start_ts, "ms").astype("M8[M]")
        last = int((month + 1).astype("M8[ms]").astype(np.int64)) - MINUTE_MS
        yield start_ts, min(last, end_ts)
        start_ts = last + MINUTE_MS
