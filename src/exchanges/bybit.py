"""Bybit v5, linear perpetuals (`live.md` 21 and D1)."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from core.terms import Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply, pside_by_direction
from exchanges.protocol import Capabilities, TargetOrder

POSITION_INDEX = {"long": 1, "short": 2}
PSIDE_OF_INDEX: dict[str, Pside] = {"1": "long", "2": "short"}
POSITIONS_A_PAGE, ORDERS_A_PAGE = 200, 50


class Bybit(CcxtExchange):
    """`legacy_balance`: open profit counts twice, as older versions had it (D1)."""

    CAPABILITIES = Capabilities("bybit")
    legacy_balance = False

    def _balance(self, reply: Reply) -> Any:
        account = reply["info"]["result"]["list"][0]
        if account["accountType"] != "UNIFIED":
            return super()._balance(reply)
        if self.legacy_balance:
            return sum(self._counted_twice(coin) for coin in account["coin"])
        total = self.number(account.get("totalEquity"), "totalEquity")
        return total - self.number(account.get("totalPerpUPL"), "totalPerpUPL")

    def _counted_twice(self, coin: Reply) -> float:
        if not (coin["marginCollateral"] and coin["collateralSwitch"]):
            return 0.0
        worth = self.number(coin["usdValue"], "usdValue")
        return worth + self.number(coin["unrealisedPnl"], "unrealisedPnl")

    async def _fetch_positions(self) -> Sequence[Reply]:
        async def page(cursor: str) -> Any:
            return await self.rest.fetch_positions(None, {"limit": POSITIONS_A_PAGE, **_at(cursor)})

        return await self.paged(page, _cursor)

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        async def page(cursor: str) -> Any:
            return await self.rest.fetch_open_orders(None, None, ORDERS_A_PAGE, _at(cursor))

        return await self.paged(page, _cursor)

    def _pside(self, row: Reply) -> Pside:
        stated = PSIDE_OF_INDEX.get(str(row["info"].get("positionIdx")))
        return stated or pside_by_direction(row)

    def _set_cross(self, symbol: str, leverage: float) -> Coroutine[Any, Any, Any]:
        call: Coroutine[Any, Any, Any] = self.rest.set_margin_mode("cross", symbol, {"leverage": int(leverage)})
        return call

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {"positionIdx": POSITION_INDEX[order.pside], "orderLinkId": order.custom_id}
        if order.kind == "limit":
            params["timeInForce"] = "postOnly" if self.post_only else "GTC"
        return params


def _at(cursor: str) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


def _cursor(page: Sequence[Reply]) -> str:
    """ccxt puts the cursor of the next page into the rows of this one."""
    return str(page[-1]["info"].get("nextPageCursor") or page[0]["info"].get("nextPageCursor") or "")
