"""The candle record (`candles.md` 2): one row a minute, prices and base volume in float64, `ts` the open time in ms."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE_MS

# Where a row came from; FILLED marks the zero candles of gap filling, which are never stored.
UNKNOWN, REST, ARCHIVE, ARCHIVE_FILL, IMPORT, FILLED = 0, 1, 2, 3, 4, 255

CANDLE_DTYPE = np.dtype(
    [("ts", "i8"), ("o", "f8"), ("h", "f8"), ("l", "f8"), ("c", "f8"), ("bv", "f8"), ("src", "u1")], align=True
)
PRICE_FIELDS = ("o", "h", "l", "c")
VALUE_FIELDS = (*PRICE_FIELDS, "bv")

Candles = npt.NDArray[np.void]  # a structured array of CANDLE_DTYPE, ascending by `ts`

_UNITS_MS = {"s": 1000, "m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 24 * 60 * MINUTE_MS}


def timeframe_ms(timeframe: str) -> int:
    """Milliseconds of `<n><s|m|h|d>`, whole minutes, at least one; anything else means one minute."""
    match = re.fullmatch(r"\s*(\d+)([smhd])\s*", timeframe.lower())
    ms = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    return max(ms // MINUTE_MS, 1) * MINUTE_MS


def timeframe_name(period_ms: int) -> str:
    """The one name of a period of whole minutes: `4h`, not `240m` or `4H`; paths and requests use it."""
    unit = next(unit for unit in ("d", "h", "m") if period_ms % _UNITS_MS[unit] == 0)
    return f"{period_ms // _UNITS_MS[unit]}{unit}"
