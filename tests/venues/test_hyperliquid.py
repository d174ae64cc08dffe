"""The adapter of Hyperliquid on constructed replies (`live.md` 21)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wired import Pages, Wire
from wired import run as run_wired

from core.terms import Side
from exchanges.hyperliquid import Hyperliquid, fitted_price
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC, ETH = "BTC/USDC:USDC", "ETH/USDC:USDC"
INFO, EXCHANGE = "/info", "/exchange"
ACCOUNT = {
    "marginSummary": {"accountValue": "1050.5", "totalMarginUsed": "5"}, "withdrawable": "900", "time": 1,
    "assetPositions": [
        {"type": "oneWay", "position": {"coin": "BTC", "szi": "0.5", "entryPx": "60000", "unrealizedPnl": "75"}},
        {"type": "oneWay", "position": {"coin": "ETH", "szi": "-2", "entryPx": "3000", "unrealizedPnl": "-24.5"}},
    ],
}  # fmt: skip


def run(replies: dict[str, Any], call: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    return run_wired(Hyperliquid, "hyperliquid", replies, call, quote="USDC")


@pytest.mark.parametrize(
    ("price", "side", "step", "fitted"),
    [
        (123.4567, "sell", 0.01, 123.46),
        (123.4567, "buy", 0.01, 123.45),
        (98765.43, "buy", 1.0, 98765.0),
        (0.0123456, "sell", 0.0000001, 0.012346),
        (0.0123456, "buy", 0.0000001, 0.012346),  # six decimals first
        (100.0, "sell", 0.1, 100.0),
    ],
)
def test_fitted_price(price: float, side: Side, step: float, fitted: float) -> None:
    """Five significant digits, away from the market, then the step."""
    assert fitted_price(price, side, step) == fitted


def test_account() -> None:
    """Positions and balance, asked for at once, cost one request; the balance has no open profit."""

    async def both(exchange: Any) -> Any:
        return await asyncio.gather(exchange.fetch_positions(), exchange.fetch_balance())

    (held, balance), wire = run({INFO: ACCOUNT}, both)
    assert balance == 1050.5 - 75.0 + 24.5
    assert held == {(BTC, "long"): HeldPosition(0.5, 60000.0), (ETH, "short"): HeldPosition(-2.0, 3000.0)}
    assert [params["type"] for params in wire.params(INFO)] == ["clearinghouseState"]


def test_open_orders() -> None:
    """The side of the position that is held; without one that of the direction."""
    orders = [
        {"coin": coin, "limitPx": "100.5", "oid": oid, "side": side, "sz": "1", "origSz": "2", "timestamp": oid,
         "reduceOnly": reduce, "orderType": "Limit", "cloid": None, "tif": "Alo", "isTrigger": False}
        for oid, coin, side, reduce in ((1, "BTC", "A", True), (2, "ETH", "B", True), (3, "SOL", "A", False))
    ]  # fmt: skip

    async def call(exchange: Any) -> Any:
        await exchange.fetch_positions()
        return await exchange.fetch_open_orders(set())

    found, _ = run({INFO: Pages([ACCOUNT, orders])}, call)
    assert [(one.id, one.side, one.pside, one.qty, one.reduce_only) for one in found] == [
        ("1", "sell", "long", 2.0, True),
        ("2", "buy", "short", 2.0, True),
        ("3", "sell", "short", 2.0, False),
    ]


@pytest.mark.parametrize(
    ("status", "placed"),
    [({"resting": {"oid": 7}}, "7"), ({"filled": {"oid": 7, "totalSz": "0.5", "avgPx": "1"}}, "7")],
)
def test_create(status: dict[str, Any], placed: str | None) -> None:
    """Post-only, with the id that the exchange keeps."""
    reply = {"status": "ok", "response": {"type": "order", "data": {"statuses": [status]}}}
    custom_id = "0x0004" + "c" * 28
    order = TargetOrder(BTC, "buy", "long", 0.5, 60000.0, False, "entry_grid_normal_long", "limit", custom_id)
    found, wire = run({EXCHANGE: reply}, lambda exchange: exchange.create_order(order))
    assert found == placed
    assert len(wire.asked) == 1, "no fee is approved and no referrer set for ccxt"
    sent = wire.params(EXCHANGE)[0]["action"]["orders"][0]
    assert (sent["b"], sent["p"], sent["s"], sent["r"], sent["c"]) == (True, "60000", "0.5", False, custom_id)
    assert sent["t"] == {"limit": {"tif": "Alo"}}


def test_cancel() -> None:
    """Confirmed by its status."""
    reply = {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}}
    held = OpenOrder("7", BTC, "buy", "long", 0.5, 60000.0)
    assert run({EXCHANGE: reply}, lambda exchange: exchange.cancel_order(held))[0] is True
