"""The adapter of KuCoin on constructed replies (`live.md` 21)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from wired import Pages, Wire
from wired import run as run_wired

from core.terms import Pside
from exchanges.kucoin import Kucoin
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
OVERVIEW, POSITIONS, ORDERS = "/api/v1/account-overview", "/api/v1/positions", "/api/v1/orders"
MODE, CROSS = "/api/v2/position/switchPositionMode", "/api/v2/position/changeMarginMode"
LEVERAGE = "/api/v2/changeCrossUserLeverage"


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""

    def wrapped(reply: Any) -> Any:
        if isinstance(reply, BaseException):
            return reply
        return Pages(map(wrapped, reply)) if isinstance(reply, Pages) else {"code": "200000", "data": reply}

    return run_wired(Kucoin, "kucoin", {path: wrapped(reply) for path, reply in replies.items()}, call, **options)


def test_balance() -> None:
    """The margin of the account, of its quote currency."""
    reply = {"currency": "USDT", "marginBalance": 1000.5, "accountEquity": 1010.0, "availableBalance": 900.0}
    balance, wire = run({OVERVIEW: reply}, Kucoin.fetch_balance)
    assert balance == 1000.5
    assert wire.params(OVERVIEW) == [{"currency": "USDT"}]


def position(contract: str, size: int) -> dict[str, Any]:
    return {"symbol": contract, "currentQty": size, "avgEntryPrice": 100.5, "isOpen": True, "markPrice": 100.0,
            "crossMode": True, "marginMode": "CROSS", "id": contract, "leverage": 5}  # fmt: skip


def test_positions() -> None:
    """Signed."""
    held, _ = run({POSITIONS: [position("BTCUSDT", -3), position("ETHUSDT", 0)]}, Kucoin.fetch_positions)
    assert held == {(BTC, "short"): HeldPosition(-3.0, 100.5)}


def order(number: int, side: str = "buy", **more: Any) -> dict[str, Any]:
    return {"id": str(number), "symbol": "BTCUSDT", "type": "limit", "side": side, "price": "100.5", "size": 2,
            "filledSize": 0, "filledValue": "0", "clientOid": f"me{number}", "createdAt": number, "isActive": True,
            "cancelExist": False, "reduceOnly": False, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "held", "pside"),
    [
        ({"side": "sell"}, [3], "long"),  # held
        ({"side": "buy"}, [-3], "short"),
        ({"side": "sell"}, [], "short"),  # by direction
        ({"side": "sell", "reduceOnly": True}, [], "long"),
        ({"side": "sell"}, [3, -3], "short"),  # both are held
        ({"side": "buy", "positionSide": "SHORT"}, [3], "short"),  # stated
        ({"side": "sell", "positionSide": "BOTH"}, [3], "long"),
    ],
)
def test_side_of_orders(more: dict[str, Any], held: list[int], pside: Pside) -> None:
    """The stated side, else that of the only position, else that of the direction."""

    async def call(exchange: Kucoin) -> Any:
        await exchange.fetch_positions()
        return await exchange.fetch_open_orders(set())

    rows = [position("BTCUSDT", size) for size in held]
    found, _ = run({POSITIONS: rows, ORDERS: {"items": [order(7, **more)]}}, call)
    assert found == [OpenOrder("7", BTC, more["side"], pside, 2.0, 100.5, "me7", 7)]


def test_pages_of_orders() -> None:
    """A hundred a page, until one is not full."""
    pages = Pages([{"items": [order(i) for i in range(100)]}, {"items": [order(i) for i in range(100, 150)]}])
    found, wire = run({ORDERS: pages}, lambda e: e.fetch_open_orders(set()))
    assert len(found) == 150
    asked = [(params["currentPage"], params["pageSize"], params["status"]) for params in wire.params(ORDERS)]
    assert asked == [("1", "100", "active"), ("2", "100", "active")]


def test_set_up() -> None:
    """Hedged; crossed, then the leverage of cross margin, not above what the market allows."""

    async def call(exchange: Kucoin) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    _, wire = run({MODE: {}, CROSS: {}, LEVERAGE: True}, call)
    assert wire.asked == [
        ("POST", MODE, {"positionMode": "1"}),
        ("POST", CROSS, {"symbol": "BTCUSDT", "marginMode": "CROSS"}),
        ("POST", LEVERAGE, {"symbol": "BTCUSDT", "leverage": "20"}),
    ]


def test_refused_mode(caplog: pytest.LogCaptureFixture) -> None:
    """An account that stays as it is trades on; a connection that fails is an error."""
    run({MODE: ccxt.ExchangeError('kucoinfutures {"code":"330005","msg":"open orders exist"}')}, Kucoin.set_up_account)
    assert "the position mode stays as it is" in caplog.text
    with pytest.raises(ccxt.NetworkError):
        run({MODE: ccxt.NetworkError("kucoin")}, Kucoin.set_up_account)


def test_refused_margin_mode(caplog: pytest.LogCaptureFixture) -> None:
    """Orders say themselves that they are crossed: leverage is set nevertheless."""
    refusal = ccxt.ExchangeError('kucoinfutures {"code":"300016","msg":"positions exist"}')
    _, wire = run({CROSS: refusal, LEVERAGE: True}, lambda e: e.set_up_symbol(BTC, 5.0))
    assert wire.params(LEVERAGE)[0]["leverage"] == "5"
    assert f"the margin mode of {BTC} stays as it is" in caplog.text


def test_create() -> None:
    """The parameters of an order."""
    wanted = TargetOrder(BTC, "sell", "long", 2.0, 100.5, True, "close_grid_long", "limit", "me7")
    placed, wire = run({ORDERS: {"orderId": "7", "clientOid": "me7"}}, lambda e: e.create_order(wanted))
    assert placed == "7"
    assert wire.params(ORDERS) == [
        {"clientOid": "me7", "side": "sell", "symbol": "BTCUSDT", "type": "limit", "leverage": 1, "marginMode": "CROSS",
         "size": 2, "price": "100.5", "timeInForce": "GTC", "reduceOnly": True, "positionSide": "LONG"}
    ]  # fmt: skip


@pytest.mark.parametrize(("cancelled", "confirmed"), [(["7"], True), ([], False)])
def test_cancel(cancelled: list[str], confirmed: bool) -> None:
    """Confirmed where the order is among those that were cancelled."""
    held = OpenOrder("7", BTC, "sell", "long", 2.0, 100.5)
    reply = {f"{ORDERS}/7": {"cancelledOrderIds": cancelled}}
    assert run(reply, lambda e: e.cancel_order(held))[0] is confirmed
