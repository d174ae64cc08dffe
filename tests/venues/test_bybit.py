"""The adapter of Bybit on constructed replies (`live.md` 21 and D1, `exchange_simulator.md` 8)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from wired import Pages, Wire
from wired import run as run_wired

from core.errors import DataError
from exchanges.bybit import Bybit
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
ACCOUNT = {
    "/v5/user/query-api": {"unified": 0, "uta": 1, "readOnly": 0, "userID": "1"},
    "/v5/account/info": {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 6},
}


def enveloped(result: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 5}


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    wrapped = {
        path: Pages(map(enveloped, reply)) if isinstance(reply, Pages) else
        reply if isinstance(reply, BaseException) else enveloped(reply)
        for path, reply in (ACCOUNT | replies).items()
    }  # fmt: skip
    return run_wired(Bybit, "bybit", wrapped, call, **options)


def position(symbol: str, index: int, side: str, size: str) -> dict[str, Any]:
    return {
        "positionIdx": index, "symbol": symbol, "side": side, "size": size, "avgPrice": "100.5", "leverage": "10",
        "positionValue": "50", "markPrice": "101", "unrealisedPnl": "0", "positionIM": "1", "positionMM": "1",
        "positionBalance": "0", "createdTime": "1", "updatedTime": "2", "tradeMode": 0, "positionStatus": "Normal",
        "liqPrice": "",
    }  # fmt: skip


def order(number: int, symbol: str, side: str, index: int, **more: Any) -> dict[str, Any]:
    return {
        "orderId": f"id-{number}", "orderLinkId": f"0x0004{number}", "symbol": symbol, "side": side, "price": "97000.5",
        "qty": "0.015", "leavesQty": "0.01", "cumExecQty": "0.005", "cumExecValue": "0", "cumExecFee": "0",
        "avgPrice": "", "orderType": "Limit", "orderStatus": "New", "timeInForce": "PostOnly", "positionIdx": index,
        "reduceOnly": False, "createdTime": str(1000 - number), "updatedTime": "1000", "tpslMode": "UNKNOWN", **more,
    }  # fmt: skip


COIN = {
    "coin": "USDT", "walletBalance": "1000", "equity": "1050", "usdValue": "1050", "unrealisedPnl": "50",
    "marginCollateral": True, "collateralSwitch": True, "locked": "0", "borrowAmount": "0",
}  # fmt: skip
UNIFIED = {"accountType": "UNIFIED", "totalEquity": "1050", "totalPerpUPL": "50", "coin": [COIN]}


@pytest.mark.parametrize(
    ("account", "legacy", "balance"),
    [
        (UNIFIED, False, 1000.0),
        (UNIFIED, True, 1100.0),
        (UNIFIED | {"coin": [COIN, COIN | {"coin": "BTC", "collateralSwitch": False}]}, True, 1100.0),
    ],
)
def test_balance(account: dict[str, Any], legacy: bool, balance: float) -> None:
    """The wallet's value without open profit; the older sum counts that twice (D1)."""

    async def call(exchange: Bybit) -> float:
        exchange.legacy_balance = legacy
        return await exchange.fetch_balance()

    assert run({"/v5/account/wallet-balance": {"list": [account]}}, call)[0] == balance


@pytest.mark.parametrize("wrong", ["", "NaN", None])
def test_a_balance_that_is_none(wrong: Any) -> None:
    """An empty or unreadable number is no balance of 0."""
    replies = {"/v5/account/wallet-balance": {"list": [UNIFIED | {"totalEquity": wrong}]}}
    with pytest.raises(DataError, match="bybit: totalEquity is"):
        run(replies, Bybit.fetch_balance)


def test_positions() -> None:
    """All pages, each position once, signed by its side."""
    both = [position("BTCUSDT", 1, "Buy", "0.5"), position("BTCUSDT", 2, "Sell", "0.2")]
    pages = Pages([
        {"nextPageCursor": "two", "list": both},
        {"nextPageCursor": "", "list": [position("ETHUSDT", 2, "Sell", "3")]},
    ])  # fmt: skip
    held, wire = run({"/v5/position/list": pages}, Bybit.fetch_positions)
    assert held == {
        (BTC, "long"): HeldPosition(0.5, 100.5),
        (BTC, "short"): HeldPosition(-0.2, 100.5),
        (ETH, "short"): HeldPosition(-3.0, 100.5),
    }
    asked = wire.params("/v5/position/list")
    assert [(one.get("limit"), one.get("cursor")) for one in asked] == [("200", None), ("200", "two")]


def test_open_orders() -> None:
    """All pages until a cursor repeats, each order once, the side by its index."""
    first, second = order(1, "BTCUSDT", "Sell", 1), order(2, "ETHUSDT", "Sell", 2)
    one_way = order(3, "ETHUSDT", "Buy", 0, reduceOnly=True)
    pages = Pages(
        [
            {"nextPageCursor": "two", "list": [first, second]},
            {"nextPageCursor": "two", "list": [second, one_way]},
        ]
    )
    found, wire = run({"/v5/order/realtime": pages}, lambda exchange: exchange.fetch_open_orders({BTC}))
    assert [(one.id, one.side, one.pside, one.qty, one.reduce_only) for one in found] == [
        ("id-3", "buy", "short", 0.015, True),
        ("id-2", "sell", "short", 0.015, False),
        ("id-1", "sell", "long", 0.015, True),
    ]
    assert found[2] == OpenOrder("id-1", BTC, "sell", "long", 0.015, 97000.5, "0x00041", 999)
    assert [one.get("cursor") for one in wire.params("/v5/order/realtime")] == [None, "two"]


@pytest.mark.parametrize(
    ("kind", "post_only", "sent"),
    [
        ("limit", True, {"orderType": "Limit", "price": "97000.5", "timeInForce": "PostOnly"}),
        ("limit", False, {"orderType": "Limit", "price": "97000.5", "timeInForce": "GTC"}),
        ("market", True, {"orderType": "Market"}),
    ],
)
def test_create(kind: Any, post_only: bool, sent: dict[str, str]) -> None:
    """The parameters of an order; a market order is never post-only."""
    wanted = TargetOrder(BTC, "sell", "long", 0.015, 97000.5, True, "close_grid_long", kind, "my-id")
    path = "/v5/order/create"
    reply = {"orderId": "id-7", "orderLinkId": "my-id"}
    placed, wire = run({path: reply}, lambda exchange: exchange.create_order(wanted), post_only=post_only)
    fixed = {"symbol": "BTCUSDT", "side": "Sell", "category": "linear", "qty": "0.015", "positionIdx": 1}
    assert placed == "id-7"
    assert wire.params(path) == [fixed | sent | {"orderLinkId": "my-id"}]


def test_cancel() -> None:
    """By the exchange's id; the reply holds ids alone."""
    held = OpenOrder("id-7", BTC, "buy", "long", 0.015, 97000.5)
    reply = {"orderId": "id-7", "orderLinkId": "x"}
    done, wire = run({"/v5/order/cancel": reply}, lambda exchange: exchange.cancel_order(held))
    assert done is True
    assert wire.params("/v5/order/cancel") == [{"symbol": "BTCUSDT", "orderId": "id-7", "category": "linear"}]


def test_set_up() -> None:
    """Hedge mode, cross margin, leverage; answers that say "not modified" are no errors."""
    replies = {
        "/v5/position/switch-mode": ccxt.NoChange('bybit {"retCode":110025,"retMsg":"Position mode is not modified"}'),
        "/v5/account/set-margin-mode": {"reasons": []},
        "/v5/position/set-leverage": ccxt.BadRequest('bybit {"retCode":110043,"retMsg":"leverage not modified"}'),
    }

    async def both(exchange: Any) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 10.0)

    _, wire = run(replies, both)
    assert wire.params("/v5/position/switch-mode")[0]["mode"] == 3
    assert wire.params("/v5/account/set-margin-mode") == [{"setMarginMode": "REGULAR_MARGIN", "leverage": 10}]
    assert wire.params("/v5/position/set-leverage")[0]["buyLeverage"] == "10"
