"""Fills of Binance: trades of each symbol, pnl from the income history (`live.md` 17.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from core.terms import pside_of
from live.fills.book import KnownOrders, TradeKey
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.orders import ClientIds
from live.fills.sources.translation import Item, Pages, Reply, item_of, number, windows

PAGE = 1000
MOST_PAGES = 1000
INCOME_DAYS = 6.95
TRADE_DAYS = 6.993


class Client(Protocol):
    """ccxt's methods as used."""

    # the names are ccxt's
    async def fapiPrivateGetIncome(self, params: Item) -> list[Reply]: ...  # noqa: N802
    async def fetch_my_trades(self, symbol: str, since: int, limit: int, params: Item) -> list[Reply]: ...
    async def fetch_order(self, id: str, symbol: str) -> Reply: ...  # noqa: A002
    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str: ...


class BinanceFills:
    """Asks for the symbols of `symbols` (those the bot manages) and for every symbol with income."""

    def __init__(self, client: Client, symbols: Callable[[], Iterable[str]]) -> None:
        self._client, self._symbols = client, symbols

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: a batch a symbol and week."""
        income = await self._income(start_ms, end_ms)
        client_ids = ClientIds(self._client, known)
        for symbol in sorted({*self._symbols(), *(symbol for symbol, _ in income)}):
            for low, high in windows(start_ms, end_ms, TRADE_DAYS):
                items = []
                for trade in await self._trades(symbol, low, high):
                    client_id = await client_ids.of(symbol, str(trade["id"]), str(trade.get("order") or ""))
                    items.append(item_of_trade(trade, income, client_id))
                on_batch(parse_fills(items, f"binance {symbol}"))

    async def _income(self, start_ms: int, end_ms: int) -> dict[TradeKey, Reply]:
        """Realised pnl by symbol and trade id."""
        rows: dict[TradeKey, Reply] = {}
        pages = Pages("income of binance", MOST_PAGES)
        for low, high in windows(start_ms, end_ms, INCOME_DAYS):
            since = low
            while since <= high and pages.next(since, high):
                page = await self._client.fapiPrivateGetIncome(
                    {"incomeType": "REALIZED_PNL", "startTime": since, "endTime": high, "limit": PAGE}
                )
                for row in page:
                    symbol = self._client.safe_symbol(str(row["symbol"]), None, None, "swap")
                    rows[symbol, str(row.get("tradeId"))] = row
                if len(page) < PAGE:
                    break
                since = max(int(row["time"]) for row in page) + 1
        return rows

    async def _trades(self, symbol: str, low: int, high: int) -> list[Reply]:
        """Every trade of a window once; a page begins where the last one ended, in the same millisecond."""
        found: dict[str, Reply] = {}
        pages = Pages(f"trades of {symbol} on binance", MOST_PAGES)
        since = low
        while since <= high and pages.next(since):
            page = await self._client.fetch_my_trades(symbol, since, PAGE, {"endTime": high})
            found |= {str(trade["id"]): trade for trade in page}
            if len(page) < PAGE:
                break
            last = max(int(trade["timestamp"]) for trade in page)
            since = last if last > since else since + 1
        return list(found.values())


def item_of_trade(trade: Reply, income: dict[TradeKey, Reply], client_order_id: str) -> Item:
    """A trade with the pnl of the income history, which wins over its own."""
    info = trade.get("info") or {}
    row = income.get((str(trade.get("symbol")), str(trade.get("id"))))
    pnl = number(row.get("income") if row else info.get("realizedPnl"))
    position_side = str(info.get("positionSide") or "").lower()
    if position_side not in ("long", "short"):
        position_side = pside_of(str(trade.get("side")), closing=pnl != 0.0)
    item = item_of(
        trade, source="fetch_my_trades", position_side=position_side, pnl=pnl, client_order_id=client_order_id
    )
    if row:
        item["raw"].append({"source": "income", "data": row})
    return item
