"""Bybit's calls about what was traded and earned (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange_sim.bybit.closed_pnl import closing_row, closings
from exchange_sim.bybit.pages import Entry, empty_page, page_of, week_of
from exchange_sim.bybit.rows import execution_row
from exchange_sim.bybit.signed import Call, asked_symbol
from exchange_sim.desk import Desk

DEFAULT_PAGE, MOST_ON_PAGE = 50, 100


class History:
    """Handlers take a `Call` and give the result that is sent, newest first, of a week at most."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("GET", "/v5/execution/list"): self.executions,
            ("GET", "/v5/position/closed-pnl"): self.closed_pnl,
        }

    def executions(self, call: Call) -> Any:
        symbol, limit = asked_symbol(self.desk, call), call.limit(DEFAULT_PAGE, MOST_ON_PAGE)
        start, end = week_of(call, self.desk.venue.now_ms())
        if not call.is_linear() or call.text("execType", "Trade") != "Trade":
            return empty_page(call)
        order_id, client_id = call.text("orderId", ""), call.text("orderLinkId", "")
        by_symbol = self.desk.venue.market.by_symbol
        fills = self.desk.fills(call.request, call.key, start, end, symbol)
        entries = [
            Entry((f.ts, f.id), execution_row(f, call.account.find_order(f.order_id), by_symbol[f.symbol]))
            for f in fills if order_id in ("", str(f.order_id)) and client_id in ("", f.client_id)
        ]  # fmt: skip
        return page_of(call, entries, limit)

    def closed_pnl(self, call: Call) -> Any:
        symbol, limit = asked_symbol(self.desk, call), call.limit(DEFAULT_PAGE, MOST_ON_PAGE)
        start, end = week_of(call, self.desk.venue.now_ms())
        if not call.is_linear():
            return empty_page(call)
        by_symbol = self.desk.venue.market.by_symbol
        found = closings(self.desk.fills(call.request, call.key, symbol=symbol), by_symbol)
        entries = [
            Entry((c.last.ts, c.first.order_id), closing_row(c, call.account, by_symbol[c.first.symbol]))
            for c in found if start <= c.last.ts <= end
        ]  # fmt: skip
        return page_of(call, entries, limit)
