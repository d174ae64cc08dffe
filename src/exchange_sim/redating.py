"""Old candles as today's: a span of them repeats without end, before now and after (`exchange_simulator.md` 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import ConfigError, DataError
from exchange_sim.market import Instrument, VenueMarket
from markets.candle import CANDLE_DTYPE, Candles

USUAL_DAYS = 30  # of the span, where nobody says when it begins
HISTORY_DAYS = 400  # for which the market seems to have existed: longer than age filters ask for
OUTDATED_MS = DAY_MS  # symbols whose candles end earlier than the newest ones by more are left out


@dataclass(frozen=True, slots=True)
class Span:
    """The minutes that repeat, both ends included."""

    first_ms: int
    last_ms: int

    @property
    def length_ms(self) -> int:
        return self.last_ms - self.first_ms + MINUTE_MS

    def __str__(self) -> str:
        return f"{ts_to_date(self.first_ms)} to {ts_to_date(self.last_ms)}"


@dataclass(frozen=True, slots=True)
class Repeated:
    """The candles of a span, again and again; its first one is shown at `anchor_ms`.

    What was stored before the span (since `firsts`, by symbol) is shown before it, so that the first start has the
    history which belongs to its prices; further back, and later on, rounds of the span follow each other.
    """

    market: VenueMarket
    span: Span
    anchor_ms: int
    firsts: Mapping[str, int]

    def minutes(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        """Candles of the shown time. Where a round ends the price jumps back to that of the span's beginning."""
        parts = []
        at = start_ts
        while at <= end_ts:
            shift, last = self._round(symbol, at)
            until = min(end_ts, last)
            rows = self.market.minutes(symbol, at - shift, until - shift).copy()
            rows["ts"] += shift
            parts.append(rows)
            at = until + MINUTE_MS
        return np.concatenate(parts) if parts else np.empty(0, CANDLE_DTYPE)

    def _round(self, symbol: str, at: int) -> tuple[int, int]:
        """By how much the candles shown at a time are shifted, and the last time shown that is shifted so."""
        span, shift = self.span, self.anchor_ms - self.span.first_ms
        begin = self.firsts[symbol] + shift  # of the history before the first round
        if at >= self.anchor_ms:
            turn = (at - self.anchor_ms) // span.length_ms
        elif at >= begin:
            return shift, self.anchor_ms - MINUTE_MS
        else:  # rounds that end where the history begins
            turn = (at - begin) // span.length_ms
            shift = begin - span.first_ms
        shift += turn * span.length_ms
        return shift, span.last_ms + shift


def find_span(market: VenueMarket, start: str = "", end: str = "") -> Span:
    """The span to repeat: before `end`, else up to where the candles end; from `start`, else the 30 days before that.

    Where no coin has 30 days, all that one has. Raises ConfigError for dates in the wrong order, DataError if no
    coin has candles at that time.
    """
    lasts = _lasts(market)
    newest = max(lasts.values(), default=0)
    last = min(ts for ts in [*lasts.values(), newest] if ts >= newest - OUTDATED_MS)
    if end:
        last = min(last, date_to_ts(end) - MINUTE_MS)
    last = last // MINUTE_MS * MINUTE_MS
    if start and end and date_to_ts(start) >= date_to_ts(end):
        raise ConfigError(f"paper.start {start} is not before paper.end {end}")
    span = Span(date_to_ts(start) // MINUTE_MS * MINUTE_MS if start else last - USUAL_DAYS * DAY_MS + MINUTE_MS, last)
    if start or _whole(market, span):
        return span
    begun = [item.launch_ms for item in market.by_id.values() if lasts.get(item.symbol, -1) >= last > item.launch_ms]
    return Span(min(begun), last) if begun else span


def redated(market: VenueMarket, anchor_ms: int, span: Span) -> VenueMarket:
    """A market whose old candles are shown from `anchor_ms` on, over and over.

    Symbols that do not have all of the span are left out; DataError if none is left.
    """
    whole = _whole(market, span)
    if not whole:
        raise DataError(
            f"{market.note}: no coin has candles from {span}; choose other dates (paper.start, paper.end), download "
            "more, or use --paper-data sample"
        )
    shown = [replace(item, launch_ms=anchor_ms - HISTORY_DAYS * DAY_MS) for item in whole]
    source = Repeated(market, span, anchor_ms, {item.symbol: item.launch_ms for item in whole})
    left_out = sorted({item.market.base for item in market.by_id.values()} - {item.market.base for item in whole})
    without = f", without {', '.join(left_out)} (not all of it there)" if left_out else ""
    return VenueMarket(shown, source.minutes, f"{market.note}, {span} over and over, shown as of today{without}")


def _lasts(market: VenueMarket) -> dict[str, int]:
    return {symbol: market.last_ts(symbol) for symbol in market.by_symbol} if market.last_ts else {}


def _whole(market: VenueMarket, span: Span) -> list[Instrument]:
    """The instruments that have all of a span."""
    lasts = _lasts(market)
    return [
        item
        for item in market.by_id.values()
        if item.launch_ms <= span.first_ms < span.last_ms <= lasts.get(item.symbol, -1)
    ]
