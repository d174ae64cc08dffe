"""KuCoin futures (`live.md` 21)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from core.terms import PSIDES, Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply
from exchanges.failures import failure_of
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder

logger = logging.getLogger(__name__)

ORDERS_A_PAGE = 100


class Kucoin(CcxtExchange):
    CAPABILITIES = Capabilities("kucoin", time_source="ticker", max_open_orders=150)

    async def fetch_balance(self) -> float:
        return self.number(self._balance(await self.rest.fetch_balance({"currency": self.quote})), "marginBalance")

    def _balance(self, reply: Reply) -> Any:
        return reply["info"]["data"].get("marginBalance")

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        async def page(number: int) -> Any:
            params = {"currentPage": number + 1, "pageSize": ORDERS_A_PAGE}
            return await self.rest.fetch_open_orders(None, None, None, params)

        return await self.numbered(page, ORDERS_A_PAGE)

    def _pside(self, row: Reply) -> Pside:
        stated = str(row["info"].get("positionSide")).lower()
        return self.pside(stated, f"order {row['id']}") if stated in PSIDES else self.pside_by_holding(row)

    async def set_up_account(self) -> None:
        await self._unless_refused("the position mode", self.rest.set_position_mode(True))

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        """Leverage is set for cross margin, hence after it. Each order says that it is crossed."""
        await self._unless_refused(f"the margin mode of {symbol}", self._set_cross(symbol, leverage))
        most = int(min(leverage, self._most_leverage(symbol, leverage)))
        await self.unless_unchanged(self.rest.set_leverage(most, symbol, {"marginMode": "cross"}))

    async def _unless_refused(self, what: str, call: Coroutine[Any, Any, Any]) -> None:
        """Await a setting that cannot be changed while positions or orders are there."""
        try:
            await self.unless_unchanged(call)
        except Exception as exc:
            if failure_of(self.name, exc) != "refused":
                raise
            logger.warning("kucoin: %s stays as it is: %s", what, exc)

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        return {
            "timeInForce": "GTC",
            "reduceOnly": order.reduce_only,
            "marginMode": "CROSS",
            "clientOid": order.custom_id,
            "positionSide": order.pside.upper(),
        }

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return order.id in reply["info"]["data"]["cancelledOrderIds"]
