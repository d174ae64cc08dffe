"""Coins, symbols, exchange names (`candles.md` 3.1-3.2, `config_cli_suite.md` 10)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from markets import symbols
from markets.symbols import (
    CoinMaps,
    coin_maps_of,
    coin_of_market,
    coin_to_symbol,
    guess_coin,
    name_variants,
    normalize_exchange,
    quote_currency,
    short_exchange,
)

SWAP = {"swap": True, "linear": True}
MARKETS = {
    "BTC/USDT:USDT": {**SWAP, "id": "BTCUSDT", "base": "BTC", "baseName": "BTC"},
    "1000SHIB/USDT:USDT": {**SWAP, "id": "1000SHIBUSDT", "base": "1000SHIB"},
    "SHIB/USDT:USDT": {**SWAP, "id": "SHIBUSDT", "base": "SHIB"},
    "10SET/USDT:USDT": {**SWAP, "id": "10SETUSDT", "base": "10SET"},
    "1INCH/USDT:USDT": {**SWAP, "id": "1INCHUSDT", "base": "1INCH"},
    "kPEPE/USDT:USDT": {**SWAP, "id": "kPEPE", "base": "PEPE0", "baseName": "kPEPE"},
    "ETH/USD:ETH": {"swap": True, "linear": False, "id": "ETHUSD", "base": "ETH"},
    "XRP/USDT": {"swap": False, "id": "XRPUSDT", "base": "XRP"},
}


@pytest.mark.parametrize(
    ("short", "ccxt_id"),
    [
        ("binance", "binanceusdm"),
        ("Binance", "binanceusdm"),
        ("kucoin", "kucoinfutures"),
        ("kraken", "krakenfutures"),
        ("okx", "okx"),
        ("gateio", "gateio"),
        ("bitget", "bitget"),
        ("binanceusdm", "binanceusdm"),
    ],
)
def test_exchange_names(short: str, ccxt_id: str) -> None:
    """CCXT ids carry a suffix where CCXT has such an id; short names never do."""
    assert normalize_exchange(short) == ccxt_id
    assert short_exchange(ccxt_id) == short_exchange(short) == short.lower().removesuffix("usdm")


def test_quote_currency() -> None:
    """The account's own quote wins, then the exchange's habit."""
    assert [quote_currency(ex) for ex in ("binance", "hyperliquid", "defx", "paradex")] == ["USDT", *["USDC"] * 3]
    assert quote_currency("binance", "USDC") == "USDC"


@pytest.mark.parametrize(
    ("name", "coin"),
    [
        *[(name, "BTC") for name in ("BTCUSDT", "BTC/USDT:USDT", "BTCUSD", "BTC")],
        *[(name, "SHIB") for name in ("1000SHIB", "SHIB1000", "1000SHIBUSDT", "kSHIB")],
        ("btc", "btc"),
        ("1000000MOGUSDT", "MOG"),
        ("1000000MOG/USDT:USDT", "MOG"),
        ("10000LADYSUSDT", "LADYS"),
        ("10000SATS", "SATS"),
        ("100X", "100X"),
        ("100BTC", "100BTC"),
        ("1MBABYDOGE", "1MBABYDOGE"),
        ("1INCH/USDT:USDT", "1INCH"),
        ("kPEPE/USDC:USDC", "PEPE"),
        ("kava", "kava"),
        ("KAVA", "KAVA"),
        ("USDT", ""),
        ("USDCUSDT", ""),
        ("", ""),
        ("XBTUSDTM", "XBTM"),
    ],
)
def test_guessed_coin(name: str, coin: str) -> None:
    """Without a map the coin is what remains of the name."""
    assert guess_coin(name) == coin


def test_coin_maps() -> None:
    """Linear swaps of the quote count; every variant, symbol and id leads to the fully cleaned name."""
    to_symbols, to_coin = coin_maps_of(MARKETS, "USDT")
    assert to_symbols["1000SHIB"] == ["1000SHIB/USDT:USDT"]
    assert to_symbols["SHIB"] == ["1000SHIB/USDT:USDT", "SHIB/USDT:USDT"]
    assert to_symbols["PEPE"] == to_symbols["kPEPE"] == ["kPEPE/USDT:USDT"]
    assert to_coin["1000SHIBUSDT"] == to_coin["1000SHIB/USDT:USDT"] == "SHIB"
    assert to_coin["10SETUSDT"] == "SET"
    assert to_coin["1INCH"] == "1INCH"
    assert to_coin["kPEPE"] == to_coin["PEPE0"] == "PEPE"
    assert not {"ETH", "XRP", "ETHUSD", "XRP/USDT"} & to_coin.keys()


def test_names_of_one_coin() -> None:
    """The example: a market of a thousand coins goes by its name, and by the coin's."""
    assert name_variants("1000SHIB") == ["1000SHIB", "SHIB"]
    assert name_variants("k1000X") == ["k1000X", "1000X", "kX", "X"]
    assert coin_of_market(MARKETS["1000SHIB/USDT:USDT"]) == "SHIB"
    assert coin_of_market(MARKETS["kPEPE/USDT:USDT"]) == "PEPE"
    assert coin_of_market({}) == ""


def test_maps_on_disk(tmp_path: Path) -> None:
    """Maps written by one object are read by another; the shared map keeps old entries, changes are noticed."""
    reader, writer = CoinMaps(tmp_path), CoinMaps(tmp_path)
    assert reader.symbol_to_coin("QQQUSDT") == "QQQ"
    writer.update("binanceusdm", MARKETS)
    assert (tmp_path / "binance" / "coin_to_symbol_map.json").is_file()
    assert reader.symbol_to_coin("1000SHIBUSDT") == "SHIB"
    assert reader.coin_to_symbol("SHIB", "binance") == "1000SHIB/USDT:USDT"
    assert reader.coin_to_symbol("1000SHIBUSDT", "binance") == "1000SHIB/USDT:USDT"
    assert reader.coin_to_symbol("", "binance") == ""
    writer.update("bybit", {"X/USDT:USDT": {**SWAP, "id": "BTCUSDT", "base": "X"}})
    assert reader.symbol_to_coin("BTCUSDT") == "X"
    assert reader.symbol_to_coin("10SETUSDT") == "SET"


def test_unknown_coin_falls_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A coin the exchange does not list gets the plain symbol, with one warning."""
    symbols._warned.clear()
    maps = CoinMaps(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [maps.coin_to_symbol("NEWCOIN", "hyperliquid") for _ in range(3)] == ["NEWCOIN/USDC:USDC"] * 3
    assert len(caplog.records) == 1
    assert "NEWCOIN" in caplog.text


def test_ambiguous_coins(caplog: pytest.LogCaptureFixture) -> None:
    """Of several markets of a coin the first in sorted order is used, and logged (F20)."""
    for candidates in (["SHIB/USDT:USDT", "1000SHIB/USDT:USDT"], ["1000SHIB/USDT:USDT", "SHIB/USDT:USDT"]):
        with caplog.at_level(logging.INFO):
            assert coin_to_symbol("SHIB", "bybit", {"SHIB": candidates}) == "1000SHIB/USDT:USDT"
    assert caplog.text.count("bybit has several markets of SHIB") == 2
