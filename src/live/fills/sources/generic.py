"""Fills of any exchange that ccxt knows (`live.md` 17.4): trades, pnl from what they carry or from the fills before."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from core.terms import pside_of
from live.fills.book import KnownOrders
from live.fills.record import parse_fills
from live.fills.source import OnBatch
from live.fills.sources.translation import Item, Pages, Reply, item_of, number
from live.orders.order_ids import order_type_of

PAGE = 500
MOST_PAGES = 500
PNL_FIELDS = ("realized_pnl", "realizedPnl", "pnl", "profit", "closedPnl")
CLIENT_ID_FIELDS = ("clientOrderId", "client_id", "clientId", "clOrdId", "clientOid", "orderLinkId")


class Client(Protocol):
    """ccxt's method as used."""

    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int) -> list[Reply]: ...


class GenericFills:
    """All symbols at once; those of `symbols` one after the other where the exchange (by ccxt) wants a symbol.

    `c_mult` gives the contract size of a symbol, for pnl that has to be computed.
    """

    def __init__(
        self,
        client: Client,
        symbols: Callable[[], Iterable[str]] = lambda: (),
        c_mult: Callable[[str], float] = lambda symbol: 1.0,
    ) -> None:
        self._client, self._symbols, self._c_mult = client, symbols, c_mult

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        """See `FillSource`: one batch, or one a symbol."""
        wants_symbol: type[Exception] = importlib.import_module("ccxt").ArgumentsRequired  # large; only who fetches
        try:
            self._hand_over(await self._trades(None, start_ms, end_ms), on_batch)
        except wants_symbol:
            for symbol in sorted(self._symbols()):
                self._hand_over(await self._trades(symbol, start_ms, end_ms), on_batch)

    def _hand_over(self, trades: Sequence[Reply], on_batch: OnBatch) -> None:
        on_batch(parse_fills(items_of_trades(trades, self._c_mult), "trades"))

    async def _trades(self, symbol: str | None, start_ms: int, end_ms: int) -> list[Reply]:
        found: dict[tuple[str, str], Reply] = {}
        pages = Pages(f"trades {symbol or ''}", MOST_PAGES)
        since = start_ms
        while since <= end_ms and pages.next(since):
            page = await self._client.fetch_my_trades(symbol, since, PAGE)
            before = len(found)
            found |= {(str(trade.get("symbol")), str(trade["id"])): trade for trade in page}
            if not page or len(found) == before:
                break
            since = max(since, *(int(trade["timestamp"]) for trade in page))
        in_range = [trade for trade in found.values() if start_ms <= int(trade["timestamp"]) <= end_ms]
        return sorted(in_range, key=lambda trade: int(trade["timestamp"]))


def items_of_trades(trades: Sequence[Reply], c_mult: Callable[[str], float]) -> list[Item]:
    """The fills of trades in time order; pnl that the exchange does not state is computed from the trades before."""
    held: dict[tuple[str, str], tuple[float, float]] = {}
    items = []
    for trade in trades:
        item, stated = item_of_trade(trade)
        key = (str(item["symbol"]), item["position_side"])
        size, entry = held.get(key, (0.0, 0.0))
        amount, price = number(item["qty"]), number(item["price"])
        if item["position_side"] == pside_of(item["side"], closing=False):
            held[key] = (size + amount, (size * entry + amount * price) / (size + amount) if amount else entry)
        else:
            closed = min(size, amount)
            sign = 1.0 if item["position_side"] == "long" else -1.0
            if not stated:
                item["pnl"] = sign * (price - entry) * closed * c_mult(key[0])
            held[key] = (size - closed, entry)
        items.append(item)
    return items


def item_of_trade(trade: Reply) -> tuple[Item, bool]:
    """The fill, and whether the exchange stated its pnl."""
    info = trade.get("info") or {}
    stated = next((info[name] for name in PNL_FIELDS if info.get(name) not in (None, "")), None)
    client_id = next((str(d[name]) for d in (trade, info) for name in CLIENT_ID_FIELDS if d.get(name)), "")
    side = str(trade.get("side") or "").lower()
    pnl = number(stated)
    position_side = str(info.get("positionSide") or "").lower()
    if position_side not in ("long", "short"):
        position_side = _side_in(client_id) or pside_of(side, closing=pnl != 0.0)
    item = item_of(trade, source="fetch_my_trades", position_side=position_side, pnl=pnl, client_order_id=client_id)
    return item | {"side": side}, stated is not None


def _side_in(client_id: str) -> str | None:
    """The position side that a client id ends with, or that its order type names."""
    for text in (client_id, order_type_of(client_id)):
        for position_side in ("long", "short"):
            if text.endswith(f"_{position_side}"):
                return position_side
    return None
