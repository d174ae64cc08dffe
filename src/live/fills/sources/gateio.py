"""Fills of Gate.io (`live.md` 17.4): trades, and what finished orders earned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.translation import Item, Pages, Reply, number, windows
from live.orders.order_ids import order_type_of

PAGE = 100
MOST_PAGES = 1000
WINDOW_DAYS = 30

Endpoint = Callable[[Item], Awaitable[list[Reply]]]


class Client(Protocol):
    """ccxt's methods as used."""

    # the names are ccxt's
    async def privateFuturesGetSettleMyTradesTimerange(self, params: Item) -> list[Reply]: ...  # noqa: N802
    async def privateFuturesGetSettleOrdersTimerange(self, params: Item) -> list[Reply]: ...  # noqa: N802
    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str: ...


class GateioFills:
    """Contracts settled in `quote`."""

    def __init__(self, client: Client, quote: str = "USDT") -> None:
        self._client, self._quote = client, quote

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: a batch a month. Trades carry their client ids."""
        for low, high in windows(start_ms, end_ms, WINDOW_DAYS):
            rows = await self._rows(self._client.privateFuturesGetSettleMyTradesTimerange, low, high)
            orders = await self._rows(self._client.privateFuturesGetSettleOrdersTimerange, low, high)
            by_id = {str(order["id"]): order for order in orders}
            unique = {(str(row["contract"]), str(row["trade_id"])): row for row in rows}
            items = [
                item_of_row(row, by_id, self._client.safe_symbol(contract, None, None, "swap"), self._quote)
                for (contract, _), row in unique.items()
            ]
            on_batch(parse_fills((item for item in items if low <= item["timestamp"] <= high), "gateio"))

    async def _rows(self, endpoint: Endpoint, low: int, high: int) -> list[Reply]:
        rows: list[Reply] = []
        pages = Pages("fills of gateio", MOST_PAGES)
        base = {"settle": self._quote.lower(), "from": low // 1000, "to": high // 1000 + 1, "limit": PAGE}
        while pages.next(len(rows)):
            page = await endpoint(base | {"offset": len(rows)})
            rows += page
            if len(page) < PAGE:
                break
        return rows


def item_of_row(row: Reply, orders: Mapping[str, Reply], symbol: str, quote: str) -> Item:
    """A trade with its share of its order's pnl."""
    size = number(row.get("size"))
    order = orders.get(str(row.get("order_id")), {})
    filled = abs(number(order.get("size"))) - abs(number(order.get("left")))
    pnl = number(order.get("pnl")) * abs(size) / filled if filled > 0.0 else 0.0
    closing = bool(number(row.get("close_size")) or order.get("is_reduce_only") or pnl)
    side = "buy" if size > 0.0 else "sell"
    client_id = str(row.get("text") or "")
    return {
        "id": row.get("trade_id"),
        "timestamp": round(number(row.get("create_time")) * 1000.0),
        "symbol": symbol,
        "side": side,
        "position_side": pside_of(side, closing=closing),
        "qty": size,
        "price": row.get("price"),
        "pnl": pnl,
        "fees": {"currency": quote, "cost": number(row.get("fee"))},
        "pb_order_type": order_type_of(client_id),
        "client_order_id": client_id,
        "raw": [
            {"source": "my_trades_timerange", "data": row},
            *([{"source": "order", "data": order}] if order else []),
        ],
    }
