"""Paradex, one-way contracts (`live.md` 21): keys of Paradex itself, or of the Ethereum wallet behind the account."""

from __future__ import annotations

from typing import Any

from exchanges.account_clients import AccountClients
from exchanges.ccxt_exchange import CcxtExchange, Reply
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder

ETHEREUM_ADDRESS = len("0x") + 40


class Paradex(CcxtExchange):
    CAPABILITIES = Capabilities("paradex", hedge=False)

    def __init__(self, exchange: str, clients: AccountClients, quote: str, *, post_only: bool) -> None:
        super().__init__(exchange, clients, quote, post_only=post_only)
        self._has_own_keys = len(self.rest.walletAddress or "") > ETHEREUM_ADDRESS
        if self._has_own_keys:  # ccxt would take them for the wallet's and derive others
            keys = {"privateKey": self.rest.privateKey, "address": self.rest.walletAddress}
            self.rest.options["paradexAccount"] = keys

    async def set_up_account(self) -> None:
        """An Ethereum wallet is made known to Paradex; its own keys mean that this has been done."""
        if not self._has_own_keys:
            await self.unless_unchanged(self.rest.onboarding())

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        """Leverage alone: it comes with cross margin, the only one there is."""
        most = int(min(leverage, self._most_leverage(symbol, leverage)))
        await self.unless_unchanged(self.rest.set_leverage(most, symbol))

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        return super()._order_params(order) | {"reduceOnly": order.reduce_only}

    def _cancelled(self, order: OpenOrder, reply: Reply) -> bool:
        return "id" in reply  # it may be empty: the exchange answers nothing
