"""Defx, one-way contracts (`live.md` 21): keeps no client order ids that the bot could give."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from core.terms import Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder

ORDERS_A_PAGE = 100


class Defx(CcxtExchange):
    CAPABILITIES = Capabilities("defx", hedge=False, time_source="ticker", client_ids=False, least_leverage=True)

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        async def page(number: int) -> Any:
            return await self.rest.fetch_open_orders(None, None, ORDERS_A_PAGE, {"page": number + 1})

        return await self.numbered(page, ORDERS_A_PAGE)

    def _pside(self, row: Reply) -> Pside:
        return self.pside_by_holding(row)

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {"reduceOnly": order.reduce_only}
        return params | ({"timeInForce": "GTC"} if order.kind == "limit" else {})

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return bool(reply["info"].get("success"))  # ccxt repeats the id that it was given
