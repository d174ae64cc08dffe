"""Market settings: steps, minima, fees of a contract, completed in this one place (`candles.md` 3.3, `additions.md` 1).

Exchanges state them in the entries of CCXT's `markets` mapping; imported and sample markets have the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import paths
from core.errors import DataError, OfflineDataError
from core.files import read_json
from markets import sample
from markets.symbols import coin_of_market, quote_currency, short_exchange

DEFAULT_MIN_COST = 0.1
IMPORTED = "import"

# (maker, taker) where CCXT's entries do not state what accounts pay.
FEE_OVERRIDES = {"bybit": (0.0002, 0.00055), "kucoin": (0.0002, 0.0006), "gateio": (0.0002, 0.0005)}

Entry = Mapping[str, Any]  # one market as CCXT describes it


@dataclass(frozen=True, slots=True)
class Market:
    """A contract as the engine and the planner need it. Fees are fractions, `min_cost` is in the quote currency."""

    symbol: str
    coin: str
    exchange: str
    quote: str
    base: str
    qty_step: float
    price_step: float
    min_qty: float
    min_cost: float
    c_mult: float
    maker_fee: float
    taker_fee: float
    active: bool = True


def market_of(entry: Entry, exchange: str, coin: str | None = None) -> Market:
    """The completed market of a CCXT entry; `coin` defaults to the entry's own.

    A missing minimum quantity is one step, a missing minimum cost 0.1, a missing contract size 1. Raises DataError for
    an entry without steps, without a fee, or with a number that makes no sense.
    """
    exchange = short_exchange(exchange)
    symbol = str(entry.get("symbol", ""))
    where = f"market {symbol} of {exchange}"
    qty_step = _positive(_at(entry, "precision", "amount"), f"{where}: precision.amount")
    maker, taker = _fees(entry, exchange)
    c_mult = entry.get("contractSize")
    return Market(
        symbol=symbol,
        coin=coin or coin_of_market(entry),
        exchange=exchange,
        quote=str(entry.get("quote") or quote_currency(exchange)),
        base=str(entry.get("base") or ""),
        qty_step=qty_step,
        price_step=_positive(_at(entry, "precision", "price"), f"{where}: precision.price"),
        min_qty=max(_not_negative(_at(entry, "limits", "amount", "min"), f"{where}: limits.amount.min"), qty_step),
        min_cost=_min_cost(entry, exchange, where),
        c_mult=_positive(1.0 if c_mult is None else c_mult, f"{where}: contractSize"),
        maker_fee=_fee(maker, f"{where}: maker"),
        taker_fee=_fee(taker, f"{where}: taker"),
        active=bool(entry.get("active")),
    )


def _at(entry: Entry, *keys: str) -> Any:
    value: Any = entry
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _fees(entry: Entry, exchange: str) -> tuple[Any, Any]:
    if exchange in FEE_OVERRIDES and not is_imported(entry):
        return FEE_OVERRIDES[exchange]
    return entry.get("maker"), entry.get("taker")


def _min_cost(entry: Entry, exchange: str, where: str) -> float:
    """The stated minimum, else 0.1; three exchanges refuse orders that CCXT's entries would allow (`live.md` 21.4)."""
    stated = _not_negative(_at(entry, "limits", "cost", "min"), f"{where}: limits.cost.min")
    if is_imported(entry):
        return stated or DEFAULT_MIN_COST
    if exchange == "bybit":
        notional = _at(entry, "info", "lotSizeFilter", "minNotionalValue")
        return max(stated or DEFAULT_MIN_COST, _not_negative(notional, f"{where}: minNotionalValue"))
    if exchange == "bitget":
        return max(5.1, stated)
    if exchange == "hyperliquid":
        return round((stated or 10.0) * 1.01, 2)
    return stated or DEFAULT_MIN_COST


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{what} is {value!r}, a number is needed; this market cannot be used") from None
    if not math.isfinite(number):
        raise DataError(f"{what} is {number}, a finite number is needed; this market cannot be used")
    return number


def _positive(value: Any, what: str) -> float:
    number = _number(value, what)
    if number <= 0.0:
        raise DataError(f"{what} is {number:g}, it must be above 0; this market cannot be used")
    return number


def _not_negative(value: Any, what: str) -> float:
    number = _number(value or 0.0, what)
    if number < 0.0:
        raise DataError(f"{what} is {number:g}, it must not be negative; this market cannot be used")
    return number


def _fee(value: Any, what: str) -> float:
    number = _number(value, what)
    if not -0.01 <= number < 0.1:
        raise DataError(f"{what} fee is {number:g}, it must be a fraction in [-0.01, 0.1); this market cannot be used")
    return number


def is_imported(entry: Entry) -> bool:
    """Whether a user's settings file made the entry; such entries say what the user wants."""
    return bool(_at(entry, "info", "source") == IMPORTED)


def ineligible_because(entry: Entry, exchange: str, quote: str) -> str | None:
    """Why a market cannot be traded, or None if it can (`config_cli_suite.md` 9.3)."""
    if not entry.get("active"):
        return "not active"
    if not entry.get("swap"):
        return "not swap"
    if not entry.get("linear"):
        return "not linear"
    if not str(entry.get("symbol", "")).endswith(_suffix(exchange, quote)):
        return "wrong quote"
    info = entry.get("info") or {}
    if short_exchange(exchange) == "hyperliquid" and (
        info.get("onlyIsolated") or not float(info.get("openInterest", 1))
    ):
        return "ineligible on hyperliquid"
    return None


def _suffix(exchange: str, quote: str) -> str:
    """How the symbols of contracts in the quote currency end. Paradex states prices in USD and settles in USDC."""
    return f"/USD:{quote}" if short_exchange(exchange) == "paradex" else f"/{quote}:{quote}"


def eligible_coins(markets: Mapping[str, Entry], exchange: str, quote: str | None = None) -> list[str]:
    """The sorted coins of all markets that can be traded."""
    quote = quote_currency(exchange, quote)
    eligible = (entry for entry in markets.values() if ineligible_because(entry, exchange, quote) is None)
    return sorted({coin_of_market(entry) for entry in eligible} - {""})


def read_markets(cache_dir: Path, exchange: str) -> dict[str, dict[str, Any]]:
    """The CCXT `markets` mapping of an exchange, `{symbol: entry}`, without the network.

    Raises OfflineDataError if it is not on disk.
    """
    exchange = short_exchange(exchange)
    if exchange == sample.EXCHANGE:
        return sample.ccxt_markets()
    path = paths.markets_file(cache_dir, exchange)
    try:
        markets = read_json(path)
    except FileNotFoundError:
        raise OfflineDataError(
            f"no market settings of {exchange}: {path} is missing; {import_hint(exchange)}"
        ) from None
    if not isinstance(markets, dict) or not all(isinstance(entry, dict) for entry in markets.values()):
        raise DataError(f"{path} is not a mapping of symbols to markets; delete it and import again")
    return markets


def import_hint(exchange: str) -> str:
    """What to do when something of an exchange is not on disk, as half a sentence."""
    return (
        f"import candles with `python3 src/tools/import_candles.py FILES --exchange {exchange} "
        f"--market-settings SETTINGS.json`, or use exchange {sample.EXCHANGE}"
    )
