"""Looking through a dataset before a long search relies on it (`candles.md` 15.8)."""

from __future__ import annotations

import numpy as np

from core.dates import ts_to_date
from core.errors import DataError
from simulation.dataset import Dataset

CHUNK_ROWS = 1 << 16
HINT = "remove the directory to have the dataset made anew"


def check_dataset(dataset: Dataset) -> None:
    """Raises DataError naming coin, time and value: an infinite number, a cube without any, BTC prices with a NaN."""
    has_numbers = False
    for low in range(0, len(dataset.hlcvs), CHUNK_ROWS):
        part = np.asarray(dataset.hlcvs[low : low + CHUNK_ROWS])
        has_numbers = has_numbers or not np.isnan(part).all()
        infinite = np.argwhere(np.isinf(part))
        if len(infinite):
            row, column, field = (int(i) for i in infinite[0])
            name = ("high", "low", "close", "volume")[field]
            raise DataError(
                f"dataset {dataset.directory}: {name} of {dataset.coins[column]} at "
                f"{ts_to_date(dataset.timestamps[low + row])} is {part[row, column, field]}; {HINT}"
            )
    if not has_numbers:
        raise DataError(f"dataset {dataset.directory} has no candle of {', '.join(dataset.coins)}; {HINT}")
    wrong = np.flatnonzero(~np.isfinite(dataset.btc_usd))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"dataset {dataset.directory}: BTC/USD price at {ts_to_date(dataset.timestamps[at])} is "
            f"{dataset.btc_usd[at]}; {HINT}"
        )
