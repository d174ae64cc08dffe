"""One-minute candles summed up to longer ones (`candles.md` 6)."""

from __future__ import annotations

import numpy as np

from markets.candle import CANDLE_DTYPE, UNKNOWN, Candles


def aggregate(candles: Candles, period_ms: int) -> Candles:
    """Candles of a longer period from ascending real ones; periods without any row are missing."""
    buckets = candles["ts"] // period_ms
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[:1] - 1))
    out = np.empty(len(starts), CANDLE_DTYPE)
    if not len(starts):
        return out
    out["ts"] = buckets[starts] * period_ms
    out["o"] = candles["o"][starts]
    out["h"] = np.maximum.reduceat(candles["h"], starts)
    out["l"] = np.minimum.reduceat(candles["l"], starts)
    out["c"] = candles["c"][np.append(starts[1:], len(candles)) - 1]
    out["bv"] = np.add.reduceat(candles["bv"], starts)
    out["src"] = UNKNOWN
    return out
