"""The venue's market: instruments, and their candles up to any moment (`exchange_simulator.md` 5).

Whole minutes come from elsewhere, a day at a time, and are kept in memory; the minute in progress shows the part of its
path that has been walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Self

import numpy as np

from candles.fill import floor_minute, sort_candles
from candles.resample import aggregate
from core.clock import DAY_MS, MINUTE_MS
from core.errors import ConfigError
from markets.candle import CANDLE_DTYPE, Candles
from markets.market import Market

Minutes = Callable[[str, int, int], Candles]
"""Candles of a symbol from one minute through another, ascending, without gaps."""

DAYS_IN_MEMORY = 1000  # of all symbols together, 80 KB each


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract the venue lists. `id` is the venue's own name of it, `launch_ms` its first minute."""

    id: str
    market: Market
    launch_ms: int

    @property
    def symbol(self) -> str:
        return self.market.symbol

    @property
    def price_decimals(self) -> int:
        return decimals_of(self.market.price_step)

    @property
    def qty_decimals(self) -> int:
        return decimals_of(self.market.qty_step)


@lru_cache(maxsize=256)
def decimals_of(step: float) -> int:
    """Digits behind the point that multiples of a step need: 0.25 -> 2, 10.0 -> 0."""
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Ticker:
    """The last 24 hours of an instrument, to the moment `close_ms`. Volumes are in base and quote currency."""

    last: float
    open: float
    high: float
    low: float
    volume: float
    quote_volume: float
    open_ms: int
    close_ms: int


class VenueMarket:
    """All instruments of a venue. `note` says what the candles are, for whoever looks at the venue; `last_ts` gives a
    symbol's last minute where its candles end."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        minutes: Minutes,
        note: str = "",
        last_ts: Callable[[str], int] | None = None,
    ) -> None:
        self.by_id = {item.id: item for item in instruments}
        self.by_symbol = {item.symbol: item for item in self.by_id.values()}
        self.minutes = minutes
        self.note = note
        self.last_ts = last_ts
        self.version = 0  # goes up when candles are replaced
        self._put: dict[str, Candles] = {}
        self._day = lru_cache(maxsize=DAYS_IN_MEMORY)(self._load_day)
        self._day_total = lru_cache(maxsize=None)(self._sum_day)

    def with_fees(self, maker: float | None = None, taker: float | None = None) -> Self:
        """The same market with other fees, where they are given."""
        items = [
            replace(item, market=replace(
                item.market,
                maker_fee=item.market.maker_fee if maker is None else maker,
                taker_fee=item.market.taker_fee if taker is None else taker,
            ))
            for item in self.by_id.values()
        ]  # fmt: skip
        other = copy(self)
        other.by_id = {item.id: item for item in items}
        other.by_symbol = {item.symbol: item for item in items}
        return other

    def put(self, symbol: str, rows: Candles) -> None:
        """Candles that replace others from now on, minute by minute."""
        before = self._put.get(symbol, np.empty(0, CANDLE_DTYPE))
        self._put[symbol] = sort_candles(np.concatenate((before, rows)))
        self.version += 1
        self._day.cache_clear()
        self._day_total.cache_clear()

    def find(self, name: str) -> Instrument:
        """An instrument by the venue's name or ours. Raises ConfigError naming those there are."""
        item = self.by_symbol.get(name) or self.by_id.get(name)
        if item is None:
            raise ConfigError(f"no market {name} here; there are {', '.join(self.by_symbol)}")
        return item

    def finished(self, item: Instrument, start_ms: int, end_ms: int) -> Candles:
        """The whole minutes that open from `start_ms` through `end_ms`, none before the launch."""
        start, end = max(start_ms, item.launch_ms), end_ms
        days = (
            [self._day(item.symbol, day) for day in range(start // DAY_MS, end // DAY_MS + 1)] if end >= start else []
        )
        rows = np.concatenate(days) if days else np.empty(0, CANDLE_DTYPE)
        inside: Candles = rows[np.searchsorted(rows["ts"], start) : np.searchsorted(rows["ts"], end, side="right")]
        return inside

    def until(self, item: Instrument, start_ms: int, end_ms: int, now_ms: int) -> Candles:
        """As `finished`, but nothing later than `now_ms`, and of the current minute only the part that is over."""
        minute = floor_minute(now_ms)
        if end_ms < minute:
            return self.finished(item, start_ms, end_ms)
        rows = self.finished(item, start_ms, minute)
        if not len(rows) or rows["ts"][-1] != minute:
            return rows
        return np.concatenate((rows[:-1], so_far(rows[-1:], (now_ms - minute) / MINUTE_MS, item)))

    def days(self, item: Instrument, start_ms: int, end_ms: int, now_ms: int) -> Candles:
        """Candles of UTC days, `start_ms` floored and `end_ms` included; the current day as far as it has come."""
        today = now_ms // DAY_MS
        first, last = max(start_ms, item.launch_ms) // DAY_MS, min(end_ms // DAY_MS, today)
        parts = [self._day_total(item.symbol, day) for day in range(first, min(last + 1, today))]
        if last == today >= first:
            parts.append(aggregate(self.until(item, today * DAY_MS, now_ms, now_ms), DAY_MS))
        return np.concatenate(parts) if parts else np.empty(0, CANDLE_DTYPE)

    def price(self, item: Instrument, now_ms: int) -> float | None:
        """The last price; at a full minute the close of the one that ended. None before the first trade."""
        minute = floor_minute(now_ms)
        rows = self.until(item, minute - MINUTE_MS, minute, now_ms)
        if not len(rows):
            return None
        return float(rows["c"][0 if now_ms == minute else -1])

    def ticker(self, item: Instrument, now_ms: int) -> Ticker | None:
        """What happened in the last 24 hours. None before the first trade."""
        rows = self.until(item, floor_minute(now_ms) - DAY_MS, now_ms, now_ms)
        last = self.price(item, now_ms)
        if not len(rows) or last is None:
            return None
        return Ticker(
            last=last,
            open=float(rows["o"][0]),
            high=float(rows["h"].max()),
            low=float(rows["l"].min()),
            volume=round(float(rows["bv"].sum()), item.qty_decimals),
            quote_volume=round(float(quote_volume(rows).sum()), 8),
            open_ms=int(rows["ts"][0]),
            close_ms=now_ms,
        )

    def _load_day(self, symbol: str, day: int) -> Candles:
        start, end = day * DAY_MS, (day + 1) * DAY_MS - MINUTE_MS
        rows = self.minutes(symbol, start, end)
        put = self._put.get(symbol)
        if put is not None:
            rows = sort_candles(np.concatenate((rows, put[(put["ts"] >= start) & (put["ts"] <= end)])))
        return rows

    def _sum_day(self, symbol: str, day: int) -> Candles:
        return aggregate(self._day(symbol, day), DAY_MS)


def quote_volume(rows: Candles) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What a venue would state as turnover: volume at the mean of high, low and close."""
    turnover: np.ndarray[tuple[int], np.dtype[np.float64]] = rows["bv"] * ((rows["h"] + rows["l"] + rows["c"]) / 3.0)
    return turnover


def corners_of(start: float, high: float, low: float, end: float) -> tuple[float, float, float, float]:
    """The path through a candle: open, the extreme against its direction at 1/3, the other at 2/3, close."""
    return (start, low, high, end) if end >= start else (start, high, low, end)


def so_far(row: Candles, fraction: float, item: Instrument) -> Candles:
    """One candle as it looks after a fraction of its period; between the corners of its path prices are linear."""
    first = row[0]
    corners = corners_of(*(float(first[name]) for name in ("o", "h", "l", "c")))
    leg = min(int(fraction * 3.0), 2)
    price = corners[leg] + (corners[leg + 1] - corners[leg]) * (fraction * 3.0 - leg)
    step = item.market.price_step
    last = min(max(round(round(price / step) * step, item.price_decimals), min(corners)), max(corners))
    walked = [*corners[: leg + 1], last]
    part = row.copy()
    part["h"], part["l"], part["c"] = max(walked), min(walked), last
    part["bv"] = round(
        int(float(first["bv"]) * fraction / item.market.qty_step) * item.market.qty_step, item.qty_decimals
    )
    return part
