"""Series that EMAs are taken of, and the EMA itself (`candles.md` 10.1, 10.2). The formula is the crate's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from core.errors import ConfigError
from markets.candle import Candles

Floats = npt.NDArray[np.float64]

TINY_PRICE = 1e-12


def _log_ranges(candles: Candles) -> Floats:
    """By the crate, for the same last digits as in the engine."""
    import passivbot_rust  # lazily, as below

    return passivbot_rust.calc_log_ranges(*(np.maximum(candles[name], TINY_PRICE) for name in ("h", "l")))


SERIES: dict[str, Callable[[Candles], Floats]] = {
    "close": lambda candles: candles["c"],
    "volume": lambda candles: candles["bv"],
    "qv": lambda candles: candles["bv"] * (candles["h"] + candles["l"] + candles["c"]) / 3.0,
    "log_range": _log_ranges,
}
"""What each metric is a mean of; `qv` is the volume in the quote currency."""


def ema_series(values: Floats, span: float) -> Floats:
    """The EMA after each value, float64 [n]; the span is never rounded."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    return passivbot_rust.calc_ema_series(np.ascontiguousarray(values, dtype=np.float64), span)


def latest_ema(candles: Candles, metric: str, span: float) -> float:
    """The EMA over all given candles; NaN without any. Raises KeyError for an unknown metric."""
    values = SERIES[metric](candles)
    return float(ema_series(values, span)[-1]) if len(values) else math.nan


def window_length(span: float) -> int:
    """As many candles as the span, rounded up. Raises ConfigError for a span that is no number."""
    if not math.isfinite(span):
        raise ConfigError(f"an EMA span is {span}: it must be a number")
    return max(1, math.ceil(span))
