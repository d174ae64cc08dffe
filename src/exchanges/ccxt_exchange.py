"""The common implementation of `Exchange` over ccxt; exchanges override what differs (`live.md` 20, 21).

`_balance`, `_pside`, `_created` and so on take a reply apart, `_order_params` builds a request.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, ClassVar

from core.errors import DataError
from core.terms import PSIDES, Pside, Side, pside_of
from exchanges.account_clients import AccountClients
from exchanges.failures import failure_of
from exchanges.protocol import Capabilities, HeldPosition, Key, OpenOrder, TargetOrder, Ticker

Reply = Mapping[str, Any]


class CcxtExchange:
    """Any exchange that ccxt knows. `post_only`: limit orders that would be filled at once are refused by it."""

    CAPABILITIES: ClassVar[Capabilities] = Capabilities("generic")

    def __init__(self, exchange: str, clients: AccountClients, quote: str, *, post_only: bool) -> None:
        self.name, self.quote, self.post_only = exchange, quote, post_only
        self.rest, self.stream = clients.rest, clients.stream
        self._clients = clients
        self._held: dict[Key, HeldPosition] = {}  # as last read; some exchanges do not say which side an order is of

    @property
    def capabilities(self) -> Capabilities:
        return self.CAPABILITIES

    @property
    def can_watch_orders(self) -> bool:
        return self.stream is not None and bool(self.stream.has.get("watchOrders"))

    async def aclose(self) -> None:
        await self._clients.aclose()

    # --- reading

    async def fetch_balance(self) -> float:
        return self.number(self._balance(await self.rest.fetch_balance()), "balance")

    def _balance(self, reply: Reply) -> Any:
        return reply["total"].get(self.quote)

    async def fetch_positions(self) -> dict[Key, HeldPosition]:
        held: dict[Key, HeldPosition] = {}
        for row in await self._fetch_positions():
            symbol, pside, size, price = self._position(row)
            if size != 0.0:
                held[symbol, pside] = HeldPosition(abs(size) * (-1.0 if pside == "short" else 1.0), price)
        self._held = held
        return held

    async def _fetch_positions(self) -> Sequence[Reply]:
        rows: Sequence[Reply] = await self.rest.fetch_positions()
        return rows

    def _position(self, row: Reply) -> tuple[str, Pside, float, float]:
        """Symbol, side, size (of any sign) and entry price of a row."""
        where = f"position {row['symbol']}"
        size = self.number(row["contracts"] or 0.0, f"{where}: contracts")
        price = self.number(row["entryPrice"] or 0.0, f"{where}: entry price")
        pside = self.pside(row["side"], where) if size else "long"  # flat ones have none
        return row["symbol"], pside, size, price

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> list[OpenOrder]:
        rows = {row["id"]: row for row in await self._fetch_open_orders(symbols)}
        return sorted((self._open_order(row) for row in rows.values()), key=lambda order: order.ts_ms)

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        rows: Sequence[Reply] = await self.rest.fetch_open_orders()
        return rows

    def _open_order(self, row: Reply) -> OpenOrder:
        where = f"order {row['id']} of {row['symbol']}"
        return OpenOrder(
            id=str(row["id"]),
            symbol=row["symbol"],
            side=self._side(row),
            pside=self._pside(row),
            qty=self.number(row["amount"], f"{where}: amount"),
            price=self.number(row["price"] or 0.0, f"{where}: price"),  # a stop order of somebody else has none
            custom_id=row.get("clientOrderId") or "",
            ts_ms=int(row["timestamp"] or 0),
        )

    def _side(self, row: Reply) -> Side:
        side = row["side"]
        if side not in ("buy", "sell"):
            raise DataError(f"{self.name}: order {row['id']} has side {side!r}, buy or sell is needed")
        return "buy" if side == "buy" else "sell"

    def _pside(self, row: Reply) -> Pside:
        """The side that an order belongs to: stated, else from our id, else by its direction."""
        suffix = str(row.get("clientOrderId") or "").rpartition("_")[2]
        for word in (row["info"].get("positionSide"), suffix):
            if str(word or "").lower() in PSIDES:
                return self.pside(word, f"order {row['id']}")
        return pside_by_direction(row)

    def pside_by_holding(self, row: Reply) -> Pside:
        """The side of the position that the symbol has; without one, or with two, that of the order's direction."""
        held = [pside for pside in PSIDES if (row["symbol"], pside) in self._held]
        return held[0] if len(held) == 1 else pside_by_direction(row)

    async def fetch_tickers(self, symbols: Collection[str]) -> dict[str, Ticker]:
        rows = await self.rest.fetch_tickers(list(symbols))
        return {symbol: found for symbol in symbols if (found := self._ticker(rows.get(symbol))) is not None}

    def _ticker(self, row: Reply | None) -> Ticker | None:
        last = row and (row.get("last") or row.get("close"))
        if not row or not last:
            return None
        last = self.number(last, f"ticker {row['symbol']}")
        return Ticker(float(row.get("bid") or last), float(row.get("ask") or last), last)

    async def fetch_time_ms(self) -> int:
        if self.capabilities.time_source == "server":
            return int(await self.rest.fetch_time())
        ticker = await self.rest.fetch_ticker(self._busy_symbol())
        return int(self.number(ticker["timestamp"], f"time of the ticker of {ticker['symbol']}"))

    def _busy_symbol(self) -> str:
        """BTC, or the first contract of an exchange without it."""
        symbol = f"BTC/{self.quote}:{self.quote}"
        return symbol if symbol in self.rest.markets else min(self.rest.markets)

    # --- setting up

    async def set_up_account(self) -> None:
        if self.rest.has.get("setPositionMode"):
            await self.unless_unchanged(self.rest.set_position_mode(True))

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        calls = []
        if self.rest.has.get("setMarginMode"):
            calls.append(self._set_cross(symbol, leverage))
        if self.rest.has.get("setLeverage"):
            calls.append(self.rest.set_leverage(int(min(leverage, self._most_leverage(symbol, leverage))), symbol))
        await asyncio.gather(*(self.unless_unchanged(call) for call in calls))

    def _set_cross(self, symbol: str, leverage: float) -> Coroutine[Any, Any, Any]:
        call: Coroutine[Any, Any, Any] = self.rest.set_margin_mode("cross", symbol)
        return call

    def _most_leverage(self, symbol: str, otherwise: float) -> float:
        """What the market allows, where that is known."""
        most = ((self.rest.market(symbol).get("limits") or {}).get("leverage") or {}).get("max")
        return float(most or otherwise)

    async def unless_unchanged(self, call: Coroutine[Any, Any, Any]) -> None:
        """Await a setting; that it already stood so is no error."""
        try:
            await call
        except Exception as exc:
            if failure_of(self.name, exc) != "unchanged":
                raise

    # --- writing

    def fitted(self, orders: Sequence[TargetOrder]) -> list[TargetOrder]:
        return list(orders)

    async def create_order(self, order: TargetOrder) -> str | None:
        price = self._price(order)
        params = self._order_params(order)
        reply = await self.rest.create_order(order.symbol, order.kind, order.side, order.qty, price, params)
        return str(reply["id"]) if self._created(reply) else None

    def _price(self, order: TargetOrder) -> float | None:
        return order.price if order.kind == "limit" else None

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {"positionSide": order.pside.upper(), "clientOrderId": order.custom_id}
        if order.kind == "limit":
            params |= {"postOnly": True} if self.post_only else {"timeInForce": "GTC"}
        return params

    def _created(self, reply: Reply) -> bool:
        return reply.get("id") is not None

    async def cancel_order(self, order: OpenOrder) -> bool:
        return self._cancelled(order, await self.rest.cancel_order(order.id, order.symbol))

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return reply.get("id") is not None

    # --- streams and time

    async def watch_orders(self) -> None:
        await self.stream.watch_orders()

    async def reset_stream(self) -> None:
        """Close the stream's connections; the next `watch_orders` opens new ones."""
        if self.stream is not None:
            await self.stream.close()

    async def sync_clock(self) -> None:
        """Measure anew how far the exchange's clock is from ours, for the times that requests are signed with."""
        for client in (self.rest, self.stream):
            if client is not None and hasattr(client, "load_time_difference"):
                await client.load_time_difference()

    # --- for all

    def number(self, value: Any, what: str) -> float:
        """A finite number of a reply. Raises DataError: what cannot be read must never size an order."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{self.name}: {what} is {value!r}, a number is needed; the reply is not used")
        return number

    def pside(self, word: Any, what: str) -> Pside:
        """A position side in any case. Raises DataError for anything else."""
        lower = str(word).lower()
        if lower not in PSIDES:
            raise DataError(f"{self.name}: {what} has side {word!r}, long or short is needed; the reply is not used")
        return "long" if lower == "long" else "short"

    async def paged(self, fetch: Callable[[str], Any], cursor: Callable[[Sequence[Reply]], str]) -> list[Reply]:
        """All pages of a list: `fetch` gets the cursor of the page before, empty at first; stops when one repeats."""
        rows: list[Reply] = []
        seen: set[str] = set()
        at = ""
        while at not in seen:
            seen.add(at)
            page = await fetch(at)
            rows += page
            at = cursor(page) if page else ""
        return rows

    async def numbered(self, fetch: Callable[[int], Any], full: int) -> list[Reply]:
        """All pages of a list by their numbers from 0 on; stops after one with fewer than `full` rows, or none new."""
        rows: dict[str, Reply] = {}
        number, more = 0, True
        while more:
            page = await fetch(number)
            new = {row["id"]: row for row in page if row["id"] not in rows}
            rows |= new
            number, more = number + 1, bool(new) and len(page) >= full
        return list(rows.values())


def pside_by_direction(row: Reply) -> Pside:
    """Of an order that states no side."""
    return pside_of(row["side"], closing=bool(row.get("reduceOnly")))
