"""Approved and ignored coins, read again in every cycle, so that an edited file counts at once (`live.md` 6)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from config.coins import Sides, coins_of, sides_of
from core.errors import ConfigError
from core.terms import PSIDES, Pside
from live.choice.market_book import MarketBook

logger = logging.getLogger(__name__)

ListName = Literal["approved_coins", "ignored_coins"]
LISTS: tuple[ListName, ListName] = ("approved_coins", "ignored_coins")


@dataclass(frozen=True, slots=True)
class CoinSets:
    """Symbols by side; only markets that can be traded are in them. `names_none`: the approved list of the side is
    empty, which is not the same as naming only coins that cannot be traded."""

    approved: Mapping[Pside, frozenset[str]]
    ignored: Mapping[Pside, frozenset[str]]
    names_none: Mapping[Pside, bool]


class CoinLists:
    """The lists of a config by their raw sources. Raises ConfigError if one cannot be read at first."""

    def __init__(self, approved: Any, ignored: Any) -> None:
        self._sources: Mapping[ListName, Any] = {"approved_coins": approved, "ignored_coins": ignored}
        self._last: dict[ListName, Sides] = {name: sides_of(self._sources[name], f"live.{name}") for name in LISTS}
        self._told: dict[ListName, str] = {}
        self._unlisted: set[str] = set()
        self._known: dict[tuple[ListName, Pside], frozenset[str]] = {}

    def read(self, book: MarketBook) -> CoinSets:
        """The lists as they stand now. One that cannot be read any more stays as it was, with one warning."""
        sets = {name: self._symbols(name, book) for name in LISTS}
        for name in LISTS:
            self._tell_changes(name, sets[name], book)
        names_none = {pside: not self._last["approved_coins"][pside] for pside in PSIDES}
        return CoinSets(sets["approved_coins"], sets["ignored_coins"], names_none)

    def _symbols(self, name: ListName, book: MarketBook) -> dict[Pside, frozenset[str]]:
        try:
            self._last[name] = sides_of(self._sources[name], f"live.{name}")
            self._told.pop(name, None)
        except ConfigError as exc:
            if self._told.get(name) != str(exc):
                self._told[name] = str(exc)
                logger.warning("[config] %s; the list as last read stays in force", exc)
        coins = coins_of(self._last[name], book.coin)
        return {pside: self._listed(coins[pside], book) for pside in PSIDES}

    def _listed(self, coins: list[str], book: MarketBook) -> frozenset[str]:
        symbols = {coin: book.symbol(coin) for coin in coins}
        unlisted = {coin for coin, symbol in symbols.items() if symbol not in book.eligible}
        if news := sorted(unlisted - self._unlisted):
            self._unlisted |= set(news)
            logger.warning("[config] not tradable on %s, left out: %s", book.exchange, ", ".join(news))
        return frozenset(symbols[coin] for coin in coins if coin not in unlisted)

    def _tell_changes(self, name: ListName, sets: Mapping[Pside, frozenset[str]], book: MarketBook) -> None:
        for pside in PSIDES:
            before = self._known.get((name, pside), frozenset())
            self._known[name, pside] = sets[pside]
            for word, symbols in (("added to", sets[pside] - before), ("removed from", before - sets[pside])):
                if symbols:
                    coins = ",".join(sorted(book.coin(symbol) for symbol in symbols))
                    logger.info("[config] %s %s %s: %s", word, name, pside, coins)
