"""Klines of every interval, as exchanges page through them (`exchange_simulator.md` 5, 7.2, 8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from candles.resample import aggregate
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from exchange_sim.market import Instrument, VenueMarket
from markets.candle import CANDLE_DTYPE, Candles

_UNITS_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_MONDAY_MS = 4 * DAY_MS  # the first one after 1970-01-01; weeks begin then


@dataclass(frozen=True, slots=True)
class Interval:
    """A kline interval. Calendar months have no fixed length: `ms` is 0."""

    name: str
    ms: int

    @property
    def offset_ms(self) -> int:
        return _MONDAY_MS if self.name == "1w" else 0

    def start(self, ts: int) -> int:
        """When the period that `ts` lies in began."""
        if self.ms:
            return (ts - self.offset_ms) // self.ms * self.ms + self.offset_ms
        return _month_start(_month(ts))

    def shift(self, start: int, count: int) -> int:
        """The start of the period `count` periods after (before, if negative) the one that begins at `start`."""
        return start + count * self.ms if self.ms else _month_start(_month(start) + count)


def _month(ts: int) -> int:
    moment = datetime.fromtimestamp(ts / 1000.0, UTC)
    return moment.year * 12 + moment.month - 1


def _month_start(month: int) -> int:
    year, index = divmod(max(month, 1970 * 12), 12)
    return int(datetime(year, index + 1, 1, tzinfo=UTC).timestamp()) * 1000


INTERVALS = {
    name: Interval(name, 0 if name == "1M" else int(name[:-1]) * _UNITS_MS[name[-1]])
    for name in ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
}


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: `limit` klines from `start_ms` on, or without one the last that open by `end_ms`."""

    interval: Interval
    limit: int
    start_ms: int | None = None
    end_ms: int | None = None


def klines(market: VenueMarket, item: Instrument, page: Page, now_ms: int) -> Candles:
    """The page as it stands at `now_ms`, ascending, the unfinished kline included."""
    interval = page.interval
    last = interval.start(min(now_ms, now_ms if page.end_ms is None else page.end_ms))
    if page.start_ms is None:
        first = interval.shift(last, 1 - page.limit)
    else:
        first = interval.start(page.start_ms)
        first = first if first == page.start_ms else interval.shift(first, 1)
    first = max(first, interval.start(item.launch_ms))
    if page.start_ms is not None:
        last = min(last, interval.shift(first, page.limit - 1))
    if last < first:
        return np.empty(0, CANDLE_DTYPE)
    return _resampled(market, item, interval, (first, interval.shift(last, 1) - 1), now_ms)


def _resampled(
    market: VenueMarket, item: Instrument, interval: Interval, span: tuple[int, int], now_ms: int
) -> Candles:
    start, end = span
    if interval.ms == MINUTE_MS:
        return market.until(item, start, end, now_ms)
    if 0 < interval.ms < DAY_MS:
        summed = aggregate(market.until(item, start, end, now_ms), interval.ms)
    elif interval.ms:
        days = _moved(market.days(item, start, end, now_ms), -interval.offset_ms)
        summed = _moved(aggregate(days, interval.ms), interval.offset_ms)
    else:
        summed = _months(market.days(item, start, end, now_ms))
    summed["bv"] = np.round(summed["bv"], item.qty_decimals)  # a sum of floats has digits that the volume has not
    return summed


def _moved(rows: Candles, by_ms: int) -> Candles:
    moved = rows.copy()
    moved["ts"] += by_ms
    return moved


def _months(days: Candles) -> Candles:
    """Months out of days: every row is put on a grid of one unit a month, summed there, and put back."""
    months = days["ts"].astype("M8[ms]").astype("M8[M]")
    on_grid = days.copy()
    on_grid["ts"] = months.astype(np.int64)
    summed = aggregate(on_grid, 1)
    summed["ts"] = summed["ts"].astype("M8[M]").astype("M8[ms]").astype(np.int64)
    return summed
