"""Scenarios of a suite: the part of a dataset that one runs on, what is kept of its result (15.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from simulation.dataset import Dataset
from simulation.market_settings import ValidRows
from simulation.results import Analysis, BacktestResult

Curve = tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]


@dataclass
class ScenarioResult:
    """What is kept of a scenario: metrics and sampled equity by dataset, the seconds it took, where its files are."""

    label: str
    output_path: str
    analyses: dict[str, Analysis] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    data_note: str | None = None

    def add(self, dataset: str, result: BacktestResult, elapsed_seconds: float) -> None:
        """Keep what the summary and the figure need."""
        self.analyses[dataset] = result.analysis
        equity = result.balance_and_equity["usd_total_equity"]
        self.curves[dataset] = (equity.index.to_numpy(), equity.to_numpy(dtype=np.float64))
        self.elapsed_seconds += elapsed_seconds
        self.data_note = result.data_note


def slice_dataset(dataset: Dataset, start_date: str, end_date: str, warmup_minutes: int, label: str) -> Dataset:
    """The rows from the scenario's start minus its warm-up through its end, as views; nothing is copied.

    Valid rows are counted from the first row of the slice; a coin without valid rows in it can never be traded.
    Raises DataError for a scenario outside the data.
    """
    start, end = date_to_ts(start_date), date_to_ts(end_date)
    if end <= start:
        raise DataError(f"scenario {label}: its end {end_date} is not after its start {start_date}")
    ts = dataset.timestamps
    first, last = int(ts[0]), int(ts[-1])
    if end < first or start > last:
        raise DataError(
            f"scenario {label} ({start_date} to {end_date}) lies outside the data, "
            f"{ts_to_date(first)} to {ts_to_date(last)}"
        )
    low = min(int(np.searchsorted(ts, start - warmup_minutes * MINUTE_MS, side="left")), len(ts) - 1)
    high = max(int(np.searchsorted(ts, end, side="right")), low + 1)
    rows = slice(low, high)
    markets = {coin: {**market, **_valid_rows(market, low, high - low)} for coin, market in dataset.markets.items()}
    return replace(
        dataset,
        hlcvs=dataset.hlcvs[rows],
        btc_usd=dataset.btc_usd[rows],
        timestamps=ts[rows],
        markets=markets,
        meta={**dataset.meta, **_facts(ts[rows], start, end, warmup_minutes)},
    )


def _valid_rows(market: Mapping[str, Any], low: int, count: int) -> dict[str, int]:
    first, last = market["first_valid_index"] - low, market["last_valid_index"] - low
    if last < 0 or first >= count or first > last:
        return {"first_valid_index": count, "last_valid_index": count, "trade_start_index": count}
    rows = ValidRows(max(first, 0), min(last, count - 1), market["warmup_minutes"])
    return {"first_valid_index": rows.first, "last_valid_index": rows.last, "trade_start_index": rows.trade_start}


def _facts(ts: Any, start: int, end: int, warmup_minutes: int) -> dict[str, Any]:
    times = {
        "requested_start": start,
        "requested_end": end,
        "effective_start": int(ts[0]),
        "effective_end": int(ts[-1]),
    }
    dates = {f"{name}_date": ts_to_date(ms) for name, ms in times.items()}
    return {
        **{f"{name}_ts": ms for name, ms in times.items()},
        **dates,
        "warmup_minutes_requested": warmup_minutes,
        "warmup_minutes_provided": max(0, start - int(ts[0])) // MINUTE_MS,
    }
