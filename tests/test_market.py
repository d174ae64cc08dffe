"""Market settings and eligibility (`candles.md` 3.3, `additions.md` 1, `config_cli_suite.md` 9.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import DataError, OfflineDataError
from markets.market import eligible_coins, ineligible_because, market_of, read_markets
from markets.symbols import quote_currency

USDC = {"symbol": "X/USDC:USDC"}


def entry(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "symbol": "X/USDT:USDT", "base": "X", "quote": "USDT", "active": True, "swap": True, "linear": True,
        "contractSize": 10.0, "maker": 0.0001, "taker": 0.0003,
        "precision": {"amount": 0.5, "price": 0.01}, "limits": {"amount": {"min": 2.0}, "cost": {"min": 7.0}},
    }  # fmt: skip
    return plain | changes


def test_settings_of_an_entry() -> None:
    """A complete entry is taken as it is."""
    market = market_of(entry(), "binanceusdm")
    assert (market.exchange, market.coin, market.base, market.quote) == ("binance", "X", "X", "USDT")
    assert (market.qty_step, market.price_step, market.min_qty, market.min_cost) == (0.5, 0.01, 2.0, 7.0)
    assert (market.c_mult, market.maker_fee, market.taker_fee, market.active) == (10.0, 0.0001, 0.0003, True)


@pytest.mark.parametrize("limits", [None, {}, {"amount": {"min": None}, "cost": {"min": None}}, {"cost": {"min": 0}}])
def test_missing_minima(limits: Any) -> None:
    """A missing or zero minimum quantity is one step, a minimum cost 0.1, a missing contract size 1."""
    market = market_of(entry(limits=limits, contractSize=None), "binance")
    assert (market.min_qty, market.min_cost, market.c_mult) == (0.5, 0.1, 1.0)


def test_minimum_below_the_step() -> None:
    """Nothing smaller than a step can be ordered."""
    assert market_of(entry(limits={"amount": {"min": 0.1}}), "okx").min_qty == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": {"amount": None, "price": 0.1}}, "X/USDT:USDT of binance: precision.amount is None"),
        ({"precision": {"amount": 1, "price": 0}}, "precision.price is 0, it must be above 0"),
        ({"precision": "coarse"}, "precision.amount is None"),
        ({"contractSize": 0}, "contractSize is 0"),
        ({"contractSize": float("nan")}, "contractSize is nan"),
        ({"maker": None}, "maker is None"),
        ({"taker": 0.5}, "taker fee is 0.5"),
        ({"limits": {"cost": {"min": -1}}}, "limits.cost.min is -1"),
    ],
)
def test_unusable_entries(changes: dict[str, Any], message: str) -> None:
    """An entry without steps or with a senseless number is refused, naming market, field and value."""
    with pytest.raises(DataError, match=message):
        market_of(entry(**changes), "binance")


@pytest.mark.parametrize(
    ("exchange", "fees"),
    [("bybit", (0.0002, 0.00055)), ("kucoinfutures", (0.0002, 0.0006)), ("gateio", (0.0002, 0.0005))],
)
def test_fee_overrides(exchange: str, fees: tuple[float, float]) -> None:
    """Three exchanges have fixed fees, unless the user imported the market with fees of its own."""
    market = market_of(entry(), exchange)
    assert (market.maker_fee, market.taker_fee) == fees
    assert market_of(entry(info={"source": "import"}), exchange).maker_fee == 0.0001


def test_venue_minimum_costs() -> None:
    """Bybit, bitget and hyperliquid refuse orders that the entries would allow."""
    assert market_of(entry(info={"lotSizeFilter": {"minNotionalValue": "8"}}), "bybit").min_cost == 8.0
    assert market_of(entry(limits=None), "bybit").min_cost == 0.1
    assert market_of(entry(limits=None), "bitget").min_cost == 5.1
    assert market_of(entry(limits=None), "hyperliquid").min_cost == 10.1


@pytest.mark.parametrize(
    ("changes", "exchange", "reason"),
    [
        ({}, "binance", None),
        ({"active": False}, "binance", "not active"),
        ({"active": None, "swap": False}, "binance", "not active"),
        ({"swap": False, "linear": False}, "binance", "not swap"),
        ({"linear": None}, "binance", "not linear"),
        ({"symbol": "X/USDC:USDC"}, "binance", "wrong quote"),
        ({"info": {"onlyIsolated": True}, **USDC}, "hyperliquid", "ineligible on hyperliquid"),
        ({"info": {"openInterest": "0.0"}, **USDC}, "hyperliquid", "ineligible on hyperliquid"),
        ({"info": {"openInterest": "0.0"}}, "binance", None),
        ({"symbol": "X/USD:USDC"}, "paradex", None),
        ({"symbol": "X/USDC:USDC"}, "paradex", "wrong quote"),
        ({"symbol": "X/USD:USDC"}, "hyperliquid", "wrong quote"),
    ],
)
def test_eligibility(changes: dict[str, Any], exchange: str, reason: str | None) -> None:
    """The first reason that holds is the answer."""
    assert ineligible_because(entry(**changes), exchange, quote_currency(exchange)) == reason


def test_eligible_coins() -> None:
    """Coins of tradable markets, sorted, once each."""
    markets = {
        name: entry(symbol=name, base=base)
        for name, base in {
            "1000B/USDT:USDT": "1000B",
            "B/USDT:USDT": "B",
            "A/USDT:USDT": "A",
            "C/USDC:USDC": "C",
        }.items()
    }
    assert eligible_coins(markets, "binance") == ["A", "B"]


def test_reading_markets(tmp_path: Path) -> None:
    """Markets on disk are read whatever their age; missing ones are an error that says how to get them."""
    with pytest.raises(
        OfflineDataError, match=r"no market settings of local.*import_candles\.py FILES --exchange local"
    ):
        read_markets(tmp_path, "local")
    path = tmp_path / "binance" / "markets.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"X/USDT:USDT": entry()}))
    assert list(read_markets(tmp_path, "binanceusdm")) == ["X/USDT:USDT"]
    path.write_text("[1]")
    with pytest.raises(DataError, match="not a mapping"):
        read_markets(tmp_path, "binance")
    assert len(read_markets(tmp_path, "sample")) == 12
