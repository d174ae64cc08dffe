"""What the tests of Binance's private half share: orders as its client sends them."""

from __future__ import annotations

from functools import partial
from typing import Any

from trading_cases import BTC, Bench, trade_on

on_binance = partial(trade_on, "binance")


async def buy(bench: Bench, share: float = 0.99, qty: float = 0.01, **params: Any) -> Any:
    """A post-only order of the long side, at so much of the last price."""
    params = {"positionSide": "LONG", "timeInForce": "GTX", **params}
    return await bench.rest.create_order(BTC, "limit", "buy", qty, bench.price(share), params)


async def take(bench: Bench, side: str = "buy", pside: str = "LONG", qty: float = 0.01) -> Any:
    """A market order."""
    return await bench.rest.create_order(BTC, "market", side, qty, None, {"positionSide": pside})
