"""One coin's candles into one column of the cube: fetched, checked, filled, the best feed of several (15.2, 15.4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candles.disk.parquet import Column
from core.clock import DAY_MS, MINUTE_MS
from core.dates import ts_to_date
from core.errors import DataError, OfflineDataError
from markets.candle import ARCHIVE_FILL
from simulation.plan import Candidate, CoinPlan, Plan
from simulation.request import DatasetRequest

PLACED = ("h", "l", "c", "bv")  # the last axis of the cube
COLUMNS = (*PLACED, "src")

COMPARED_MS = 60 * DAY_MS  # volumes of several exchanges are compared over the last so many days (15.5)

Columns = dict[str, Column]

Failures = dict[tuple[str, str], str]
"""Why candles could not be fetched, by coin and exchange."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A coin in the cube: who served it, times of its first row and of its first and last real candle, counts."""

    coin: str
    candidate: Candidate
    first_row_ts: int
    first_real_ts: int
    last_real_ts: int
    n_real: int
    n_filled: int
    n_gaps: int


async def fetch_coin(request: DatasetRequest, item: CoinPlan, end_ts: int) -> Failures:
    """Bring the coin's candles of all its candidates into their stores; why some could not be had.

    Of markets whose volumes are only compared with, the last days are enough.
    """
    failures: Failures = {}
    last_days = (max(item.start_ts, end_ts - COMPARED_MS), end_ts)
    wanted = [(candidate, (item.start_ts, end_ts)) for candidate in item.candidates]
    for candidate, span in [*wanted, *((other, last_days) for other in item.compared)]:
        if candidate.feed.can_fetch:
            try:
                await _fetch_candidate(request, candidate, span)
            except DataError as exc:
                failures[item.coin, candidate.feed.exchange] = str(exc)
    return failures


async def _fetch_candidate(request: DatasetRequest, candidate: Candidate, span: tuple[int, int]) -> None:
    feed = candidate.feed
    async with feed.coin_slots:
        await feed.manager.ensure(candidate.symbol, *span, force_refetch_gaps=request.force_refetch_gaps)
        await _fetch_long_gaps(request, candidate, span)


async def _fetch_long_gaps(request: DatasetRequest, candidate: Candidate, span: tuple[int, int]) -> None:
    """A gap longer than tolerated is asked for once more, however often that was done before."""
    manager, symbol = candidate.feed.manager, candidate.symbol
    if await asyncio.to_thread(manager.store.has_all, symbol, *span):
        return
    gap = longest_gap((await asyncio.to_thread(manager.store.read_columns, symbol, (), *span))["ts"])
    if _too_long(request, gap) and not request.force_refetch_gaps:
        await manager.ensure(symbol, gap[0], gap[1], force_refetch_gaps=True)


def place_coin(
    request: DatasetRequest, item: CoinPlan, plan: Plan, column: npt.NDArray[np.float64], origin: int
) -> Loaded:
    """Place the coin's best candles in its column [T, 4] of the cube. Raises DataError if none are of use."""
    span = (item.start_ts, plan.end_ts)
    best: tuple[Candidate, Columns] | None = None
    reasons = []
    for candidate in item.candidates:
        try:
            columns = load_checked(request, candidate, span)
        except DataError as exc:
            reasons.append(f"{candidate.feed.exchange}: {exc}" if len(item.candidates) > 1 else str(exc))
            continue
        if best is None or _rank(columns) > _rank(best[1]):
            best = candidate, columns
    if best is None:
        raise DataError("; ".join(reasons))
    candidate, columns = best
    n_filled = place(columns, column, origin, plan.end_ts)
    ts = columns["ts"]
    traded = ts[columns["src"] != ARCHIVE_FILL]
    n_gaps = int((np.diff(ts) > MINUTE_MS).sum()) if n_filled else 0
    return Loaded(item.coin, candidate, int(ts[0]), int(traded[0]), int(traded[-1]), len(ts), n_filled, n_gaps)


def load_checked(request: DatasetRequest, candidate: Candidate, span: tuple[int, int]) -> Columns:
    """A market's stored candles of the range, as columns. Raises DataError without any, or with too long a gap."""
    columns = candidate.feed.manager.store.read_columns(candidate.symbol, COLUMNS, *span)
    if not len(columns["ts"]) or (columns["src"] == ARCHIVE_FILL).all():
        raise OfflineDataError(f"no candles between {ts_to_date(span[0])} and {ts_to_date(span[1])}")
    gap = longest_gap(columns["ts"])
    if _too_long(request, gap):
        raise DataError(
            f"no candles for {(gap[1] - gap[0]) // MINUTE_MS - 1} minutes between {ts_to_date(gap[0])} and "
            f"{ts_to_date(gap[1])}, more than gap_tolerance_ohlcvs_minutes {request.gap_tolerance_ohlcvs_minutes:g}"
        )
    return columns


def longest_gap(ts: Column) -> tuple[int, int]:
    """The neighbouring times that lie furthest apart."""
    if len(ts) < 2:
        return 0, 0
    at = int(np.argmax(np.diff(ts)))
    return int(ts[at]), int(ts[at + 1])


def _too_long(request: DatasetRequest, gap: tuple[int, int]) -> bool:
    return gap[1] - gap[0] > request.gap_tolerance_ohlcvs_minutes * MINUTE_MS


def _rank(columns: Columns) -> tuple[int, float]:
    """The earliest first candle, which after filling is the best coverage, then the greatest volume (15.4)."""
    return -int(columns["ts"][0]), float(np.sum(columns["bv"]))


def place(columns: Columns, column: npt.NDArray[np.float64], origin: int, end_ts: int) -> int:
    """Write rows from the first candle to the end, gaps and tail filled with zero candles; how many were filled."""
    ts = columns["ts"]
    first = (int(ts[0]) - origin) // MINUTE_MS
    n_rows = (end_ts - int(ts[0])) // MINUTE_MS + 1
    target = column[first : first + n_rows]
    if len(ts) == n_rows:
        for i, name in enumerate(PLACED):
            target[:, i] = columns[name]
        return 0
    rows = (ts - ts[0]) // MINUTE_MS
    held = np.zeros(n_rows, dtype=np.int64)
    held[rows[1:]] = 1
    np.cumsum(held, out=held)  # which candle each minute is, or comes after
    missing = np.ones(n_rows, dtype=bool)
    missing[rows] = False
    close = columns["c"][held]
    for i, name in enumerate(PLACED):
        target[:, i] = columns[name][held]
        target[missing, i] = 0.0 if name == "bv" else close[missing]
    return n_rows - len(ts)


def daily_volumes(columns: Columns, start_ts: int, end_ts: int) -> dict[int, float]:
    """Base volume by UTC day, every day from the first candle to the end."""
    inside = slice(*np.searchsorted(columns["ts"], (start_ts, end_ts + 1)))
    days, volumes = columns["ts"][inside] // DAY_MS, columns["bv"][inside]
    if not len(days):
        return {}
    first, last = int(days[0]), end_ts // DAY_MS
    sums = np.bincount(days - first, weights=volumes, minlength=last - first + 1)
    return {first + i: float(volume) for i, volume in enumerate(sums)}
