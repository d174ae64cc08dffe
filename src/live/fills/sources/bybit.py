"""Fills of Bybit: executions, and what closing orders earned (`live.md` 17.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from core.clock import DAY_MS
from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.coalesce import coalesce
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.translation import Item, Pages, Reply, item_of, number, swap_symbol, windows

PAGE = 100
MOST_TRADE_PAGES = 200
MOST_PNL_PAGES = 500
STEP_DAYS = 6.5


class Client(Protocol):
    """ccxt's methods as used."""

    async def fetch_my_trades(self, symbol: None, since: int, limit: int, params: Item) -> list[Reply]: ...
    async def privateGetV5PositionClosedPnl(self, params: Item) -> Reply: ...  # noqa: N802 - ccxt's name


class BybitFills:
    """Executions of all linear contracts of one account, quoted in `quote`."""

    def __init__(self, client: Client, quote: str = "USDT") -> None:
        self._client, self._quote = client, quote

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: a batch a week, the newest first. Executions carry their client ids."""
        closed = await self._closed_pnl(start_ms, end_ms)
        pages = Pages("executions of bybit", MOST_TRADE_PAGES)
        high = end_ms
        while high >= start_ms:
            low = max(start_ms, high - int(STEP_DAYS * DAY_MS))
            trades = await self._trades(low, high, pages)
            items = [item_of_trade(trade, closed, self._quote) for trade in trades]
            on_batch(coalesce(parse_fills(items, "bybit")))
            high = low - 1

    async def _trades(self, low: int, high: int, pages: Pages) -> list[Reply]:
        """Every execution of a window once; a page ends where the one before began, in the same millisecond."""
        found: dict[str, Reply] = {}
        while high >= low and pages.next(low, high):
            params = {"type": "swap", "subType": "linear", "endTime": high}
            page = await self._client.fetch_my_trades(None, low, PAGE, params)
            found |= {str(trade["id"]): trade for trade in page}
            if len(page) < PAGE:
                break
            oldest = min(int(trade["timestamp"]) for trade in page)
            high = oldest if oldest < high else high - 1
        return list(found.values())

    async def _closed_pnl(self, start_ms: int, end_ms: int) -> dict[str, Reply]:
        """Records of closing orders by order id: window by window, within each by cursor."""
        records: dict[str, Reply] = {}
        pages = Pages("closed pnl of bybit", MOST_PNL_PAGES)
        for low, high in windows(start_ms, end_ms, STEP_DAYS):
            params: dict[str, Any] = {"category": "linear", "limit": PAGE, "startTime": low, "endTime": high}
            while pages.next(low, high, params.get("cursor")):
                result = (await self._client.privateGetV5PositionClosedPnl(params)).get("result") or {}
                rows = result.get("list") or []
                records |= {str(row["orderId"]): row for row in rows}
                cursor = result.get("nextPageCursor")
                if not cursor or not rows:
                    break
                params = params | {"cursor": cursor}
        return records


def item_of_trade(trade: Reply, closed: Mapping[str, Reply], quote: str) -> Item:
    """An execution with its share of what its order earned."""
    info = trade.get("info") or {}
    closed_size = number(info.get("closedSize"))
    position_side = pside_of(str(trade.get("side")), closing=closed_size > 0.0)
    record = closed.get(str(trade.get("order") or info.get("orderId"))) if closed_size > 0.0 else None
    pnl = pnl_of(number(trade.get("price")), closed_size, position_side, record) if record else 0.0
    item = item_of(
        trade,
        source="fetch_my_trades",
        position_side=position_side,
        pnl=pnl,
        client_order_id=str(info.get("orderLinkId") or ""),
    )
    item["symbol"] = swap_symbol(trade, quote)
    if record:
        item["raw"].append({"source": "closed_pnl", "data": record})
    return item


def pnl_of(exit_price: float, closed_size: float, position_side: str, record: Reply) -> float:
    """Net pnl of a fill: its own exit price, its share of the order's fees; the order's pnl if no entry is known."""
    entry_price = number(record.get("avgEntryPrice"))
    total = number(record.get("closedSize"))
    share = closed_size / total if total > 0.0 else 1.0
    if entry_price <= 0.0:
        return number(record.get("closedPnl")) * share
    sign = 1.0 if position_side == "long" else -1.0
    fees = number(record.get("openFee")) + number(record.get("closeFee"))
    return (exit_price - entry_price) * closed_size * sign - share * fees
