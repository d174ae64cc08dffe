"""Time to have the arrays of a backtest ready, by the functions that the programs use."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import Options
from benchmarks.timing import seconds_of
from core import paths
from core.clock import DAY_MS, ManualClock
from core.dates import date_to_ts, ts_to_date
from markets import sample
from simulation.assembly import build, failed_coins, fetch
from simulation.dataset import prepare_dataset, run_to_end
from simulation.feeds import Feeds, FeedSettings
from simulation.plan import make_plan
from simulation.request import DatasetRequest

COINS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "TRX", "LINK", "LTC")
START = "2023-06-01"
YEAR_DAYS = 365

# Seconds that may pass (candles.md 23, additions.md 16): one coin-year, and twenty.
ONE_COIN_YEAR_S, TWENTY_COIN_YEARS_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """Median seconds, also of a year of one coin; `target` is what they may be, None where there is no mark."""

    what: str
    coins: int
    days: int
    seconds: float
    seconds_a_coin_year: float
    target: float | None = None


def measure(options: Options, directory: Path) -> list[DatasetRow]:
    """One coin over a year, ten over two: with nothing on disk, with the candle store, with the dataset."""
    cache = directory / "caches"
    one = _Case(cache, COINS[:1], options.dataset_days, ONE_COIN_YEAR_S)
    ten = _Case(cache, COINS, 2 * options.dataset_days, TWENTY_COIN_YEARS_S)
    rows = [one.row("candles computed, stored and prepared", seconds_of(one.prepare), marked=False)]
    ten.prepare()
    for what, work in (("from the candle store into the cube", _Case.load), ("the same, and stored", _Case.prepare)):
        rows += [case.row(what, case.median(work, options.repeats)) for case in (one, ten)]
    rows.append(ten.row("from the dataset cache", statistics.median(ten.again(options.repeats)), marked=False))
    return rows


class _Case:
    """Some coins over some days; the mark holds for whole years."""

    def __init__(self, cache: Path, coins: tuple[str, ...], days: int, target: float) -> None:
        self._cache, self._coins, self._days = cache, coins, days
        self._target = target if days >= YEAR_DAYS else None
        self._clock = ManualClock(date_to_ts(START) + (2 * YEAR_DAYS + 30) * DAY_MS)

    def prepare(self) -> None:
        prepare_dataset(_request(self._coins, self._days, self._cache), clock=self._clock)

    def load(self) -> None:
        """Everything up to the arrays in memory: plan, check that all is on disk, read, check, fill, BTC prices."""
        request = _request(self._coins, self._days, self._cache)

        async def arrays() -> None:
            feeds = Feeds(FeedSettings(self._cache, self._clock), None)
            plan = await make_plan(request, feeds, self._clock)
            failed = failed_coins(plan, await fetch(request, plan, None))
            await build(request, plan, failed, None)

        run_to_end(arrays())

    def median(self, work: Callable[[_Case], None], repeats: int) -> float:
        """Seconds without a prepared dataset."""
        seconds = []
        for _ in range(repeats):
            shutil.rmtree(paths.datasets_dir(self._cache), ignore_errors=True)
            seconds.append(seconds_of(lambda: work(self)))
        return statistics.median(seconds)

    def again(self, repeats: int) -> list[float]:
        """Seconds with one."""
        return [seconds_of(self.prepare) for _ in range(repeats)]

    def row(self, what: str, seconds: float, *, marked: bool = True) -> DatasetRow:
        coin_years = len(self._coins) * self._days / YEAR_DAYS
        target = self._target if marked else None
        return DatasetRow(what, len(self._coins), self._days, seconds, seconds / coin_years, target)


def _request(coins: tuple[str, ...], days: int, cache: Path) -> DatasetRequest:
    return DatasetRequest(
        name=sample.EXCHANGE,
        exchanges=(sample.EXCHANGE,),
        combined=False,
        coins={"long": coins, "short": coins},
        start_date=START,
        end_date=ts_to_date(date_to_ts(START) + days * DAY_MS),
        warmup_minutes=0,
        coin_warmup_minutes={"__default__": 0},
        minimum_coin_age_days=0,
        gap_tolerance_ohlcvs_minutes=120,
        cache_dir=cache,
    )
