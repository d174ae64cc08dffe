"""Gate.io, one-way contracts (`live.md` 21)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from core.errors import DataError
from core.terms import Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply, pside_by_direction
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder

ORDERS_A_PAGE = 100


class Gateio(CcxtExchange):
    CAPABILITIES = Capabilities("gateio", hedge=False, max_cancels=20, max_creates=10)

    @property
    def _settle(self) -> dict[str, Any]:
        return {"settle": self.quote.lower()}

    async def fetch_balance(self) -> float:
        return self.number(self._balance(await self._fetch_account()), "balance")

    async def _fetch_account(self) -> Reply:
        """The futures account, also where ccxt would ask for the unified one; streams need the user's number in it."""
        reply: Reply = await self.rest.fetch_balance({"unifiedAccount": False, **self._settle})
        for client in filter(None, (self.rest, self.stream)):
            client.uid = str(reply["info"][0]["user"])
        return reply

    def _balance(self, reply: Reply) -> Any:
        account = reply["info"][0]
        mode = account.get("margin_mode_name")
        if mode == "classic":
            return super()._balance(reply)
        if mode == "multi_currency":
            return account["cross_available"]
        raise DataError(f"gateio: the account's margin mode is {mode!r}; choose classic or multi_currency on the site")

    async def _fetch_positions(self) -> Sequence[Reply]:
        rows: Sequence[Reply] = await self.rest.fetch_positions(None, self._settle)
        return rows

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        async def page(number: int) -> Any:
            params = {"offset": number * ORDERS_A_PAGE, **self._settle}
            return await self.rest.fetch_open_orders(None, None, ORDERS_A_PAGE, params)

        return await self.numbered(page, ORDERS_A_PAGE)

    def _pside(self, row: Reply) -> Pside:
        return pside_by_direction(row)

    async def set_up_account(self) -> None:
        """Nothing: the account is used as it is."""

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        """Nothing, as above."""

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {"reduce_only": order.reduce_only, "text": order.custom_id}
        if order.kind == "limit":
            params["timeInForce"] = "poc" if self.post_only else "gtc"
        return params

    def _created(self, reply: Reply) -> bool:
        return reply.get("status") not in (None, "rejected")

    async def watch_orders(self) -> None:
        if not self.stream.uid:  # nobody has asked for the balance
            await self._fetch_account()
        await super().watch_orders()

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return (reply.get("id"), reply.get("status")) == (order.id, "canceled")
