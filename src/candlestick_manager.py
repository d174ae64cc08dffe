"""The only door to candles (`candles.md` 4-8): one manager serves the one-minute candles of one exchange.

What the store lacks comes from the source the manager was given; without a source it serves what is on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from candles import fetch
from candles.fill import floor_minute, standardize_gaps
from candles.gaps import clear_gaps, gap_summary
from candles.resample import aggregate
from candles.sources.protocol import CandleSource
from candles.store import CandleStore
from core.clock import MINUTE_MS, Clock, SystemClock
from markets.candle import CANDLE_DTYPE, Candles, timeframe_ms

__all__ = ["CandlestickManager"]


class CandlestickManager:
    """Candles of one exchange, from the store and, where that has gaps, from `source`.

    `compact` merges the day files of months that are over, once a symbol; for backtests and tools, not for live.
    """

    def __init__(
        self,
        source: CandleSource | None = None,
        exchange_name: str = "unknown",
        *,
        cache_dir: str | Path = "caches",
        clock: Clock | None = None,
        default_window_candles: int = 100,
        compact: bool = False,
    ) -> None:
        self.source = source
        self.exchange_name = source.id if source and exchange_name == "unknown" else exchange_name
        self.cache_dir = Path(cache_dir)
        self.clock = clock or SystemClock()
        self.default_window_candles = default_window_candles
        self.store = CandleStore(self.cache_dir, self.exchange_name, self.clock)
        self._compact = compact
        self._prepared: set[str] = set()

    def get_candles(  # noqa: PLR0913 - the interface that `candles.md` 4 fixes
        self,
        symbol: str,
        *,
        start_ts: float | None = None,
        end_ts: float | None = None,
        max_age_ms: int | None = None,
        strict: bool = False,
        timeframe: str = "1m",
        force_refetch_gaps: bool = False,
        fill_leading_gaps: bool = False,
    ) -> Candles:
        """Candles of both ends' minutes and all between, never of the minute in progress.

        Missing minutes are zero candles at the last close, from the first row on (from `start_ts` with
        `fill_leading_gaps`); with `strict` they are missing. The default window ends at the last finished minute.
        `max_age_ms` tells how old the last refresh may be; only sources that grow by the minute need it.
        Raises ValueError for a negative `max_age_ms`, DataError for what the source or the store cannot deliver.
        """
        if max_age_ms is not None and max_age_ms < 0:
            raise ValueError("max_age_ms cannot be negative")
        period = timeframe_ms(timeframe)
        start, end = self._window(start_ts, end_ts, period)
        if force_refetch_gaps:
            self.clear_known_gaps(symbol, (start, end))
        if start > end:
            return np.empty(0, CANDLE_DTYPE)
        if period > MINUTE_MS:
            return self._longer(symbol, timeframe, period, (start, end))
        real = self._load(symbol, start, end)
        if strict:
            return real
        if not len(real) or real["ts"][0] > start:
            real = np.concatenate((self.store.read_last_before(symbol, start), real))
        return standardize_gaps(
            real, start_ts=start, end_ts=end, fill_leading_gaps=fill_leading_gaps, assume_sorted=True
        )

    @staticmethod
    def standardize_gaps(candles: Candles, **window: Any) -> Candles:
        """See `candles.fill.standardize_gaps`."""
        return standardize_gaps(candles, **window)

    def clear_known_gaps(self, symbol: str, date_range: tuple[int, int] | None = None) -> int:
        """Forget gaps that overlap the range in ms, all without one; the number of gaps forgotten."""
        before = self.store.read_meta(symbol).known_gaps
        if not before:
            return 0
        after = self.store.update_meta(symbol, lambda meta: meta.with_gaps(clear_gaps(meta.known_gaps, date_range)))
        return len(before) - len(after.known_gaps)

    def get_gap_summary(self, symbol: str) -> dict[str, Any]:
        """Counts and list of the symbol's known gaps."""
        return gap_summary(self.store.read_meta(symbol).known_gaps)

    def first_ts(self, symbol: str) -> int | None:
        """The first candle there ever was, as far as source and store know; else the first stored; None if none."""
        known = self.source.first_ts(symbol) if self.source else None
        meta = self.store.read_meta(symbol)
        return next((ts for ts in (known, meta.inception_ts, meta.first_seen_ts) if ts is not None), None)

    def _window(self, start_ts: float | None, end_ts: float | None, period: int) -> tuple[int, int]:
        """Both ends on the grid; the last period that is over is the latest."""
        last = floor_minute(self.clock.now_ms()) // period * period - period
        end = last if end_ts is None else min(int(end_ts) // period * period, last)
        start = end - self.default_window_candles * period if start_ts is None else int(start_ts) // period * period
        return start, end

    def _load(self, symbol: str, start: int, end: int) -> Candles:
        if symbol not in self._prepared:
            if self.source:
                fetch.prepare_symbol(self.store, self.source, symbol)
            if self._compact:
                self.store.compact(symbol)
            self._prepared.add(symbol)
        return fetch.load(self.store, self.source, symbol, start, end)

    def _longer(self, symbol: str, timeframe: str, period: int, window: tuple[int, int]) -> Candles:
        """Stored candles of that timeframe, else sums of one-minute ones; missing periods stay missing."""
        start, end = window
        stored = CandleStore(self.cache_dir, self.exchange_name, self.clock, timeframe.strip().lower())
        candles = stored.read(symbol, start, end)
        return candles if len(candles) else aggregate(self._load(symbol, start, end + period - MINUTE_MS), period)
