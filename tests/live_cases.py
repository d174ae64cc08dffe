"""A small account for tests of what the live bot decides: contracts A, B, C, ..., settings, an exchange in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from config.live_settings import LiveSettings, live_settings
from config.schema import defaults
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.terms import PSIDES
from exchanges.protocol import Capabilities, HeldPosition, Key, OpenOrder, TargetOrder, Ticker
from live.account.state import AccountState
from live.choice.coin_lists import CoinSets
from live.choice.market_book import MarketBook, market_book
from markets.candle import CANDLE_DTYPE, REST, Candles

NOW = date_to_ts("2025-03-02T10:00") + 5_000
MINUTE = NOW // M * M


def symbol(coin: str) -> str:
    return f"{coin}/USDT:USDT"


def symbols(coins: str) -> frozenset[str]:
    return frozenset(map(symbol, coins))


def entry(coin: str, **changes: Any) -> dict[str, Any]:
    """A market as CCXT describes it: steps of 0.01, orders from 0.01 contracts and 5 USDT on."""
    plain: dict[str, Any] = {
        "symbol": symbol(coin), "id": f"{coin}USDT", "base": coin, "quote": "USDT", "active": True, "swap": True,
        "linear": True, "contractSize": 1.0, "maker": 0.0002, "taker": 0.0005,
        "precision": {"amount": 0.01, "price": 0.01}, "limits": {"amount": {"min": 0.01}, "cost": {"min": 5.0}},
    }  # fmt: skip
    return plain | changes


def book_of(coins: Iterable[str] = "ABCDEG", **changes: Mapping[str, Any]) -> MarketBook:
    """The book of a few coins; `A={"active": False}` changes one of them."""
    entries = [entry(coin, **changes.get(coin, {})) for coin in coins]
    return market_book({item["symbol"]: item for item in entries}, "binance", "USDT")


def config_of(long: Any = (), short: Any = (), overrides: Any = (), **live: Any) -> dict[str, Any]:
    """A formatted config: four slots and a total of 1.5 long, short off, every coin old and rich enough."""
    config = defaults()
    config["live"] |= {"minimum_coin_age_days": 0.0, "filter_by_min_effective_cost": False, **live}
    total = {"total_wallet_exposure_limit": 1.5, "n_positions": 4}
    config["bot"]["long"] |= {**total, **dict(long)}
    config["bot"]["short"] |= {**total, "total_wallet_exposure_limit": 0.0, **dict(short)}
    config["coin_overrides"] = dict(overrides)
    return config


def settings_of(*args: Any, **kwargs: Any) -> LiveSettings:
    return live_settings(config_of(*args, **kwargs))


def coin_sets(approved: str = "ABCD", ignored: str = "", *, names_none: bool = False) -> CoinSets:
    """The same lists for both sides."""
    return CoinSets(
        dict.fromkeys(PSIDES, symbols(approved)),
        dict.fromkeys(PSIDES, symbols(ignored)),
        dict.fromkeys(PSIDES, names_none),
    )


def positions_of(words: str) -> dict[Key, HeldPosition]:
    """`A B- C=2@90`: long A and short B of one contract at 100, long C of 2 at 90."""
    held: dict[Key, HeldPosition] = {}
    for word in words.split():
        name, _, size = word.partition("=")
        qty, _, price = (size or "1@100").partition("@")
        sign = -1.0 if name.endswith("-") else 1.0
        held[symbol(name.rstrip("-")), "short" if sign < 0 else "long"] = HeldPosition(sign * float(qty), float(price))
    return held


def order(coin: str, side: Any = "buy", price: float = 99.0, qty: float = 1.0, **changes: Any) -> OpenOrder:
    """An order of a long position unless `pside` says otherwise; its id is `<coin>-<side>-<price>`."""
    plain: dict[str, Any] = {"id": f"{coin}-{side}-{price:g}", "pside": "long", "ts_ms": NOW - M}
    return OpenOrder(**{**plain, "symbol": symbol(coin), "side": side, "qty": qty, "price": price, **changes})


def account_of(held: str = "", orders: Sequence[OpenOrder] = (), balance: float = 1000.0) -> AccountState:
    return AccountState(NOW, balance, balance, positions_of(held), tuple(orders))


def flat_candles(count: int, last: int = MINUTE - M, price: float = 100.0, period: int = M) -> Candles:
    """Candles that do not move, the newest opening at `last`."""
    rows = np.empty(count, CANDLE_DTYPE)
    rows["ts"] = last - period * np.arange(count)[::-1]
    for name in ("o", "h", "l", "c"):
        rows[name] = price
    rows["bv"], rows["src"] = 1.0, REST
    return rows


@dataclass
class FakeEmas:
    """EMAs by metric and symbol, 100 of closes and 0 of others where nothing is said; an exception is raised.

    `asked` holds symbol, timeframe, `{metric: spans}` and the age.
    """

    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, list[float]], int | None]] = field(default_factory=list)

    async def get_deep_emas(
        self, symbol: str, spans: Mapping[str, Collection[float]], max_age_ms: int | None = None, timeframe: str = "1m"
    ) -> dict[tuple[str, float], float]:
        self.asked.append((symbol, timeframe, {name: sorted(several) for name, several in spans.items()}, max_age_ms))
        found = {}
        for metric, several in spans.items():
            value = self.values.get(metric, {}).get(symbol, 100.0 if metric == "close" else 0.0)
            if isinstance(value, Exception):
                raise value
            for span in several:
                found[metric, span] = value.get(span, 100.0) if isinstance(value, dict) else value
        return found


@dataclass
class FakeVenue:
    """An account that answers at once. What is an exception is raised; lists of answers are used up one by one."""

    balance: Any = 1000.0
    positions: Any = field(default_factory=dict)
    orders: Any = ()
    last: Any = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=lambda: Capabilities("binance"))
    asked: list[Any] = field(default_factory=list)

    @staticmethod
    def _answer(value: Any) -> Any:
        value = value.pop(0) if isinstance(value, list) else value
        if isinstance(value, Exception):
            raise value
        return value

    async def fetch_balance(self) -> float:
        self.asked.append("balance")
        answer: float = self._answer(self.balance)
        return answer

    async def fetch_positions(self) -> Mapping[Key, HeldPosition]:
        self.asked.append("positions")
        answer: Mapping[Key, HeldPosition] = self._answer(self.positions)
        return answer

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> Sequence[OpenOrder]:
        self.asked.append(("orders", set(symbols or ())))
        answer: Sequence[OpenOrder] = self._answer(self.orders)
        return answer

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        self.asked.append(("tickers", list(symbols)))
        last = self._answer(self.last)
        return {name: Ticker(last[name], last[name], last[name]) for name in symbols if name in last}

    def fitted(self, orders: Sequence[TargetOrder]) -> Sequence[TargetOrder]:
        return orders
