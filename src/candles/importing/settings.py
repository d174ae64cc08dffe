"""The market settings a user gives with imported candles, as CCXT entries (`candles.md` 20.3, 20.4)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.dates import date_to_ts
from core.errors import ConfigError
from markets.market import IMPORTED, Market, market_of
from markets.symbols import coin_of_market, quote_currency

_SYMBOL = re.compile(r"([^/:\s]+)/([^/:\s]+):([^/:\s]+)")
_NUMBERS = ("price_step", "qty_step", "min_qty", "min_cost", "c_mult", "maker_fee", "taker_fee")
_REQUIRED = ("price_step", "qty_step", "maker_fee", "taker_fee")
_TEXTS = ("symbol", "id", "inception")


@dataclass(frozen=True, slots=True)
class ImportedCoin:
    """One coin of the settings file. `entry` is shaped like CCXT's, `inception_ts` None if not stated."""

    market: Market
    entry: dict[str, Any]
    inception_ts: int | None


def read_settings(path: Path, exchange: str) -> dict[str, ImportedCoin]:
    """The coins of a settings file. Raises ConfigError naming file, coin, key and value for anything that is off."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"market settings {path} cannot be read as JSON: {exc}") from exc
    content = _dict(content, str(path), ("quote", "defaults", "coins"))
    defaults = _dict(content.get("defaults", {}), f"{path}: defaults", _NUMBERS)
    coins = _dict(content.get("coins", {}), f"{path}: coins", None)
    quote = content.get("quote", quote_currency(exchange))
    if not isinstance(quote, str) or not quote:
        raise ConfigError(f"{path}: quote is {quote!r}, a currency like USDT is needed")
    return {
        coin: _coin(
            coin, {**defaults, **_dict(own, f"{path}: coins.{coin}", (*_NUMBERS, *_TEXTS))}, quote, exchange, path
        )
        for coin, own in coins.items()
    }


def _dict(value: Any, where: str, allowed: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {type(value).__name__}, an object is needed")
    unknown = sorted(set(value) - set(allowed)) if allowed is not None else []
    if unknown:
        raise ConfigError(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(allowed or ())}")
    return value


def _coin(coin: str, values: Mapping[str, Any], quote: str, exchange: str, path: Path) -> ImportedCoin:
    where = f"{path}: coins.{coin}"
    for key in _REQUIRED:
        if key not in values:
            raise ConfigError(f"{where}.{key} is missing, there and in defaults")
    for key in (key for key in _NUMBERS if key in values):
        _check_number(values[key], f"{where}.{key}", key)
    for key in (key for key in _TEXTS if key in values):
        if not isinstance(values[key], str):
            raise ConfigError(f"{where}.{key} is {values[key]!r}, a text is needed")
    symbol = values.get("symbol", f"{coin}/{quote}:{quote}")
    entry = _entry(symbol, values, where)
    if coin_of_market(entry) != coin:
        raise ConfigError(f"{where}: the coin of symbol {symbol} is {coin_of_market(entry)}; name it so")
    if not symbol.endswith(f"/{quote}:{quote}"):
        raise ConfigError(f"{where}.symbol is {symbol}, but the quote currency is {quote}")
    inception = date_to_ts(values["inception"]) if "inception" in values else None
    return ImportedCoin(market_of(entry, exchange, coin), entry, inception)


def _check_number(value: Any, where: str, key: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where} is {value!r}, a number is needed")
    if key.endswith("_fee"):
        if not -0.01 <= value < 0.1:
            raise ConfigError(f"{where} is {value}, it must be a fraction in [-0.01, 0.1): 0.02 % is 0.0002")
    elif not (0.0 <= value < float("inf")) or (value == 0.0 and not key.startswith("min_")):
        raise ConfigError(f"{where} is {value}, it must be a number above 0")


def _entry(symbol: str, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    match = _SYMBOL.fullmatch(symbol)
    if not match or match[2] != match[3]:
        raise ConfigError(f"{where}.symbol is {symbol!r}, it must look like BTC/USDT:USDT")
    base, quote, _ = match.groups()
    return {
        "id": values.get("id", f"{base}{quote}"),
        "symbol": symbol,
        "base": base,
        "baseName": base,
        "quote": quote,
        "settle": quote,
        "active": True,
        "swap": True,
        "linear": True,
        "contract": True,
        "contractSize": float(values.get("c_mult", 1.0)),
        "maker": float(values["maker_fee"]),
        "taker": float(values["taker_fee"]),
        "limits": {"amount": {"min": values.get("min_qty")}, "cost": {"min": values.get("min_cost")}},
        "precision": {"amount": float(values["qty_step"]), "price": float(values["price_step"])},
        "info": {"source": IMPORTED},
    }
