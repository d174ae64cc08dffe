"""The adapter of Gate.io on constructed replies (`live.md` 21)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wired import Pages, Wire, wired
from wired import run as run_wired

from core.errors import DataError
from core.terms import Pside
from exchanges.gateio import Gateio
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC = "BTC/USDT:USDT"
ACCOUNTS, ORDERS = "/api/v4/futures/usdt/accounts", "/api/v4/futures/usdt/orders"
PLACED = "/api/v4/futures/USDT/orders"  # as the harness calls the market's settlement


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    return run_wired(Gateio, "gateio", replies, call, **options)


def account(mode: str) -> dict[str, Any]:
    return {"total": "1000.5", "available": "900", "currency": "USDT", "user": 4711, "margin_mode_name": mode,
            "cross_available": "1234.5", "unrealised_pnl": "3"}  # fmt: skip


@pytest.mark.parametrize(("mode", "balance"), [("classic", 1000.5), ("multi_currency", 1234.5)])
def test_balance(mode: str, balance: float) -> None:
    """By the margin mode of the account; the user's number is kept for the streams."""

    async def case() -> None:
        exchange, wire = wired(Gateio, "gateio", {ACCOUNTS: account(mode)})
        exchange.rest.options["unifiedAccount"] = True  # ccxt would ask elsewhere
        assert await exchange.fetch_balance() == balance
        assert exchange.rest.uid == "4711"
        assert [path for _, path, _ in wire.asked] == [ACCOUNTS]
        await exchange.aclose()

    asyncio.run(case())


def test_streams_know_the_user() -> None:
    """Also where nobody asked for the balance, which may be overridden; it is asked for once."""

    class Stream:
        uid = ""

        async def watch_orders(self) -> None:
            assert self.uid == "4711"

        async def close(self) -> None: ...

    async def case() -> None:
        exchange, wire = wired(Gateio, "gateio", {ACCOUNTS: account("classic")})
        exchange.stream = Stream()
        for _ in range(2):
            await exchange.watch_orders()
        assert len(wire.params(ACCOUNTS)) == 1
        await exchange.aclose()

    asyncio.run(case())


def test_other_margin_mode() -> None:
    """A mode nobody has thought of sizes no order."""
    with pytest.raises(DataError, match="gateio: the account's margin mode is 'portfolio'"):
        run({ACCOUNTS: account("portfolio")}, Gateio.fetch_balance)


def test_positions() -> None:
    """Signed; flat ones are left out."""
    row = {"contract": "BTCUSDT", "size": -3, "entry_price": "100.5", "leverage": "0", "value": "300", "mode": "single"}
    flat = row | {"contract": "ETHUSDT", "size": 0}
    held, _ = run({"/api/v4/futures/usdt/positions": [row, flat]}, Gateio.fetch_positions)
    assert held == {(BTC, "short"): HeldPosition(-3.0, 100.5)}


def order(number: int, size: int = 2, reduce_only: bool = False) -> dict[str, Any]:
    return {"id": number, "contract": "BTCUSDT", "size": size, "left": size, "price": "100.5", "tif": "poc",
            "text": f"t-me{number}", "status": "open", "create_time": number,
            "is_reduce_only": reduce_only}  # fmt: skip


@pytest.mark.parametrize(
    ("size", "reduce_only", "pside"),
    [(2, False, "long"), (-2, False, "short"), (2, True, "short"), (-2, True, "long")],
)
def test_open_orders(size: int, reduce_only: bool, pside: Pside) -> None:
    """One position a symbol: the side follows from the direction, and from whether the order only reduces."""
    found, _ = run({ORDERS: [order(7, size, reduce_only)]}, lambda e: e.fetch_open_orders(set()))
    side = "buy" if size > 0 else "sell"
    assert found == [OpenOrder("7", BTC, side, pside, 2.0, 100.5, "t-me7", 7000)]  # type: ignore[arg-type]


def test_pages_of_orders() -> None:
    """A full page is followed by the next."""
    pages = Pages([[order(i) for i in range(100)], [order(i) for i in range(99, 101)]])
    found, wire = run({ORDERS: pages}, lambda e: e.fetch_open_orders(set()))
    assert len(found) == 101
    assert [(params["offset"], params["limit"]) for params in wire.params(ORDERS)] == [("0", "100"), ("100", "100")]


def test_set_up() -> None:
    """Nothing is asked of the exchange."""

    async def call(exchange: Gateio) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    assert run({}, call)[1].asked == []


@pytest.mark.parametrize(
    ("kind", "post_only", "price", "tif"),
    [("limit", True, "100.5", "poc"), ("limit", False, "100.5", "gtc"), ("market", True, "0", "ioc")],
)
def test_create(kind: Any, post_only: bool, price: str, tif: str) -> None:
    """Sells are negative; ccxt puts `t-` ahead of the id."""
    wanted = TargetOrder(BTC, "sell", "long", 2.0, 100.5, True, "close_grid_long", kind, "0x0007me")
    reply = {PLACED: order(7, -2, True)}
    placed, wire = run(reply, lambda exchange: exchange.create_order(wanted), post_only=post_only)
    assert placed == "7"
    assert wire.params(PLACED) == [
        {"contract": "BTCUSDT", "size": -2, "price": price, "tif": tif, "reduce_only": True, "text": "t-0x0007me"}
    ]


def test_confirmations() -> None:
    """An order that failed was not placed; a cancel is one of that very order."""
    wanted = TargetOrder(BTC, "sell", "long", 2.0, 100.5, True, "close_grid_long", "limit", "0x0007me")
    failed = {"succeeded": False, "id": 7, "text": "t-me"}
    assert run({PLACED: failed}, lambda e: e.create_order(wanted))[0] is None
    held = OpenOrder("7", BTC, "sell", "long", 2.0, 100.5)
    for finish_as, number, confirmed in (("cancelled", 7, True), ("cancelled", 8, False), ("filled", 7, False)):
        reply = order(number) | {"status": "finished", "finish_as": finish_as}
        assert run({f"{PLACED}/7": reply}, lambda e: e.cancel_order(held))[0] is confirmed


def test_caps() -> None:
    """Fewer cancels and orders a cycle than elsewhere."""
    assert (Gateio.CAPABILITIES.max_cancels, Gateio.CAPABILITIES.max_creates) == (20, 10)
