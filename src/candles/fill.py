"""Missing minutes: finding them, filling them with zero candles (`candles.md` 7). Pure functions on candle arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE_MS
from markets.candle import CANDLE_DTYPE, FILLED, PRICE_FIELDS, Candles


def floor_minute(ts_ms: float) -> int:
    """The start of the minute a moment lies in."""
    return int(ts_ms) // MINUTE_MS * MINUTE_MS


def sort_candles(candles: Candles) -> Candles:
    """Ascending by `ts`, the last of equal ones kept."""
    if len(candles) < 2 or (np.diff(candles["ts"]) > 0).all():
        return candles
    ordered: Candles = candles[np.argsort(candles["ts"], kind="stable")]
    last_of_equals: Candles = ordered[np.append(np.diff(ordered["ts"]) > 0, True)]
    return last_of_equals


def missing_spans(
    ts: npt.NDArray[np.int64], start_ts: int, end_ts: int, period_ms: int = MINUTE_MS
) -> list[tuple[int, int]]:
    """Maximal runs `(first, last)` of minutes within `[start_ts, end_ts]` that ascending `ts` lacks."""
    if end_ts < start_ts:
        return []
    inside = ts[np.searchsorted(ts, start_ts) : np.searchsorted(ts, end_ts, side="right")]
    marks = np.concatenate(([start_ts - period_ms], inside, [end_ts + period_ms]))
    holes = np.flatnonzero(np.diff(marks) > period_ms)
    return [(int(marks[i]) + period_ms, int(marks[i + 1]) - period_ms) for i in holes]


def standardize_gaps(
    candles: Candles,
    *,
    start_ts: float | None = None,
    end_ts: float | None = None,
    strict: bool = False,
    fill_leading_gaps: bool = False,
    assume_sorted: bool = False,
    symbol: str | None = None,
) -> Candles:
    """One row a minute over the window: real rows, and zero candles at the last close where there is none.

    Nothing is invented before the first row, unless `fill_leading_gaps`. With `strict` the window's rows unchanged.
    `symbol` is of no use here, callers may name it.
    """
    if not len(candles):
        return candles
    if not assume_sorted:
        candles = candles[np.argsort(candles["ts"], kind="stable")]
    low = floor_minute(candles["ts"][0] if start_ts is None else start_ts)
    high = floor_minute(candles["ts"][-1] if end_ts is None else end_ts)
    if not fill_leading_gaps:
        low = max(low, int(candles["ts"][0]))
    if strict:
        return candles[np.searchsorted(candles["ts"], low) : np.searchsorted(candles["ts"], high, side="right")]
    return _fill(candles, low, high)


def _fill(candles: Candles, low: int, high: int) -> Candles:
    if high < low:
        return np.empty(0, CANDLE_DTYPE)
    ts = candles["ts"]
    minutes = np.arange(low, high + MINUTE_MS, MINUTE_MS, dtype=np.int64)
    at = np.searchsorted(ts, minutes, side="right") - 1
    source = np.maximum(at, 0)
    real = ts[source] == minutes
    if real.all() and source[-1] - source[0] + 1 == len(minutes):
        whole: Candles = candles[source[0] : source[-1] + 1]
        return whole
    out = np.empty(len(minutes), CANDLE_DTYPE)
    out["ts"] = minutes
    close = candles["c"][source]
    for field in PRICE_FIELDS:
        out[field] = np.where(real, candles[field][source], close)
    out["bv"] = np.where(real, candles["bv"][source], 0.0)
    out["src"] = np.where(real, candles["src"][source], FILLED)
    return out
