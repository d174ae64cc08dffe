"""Fills of exchanges without a simulator through their unmodified ccxt classes, one closing fill each (`live.md` 17.4).

Paging and the details of translation are tested where the sources are; here that the calls exist and fit together.
"""

from __future__ import annotations

from typing import Any

import pytest
from wired import fills_of, run

from core.clock import HOUR_MS
from exchanges.registry import adapter_of

T = 1_700_000_000_000
ID = "0x0007" + "ab" * 11  # close_grid_long
V2, SETTLED = "/api/v2/mix/order", "/api/v4/futures/usdt"


def hyperliquid() -> dict[str, Any]:
    fill = {"coin": "BTC", "px": "110", "sz": "2", "side": "A", "time": T, "dir": "Close Long", "closedPnl": "20",
            "oid": 7, "tid": 9, "fee": "0.1", "feeToken": "USDC", "cloid": ID, "crossed": False}  # fmt: skip
    return {"/info": [fill]}


def okx() -> dict[str, Any]:
    fill = {"instId": "BTCUSDT", "instType": "SWAP", "tradeId": "9", "ordId": "7", "clOrdId": ID, "billId": "1",
            "side": "sell", "posSide": "long", "fillSz": "2", "fillPx": "110", "fillPnl": "20", "fee": "-0.1",
            "feeCcy": "USDT", "fillTime": str(T), "ts": str(T)}  # fmt: skip
    return {"/api/v5/trade/fills": {"code": "0", "data": [fill]}}


def bitget() -> dict[str, Any]:
    fill = {"symbol": "BTCUSDT", "tradeId": "9", "orderId": "7", "price": "110", "baseVolume": "2", "profit": "20",
            "side": "buy", "tradeSide": "close", "posMode": "hedge_mode", "cTime": str(T),
            "feeDetail": [{"feeCoin": "USDT", "totalFee": "0.1"}]}  # fmt: skip
    order = {"symbol": "BTCUSDT", "orderId": "7", "clientOid": ID, "size": "2", "side": "buy", "posSide": "long"}
    return {
        f"{V2}/fill-history": {"code": "00000", "data": {"fillList": [fill]}},
        f"{V2}/detail": {"code": "00000", "data": order},
    }


def gateio() -> dict[str, Any]:
    trade = {"contract": "BTCUSDT", "trade_id": "9", "order_id": "7", "size": -2, "close_size": -2, "price": "110",
             "text": f"t-{ID}", "fee": "0.1", "create_time": T / 1000.0}  # fmt: skip
    order = {"id": "7", "contract": "BTCUSDT", "size": -2, "left": 0, "pnl": "20", "is_reduce_only": True}
    return {f"{SETTLED}/my_trades_timerange": [trade], f"{SETTLED}/orders_timerange": [order]}


def kucoin() -> dict[str, Any]:
    fill = {"symbol": "BTCUSDT", "tradeId": "9", "orderId": "7", "side": "sell", "price": "110", "size": 2,
            "value": "220", "fee": "0.1", "feeCurrency": "USDT", "createdAt": T, "tradeTime": T * 1_000_000,
            "positionSide": "LONG", "liquidity": "maker"}  # fmt: skip
    closed = {"closeId": "1", "symbol": "BTCUSDT", "type": "CLOSE_LONG", "pnl": "20", "closeTime": T}
    order = {"id": "7", "symbol": "BTCUSDT", "side": "sell", "size": 2, "clientOid": ID, "isActive": False}
    return {
        "/api/v1/fills": {"code": "200000", "data": {"items": [fill]}},
        "/api/v1/history-positions": {"code": "200000", "data": {"items": [closed]}},
        "/api/v1/orders/7": {"code": "200000", "data": order},
    }


@pytest.mark.parametrize("replies", [hyperliquid, okx, bitget, gateio, kucoin], ids=lambda made: made.__name__)
def test_a_closing_fill(replies: Any) -> None:
    """Its side, position, quantity, price, profit, fee and order type."""
    name = replies.__name__
    quote = "USDC" if name == "hyperliquid" else "USDT"

    async def call(exchange: Any) -> Any:
        return await fills_of(exchange, name, T - HOUR_MS, T + HOUR_MS)

    (event,), _ = run(adapter_of(name), name, replies(), call, quote=quote)
    assert (event.id, event.timestamp, event.symbol) == ("9", T, f"BTC/{quote}:{quote}")
    assert (event.side, event.position_side, event.qty, event.price, event.pnl) == ("sell", "long", -2.0, 110.0, 20.0)
    assert event.fees["currency"] == quote and float(event.fees["cost"]) == 0.1
    assert event.pb_order_type == "close_grid_long"
