"""Bitget, hedged contracts (`live.md` 21): what an order does is told by its position side, not by its side."""

from __future__ import annotations

import logging
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from core.errors import DataError
from core.terms import PSIDES, Pside, Side
from exchanges.ccxt_exchange import CcxtExchange, Reply, pside_by_direction
from exchanges.failures import failure_of
from exchanges.protocol import Capabilities, TargetOrder

logger = logging.getLogger(__name__)

ORDERS_A_PAGE = 100
HOLDING = "45117"  # "currently holding positions or orders, the margin mode cannot be adjusted"


class Bitget(CcxtExchange):
    CAPABILITIES = Capabilities("bitget", time_source="ticker", max_open_orders=100)

    @property
    def _product(self) -> dict[str, str]:
        return {"productType": f"{self.quote}-FUTURES"}

    async def fetch_balance(self) -> float:
        return self.number(self._balance(await self.rest.fetch_balance(self._product)), "balance")

    def _balance(self, reply: Reply) -> float:
        accounts = [account for account in reply["info"] if account["marginCoin"] == self.quote]
        if not accounts:
            raise DataError(f"bitget: the account has no {self.quote} to trade with; transfer some to it")
        if accounts[0].get("assetMode") != "union":
            return self.number(accounts[0]["available"], "available")
        total = self.number(accounts[0]["unionTotalMargin"], "unionTotalMargin")
        return total - self.number(accounts[0].get("unrealizedPL") or 0.0, "unrealizedPL")

    async def _fetch_positions(self) -> Sequence[Reply]:
        rows: Sequence[Reply] = await self.rest.fetch_positions(None, self._product)
        return rows

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        async def page(before: str) -> Any:
            params = self._product | ({"idLessThan": before} if before else {})
            return await self.rest.fetch_open_orders(None, None, ORDERS_A_PAGE, params)

        return await self.paged(page, _oldest_of_full)

    def _pside(self, row: Reply) -> Pside:
        stated = row["info"].get("posSide")
        return self.pside(stated, f"order {row['id']}") if stated in PSIDES else pside_by_direction(row)

    def _side(self, row: Reply) -> Side:
        """In hedge mode the stated side is the position's direction, of orders that close it too."""
        if row["info"].get("posSide") not in PSIDES:
            return super()._side(row)
        closes = "close" in str(row["info"].get("tradeSide")).lower()
        return "buy" if (self._pside(row) == "long") != closes else "sell"

    async def set_up_account(self) -> None:
        """Refused while positions or orders are there: the mode stays as it is, which is logged."""
        try:
            await self.unless_unchanged(self.rest.set_position_mode(True, None, self._product))
        except Exception as exc:
            if failure_of(self.name, exc) != "refused":
                raise
            logger.error("bitget: the position mode stays as it is: %s", exc)

    def _set_cross(self, symbol: str, leverage: float) -> Coroutine[Any, Any, Any]:
        return self._cross_unless_held(symbol)

    async def _cross_unless_held(self, symbol: str) -> None:
        """While orders or positions are there the mode cannot be set; each order says that it is crossed."""
        try:
            await self.rest.set_margin_mode("cross", symbol)
        except Exception as exc:
            if HOLDING not in str(exc):
                raise
            logger.info("bitget: %s: the margin mode stays as it is: %s", symbol, exc)

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        post_only = self.post_only and order.kind == "limit"
        return {
            "timeInForce": "PO" if post_only else "GTC",
            "holdSide": order.pside,
            "reduceOnly": order.reduce_only,
            "oneWayMode": False,
            "clientOid": order.custom_id,
        }


def _oldest_of_full(page: Sequence[Reply]) -> str:
    """The cursor of the next page: orders with a lower id; none after a page that is not full."""
    return str(min(int(row["id"]) for row in page)) if len(page) >= ORDERS_A_PAGE else ""
