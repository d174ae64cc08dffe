"""Fills of Bitget (`live.md` 17.4): the fill history backwards, client ids from the orders."""

from __future__ import annotations

from typing import Any, Protocol

from core.clock import DAY_MS, Clock
from live.fills.book import KnownOrders
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.orders import ClientIds
from live.fills.sources.translation import Item, Pages, Reply, number
from live.orders.order_ids import order_type_of

PAGE = 100
MOST_PAGES = 400
SECONDS_PER_ORDER = 0.5  # at most 120 order details a minute


class Client(Protocol):
    """ccxt's methods as used."""

    async def privateMixGetV2MixOrderFillHistory(self, params: Item) -> Reply: ...  # noqa: N802 - ccxt's name
    async def fetch_order(self, id: str, symbol: str) -> Reply: ...  # noqa: A002
    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str: ...


class BitgetFills:
    """Contracts quoted in `quote`; the clock spaces the requests for order details."""

    def __init__(self, client: Client, clock: Clock, quote: str = "USDT") -> None:
        self._client, self._clock = client, clock
        self._product = f"{quote}-FUTURES"

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: a batch a day, the newest first."""
        pages = Pages("fills of bitget", MOST_PAGES)
        client_ids = ClientIds(self._client, known, self._clock, SECONDS_PER_ORDER)
        high = end_ms
        while high >= start_ms:
            low = max(start_ms, high - DAY_MS)
            items = []
            for row in await self._rows(low, high, pages):
                symbol = self._client.safe_symbol(str(row["symbol"]), None, None, "swap")
                client_id = await client_ids.of(symbol, str(row["tradeId"]), str(row.get("orderId") or ""))
                items.append(item_of_row(row, symbol, client_id))
            on_batch(parse_fills(items, "bitget"))
            high = low - 1

    async def _rows(self, low: int, high: int, pages: Pages) -> list[Reply]:
        """Every fill of a window once; a page ends where the one before began, in the same millisecond."""
        found: dict[str, Reply] = {}
        while high >= low and pages.next(low, high):
            params = {"productType": self._product, "startTime": low, "endTime": high, "limit": PAGE}
            reply = await self._client.privateMixGetV2MixOrderFillHistory(params)
            page = (reply.get("data") or {}).get("fillList") or []
            found |= {str(row["tradeId"]): row for row in page}
            if len(page) < PAGE:
                break
            oldest = min(int(row["cTime"]) for row in page)
            high = oldest if oldest < high else high - 1
        return list(found.values())


def item_of_row(row: Reply, symbol: str, client_id: str) -> Item:
    """A fill; `profit` is its pnl."""
    words = (str(row.get(name) or "").lower() for name in ("tradeSide", "side", "posMode"))
    side, position_side = direction(*words)
    fees = [{"currency": fee.get("feeCoin"), "cost": number(fee.get("totalFee"))} for fee in row.get("feeDetail") or []]
    return {
        "id": row.get("tradeId"),
        "timestamp": row.get("cTime"),
        "symbol": symbol,
        "side": side,
        "position_side": position_side,
        "qty": row.get("baseVolume"),
        "price": row.get("price"),
        "pnl": number(row.get("profit")),
        "fees": fees[0] if len(fees) == 1 else fees or None,
        "pb_order_type": order_type_of(client_id),
        "client_order_id": client_id,
        "raw": [{"source": "fill_history", "data": row}],
    }


_HEDGED = {
    ("open", "buy"): ("buy", "long"),
    ("open", "sell"): ("sell", "short"),
    ("close", "buy"): ("sell", "long"),  # the side names the position's direction
    ("close", "sell"): ("buy", "short"),
}


def direction(trade_side: str, side: str, position_mode: str) -> tuple[str, str]:
    """Side and position side of a fill (`live.md` 21.4, D2)."""
    if "close_long" in trade_side:
        return "sell", "long"
    if "close_short" in trade_side:
        return "buy", "short"
    if position_mode != "one_way_mode" and (trade_side, side) in _HEDGED:
        return _HEDGED[trade_side, side]
    if "buy" in trade_side:
        return "buy", "long"
    if "sell" in trade_side:
        return "sell", "short"
    return side, "long"
