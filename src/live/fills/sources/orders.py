"""Client ids of orders, for exchanges whose trades do not carry them."""

from __future__ import annotations

import importlib
from typing import Protocol

from core.clock import Clock
from live.fills.book import KnownOrders
from live.fills.sources.translation import Reply


class OrderClient(Protocol):
    """ccxt's method as used."""

    async def fetch_order(self, id: str, symbol: str) -> Reply: ...  # noqa: A002 - ccxt's name


class ClientIds:
    """Asks for each order once, and for none whose trades are known; `pause_s` by the clock after each request."""

    def __init__(
        self, client: OrderClient, known: KnownOrders, clock: Clock | None = None, pause_s: float = 0.0
    ) -> None:
        self._client, self._known, self._clock, self._pause_s = client, known, clock, pause_s
        self._found: dict[tuple[str, str], str] = {}

    async def of(self, symbol: str, trade_id: str, order_id: str) -> str:
        """The client id of a trade's order; empty if it has none or the exchange no longer knows the order."""
        key = (symbol, order_id)
        if order_id and key not in self._found:
            before = self._known.get((symbol, trade_id))
            self._found[key] = before.client_order_id if before else await self._ask(*key)
        return self._found.get(key, "")

    async def _ask(self, symbol: str, order_id: str) -> str:
        not_found: type[Exception] = importlib.import_module("ccxt").OrderNotFound  # large; loaded where one fetches
        try:
            order = await self._client.fetch_order(order_id, symbol)
        except not_found:
            return ""
        finally:
            if self._clock and self._pause_s:
                await self._clock.sleep(self._pause_s)
        return str(order.get("clientOrderId") or "")
