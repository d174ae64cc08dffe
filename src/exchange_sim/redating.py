"""Old candles as those of today: a span of them repeats without end, before now and after (`exchange_simulator.md` 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from exchange_sim.market import VenueMarket
from markets.candle import CANDLE_DTYPE, Candles

USUAL_DAYS = 30  # of the span, where nobody says when it begins
HISTORY_DAYS = 400  # for which the market seems to have existed: longer than age filters ask for
OUTDATED_MS = DAY_MS  # symbols whose candles end earlier than the newest ones by more are left out


@dataclass(frozen=True, slots=True)
class Repeated:
    """Candles from `first_ms` through `last_ms`, again and again; the first one is shown at `anchor_ms`."""

    market: VenueMarket
    first_ms: int
    last_ms: int
    anchor_ms: int

    def minutes(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        """Candles of the shown time. Where a round ends the price jumps back to that of the span's beginning."""
        length = self.last_ms - self.first_ms + MINUTE_MS
        parts = []
        at = start_ts
        while at <= end_ts:
            rounds, inside = divmod(at - self.anchor_ms, length)
            shift = self.anchor_ms + rounds * length - self.first_ms
            until = min(end_ts - shift, self.last_ms)
            rows = self.market.minutes(symbol, self.first_ms + inside, until).copy()
            rows["ts"] += shift
            parts.append(rows)
            at = until + shift + MINUTE_MS
        return np.concatenate(parts) if parts else np.empty(0, CANDLE_DTYPE)


def redated(market: VenueMarket, anchor_ms: int, start: str = "", end: str = "") -> VenueMarket:
    """A market whose old candles are shown from `anchor_ms` on, over and over.

    The span ends at `end`, else where the candles end, and begins at `start`, else 30 days before that. Symbols that
    do not have all of it are left out; DataError if none is left.
    """
    lasts = {symbol: market.last_ts(symbol) for symbol in market.by_symbol} if market.last_ts else {}
    newest = max(lasts.values(), default=-1)
    recent = {symbol: ts for symbol, ts in lasts.items() if ts >= newest - OUTDATED_MS}
    last = min([*recent.values(), *([date_to_ts(end)] if end else [])], default=-1) // MINUTE_MS * MINUTE_MS
    first = date_to_ts(start) if start else last - USUAL_DAYS * DAY_MS + MINUTE_MS
    whole = [
        item for item in market.by_id.values() if lasts.get(item.symbol, -1) >= last and item.launch_ms <= first < last
    ]
    if not whole and not start:  # less than the usual span: all there is
        whole = [item for item in market.by_id.values() if lasts.get(item.symbol, -1) >= last > item.launch_ms]
        first = max((item.launch_ms for item in whole), default=0)
    if not whole:
        raise DataError(
            f"{market.note}: no coin has candles from {ts_to_date(first)} to {ts_to_date(last)}; choose other dates "
            "(paper.start, paper.end), download more, or use --paper-data sample"
        )
    shown = [replace(item, launch_ms=anchor_ms - HISTORY_DAYS * DAY_MS) for item in whole]
    source = Repeated(market, first, last, anchor_ms)
    note = f"{market.note}, {ts_to_date(first)} to {ts_to_date(last)} over and over, shown as of today"
    return VenueMarket(shown, source.minutes, note)
