"""Fills of Hyperliquid (`live.md` 17.4): trades state their pnl and whose they are."""

from __future__ import annotations

import re
from typing import Protocol

from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.coalesce import coalesce
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.translation import Item, Pages, Reply, item_of, number

PAGE = 500
MOST_PAGES = 1000
_POSITION_SIDE = re.compile("long|short")


class Client(Protocol):
    """ccxt's method as used."""

    async def fetch_my_trades(self, symbol: None, since: int, limit: int, params: Item) -> list[Reply]: ...


class HyperliquidFills:
    """Perpetuals of one account; trades of spot pairs are left out."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: one batch, so that the fills of one moment come together."""
        found: dict[str, Reply] = {}
        pages = Pages("trades of hyperliquid", MOST_PAGES)
        since = start_ms
        while since <= end_ms and pages.next(since):
            page = await self._client.fetch_my_trades(None, since, PAGE, {"until": end_ms})
            before = len(found)
            found |= {str(trade["id"]): trade for trade in page}
            if len(found) == before:
                break
            since = max(int(trade["timestamp"]) for trade in page)
        items = [item_of_trade(trade) for trade in found.values() if ":" in str(trade.get("symbol"))]
        on_batch(coalesce(parse_fills(items, "hyperliquid")))


def item_of_trade(trade: Reply) -> Item:
    """A trade; a flip (`Long > Short`) counts for the side that it closes."""
    info = trade.get("info") or {}
    pnl = number(info.get("closedPnl"))
    named = _POSITION_SIDE.search(str(info.get("dir") or "").lower())
    return item_of(
        trade,
        source="fetch_my_trades",
        position_side=named[0] if named else pside_of(str(trade.get("side")), closing=pnl != 0.0),
        pnl=pnl,
        client_order_id=str(info.get("cloid") or ""),
    )
