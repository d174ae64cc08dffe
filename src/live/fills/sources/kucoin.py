"""Fills of KuCoin (`live.md` 17.4): trades day by day, pnl from the history of closed positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.clock import MINUTE_MS
from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.orders import ClientIds
from live.fills.sources.translation import Item, Pages, Reply, item_of, number, windows
from live.orders.order_ids import order_type_of

PAGE = 1000
HISTORY_PAGE = 200
MOST_PAGES = 1000
WINDOW_DAYS = 0.99  # 23.76 h; the exchange takes 24
NEAR_MS = 5 * MINUTE_MS


class Client(Protocol):
    """ccxt's methods as used."""

    async def fetch_my_trades(self, symbol: None, since: int, limit: int, params: Item) -> list[Reply]: ...
    async def futuresPrivateGetHistoryPositions(self, params: Item) -> Reply: ...  # noqa: N802 - ccxt's name
    async def fetch_order(self, id: str, symbol: str) -> Reply: ...  # noqa: A002
    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str: ...


@dataclass(frozen=True, slots=True)
class ClosedPosition:
    """A record of the history: what a close at `ts_ms` earned."""

    symbol: str
    position_side: str
    ts_ms: int
    pnl: float


class KucoinFills:
    """Contracts of one account."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: one batch. Begins earlier, so that the fills of a close share its pnl however it is cut."""
        closed = await self._closed_positions(start_ms - NEAR_MS, end_ms + NEAR_MS)
        trades = await self._trades(start_ms - 2 * NEAR_MS, end_ms)
        items = [item_of_trade(trade) for trade in trades]
        share_pnl(items, closed)
        client_ids = ClientIds(self._client, known)
        kept = []
        for trade, item in zip(trades, items, strict=True):
            if int(item["timestamp"]) >= start_ms:
                client_id = await client_ids.of(str(trade["symbol"]), str(trade["id"]), str(trade.get("order") or ""))
                names = {"client_order_id": client_id, "pb_order_type": order_type_of(client_id)}
                kept.append(item | names)
        on_batch(parse_fills(kept, "kucoin"))

    async def _trades(self, start_ms: int, end_ms: int) -> list[Reply]:
        found: dict[str, Reply] = {}
        pages = Pages("trades of kucoin", MOST_PAGES)
        for low, high in windows(start_ms, end_ms, WINDOW_DAYS):
            page_no = 1
            while pages.next(low, page_no):
                params = {"until": high, "currentPage": page_no}
                page = await self._client.fetch_my_trades(None, low, PAGE, params)
                found |= {str(trade["id"]): trade for trade in page}
                if len(page) < PAGE:
                    break
                page_no += 1
        return list(found.values())

    async def _closed_positions(self, start_ms: int, end_ms: int) -> list[ClosedPosition]:
        found: dict[str, ClosedPosition] = {}
        pages = Pages("closed positions of kucoin", MOST_PAGES)
        page_no = 1
        while pages.next(page_no):
            params = {"from": start_ms, "to": end_ms, "limit": HISTORY_PAGE, "pageId": page_no}
            data = (await self._client.futuresPrivateGetHistoryPositions(params)).get("data") or {}
            rows = data.get("items") or []
            for row in rows:
                symbol = self._client.safe_symbol(str(row["symbol"]), None, None, "swap")
                position_side = "short" if "SHORT" in str(row.get("type")).upper() else "long"
                record = ClosedPosition(symbol, position_side, int(row["closeTime"]), number(row.get("pnl")))
                found[str(row.get("closeId"))] = record
            if len(rows) < HISTORY_PAGE:
                break
            page_no += 1
        return list(found.values())


def item_of_trade(trade: Reply) -> Item:
    """A trade; what opens costs its fee, what closes gets its pnl from the history."""
    info = trade.get("info") or {}
    side = str(trade.get("side"))
    position_side = str(info.get("positionSide") or "").lower()
    if position_side not in ("long", "short"):
        position_side = pside_of(side, closing=number(info.get("closeFeePay")) > 0.0)
    opening = position_side == pside_of(side, closing=False)
    pnl = -number((trade.get("fee") or {}).get("cost")) if opening else 0.0
    return item_of(trade, source="fetch_my_trades", position_side=position_side, pnl=pnl, client_order_id="")


def share_pnl(items: Sequence[Item], closed: Sequence[ClosedPosition]) -> None:
    """Give the closing items within five minutes of a record its pnl, by quantity. An item counts for one record."""
    for record in sorted(closed, key=lambda record: record.ts_ms):
        near = [
            item
            for item in items
            if (item["symbol"], item["position_side"]) == (record.symbol, record.position_side)
            and item["side"] != ("buy" if record.position_side == "long" else "sell")
            and abs(int(item["timestamp"]) - record.ts_ms) <= NEAR_MS
            and len(item["raw"]) == 1
        ]
        total = sum(number(item["qty"]) for item in near)
        for item in near:
            item["pnl"] = record.pnl * number(item["qty"]) / total if total else 0.0
            item["raw"].append({"source": "history_positions", "data": {"pnl": record.pnl, "closeTime": record.ts_ms}})
