"""Names: exchanges, quote currencies, coins and their symbols (`candles.md` 3.1-3.2, `config_cli_suite.md` 10).

A *symbol* is what CCXT calls a market (`1000SHIB/USDT:USDT`), a *coin* is what people write in a config (`SHIB`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import paths
from core.files import read_json, write_json

logger = logging.getLogger(__name__)

# Exchanges whose CCXT id differs from the name people use.
SUFFIXED_CCXT_IDS = frozenset({"binanceusdm", "kucoinfutures", "krakenfutures"})
USDC_EXCHANGES = frozenset({"hyperliquid", "defx", "paradex"})
MAP_LOCK_SECONDS = 5.0

_SUFFIXES = ("usdm", "futures")
_QUOTES_IN_NAMES = ("USDT", "USDC", "BUSD", "USD", "/:")
_POWER_OF_TEN = re.compile(r"(?<!\d)10+(?!\d)")


def normalize_exchange(name: str, known_ids: Iterable[str] = SUFFIXED_CCXT_IDS) -> str:
    """The CCXT id of an exchange: `binance` -> `binanceusdm`, `kucoin` -> `kucoinfutures`, `okx` -> `okx`."""
    name = name.lower()
    if name.endswith(_SUFFIXES):
        return name
    known = set(known_ids)
    return next((name + suffix for suffix in _SUFFIXES if name + suffix in known), name)


def short_exchange(name: str) -> str:
    """The name used in configs, logs and paths: `binanceusdm` -> `binance`."""
    return re.sub(r"(usdm|futures)$", "", name.lower())


def quote_currency(exchange: str, override: str | None = None) -> str:
    """The currency an exchange's contracts are quoted in; `override` is the account's own setting."""
    return override or ("USDC" if short_exchange(exchange) in USDC_EXCHANGES else "USDT")


def name_variants(name: str) -> list[str]:
    """The names one coin goes by, fully cleaned last: `1000SHIB` -> `[1000SHIB, SHIB]`."""
    without_k = name.replace("k", "")
    variants = (name, without_k, _POWER_OF_TEN.sub("", name), _POWER_OF_TEN.sub("", without_k))
    return list(dict.fromkeys(v for v in variants if v))


def coin_of_market(market: Mapping[str, Any]) -> str:
    """The coin of a CCXT market entry: the fully cleaned form of `baseName` if present, else of `base`."""
    name = market.get("baseName") or market.get("base") or ""
    return (name_variants(name) or [""])[-1]


def coin_maps_of(markets: Mapping[str, Mapping[str, Any]], quote: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """`({name variant: [symbol, ...]}, {symbol | variant | market id: coin})` of the linear swaps quoted in `quote`."""
    to_symbols: dict[str, set[str]] = {}
    to_coin: dict[str, str] = {}
    for symbol, market in markets.items():
        if not market.get("swap") or market.get("linear") is False or not symbol.endswith(f":{quote}"):
            continue
        names = [market[key] for key in ("baseName", "base") if market.get(key)]
        variants = [variant for name in names for variant in name_variants(name)]
        coin = coin_of_market(market)
        for variant in variants:
            to_symbols.setdefault(variant, set()).add(symbol)
        to_coin.update(dict.fromkeys([*variants, symbol, *([market["id"]] if market.get("id") else [])], coin))
    return {name: sorted(symbols) for name, symbols in sorted(to_symbols.items())}, to_coin


def guess_coin(symbol: str) -> str:
    """The coin a name most likely means when no map knows it: `1000SHIBUSDT` -> `SHIB`, `kPEPE/USDC:USDC` -> `PEPE`."""
    name = symbol.split("/")[0]
    for quote in _QUOTES_IN_NAMES:
        name = name.replace(quote, "")
    name = re.sub(r"10000*", "", name, count=1)
    return name[1:] if name.startswith("k") and name[1:].isupper() else name


_warned: set[tuple[str, str]] = set()


def _warn_once(subject: str, message: str) -> None:
    if (subject, message) not in _warned:
        _warned.add((subject, message))
        logger.warning(message)


def symbol_to_coin(symbol: str, known: Mapping[str, str] | None = None) -> str:
    """The coin of a symbol, market id or coin name; `known` is the map of 3.2. A guess is warned about once."""
    if known and symbol in known:
        return known[symbol]
    coin = guess_coin(symbol)
    if coin != symbol and known is not None:
        _warn_once(symbol, f"no market is known as {symbol!r}: taken for coin {coin!r}")
    return coin


def coin_to_symbol(coin: str, exchange: str, known: Mapping[str, Sequence[str]], quote: str | None = None) -> str:
    """The symbol of a coin on an exchange; `known` is the exchange's map of 3.2. Never empty for a coin.

    Whether the exchange lists the coin is decided by its markets, not by this function.
    """
    if not coin:
        return ""
    candidates = sorted(known.get(coin, ()))
    if not candidates:
        quote = quote_currency(exchange, quote)
        _warn_once(exchange, f"{exchange} has no known market of {coin}: taken for {coin}/{quote}:{quote}")
        return f"{coin}/{quote}:{quote}"
    if len(candidates) > 1:
        logger.info("%s has several markets of %s: %s is used of %s", exchange, coin, candidates[0], candidates)
    return candidates[0]


class CoinMaps:
    """The coin maps on disk, read again when they change: symbols per exchange, coins shared by all."""

    def __init__(self, cache_dir: Path) -> None:
        self.cache_dir = cache_dir
        self._read: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}

    def symbol_to_coin(self, symbol: str) -> str:
        """As the function of that name, over the map on disk."""
        return symbol_to_coin(symbol, self._load(paths.symbol_to_coin_file(self.cache_dir)))

    def coin_to_symbol(self, coin: str, exchange: str, quote: str | None = None) -> str:
        """As the function of that name, over the exchange's map on disk; `coin` may be any name of it."""
        known = self._load(paths.coin_to_symbol_file(self.cache_dir, short_exchange(exchange)))
        return coin_to_symbol(self.symbol_to_coin(coin), exchange, known, quote)

    def update(self, exchange: str, markets: Mapping[str, Mapping[str, Any]], quote: str | None = None) -> None:
        """Rewrite the exchange's map and merge the shared one; called whenever markets are loaded."""
        exchange = short_exchange(exchange)
        to_symbols, to_coin = coin_maps_of(markets, quote_currency(exchange, quote))
        self._save(paths.coin_to_symbol_file(self.cache_dir, exchange), to_symbols, merge=False)
        self._save(paths.symbol_to_coin_file(self.cache_dir), to_coin, merge=True)

    def _load(self, path: Path) -> dict[str, Any]:
        stamp, content = self._read.get(path, ((0, 0), {}))
        try:
            stat = path.stat()
            if stamp != (stat.st_mtime_ns, stat.st_size):
                content = read_json(path)
                self._read[path] = (stat.st_mtime_ns, stat.st_size), content
        except FileNotFoundError:
            return {}
        return content

    def _save(self, path: Path, entries: Mapping[str, Any], *, merge: bool) -> None:
        """Write under a lock; if another process holds it too long the write is skipped, it will be made up for."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=MAP_LOCK_SECONDS):
                old = self._load(path)
                new = {**old, **entries} if merge else dict(entries)
                if new != old:
                    write_json(path, new, sort_keys=True)
        except Timeout:
            logger.warning("%s is locked by another process: not updated", path)
