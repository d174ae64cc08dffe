"""The exchange's markets as the bot uses them: trading rules, names, what cannot be traded (`live.md` 5.3, 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import DataError
from live.choice.eligibility import NOT_ACTIVE
from markets.market import Market, ineligible_because, market_of
from markets.symbols import coin_maps_of, coin_to_symbol, symbol_to_coin


@dataclass(frozen=True, slots=True)
class MarketBook:
    """`markets` are those that can be traded, now or while they were active; `ineligible` says why others cannot."""

    exchange: str
    quote: str
    markets: Mapping[str, Market] = field(default_factory=dict)
    ineligible: Mapping[str, str] = field(default_factory=dict)
    symbols_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    coins: Mapping[str, str] = field(default_factory=dict)

    @property
    def eligible(self) -> frozenset[str]:
        """What may be opened."""
        return frozenset(symbol for symbol in self.markets if symbol not in self.ineligible)

    def coin(self, name: str) -> str:
        """The coin of a symbol, market id or coin name."""
        return symbol_to_coin(name, self.coins)

    def symbol(self, name: str) -> str:
        """The symbol of a coin, symbol or market id; one that the exchange may not list."""
        return coin_to_symbol(self.coin(name), self.exchange, self.symbols_of, self.quote)

    def c_mult(self, symbol: str) -> float:
        market = self.markets.get(symbol)
        return market.c_mult if market else 1.0

    def with_min_cost(self, symbol: str, min_cost: float) -> MarketBook:
        """The book with another smallest order of a symbol, as the exchange turned out to want it."""
        changed = replace(self.markets[symbol], min_cost=min_cost)
        return replace(self, markets={**self.markets, symbol: changed})


def market_book(entries: Mapping[str, Mapping[str, Any]], exchange: str, quote: str) -> MarketBook:
    """The book of CCXT's markets. A market without the steps it needs cannot be traded; the reason says so."""
    markets: dict[str, Market] = {}
    ineligible: dict[str, str] = {}
    for symbol, entry in entries.items():
        reason = ineligible_because(entry, exchange, quote)
        if reason is not None:
            ineligible[symbol] = reason
        if reason in (None, NOT_ACTIVE) and entry.get("swap") and symbol.endswith(f":{quote}"):
            try:
                markets[symbol] = market_of(entry, exchange)
            except DataError as exc:
                ineligible.setdefault(symbol, str(exc))
    symbols_of, coins = coin_maps_of(entries, quote)
    return MarketBook(exchange, quote, markets, ineligible, symbols_of, coins)
