"""EMAs to trade by: over ten spans of what is stored, little is left of where they began (`additions.md` 13).

The engine's EMAs run from the first row of its data. One over a single span would still feel its first candle with a
weight of e^-2; after ten spans it is 2e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import numpy as np

from candles.disk.store import CandleStore
from candles.fill import floor_minute, standardize_gaps
from candles.indicators.emas import Load
from candles.indicators.series import latest_ema, window_length
from core.clock import HOUR_MS, MINUTE_MS, Clock
from markets.candle import Candles, timeframe_ms

DEPTH = 10  # spans
LONGEST_HOLE_MS = 2 * HOUR_MS  # between stored candles; what lies behind a longer one is of another time

Spans: TypeAlias = Mapping[str, Collection[float]]
"""Of each metric; the same metrics as those of `candles.indicators.series`."""

StoreOf: TypeAlias = Callable[[str], CandleStore]
"""What is on disk of a timeframe."""


class DeepEmas:
    """The newest EMAs of a symbol; an answer is kept while it is as new as asked for."""

    def __init__(self, load: Load, store_of: StoreOf, clock: Clock) -> None:
        self._load, self._store_of, self._clock = load, store_of, clock
        self._known: dict[tuple[str, int], tuple[int, int, dict[tuple[str, float], float]]] = {}

    def forget(self, symbol: str) -> None:
        """Drop what was computed for a symbol."""
        for key in [key for key in self._known if key[0] == symbol]:
            del self._known[key]

    async def latest(
        self, symbol: str, spans: Spans, max_age_ms: int | None, timeframe: str
    ) -> dict[tuple[str, float], float]:
        """`{(metric, span): EMA}`; NaN without candles.

        As many candles as the longest span are fetched if they are missing; older ones count if they are stored.
        Raises KeyError for an unknown metric, CandleFetchError.
        """
        period, now = timeframe_ms(timeframe), self._clock.now_ms()
        end = _newest(now, period)
        wanted = [(metric, span) for metric, several in spans.items() for span in several]
        at_end, computed, known = self._known.get((symbol, period), (0, 0, {}))
        if at_end != end or not max_age_ms or now - computed > max_age_ms:
            computed, known = now, {}
        missing = [key for key in wanted if key not in known]
        if missing:
            length = max(window_length(span) for _, span in missing)
            candles = await self._candles(symbol, length, end, max_age_ms, timeframe)
            known = {**known, **{key: _ema(candles, *key, end, period) for key in missing}}
            self._known[symbol, period] = end, computed, known
        return {key: known[key] for key in wanted}

    async def _candles(self, symbol: str, length: int, end: int, max_age_ms: int | None, timeframe: str) -> Candles:
        period = timeframe_ms(timeframe)
        start = end - (length - 1) * period
        needed = await self._load(symbol, start, end, max_age_ms, timeframe)
        first = int(needed["ts"][0]) if len(needed) else start
        older = self._store_of(timeframe).read(symbol, end - (DEPTH * length - 1) * period, first - period)
        older = _unbroken(older, first, period)
        if not len(older):
            return needed
        joined = np.concatenate((older, needed))
        return standardize_gaps(joined, assume_sorted=True) if period == MINUTE_MS else joined


def _newest(now: int, period: int) -> int:
    """The newest candle that counts. A longer one does so a minute after it has ended, as in the engine
    (`backtest_engine.md` 8.5), where the hour is complete when the first minute of the next one is known."""
    minute = floor_minute(now) - MINUTE_MS
    return minute if period == MINUTE_MS else minute // period * period - period


def _unbroken(rows: Candles, before: int, period: int) -> Candles:
    """The rows after the last long hole."""
    steps = np.diff(np.append(rows["ts"], before))
    holes = np.flatnonzero(steps > max(LONGEST_HOLE_MS, 2 * period))
    unbroken: Candles = rows[holes[-1] + 1 :] if len(holes) else rows
    return unbroken


def _ema(candles: Candles, metric: str, span: float, end: int, period: int) -> float:
    """Over the last ten spans, rounded up; NaN where the newest candle is missing altogether."""
    start = end - (math.ceil(DEPTH * span) - 1) * period
    return latest_ema(candles[np.searchsorted(candles["ts"], start) :], metric, span)
