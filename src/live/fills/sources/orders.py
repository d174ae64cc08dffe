"""The client id of an order, for exchanges whose trades do not carry it."""

from __future__ import annotations

import importlib
from typing import Protocol

from live.fills.sources.translation import Reply


class OrderClient(Protocol):
    async def fetch_order(self, id: str, symbol: str) -> Reply: ...  # noqa: A002 - ccxt's name


async def client_id_of(client: OrderClient, trade: Reply) -> str:
    """Asks for the order of a ccxt trade; empty if the exchange no longer knows it."""
    not_found: type[Exception] = importlib.import_module("ccxt").OrderNotFound  # large; loaded where one fetches

    try:
        order = await client.fetch_order(str(trade["order"]), str(trade["symbol"]))
    except not_found:
        return ""
    return str(order.get("clientOrderId") or "")
