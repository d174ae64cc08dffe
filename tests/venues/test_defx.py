"""The adapter of Defx on constructed replies (`live.md` 21)."""

from __future__ import annotations

from typing import Any

import pytest
from wired import Pages, Wire, fills_of
from wired import run as run_wired

from core.errors import DataError
from exchanges.defx import Defx
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC = "BTC/USDC:USDC"
ORDERS, ORDER = "/v1/auth/api/orders", "/v1/auth/api/order"
POSITIONS, LEVERAGE = "/v1/auth/api/position/active", "/v1/auth/api/users/metadata/leverage"


def run(replies: dict[str, Any], call: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    return run_wired(Defx, "defx", replies, call, quote="USDC")


def test_balance() -> None:
    """What the wallet has of the quote currency."""
    reply = {"assets": [{"asset": "USDC", "balance": "1000.5"}, {"asset": "USDT", "balance": "7"}]}
    assert run({"/v1/auth/api/wallet/balance": reply}, Defx.fetch_balance)[0] == 1000.5


def position(side: str = "SHORT") -> dict[str, Any]:
    return {"data": [{"positionId": "p", "symbol": "BTCUSDC", "positionSide": side, "entryPrice": "100.5",
                      "quantity": "0.5", "marginAmount": "20", "marginAsset": "USDC", "pnl": "0"}]}  # fmt: skip


def test_positions() -> None:
    """Signed by the side that is held."""
    assert run({POSITIONS: position()}, Defx.fetch_positions)[0] == {(BTC, "short"): HeldPosition(-0.5, 100.5)}


def order(number: int, side: str = "BUY") -> dict[str, Any]:
    return {"orderId": str(number), "createdAt": f"1970-01-01T00:00:00.{number:03d}Z", "reduceOnly": False,
            "side": side, "status": "OPEN", "symbol": "BTCUSDC", "timeInForce": "GTC", "type": "LIMIT",
            "origQty": "0.5", "executedQty": "0", "price": "100.5", "clientOrderId": f"x{number}"}  # fmt: skip


def test_open_orders() -> None:
    """A hundred a page; whose they are follows from the position that is held, else from their direction."""

    async def call(exchange: Defx) -> Any:
        before = await exchange.fetch_open_orders(set())
        await exchange.fetch_positions()
        return before, await exchange.fetch_open_orders(set())

    pages = Pages([{"data": [order(7)]}, {"data": [order(i) for i in range(100)]}, {"data": [order(100)]}])
    (before, after), wire = run({ORDERS: pages, POSITIONS: position()}, call)
    assert before == [OpenOrder("7", BTC, "buy", "long", 0.5, 100.5, "x7", 7)]
    assert (len(after), {one.pside for one in after}) == (101, {"short"})
    asked = [(p["statuses"], p["pageSize"], p["page"]) for p in wire.params(ORDERS)]
    assert asked == [("OPEN", "100", "1"), ("OPEN", "100", "1"), ("OPEN", "100", "2")]


def test_set_up() -> None:
    """Leverage only."""

    async def call(exchange: Defx) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    _, wire = run({LEVERAGE: {"data": {"leverage": "20", "symbol": "BTCUSDC"}}}, call)
    assert wire.asked == [("POST", LEVERAGE, {"leverage": "20", "symbol": "BTCUSDC"})]
    assert Defx.CAPABILITIES.least_leverage


@pytest.mark.parametrize(("kind", "more"), [("limit", {"timeInForce": "GTC", "price": "100.5"}), ("market", {})])
def test_create(kind: Any, more: dict[str, str]) -> None:
    """No client id."""
    wanted = TargetOrder(BTC, "sell", "long", 0.5, 100.5, True, "close_grid_long", kind, "me7")
    placed, wire = run({ORDER: {"success": True, "data": {"orderId": "7"}}}, lambda e: e.create_order(wanted))
    assert placed == "7"
    fixed = {"symbol": "BTCUSDC", "side": "SELL", "type": kind.upper(), "reduceOnly": True, "quantity": "0.5"}
    assert wire.params(ORDER) == [fixed | more]


@pytest.mark.parametrize("confirmed", [True, False])
def test_cancel(confirmed: bool) -> None:
    """Confirmed by the exchange, not by the id that ccxt repeats."""
    held = OpenOrder("7", BTC, "sell", "long", 0.5, 100.5)
    assert run({f"{ORDER}/7": {"success": confirmed}}, lambda e: e.cancel_order(held))[0] is confirmed


async def time_without_btc(exchange: Defx) -> int:
    exchange.rest.markets = {symbol: entry for symbol, entry in exchange.rest.markets.items() if symbol != BTC}
    return await exchange.fetch_time_ms()


def test_time() -> None:
    """The time of a ticker; without one that is said."""
    path, row = "/v1/open/symbols/BTCUSDC/ticker/24hr", {"symbol": "BTCUSDC", "lastPrice": "1", "closeTime": 1234}
    assert run({path: row}, Defx.fetch_time_ms)[0] == 1234
    without_btc = {"/v1/open/symbols/ETHUSDC/ticker/24hr": row | {"symbol": "ETHUSDC", "closeTime": 99}}
    assert run(without_btc, time_without_btc)[0] == 99
    with pytest.raises(DataError, match="defx: time of the ticker"):
        run({path: row | {"closeTime": 0}}, Defx.fetch_time_ms)


def trade_row(number: int) -> dict[str, Any]:
    return {"id": str(number), "orderId": "o", "time": f"1970-01-01T00:00:00.{number:03d}Z", "symbol": "BTCUSDC",
            "side": "SELL", "price": "100", "qty": "0.5", "fee": "0.1", "role": "MAKER", "pnl": "2.5"}  # fmt: skip


def test_fills() -> None:
    """Page by page until one is not full; a trade that earned something closed a position."""
    pages = Pages(
        [{"data": [trade_row(i) for i in range(130, 30, -1)]}, {"data": [trade_row(i) for i in range(30, 0, -1)]},
         {"data": []}]
    )  # fmt: skip
    events, wire = run({"/v1/auth/api/trades": pages}, lambda e: fills_of(e, "defx"))
    assert [event.id for event in events] == [str(i) for i in range(1, 131)]
    assert (events[0].pnl, events[0].position_side) == (2.5, "long")
    assert [params.get("page") for params in wire.params("/v1/auth/api/trades")] == [None, "2", None]
