"""What the hammer's processes share: a quick clock, the venue's market with holes, what candles there truly are."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from core.clock import DAY_MS, HOUR_MS
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from exchange_sim.market import VenueMarket
from exchange_sim.server import SimServer
from exchange_sim.sources import sample_market
from markets import sample
from markets.candle import VALUE_FIELDS, Candles

VENUES = ("binance", "bybit")
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
LATE_SYMBOL, TARDY_SYMBOL = SYMBOLS[1], SYMBOLS[2]  # some minutes come late; the newest are often late
KLINES = ("/fapi/v1/klines", "/v5/market/kline")

OPENING = date_to_ts("2025-06-03T23:30")  # of the venue; 72 hours after the end of May come half an hour later
SIMULATED_MS = HOUR_MS  # passes in a run, however long it takes

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SharedClock:
    """The same time in all processes of a machine: `start_ms` at `origin_s` of the monotonic clock, and quicker."""

    start_ms: int
    origin_s: float
    speed: float

    def now_ms(self) -> int:
        return self.start_ms + int((time.monotonic() - self.origin_s) * self.speed * 1000.0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


@dataclass(frozen=True)
class Holes:
    """Minutes that the venue does not have (`gone`, by symbol), and some that it does not serve at first (`late`).

    Nothing before `start` is ever asked for.
    """

    start: int
    gone: dict[str, Spans] = field(default_factory=dict)
    late: tuple[int, int] = (0, -1)

    @property
    def minutes(self) -> int:
        """From the start until well after the end of a run."""
        return (OPENING + 6 * HOUR_MS - self.start) // M

    def lacks(self, symbol: str, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these minutes never come."""
        lacking = np.zeros(len(ts), bool)
        for start, end in self.gone.get(symbol, ()):
            lacking |= (ts >= start) & (ts <= end)
        return lacking


def make_holes(random: Random, days: int) -> Holes:
    """Holes of a few minutes all over, one over the end of a month, one of some hours, some that are yet to come."""
    start = OPENING - days * DAY_MS
    end_of_may = date_to_ts("2025-06-01")

    def spans() -> Spans:
        anywhere = [start + random.randrange(days * 1440 - 60) * M for _ in range(30)]
        coming = [OPENING + random.randrange(2, 55) * M for _ in range(2)]
        hours = start + random.randrange(days * 24 - 6) * HOUR_MS - 10 * M
        return (
            *((ts, ts + random.randrange(12) * M) for ts in anywhere),
            *((ts, ts) for ts in coming),
            (end_of_may - 5 * M, end_of_may + 4 * M),
            (hours, hours + 140 * M),
        )

    late = OPENING - random.randrange(3, 30) * HOUR_MS + 10 * M  # past the full hour: no hour's candle is late
    return Holes(start, {symbol: spans() for symbol in SYMBOLS}, (late, late + random.randrange(1, 20) * M))


def market_of(holes: Holes) -> VenueMarket:
    """The sample market without the minutes that are gone."""
    whole = sample_market()

    def minutes(symbol: str, start_ts: int, end_ts: int) -> Candles:
        rows = sample.candles(symbol, start_ts, end_ts)
        there: Candles = rows[~holes.lacks(symbol, rows["ts"])]
        return there

    return VenueMarket(whole.by_id.values(), minutes)


def disturb(sim: SimServer, holes: Holes) -> None:
    """Errors now and then, late minutes, newest minutes that are not there yet."""
    faults = sim.faults
    faults.add("http", status=503, probability=0.01, count=0)
    faults.add("disconnect", probability=0.005, count=0)
    for path in KLINES:
        faults.add("missing", span=holes.late, symbol=_id(LATE_SYMBOL), path=path, count=0)
        faults.add("late", minutes=2, symbol=_id(TARDY_SYMBOL), path=path, probability=0.3, count=0)


def _id(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


class Truth:
    """What a venue with these holes can have delivered."""

    def __init__(self, holes: Holes) -> None:
        self._holes = holes

    def wrong(self, symbol: str, rows: Candles) -> str:
        """What is wrong with real rows; empty if nothing is."""
        if not len(rows):
            return ""
        ts = rows["ts"]
        if (np.diff(ts) <= 0).any():
            return "rows are not ascending"
        if (lacking := self._holes.lacks(symbol, ts)).any():
            return f"a row at {ts[lacking][0]}, which the venue never had"
        true = sample.candles(symbol, int(ts[0]), int(ts[-1]))
        true = true[np.isin(true["ts"], ts)]
        for name in VALUE_FIELDS:
            differs = true[name] != rows[name]
            if differs.any():
                at = int(np.argmax(differs))
                return f"{name} at {ts[at]} is {rows[name][at]!r}, not {true[name][at]!r}"
        return ""
