"""The adapter of Bitget on constructed replies (`live.md` 21)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from wired import Pages, Wire
from wired import run as run_wired

from core.errors import DataError
from core.terms import Pside, Side
from exchanges.bitget import Bitget
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC = "BTC/USDT:USDT"
BALANCE, PENDING = "/api/v2/mix/account/accounts", "/api/v2/mix/order/orders-pending"
MODE, CROSS = "/api/v2/mix/account/set-position-mode", "/api/v2/mix/account/set-margin-mode"
LEVERAGE, PLACE = "/api/v2/mix/account/set-leverage", "/api/v2/mix/order/place-order"


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""

    def wrapped(reply: Any) -> Any:
        if isinstance(reply, BaseException):
            return reply
        return Pages(map(wrapped, reply)) if isinstance(reply, Pages) else {"code": "00000", "data": reply}

    return run_wired(Bitget, "bitget", {path: wrapped(reply) for path, reply in replies.items()}, call, **options)


def funds(coin: str, **more: str) -> dict[str, str]:
    return {"marginCoin": coin, "available": "900.5", "accountEquity": "1000", "locked": "0", **more}


@pytest.mark.parametrize(
    ("more", "balance"),
    [
        ({"assetMode": "single"}, 900.5),
        ({}, 900.5),
        ({"assetMode": "union", "unionTotalMargin": "1100", "unrealizedPL": "-50"}, 1150.0),
        ({"assetMode": "union", "unionTotalMargin": "1100", "unrealizedPL": ""}, 1100.0),
    ],
)
def test_balance(more: dict[str, str], balance: float) -> None:
    """What is free, or all margin of a union account without open profit; of the quote currency alone."""
    found, wire = run({BALANCE: [funds("USDC"), funds("USDT", **more)]}, Bitget.fetch_balance)
    assert found == balance
    assert wire.params(BALANCE) == [{"productType": "USDT-FUTURES"}]


def test_no_balance() -> None:
    """An account without the currency is told apart from one that has none left."""
    with pytest.raises(DataError, match="bitget: the account has no USDT"):
        run({BALANCE: [funds("USDC")]}, Bitget.fetch_balance)


def test_positions() -> None:
    """Signed by the side that is held."""
    row = {"symbol": "BTCUSDT", "holdSide": "short", "total": "3", "openPriceAvg": "100.5", "marginMode": "crossed",
           "posMode": "hedge_mode", "leverage": "5", "marginSize": "60", "markPrice": "100", "unrealizedPL": "0",
           "keepMarginRate": "0.01"}  # fmt: skip
    held, _ = run({"/api/v2/mix/position/all-position": [row]}, Bitget.fetch_positions)
    assert held == {(BTC, "short"): HeldPosition(-3.0, 100.5)}


def order(number: int, **changed: str) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "orderId": str(number), "clientOid": f"me{number}", "size": "2", "price": "100.5",
            "side": "buy", "posSide": "long", "tradeSide": "open", "posMode": "hedge_mode", "orderType": "limit",
            "force": "post_only", "status": "live", "cTime": str(number), "reduceOnly": "NO", **changed}  # fmt: skip


@pytest.mark.parametrize("reduce_only", ["NO", "YES"])
@pytest.mark.parametrize(
    ("pos_side", "trade_side", "stated", "side", "pside"),
    [
        ("long", "open", "buy", "buy", "long"),
        ("long", "close", "buy", "sell", "long"),
        ("short", "open", "sell", "sell", "short"),
        ("short", "close", "sell", "buy", "short"),
        ("long", "reduce_close_long", "sell", "sell", "long"),
    ],
)
def test_open_orders(pos_side: str, trade_side: str, stated: str, side: Side, pside: Pside, reduce_only: str) -> None:
    """The side follows from what the order does with the position."""
    row = order(7, posSide=pos_side, tradeSide=trade_side, side=stated, reduceOnly=reduce_only)
    found, _ = run({PENDING: {"entrustedList": [row]}}, lambda e: e.fetch_open_orders(set()))
    assert found == [OpenOrder("7", BTC, side, pside, 2.0, 100.5, "me7", 7)]


def test_one_way_order() -> None:
    """Of accounts that trade one way the stated side counts."""
    row = order(7, posSide="net", tradeSide="sell_single", side="sell", posMode="one_way_mode", reduceOnly="YES")
    found, _ = run({PENDING: {"entrustedList": [row]}}, lambda e: e.fetch_open_orders(set()))
    assert (found[0].side, found[0].pside) == ("sell", "long")


def test_pages_of_orders() -> None:
    """A full page is followed by that of the orders before its oldest."""
    pages = Pages([{"entrustedList": [order(i) for i in range(200, 100, -1)]}, {"entrustedList": [order(99)]}])
    found, wire = run({PENDING: pages}, lambda e: e.fetch_open_orders(set()))
    assert [one.id for one in found] == ["99", *(str(i) for i in range(101, 201))]
    assert [params.get("idLessThan") for params in wire.params(PENDING)] == [None, "101"]


def test_set_up() -> None:
    """Hedged, crossed, with leverage not above what the market allows."""

    async def call(exchange: Bitget) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    _, wire = run({MODE: {}, CROSS: {}, LEVERAGE: {}}, call)
    assert wire.params(MODE) == [{"posMode": "hedge_mode", "productType": "USDT-FUTURES"}]
    assert wire.params(CROSS)[0]["marginMode"] == "crossed"
    assert wire.params(LEVERAGE)[0]["leverage"] == "20"


def test_margin_mode_while_holding() -> None:
    """Orders say themselves that they are crossed: a mode that cannot be set now is no error, another refusal is."""
    holding = ccxt.ExchangeError('bitget {"code":"45117","msg":"Currently holding positions or orders"}')
    _, wire = run({CROSS: holding, LEVERAGE: {}}, lambda e: e.set_up_symbol(BTC, 5.0))
    assert wire.params(LEVERAGE)[0]["leverage"] == "5"
    other = ccxt.ExchangeError('bitget {"code":"40034","msg":"Parameter does not exist"}')
    with pytest.raises(ccxt.ExchangeError, match="40034"):
        run({CROSS: other, LEVERAGE: {}}, lambda e: e.set_up_symbol(BTC, 5.0))


def test_refused_mode(caplog: pytest.LogCaptureFixture) -> None:
    """A position mode that cannot be changed now is logged; wrong keys are an error."""
    refusal = ccxt.ExchangeError('bitget {"code":"40920","msg":"positions or orders are there"}')
    run({MODE: refusal}, Bitget.set_up_account)
    assert "the position mode stays as it is" in caplog.text
    with pytest.raises(ccxt.AuthenticationError):
        run(
            {MODE: ccxt.AuthenticationError('bitget {"code":"40009","msg":"sign signature error"}')},
            Bitget.set_up_account,
        )


@pytest.mark.parametrize(
    ("side", "reduce_only", "kind", "post_only", "sent"),
    [
        ("buy", False, "limit", True, {"side": "buy", "tradeSide": "Open", "force": "post_only", "price": "100.5"}),
        ("sell", True, "limit", True, {"side": "buy", "tradeSide": "Close", "force": "post_only", "price": "100.5"}),
        ("sell", True, "limit", False, {"side": "buy", "tradeSide": "Close", "force": "GTC", "price": "100.5"}),
        ("sell", True, "market", True, {"side": "buy", "tradeSide": "Close", "force": "GTC"}),
    ],
)
def test_create(side: Side, reduce_only: bool, kind: Any, post_only: bool, sent: dict[str, str]) -> None:
    """In hedge mode the side names the position's direction; market orders are never post-only."""
    wanted = TargetOrder(BTC, side, "long", 2.0, 100.5, reduce_only, "close_grid_long", kind, "me7")
    reply = {PLACE: {"orderId": "7", "clientOid": "me7"}}
    placed, wire = run(reply, lambda exchange: exchange.create_order(wanted), post_only=post_only)
    asked = wire.params(PLACE)[0]
    fixed = {"symbol": "BTCUSDT", "size": "2", "clientOid": "me7", "holdSide": "long", "marginMode": "crossed",
             "orderType": kind, "productType": "USDT-FUTURES", "marginCoin": "USDT"}  # fmt: skip
    assert placed == "7"
    assert {name: value for name, value in asked.items() if name != "timeInForce"} == fixed | sent


def test_cancel() -> None:
    """Confirmed by the order's id."""
    held = OpenOrder("7", BTC, "buy", "long", 2.0, 100.5)
    assert run({"/api/v2/mix/order/cancel-order": {"orderId": "7"}}, lambda e: e.cancel_order(held))[0] is True
