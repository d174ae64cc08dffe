"""Making whole days of the oldest day files, rows of numbers (`candles.md` 7, 19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from candles.checks.audit import candle_files
from candles.fill import sort_candles, standardize_gaps
from candles.older.legacy import file_period, load_array, rows_of
from core.clock import DAY_MS, MINUTE_MS
from core.errors import DataError
from core.files import replacing
from markets.candle import VALUE_FIELDS, Candles

DAY_ROWS = DAY_MS // MINUTE_MS


def day_files(root: Path) -> list[Path]:
    """The day files below a folder. Raises UsageError if it is not there."""
    return [path for path in candle_files(root) if path.suffix == ".npy" and len(path.stem) == len("2024-01-31")]


def pad_file(path: Path, now_ms: int, *, dry_run: bool = False) -> int:
    """Fill up a day to its 1440 rows with zero candles; the number of rows added.

    Days that are not over yet and files of other forms, whose holes mean something, are left alone (0). The unit of
    times and the number format stay. Raises DataError for a damaged file, or one without a row of its day.
    """
    array = load_array(path)
    start, end = file_period(path) or (0, 0)
    if array.dtype.names or end > now_ms:
        return 0
    rows = sort_candles(_sound_rows(path, array, start, end))
    if len(rows) == len(array) == DAY_ROWS:
        return 0
    day = standardize_gaps(rows, start_ts=start, end_ts=end - MINUTE_MS, fill_leading_gaps=True)
    per_ms = 1000.0 if np.nanmax(array[:, 0]) < 1e11 else 1.0
    if not dry_run:
        _write(path, np.column_stack([day["ts"] / per_ms, *(day[name] for name in VALUE_FIELDS)]).astype(array.dtype))
    return DAY_ROWS - len(rows)


def _sound_rows(path: Path, array: npt.NDArray[Any], start: int, end: int) -> Candles:
    rows = rows_of(path, array)
    if array.shape[1] != 1 + len(VALUE_FIELDS):
        raise DataError(f"{path} has {array.shape[1]} columns, 6 are known; it is left as it is")
    sound = (rows["ts"] >= start) & (rows["ts"] < end) & (rows["ts"] % MINUTE_MS == 0)
    for name in VALUE_FIELDS:
        sound &= np.isfinite(rows[name])
    if not sound.any():
        raise DataError(f"{path} has no row of {path.stem} to go by; remove it")
    good: Candles = rows[sound]
    return good


def _write(path: Path, array: npt.NDArray[Any]) -> None:
    with replacing(path) as tmp, tmp.open("wb") as file:
        np.save(file, array)
