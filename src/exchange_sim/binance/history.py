"""Binance's calls about what was traded and earned (`exchange_simulator.md` 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from core.clock import DAY_MS
from exchange_sim.binance.rows import income_row, trade_row
from exchange_sim.binance.signed import Call, instrument, optional_symbol
from exchange_sim.desk import Desk
from exchange_sim.trading.records import Fill
from exchange_sim.wire import VenueError

WEEK_MS = 7 * DAY_MS
DEFAULT_TRADES, DEFAULT_INCOME, MOST_ROWS = 500, 100, 1000

Row = TypeVar("Row")


class History:
    """Handlers take a `Call` and give what is sent as JSON, ascending by time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("GET", "/fapi/v1/userTrades"): self.trades,
            ("GET", "/fapi/v1/income"): self.income,
        }

    def trades(self, call: Call) -> Any:
        """Of one symbol, of a week at most; from `startTime` or `fromId` on, else the last ones."""
        item = instrument(self.desk, call)
        limit = _limit(call, DEFAULT_TRADES)
        from_id, start, end = call.integer("fromId"), call.integer("startTime"), call.integer("endTime")
        if from_id is None:
            start_ms, end_ms = self._week(start, end)
            fills = self.desk.fills(call.request, call.key, start_ms, end_ms, item.symbol)
        else:
            every = self.desk.fills(call.request, call.key, symbol=item.symbol)
            fills = [fill for fill in every if fill.id >= from_id]
        page = _page(fills, limit, from_start=start is not None or from_id is not None)
        return [trade_row(fill, item) for fill in page]

    def income(self, call: Call) -> Any:
        """Profits and commissions; of one kind, or each fill's profit before its commission."""
        symbol, kind = optional_symbol(self.desk, call), call.params.get("incomeType")
        limit = _limit(call, DEFAULT_INCOME)
        start, end = call.integer("startTime"), call.integer("endTime")
        if start is None and end is None:
            start = self.desk.venue.now_ms() - WEEK_MS
        fills = self.desk.fills(call.request, call.key, start, end, symbol)
        by_symbol = self.desk.venue.market.by_symbol
        rows = [income_row(f, by_symbol[f.symbol], k) for f in fills for k in _kinds(f) if kind in (None, k)]
        return _page(rows, limit, from_start=start is not None)

    def _week(self, start: int | None, end: int | None) -> tuple[int, int]:
        if start is not None and end is not None:
            if start > end:
                raise VenueError(-1023, "Start time is greater than end time.")
            if end - start > WEEK_MS:
                raise VenueError(-4165, "Invalid Time Interval, maximum time interval is 7 days")
            return start, end
        if start is not None:
            return start, start + WEEK_MS
        last = self.desk.venue.now_ms() if end is None else end
        return last - WEEK_MS, last


def _kinds(fill: Fill) -> Sequence[str]:
    return ("REALIZED_PNL", "COMMISSION") if fill.closed_qty > 0.0 else ("COMMISSION",)


def _limit(call: Call, default: int) -> int:
    limit = call.integer("limit")
    if limit is None:
        return default
    if limit < 1:
        raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, MOST_ROWS)


def _page(rows: Sequence[Row], limit: int, *, from_start: bool) -> Sequence[Row]:
    return rows[:limit] if from_start else rows[max(len(rows) - limit, 0) :]
