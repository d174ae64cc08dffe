"""Hyperliquid (`live.md` 21): one request for positions and balance, prices of five significant digits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from core.terms import Pside, Side
from exchanges.ccxt_exchange import CcxtExchange, Reply
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder

SIGNIFICANT_DIGITS = 5


class Hyperliquid(CcxtExchange):
    CAPABILITIES = Capabilities("hyperliquid", hedge=False, one_by_one=True)
    _asked: asyncio.Task[Any] | None = None

    async def _account(self) -> Reply:
        """The account's state; who asks while it is being fetched waits for the same answer."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self.rest.fetch_balance())
            self._asked.add_done_callback(self._forget)
        account: Reply = (await asyncio.shield(self._asked))["info"]
        return account

    def _forget(self, _: object) -> None:
        self._asked = None

    async def fetch_balance(self) -> float:
        """The account's value without open profit."""
        account = await self._account()
        value = self.number(account["marginSummary"]["accountValue"], "accountValue")
        return value - sum(self.number(p["unrealizedPnl"], f"profit of {p['coin']}") for p in _positions(account))

    async def _fetch_positions(self) -> Sequence[Reply]:
        return _positions(await self._account())

    def _position(self, row: Reply) -> tuple[str, Pside, float, float]:
        size = self.number(row["szi"], f"position {row['coin']}: szi")
        price = self.number(row["entryPx"] or 0.0, f"position {row['coin']}: entryPx")
        return self.rest.coin_to_market_id(row["coin"]), "short" if size < 0.0 else "long", size, price

    def _pside(self, row: Reply) -> Pside:
        return self.pside_by_holding(row)

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        most = int(min(leverage, self._most_leverage(symbol, leverage)))
        await self.unless_unchanged(self._set_cross(symbol, most))

    def _set_cross(self, symbol: str, leverage: float) -> Coroutine[Any, Any, Any]:
        call: Coroutine[Any, Any, Any] = self.rest.set_margin_mode("cross", symbol, {"leverage": int(leverage)})
        return call

    def fitted(self, orders: Sequence[TargetOrder]) -> list[TargetOrder]:
        steps = {order.symbol: float(self.rest.market(order.symbol)["precision"]["price"]) for order in orders}
        return [replace(order, price=fitted_price(order.price, order.side, steps[order.symbol])) for order in orders]

    def _price(self, order: TargetOrder) -> float:
        return order.price  # a market order is a limit order at a bound, which ccxt makes of it

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {
            "reduceOnly": order.reduce_only,
            "timeInForce": "Alo" if self.post_only and order.kind == "limit" else "Gtc",
            "clientOrderId": order.custom_id,
        }
        return params | self._vault()

    def _vault(self) -> dict[str, Any]:
        vault = self.rest.options.get("vaultAddress")
        return {"vaultAddress": vault} if vault else {}

    def _created(self, reply: Reply) -> bool:
        return "filled" in reply["info"] or "resting" in reply["info"]

    async def cancel_order(self, order: OpenOrder) -> bool:
        reply = await self.rest.cancel_order(order.id, order.symbol, self._vault())
        return self._cancelled(order, reply)

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return reply.get("status") == "success"


def _positions(account: Reply) -> list[Reply]:
    return [row["position"] for row in account["assetPositions"]]


def fitted_price(price: float, side: Side, step: float) -> float:
    """A price of five significant digits, sells rounded up and buys down, then to the nearest step (21.4)."""
    price = round(price, 6)
    if price <= 0.0:
        return price
    scale = 10.0 ** (SIGNIFICANT_DIGITS - math.floor(math.log10(abs(price))) - 1)
    toward = math.ceil if side == "sell" else math.floor
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    return passivbot_rust.round_(round(toward(price * scale) / scale, 10), step)
