"""The part of a dataset that a scenario runs on (`candles.md` 15.9)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.clock import MINUTE_MS as M
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from simulation.dataset import Dataset
from simulation.suite import slice_dataset

START = date_to_ts("2023-11-13T19:50")
ROWS = 1691


def master() -> Dataset:
    """Two coins, the second valid from row 850 on, with a warm-up of ten minutes."""
    cube = np.ones((ROWS, 2, 4))
    cube[:850, 1] = np.nan
    old = {"first_valid_index": 0, "last_valid_index": 600, "warmup_minutes": 30, "trade_start_index": 30}
    new = {"first_valid_index": 850, "last_valid_index": 1690, "warmup_minutes": 10, "trade_start_index": 860}
    return Dataset(
        name="x", coins=("BTC", "NEW"), hlcvs=cube, btc_usd=np.ones(ROWS), timestamps=START + M * np.arange(ROWS),
        markets={"BTC": old, "NEW": new}, meta={}, key="k", directory=Path(),
    )  # fmt: skip


def rows(dataset: Dataset, coin: str) -> tuple[int, int, int]:
    market = dataset.markets[coin]
    return market["first_valid_index"], market["last_valid_index"], market["trade_start_index"]


def sliced(low: int, high: int, warmup: int = 0) -> Dataset:
    """From row `low` (after the warm-up) through row `high`."""
    return slice_dataset(master(), ts_to_date(START + low * M), ts_to_date(START + high * M), warmup, "s")


def test_worked_example() -> None:
    """A coin valid from row 850, a slice of 941 rows from row 500: valid from 350, tradable from 360."""
    part = sliced(520, 1440, warmup=20)
    assert part.hlcvs.shape == (941, 2, 4)
    assert part.timestamps[0] == START + 500 * M
    assert int(np.flatnonzero(np.isfinite(part.hlcvs[:, 1, 2]))[0]) == 350
    assert rows(part, "NEW") == (350, 940, 360)
    assert rows(part, "BTC") == (0, 100, 30)
    assert (part.meta["warmup_minutes_requested"], part.meta["warmup_minutes_provided"]) == (20, 20)


def test_coins_outside_of_a_slice() -> None:
    """Who has no valid row in it is never tradable there."""
    assert rows(sliced(0, 849), "NEW") == (850, 850, 850)
    assert rows(sliced(0, 850), "NEW") == (850, 850, 850)
    assert sliced(0, 850).markets["NEW"]["first_valid_index"] == 850 < len(sliced(0, 850).timestamps)
    assert rows(sliced(601, 900), "BTC") == (300, 300, 300)


def test_edges_of_the_data() -> None:
    """A warm-up that reaches before the data is cut; there is always a row; outside of the data is an error."""
    part = sliced(5, 10, warmup=100)
    assert (len(part.timestamps), part.meta["warmup_minutes_provided"]) == (11, 5)
    assert len(sliced(ROWS - 1, ROWS + 50).timestamps) == 1
    assert len(sliced(-50, 0).timestamps) == 1
    for low, high in ((ROWS, ROWS + 5), (-10, -1)):
        with pytest.raises(DataError, match=r"scenario s .* lies outside the data, 2023-11-13T19:50:00 to 2023-11-15"):
            sliced(low, high)
    with pytest.raises(DataError, match="is not after its start"):
        sliced(7, 7)
