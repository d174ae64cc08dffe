"""The adapter of Paradex on constructed replies (`live.md` 21)."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from wired import Pages, Wire, fills_of, wired

from exchanges.account_clients import AccountClients
from exchanges.clients import public_client
from exchanges.paradex import Paradex
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC = "BTC/USDC:USDC"
OWN_ADDRESS, OWN_KEY = "0x01" + "0a" * 31, "0x01" + "0b" * 31
SYSTEM = {
    "/v1/system/config": {
        "starknet_chain_id": "PRIVATE_SN_PARACLEAR_MAINNET", "l1_chain_id": "1",
        "paraclear_account_hash": "0x41cb0280ebadaa75f996d8d92c6f265f6d040bb3ba442e5f86a554f1765244e",
        "paraclear_account_proxy_hash": "0x3530cc4759d78042f1b543bf797f5f3d647cde0388c33734cf91b7f7b9314a9",
    },
    "/v1/auth": {"jwt_token": "a-token-for-tests"},
}  # fmt: skip


def run(
    replies: dict[str, Any], call: Any, *, own_keys: bool = True, post_only: bool = True, signed_in: bool = True
) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""

    async def case() -> tuple[Any, Wire]:
        exchange, wire = wired(Paradex, "paradex", SYSTEM | replies, quote="USDC", post_only=post_only)
        if own_keys:  # of the exchange; the harness gives those of an Ethereum wallet
            exchange.rest.walletAddress, exchange.rest.privateKey = OWN_ADDRESS, OWN_KEY
            exchange = Paradex("paradex", AccountClients(exchange.rest, None), "USDC", post_only=post_only)
        if signed_in:  # it takes half a second
            exchange.rest.options |= {"authToken": "a-token-for-tests", "expires": 2**40}
        try:
            return await call(exchange), wire
        finally:
            await exchange.aclose()

    return asyncio.run(case())


def test_balance() -> None:
    """All of the quote currency; the keys are signed in with as they are."""
    reply = {"results": [{"token": "USDC", "size": "1000.5"}]}
    balance, wire = run({"/v1/balance": reply}, Paradex.fetch_balance, signed_in=False)
    assert balance == 1000.5
    assert [path for _, path, _ in wire.asked] == ["/v1/system/config", "/v1/auth", "/v1/balance"]


def test_positions() -> None:
    """Signed by the side that is held."""
    row = {"id": "p", "market": "BTCUSDC", "side": "SHORT", "size": "-0.5", "average_entry_price": "100.5", "time": 1}
    held, _ = run({"/v1/positions": {"results": [row]}}, Paradex.fetch_positions)
    assert held == {(BTC, "short"): HeldPosition(-0.5, 100.5)}


@pytest.mark.parametrize(
    ("side", "flags", "client_id", "pside"),
    [
        ("BUY", [], "me7", "long"),
        ("BUY", ["REDUCE_ONLY"], "me7", "short"),
        ("SELL", [], "mine_long", "long"),
    ],
)
def test_open_orders(side: str, flags: list[str], client_id: str, pside: Any) -> None:
    """By the ending of the id, else by direction."""
    row = {"id": "7", "client_id": client_id, "created_at": 7, "flags": flags, "market": "BTCUSDC", "price": "100.5",
           "side": side, "size": "0.5", "remaining_size": "0.5", "status": "OPEN", "type": "LIMIT",
           "instruction": "POST_ONLY"}  # fmt: skip
    found, _ = run({"/v1/orders": {"results": [row]}}, lambda e: e.fetch_open_orders(set()))
    assert found == [OpenOrder("7", BTC, side.lower(), pside, 0.5, 100.5, client_id, 7)]  # type: ignore[arg-type]


def test_set_up() -> None:
    """Leverage alone. Keys of Paradex itself belong to an account that it knows."""

    async def call(exchange: Paradex) -> None:
        await exchange.set_up_account()
        await exchange.set_up_symbol(BTC, 50.0)

    _, wire = run({"/v1/account/margin/BTCUSDC": {}}, call)
    assert wire.params("/v1/account/margin/BTCUSDC") == [{"leverage": 20, "margin_type": "CROSS"}]
    assert wire.params("/v1/onboarding") == []


def test_onboarding() -> None:
    """The wallet of a new user is made known; that it already is, is no error, but other refusals are."""
    refusal = ccxt.BadRequest('paradex {"error":"ETHEREUM_ADDRESS_ALREADY_ONBOARDED","message":"exists"}')
    for reply in ({}, refusal):
        _, wire = run({"/v1/onboarding": reply}, Paradex.set_up_account, own_keys=False)
        assert len(wire.params("/v1/onboarding")) == 1
    with pytest.raises(ccxt.BadRequest):
        run({"/v1/onboarding": ccxt.BadRequest("paradex GEO_BLOCKED")}, Paradex.set_up_account, own_keys=False)


@pytest.mark.parametrize(("post_only", "more"), [(True, {"instruction": "POST_ONLY"}), (False, {})])
def test_create(post_only: bool, more: dict[str, str]) -> None:
    """Signed, and reduce-only where it closes."""
    wanted = TargetOrder(BTC, "sell", "long", 0.5, 100.5, True, "close_grid_long", "limit", "me7")
    reply = {"id": "7", "market": "BTCUSDC", "status": "NEW", "side": "SELL", "size": "0.5", "type": "LIMIT"}
    placed, wire = run({"/v1/orders": reply}, lambda e: e.create_order(wanted), post_only=post_only)
    sent = wire.params("/v1/orders")[0]
    assert placed == "7"
    fixed = {"market": "BTCUSDC", "side": "SELL", "type": "LIMIT", "price": "100.5", "size": "0.5",
             "client_id": "me7", "flags": ["REDUCE_ONLY"], "positionSide": "LONG"}  # fmt: skip
    assert {name: value for name, value in sent.items() if "signature" not in name} == fixed | more
    assert len(sent["signature"]) > 100


def test_cancel() -> None:
    """Confirmed by an answer, which is empty."""
    held = OpenOrder("7", BTC, "sell", "long", 0.5, 100.5)
    assert run({"/v1/orders/7": {}}, lambda e: e.cancel_order(held))[0] is True


def fill_row(number: int) -> dict[str, Any]:
    return {"id": str(number), "side": "BUY", "market": "BTCUSDC", "order_id": "o", "price": "100", "size": "0.5",
            "fee": "0.1", "fee_currency": "USDC", "created_at": number, "client_id": "0x0004ab", "fill_type": "FILL",
            "realized_pnl": "-0.5"}  # fmt: skip


def test_fills() -> None:
    """Newest first, page by page along the cursor; pnl and ids as the rows have them."""
    pages = Pages(
        [{"next": "c1", "results": [fill_row(3), fill_row(2)]}, {"next": None, "results": [fill_row(1)]},
         {"next": None, "results": [fill_row(3)]}]
    )  # fmt: skip
    events, wire = run({"/v1/fills": pages}, lambda e: fills_of(e, "paradex"))
    assert [event.id for event in events] == ["1", "2", "3"]
    assert (events[0].pnl, events[0].pb_order_type) == (-0.5, "entry_grid_normal_long")
    assert [params.get("cursor") for params in wire.params("/v1/fills")] == [None, "c1", None]


def test_empty_answers() -> None:
    """No content is what a cancel is answered with; an empty page that is called a content is a proxy's."""

    async def case() -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=204 if request.path == "/done" else 200)

        app = web.Application()
        app.router.add_delete("/{any}", answer)
        async with TestServer(app) as server:
            client = public_client("paradex")
            assert await client.fetch(str(server.make_url("/done")), "DELETE") == {}
            with pytest.raises(ccxt.ExchangeNotAvailable, match="no JSON"):
                await client.fetch(str(server.make_url("/empty")), "DELETE")
            await client.close()

    asyncio.run(case())
