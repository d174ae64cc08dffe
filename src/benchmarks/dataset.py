"""Time to have the arrays of a backtest ready, by the functions that the programs use."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import Options
from benchmarks.timing import seconds_of
from core import paths
from core.clock import DAY_MS, ManualClock
from core.dates import date_to_ts, ts_to_date
from markets import sample
from simulation.dataset import prepare_dataset
from simulation.request import DatasetRequest

COINS = ("BTC", "ETH", "SOL", "XRP", "BNB")
START = "2024-06-01"


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """Median seconds, also of a year of one coin."""

    what: str
    coins: int
    days: int
    seconds: float
    seconds_a_coin_year: float


def measure(options: Options, directory: Path) -> list[DatasetRow]:
    """First without anything on disk, then with a full candle store, then with the prepared dataset too."""
    cache = directory / "caches"
    clock = ManualClock(date_to_ts(START) + 400 * DAY_MS)
    request = _request(options.dataset_days, cache)

    def prepare() -> None:
        prepare_dataset(request, clock=clock)

    def forget_datasets() -> None:
        shutil.rmtree(paths.datasets_dir(cache))

    computed = seconds_of(prepare)
    cold = []
    for _ in range(options.repeats):
        forget_datasets()
        cold.append(seconds_of(prepare))
    warm = [seconds_of(prepare) for _ in range(options.repeats)]
    coin_years = len(COINS) * options.dataset_days / 365
    return [
        DatasetRow(what, len(COINS), options.dataset_days, seconds, seconds / coin_years)
        for what, seconds in (
            ("candles computed, stored and prepared", computed),
            ("prepared from the candle store", statistics.median(cold)),
            ("from the dataset cache", statistics.median(warm)),
        )
    ]


def _request(days: int, cache: Path) -> DatasetRequest:
    return DatasetRequest(
        name=sample.EXCHANGE,
        exchanges=(sample.EXCHANGE,),
        combined=False,
        coins={"long": COINS, "short": COINS},
        start_date=START,
        end_date=ts_to_date(date_to_ts(START) + days * DAY_MS),
        warmup_minutes=0,
        coin_warmup_minutes={"__default__": 0},
        minimum_coin_age_days=0,
        gap_tolerance_ohlcvs_minutes=120,
        cache_dir=cache,
    )
