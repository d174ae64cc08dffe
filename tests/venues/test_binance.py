"""The adapter of Binance on constructed replies (`live.md` 21, `exchange_simulator.md` 7)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from wired import Wire
from wired import run as run_wired

from core.errors import DataError
from exchanges.binance import Binance
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    return run_wired(Binance, "binance", replies, call, **options)


def order(number: int, symbol: str, side: str, pside: str, **more: Any) -> dict[str, Any]:
    return {
        "orderId": number, "symbol": symbol, "status": "NEW", "clientOrderId": f"x-1-{number}", "price": "97000.5",
        "avgPrice": "0", "origQty": "0.015", "executedQty": "0.005", "cumQuote": "0", "timeInForce": "GTX",
        "type": "LIMIT", "reduceOnly": False, "side": side, "positionSide": pside, "time": 1000 - number,
        "updateTime": 1000, **more,
    }  # fmt: skip


def test_balance() -> None:
    """The wallet of crossed margin; a reply without it is not used."""
    path = "/fapi/v3/account"
    account = {"totalCrossWalletBalance": "1234.5", "assets": [], "positions": []}
    assert run({path: account}, Binance.fetch_balance)[0] == 1234.5
    for wrong in ("NaN", None, "1e400"):
        with pytest.raises(DataError, match="binance: balance is"):
            run({path: account | {"totalCrossWalletBalance": wrong}}, Binance.fetch_balance)


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        ([("BTCUSDT", "LONG", "0.5"), ("BTCUSDT", "SHORT", "-0.2"), ("ETHUSDT", "LONG", "0")],
         {(BTC, "long"): 0.5, (BTC, "short"): -0.2}),
        ([("BTCUSDT", "BOTH", "-0.3"), ("ETHUSDT", "BOTH", "2")], {(BTC, "short"): -0.3, (ETH, "long"): 2.0}),
        ([], {}),
    ],
)  # fmt: skip
def test_positions(rows: list[tuple[str, str, str]], held: dict[Any, float]) -> None:
    """Those that are not flat, signed; one-way positions by their sign."""
    reply = [{"symbol": s, "positionSide": p, "positionAmt": amount, "entryPrice": "100.5"} for s, p, amount in rows]
    found, _ = run({"/fapi/v3/positionRisk": reply}, Binance.fetch_positions)
    assert found == {key: HeldPosition(size, 100.5) for key, size in held.items()}


def test_open_orders() -> None:
    """One call a symbol, every order once, by time; the whole amount, the stated side."""
    first, second = order(1, "BTCUSDT", "SELL", "LONG"), order(2, "ETHUSDT", "SELL", "SHORT")
    replies = {"/fapi/v1/openOrders": [first, second]}
    found, wire = run(replies, lambda exchange: exchange.fetch_open_orders({ETH, BTC}))
    assert [params["symbol"] for params in wire.params("/fapi/v1/openOrders")] == ["BTCUSDT", "ETHUSDT"]
    assert found == [
        OpenOrder("2", ETH, "sell", "short", 0.015, 97000.5, "x-1-2", 998),
        OpenOrder("1", BTC, "sell", "long", 0.015, 97000.5, "x-1-1", 999),
    ]
    assert [one.reduce_only for one in found] == [False, True]


@pytest.mark.parametrize(
    ("kind", "post_only", "sent"),
    [
        ("limit", True, {"type": "LIMIT", "price": "97000.5", "timeInForce": "GTX"}),
        ("limit", False, {"type": "LIMIT", "price": "97000.5", "timeInForce": "GTC"}),
        ("market", True, {"type": "MARKET"}),
    ],
)
def test_create(kind: Any, post_only: bool, sent: dict[str, str]) -> None:
    """The parameters of an order, and nothing more than they."""
    wanted = TargetOrder(BTC, "sell", "short", 0.015, 97000.5, False, "entry_grid_normal_short", kind, "my-id")
    path = "/fapi/v1/order"
    placed, wire = run(
        {path: order(7, "BTCUSDT", "SELL", "SHORT")}, lambda e: e.create_order(wanted), post_only=post_only
    )
    asked = wire.params(path)[0]
    asked = {name: value for name, value in asked.items() if name not in ("timestamp", "recvWindow", "signature")}
    fixed = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.015",
        "positionSide": "SHORT",
        "newClientOrderId": "my-id",
    }
    assert placed == "7"
    assert asked == fixed | sent | {"newOrderRespType": "RESULT"}


def test_cancel() -> None:
    """By the exchange's id."""
    held = OpenOrder("7", BTC, "buy", "long", 0.015, 97000.5)
    reply = order(7, "BTCUSDT", "BUY", "LONG", status="CANCELED")
    done, wire = run({"/fapi/v1/order": reply}, lambda exchange: exchange.cancel_order(held))
    assert done is True
    assert (wire.asked[0][0], wire.params("/fapi/v1/order")[0]["orderId"]) == ("DELETE", "7")


def test_set_up() -> None:
    """Hedge mode, cross margin, leverage; what stands so already is no error, another refusal is."""
    unchanged = ccxt.ExchangeError('binanceusdm {"code":-4059,"msg":"No need to change position side."}')
    replies = {
        "/fapi/v1/positionSide/dual": unchanged,
        "/fapi/v1/marginType": {"code": 200, "msg": "success"},
        "/fapi/v1/leverage": {"leverage": 20, "maxNotionalValue": "1", "symbol": "BTCUSDT"},
    }

    async def both(exchange: Any) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    _, wire = run(replies, both)
    assert wire.params("/fapi/v1/positionSide/dual")[0]["dualSidePosition"] == "true"
    assert wire.params("/fapi/v1/marginType")[0]["marginType"] == "CROSSED"
    assert wire.params("/fapi/v1/leverage")[0]["leverage"] == "20"
    refused = ccxt.ExchangeError('binanceusdm {"code":-4067,"msg":"Position side cannot be changed."}')
    with pytest.raises(ccxt.ExchangeError, match="-4067"):
        run(replies | {"/fapi/v1/positionSide/dual": refused}, Binance.set_up_account)


def test_errors_pass(caplog: pytest.LogCaptureFixture) -> None:
    """Reading never catches."""
    with pytest.raises(ccxt.NetworkError):
        run({"/fapi/v3/positionRisk": ccxt.NetworkError("reset")}, Binance.fetch_positions)
