"""Binance USD-M futures (`live.md` 21)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from core.terms import Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply
from exchanges.protocol import Capabilities, TargetOrder

LISTEN_KEY_TYPE = "future"  # under which ccxt keeps the listen key of USD-M contracts


class Binance(CcxtExchange):
    CAPABILITIES = Capabilities("binance", time_source="ticker")

    def _balance(self, reply: Reply) -> Any:
        return reply["info"].get("totalCrossWalletBalance")

    async def _fetch_positions(self) -> Sequence[Reply]:
        rows: Sequence[Reply] = await self.rest.fapiPrivateV3GetPositionRisk()
        return rows

    def _position(self, row: Reply) -> tuple[str, Pside, float, float]:
        where = f"position {row['symbol']}"
        size = self.number(row["positionAmt"], f"{where}: positionAmt")
        one_way = row["positionSide"] == "BOTH"
        pside = ("short" if size < 0.0 else "long") if one_way else row["positionSide"]
        price = self.number(row["entryPrice"], f"{where}: entryPrice")
        return self.rest.safe_symbol(row["symbol"], None, None, "swap"), self.pside(pside, where), size, price

    async def _fetch_open_orders(self, symbols: Collection[str] | None) -> Sequence[Reply]:
        """One call a symbol: without a symbol the call costs forty times as much."""
        if symbols is None:
            return await super()._fetch_open_orders(symbols)
        pages = await asyncio.gather(*(self.rest.fetch_open_orders(symbol) for symbol in sorted(symbols)))
        return [row for page in pages for row in page]

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {"positionSide": order.pside.upper(), "newClientOrderId": order.custom_id}
        if order.kind == "limit":
            params["timeInForce"] = "GTX" if self.post_only else "GTC"
        return params

    async def reset_stream(self) -> None:
        """The listen key goes too: ccxt would hold on to one that has ended until it is 20 minutes old."""
        await super().reset_stream()
        key = self.stream.options.get(LISTEN_KEY_TYPE) if self.stream is not None else None
        if key:
            key["lastAuthenticatedTime"] = 0
