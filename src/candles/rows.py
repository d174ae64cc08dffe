"""Rows as exchanges and archives deliver them to candles (`candles.md` 2). Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from candles.fill import sort_candles
from markets.candle import CANDLE_DTYPE, PRICE_FIELDS, VALUE_FIELDS, Candles

N_COLUMNS = 6  # time, open, high, low, close, volume


def from_ohlcv(rows: Sequence[Sequence[Any]], src: int, period_ms: int, contract_size: float = 1.0) -> Candles:
    """CCXT rows `[ms, o, h, l, c, v]` as candles, ascending; `contract_size` turns contracts into base units.

    Times are floored to the period, a missing volume is 0, the last of equal times wins. Rows that are no numbers, with
    prices that are not positive or with negative volume are dropped.
    """
    return from_columns(_as_numbers(rows), src, period_ms, contract_size)


def from_columns(values: npt.NDArray[np.float64], src: int, period_ms: int, contract_size: float = 1.0) -> Candles:
    """The same from float64 [n, 6]."""
    values = values[np.isfinite(values).all(axis=1)]
    values = values[(values[:, 1:5] > 0.0).all(axis=1) & (values[:, 5] >= 0.0)]
    candles = np.empty(len(values), CANDLE_DTYPE)
    candles["ts"] = values[:, 0].astype(np.int64) // period_ms * period_ms
    for i, name in enumerate((*PRICE_FIELDS, "bv"), start=1):
        candles[name] = values[:, i]
    if contract_size != 1.0:
        candles["bv"] *= contract_size
    candles["src"] = src
    return sort_candles(candles)


def _as_numbers(rows: Sequence[Sequence[Any]]) -> npt.NDArray[np.float64]:
    if not rows:
        return np.empty((0, N_COLUMNS))
    try:
        values = np.array(rows, dtype=np.float64)
        if values.ndim == 2 and values.shape[1] >= N_COLUMNS and not np.isnan(values[:, 5]).any():
            return values[:, :N_COLUMNS]
    except (TypeError, ValueError):
        pass
    # ragged rows, something that is no number, or a volume that may be None: one by one
    kept = [numbers for row in rows if (numbers := _numbers_of(row)) is not None]
    return np.array(kept, dtype=np.float64).reshape(-1, N_COLUMNS)


def _numbers_of(row: Sequence[Any]) -> list[float] | None:
    """One row's six numbers; None if one of the first five is none."""
    try:
        numbers = [float(value) for value in row[:5]]
        volume = row[5] if len(row) > 5 else 0.0
        return [*numbers, 0.0 if volume is None else float(volume)] if len(numbers) == 5 else None
    except (TypeError, ValueError):
        return None


def newest(candles: Candles) -> Candles:
    """The last row, or no row."""
    last: Candles = candles[-1:]
    return last


def equal_values(one: Candles, other: Candles) -> bool:
    """Same minutes, same prices, same volumes; where rows come from does not count."""
    return len(one) == len(other) and all(np.array_equal(one[name], other[name]) for name in ("ts", *VALUE_FIELDS))
