"""The adapter of OKX on constructed replies (`live.md` 21)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from wired import Wire
from wired import run as run_wired

from core.errors import DataError
from exchanges.okx import Okx
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BALANCE, TICKERS = "/api/v5/account/balance", "/api/v5/market/tickers"
CONFIG, MODE = "/api/v5/account/config", "/api/v5/account/set-position-mode"
LEVERAGE = "/api/v5/account/set-leverage"


def run(replies: dict[str, Any], call: Any, **options: Any) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""
    wrapped = {
        p: r if isinstance(r, BaseException) else {"code": "0", "msg": "", "data": r} for p, r in replies.items()
    }
    return run_wired(Okx, "okx", wrapped, call, **options)


def account(*details: tuple[str, str, bool]) -> list[dict[str, Any]]:
    rows = [{"ccy": ccy, "cashBal": cash, "collateralEnabled": on, "eq": cash} for ccy, cash, on in details]
    return [{"totalEq": "1", "uTime": "1", "details": rows}]


def ticker(coin: str, last: str) -> dict[str, Any]:
    return {"instId": f"{coin}USDT", "instType": "SWAP", "last": last, "ts": "1"}


@pytest.mark.parametrize(
    ("reply", "balance"),
    [
        (account(("USDT", "1000.5", False)), 1000.5),
        (account(("USDT", "1000", True), ("BTC", "0.5", True), ("ETH", "9", False)), 1000.0 + 0.5 * 60000.0),
        (account(("USDT", "1000", True)), 1000.0),
        (account(("BTC", "0.5", True)), 30000.0),
    ],
)
def test_balance(reply: Any, balance: float) -> None:
    """One currency: its cash; several: the cash of those that are collateral, at their prices."""
    assert run({BALANCE: reply, TICKERS: [ticker("BTC", "60000")]}, Okx.fetch_balance)[0] == balance


def test_a_currency_without_price() -> None:
    """It is not counted as worth nothing."""
    with pytest.raises(DataError, match="okx: price of DOGE is None"):
        run({BALANCE: account(("DOGE", "5", True)), TICKERS: []}, Okx.fetch_balance)


def test_positions() -> None:
    """Crossed ones, signed by their side."""
    row = {
        "instType": "SWAP", "instId": "BTCUSDT", "mgnMode": "cross", "posSide": "short", "pos": "3", "avgPx": "100.5",
        "lever": "5", "uTime": "1", "cTime": "1", "posId": "1", "upl": "0", "notionalUsd": "300", "mmr": "1",
        "imr": "1", "mgnRatio": "1", "markPx": "100", "liqPx": "", "margin": "", "uplRatio": "0",
    }  # fmt: skip
    isolated = row | {"instId": "ETHUSDT", "mgnMode": "isolated"}
    held, _ = run({"/api/v5/account/positions": [row, isolated]}, Okx.fetch_positions)
    assert held == {(BTC, "short"): HeldPosition(-3.0, 100.5)}


@pytest.mark.parametrize(
    ("stated", "side", "reduce", "pside"),
    [("long", "sell", "false", "long"), ("short", "sell", "false", "short"), ("net", "buy", "true", "short")],
)
def test_open_orders(stated: str, side: str, reduce: str, pside: str) -> None:
    """The stated side; of one-way orders that of their direction."""
    row = {
        "instId": "BTCUSDT", "instType": "SWAP", "ordId": "7", "clOrdId": "me7", "px": "100.5", "sz": "2", "side": side,
        "posSide": stated, "ordType": "post_only", "state": "live", "reduceOnly": reduce, "cTime": "5", "uTime": "5",
        "accFillSz": "0", "avgPx": "", "fee": "", "feeCcy": "", "tdMode": "cross", "lever": "5", "attachAlgoOrds": [],
    }  # fmt: skip
    found, _ = run({"/api/v5/trade/orders-pending": [row]}, lambda e: e.fetch_open_orders(set()))
    assert found == [OpenOrder("7", BTC, side, pside, 2.0, 100.5, "me7", 5)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "refusal", "hedge", "asked"),
    [
        ("long_short_mode", None, True, 1),
        ("net_mode", None, False, 0),
        ("long_short_mode", 'okx {"code":"59000","msg":"Setting failed. Cancel any open orders"}', True, 1),
        ("long_short_mode", 'okx {"code":"51039","msg":"Leverage cannot be adjusted"}', False, 1),
    ],
)
def test_position_mode(mode: str, refusal: str | None, hedge: bool, asked: int) -> None:
    """As the account has it."""

    async def call(exchange: Okx) -> bool:
        await exchange.set_up_account()
        return exchange.capabilities.hedge

    replies = {CONFIG: [{"posMode": mode}], MODE: ccxt.ExchangeError(refusal) if refusal else [{"posMode": mode}]}
    found, wire = run(replies, call)
    assert (found, len(wire.params(MODE))) == (hedge, asked)


def test_other_refusals_pass() -> None:
    """A position mode that cannot be set for another reason is an error."""
    replies = {CONFIG: [{"posMode": "long_short_mode"}], MODE: ccxt.AuthenticationError("okx 50113")}
    with pytest.raises(ccxt.AuthenticationError):
        run(replies, Okx.set_up_account)


def test_leverage() -> None:
    """Crossed with leverage, not above what the market allows."""
    _, wire = run({LEVERAGE: [{}]}, lambda e: e.set_up_symbol(BTC, 50.0))
    assert wire.params(LEVERAGE) == [{"lever": 20, "mgnMode": "cross", "instId": "BTCUSDT"}]
    for text in ("59107", "51039"):
        run({LEVERAGE: ccxt.ExchangeError(f'okx {{"code":"{text}","msg":"x"}}')}, lambda e: e.set_up_symbol(BTC, 5.0))


@pytest.mark.parametrize(("mode", "sides"), [("long_short_mode", {"posSide": "long"}), ("net_mode", {})])
def test_create(mode: str, sides: dict[str, str]) -> None:
    """The parameters of an order; a side only where the account has two."""

    async def call(exchange: Okx) -> str | None:
        exchange.tag = "code"
        await exchange.set_up_account()
        return await exchange.create_order(
            TargetOrder(BTC, "sell", "long", 2.0, 100.5, True, "close_grid_long", "limit", "me7")
        )

    replies = {
        CONFIG: [{"posMode": mode}],
        MODE: [{}],
        "/api/v5/trade/batch-orders": [{"ordId": "7", "clOrdId": "me7", "sCode": "0"}],
    }
    placed, wire = run(replies, call)
    sent = wire.params("/api/v5/trade/batch-orders")[0]
    fixed = {
        "instId": "BTCUSDT", "side": "sell", "ordType": "post_only", "sz": "2", "px": "100.5", "tdMode": "cross",
        "clOrdId": "me7", "tag": "code", "reduceOnly": True,
    }  # fmt: skip
    assert placed == "7"
    assert {name: value for name, value in sent.items() if name != "hedged"} == fixed | sides
