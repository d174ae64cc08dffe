"""Fills of OKX (`live.md` 17.4): recent ones and the archive, by a cursor of bill ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from core.clock import DAY_MS, HOUR_MS, Clock
from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.coalesce import coalesce
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.translation import Item, Pages, Reply, number
from live.orders.order_ids import order_type_of

PAGE = 100
MOST_PAGES = 1000
RECENT_MS = 3 * DAY_MS - HOUR_MS  # the recent endpoint holds three days

Endpoint = Callable[[Item], Awaitable[Reply]]


class Client(Protocol):
    """ccxt's methods as used."""

    async def privateGetTradeFills(self, params: Item) -> Reply: ...  # noqa: N802 - ccxt's name
    async def privateGetTradeFillsHistory(self, params: Item) -> Reply: ...  # noqa: N802 - ccxt's name
    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str: ...


class OkxFills:
    """Swaps of one account. The clock says which fills are recent."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: one batch, so that the fills of one moment come together. Rows carry their client ids."""
        recent = self._clock.now_ms() - RECENT_MS
        rows: dict[tuple[str, str], Reply] = {}
        if end_ms >= recent:
            rows |= await self._rows(self._client.privateGetTradeFills, max(start_ms, recent), end_ms)
        if start_ms < recent:
            rows |= await self._rows(self._client.privateGetTradeFillsHistory, start_ms, min(end_ms, recent))
        items = [
            item_of_row(row, self._client.safe_symbol(instrument, None, None, "swap"))
            for (instrument, _), row in rows.items()
        ]
        on_batch(coalesce(parse_fills(items, "okx")))

    async def _rows(self, endpoint: Endpoint, low: int, high: int) -> dict[tuple[str, str], Reply]:
        """Rows by instrument and trade id, the newest first; a page goes on below the last bill of the one before."""
        found: dict[tuple[str, str], Reply] = {}
        pages = Pages("fills of okx", MOST_PAGES)
        params: Item = {"instType": "SWAP", "begin": str(low), "end": str(high), "limit": str(PAGE)}
        while pages.next(params.get("after")):
            page = (await endpoint(params)).get("data") or []
            found |= {(str(row["instId"]), str(row["tradeId"])): row for row in page}
            if len(page) < PAGE:
                break
            params = params | {"after": str(page[-1]["billId"])}
        return found


def item_of_row(row: Reply, symbol: str) -> Item:
    """A fill; in one-way accounts profit or loss tells that it closed something."""
    pnl = number(row.get("fillPnl"))
    side = str(row.get("side"))
    position_side = str(row.get("posSide") or "")
    client_id = str(row.get("clOrdId") or "")
    return {
        "id": row.get("tradeId"),
        "timestamp": row.get("fillTime") or row.get("ts"),
        "symbol": symbol,
        "side": side,
        "position_side": position_side if position_side in ("long", "short") else pside_of(side, closing=pnl != 0.0),
        "qty": row.get("fillSz"),
        "price": row.get("fillPx"),
        "pnl": pnl,
        "fees": {"currency": row.get("feeCcy"), "cost": abs(number(row.get("fee")))},
        "pb_order_type": order_type_of(client_id),
        "client_order_id": client_id,
        "raw": [{"source": "fills", "data": row}],
    }
