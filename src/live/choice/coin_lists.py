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
PUNCTUATION = frozenset("[]{}\"'")
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
        self._last: dict[ListName, Sides] = {name: _sides_of(self._sources[name], name) for name in LISTS}
        self._emptied: set[ListName] = set()
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
            self._last[name] = self._reread(name)
            self._told.pop(name, None)
        except ConfigError as exc:
            if self._told.get(name) != str(exc):
                self._told[name] = str(exc)
                logger.warning("[config] %s; the list as last read stays in force", exc)
        coins = coins_of(self._last[name], book.coin)
        eligible = book.eligible
        return {pside: self._listed(coins[pside], book, eligible) for pside in PSIDES}

    def _reread(self, name: ListName) -> Sides:
        """The list as it stands now. One that has become empty may be about to be written: it has to be so twice."""
        sides = _sides_of(self._sources[name], name)
        emptied = any(self._last[name][pside] and not sides[pside] for pside in PSIDES)
        if emptied and name not in self._emptied:
            self._emptied.add(name)
            return self._last[name]
        self._emptied.discard(name)
        return sides

    def _listed(self, coins: list[str], book: MarketBook, eligible: frozenset[str]) -> frozenset[str]:
        symbols = {coin: book.symbol(coin) for coin in coins}
        unlisted = symbols.keys() - {coin for coin, symbol in symbols.items() if symbol in eligible}
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


def _sides_of(source: Any, name: ListName) -> Sides:
    """Both sides of a source. Raises ConfigError also for half a file: `["BTC", "ET` would be read as plain words."""
    sides = sides_of(source, f"live.{name}")
    for entry in (entry for pside in PSIDES for entry in sides[pside]):
        if PUNCTUATION & set(entry):
            raise ConfigError(f"live.{name} holds {entry!r}, which names no coin; is the file half written?")
    return sides
