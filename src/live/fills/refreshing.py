"""Bringing an account's fills up to date for programs that look at them; the bot does so in its own loop."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from core import paths
from core.clock import Clock
from exchanges.accounts import Account
from exchanges.connect import connected
from exchanges.endpoints import Endpoints
from live.fills.history import FillHistory
from live.fills.sources.open import open_source
from live.fills.store import FillStore
from markets.symbols import CoinMaps


async def refresh_account(
    account: Account, endpoints: Endpoints, *, since_ms: int, coins: Collection[str], cache_dir: Path, clock: Clock
) -> None:
    """Fetch what is not known of an account's fills since then, and keep it.

    Where the exchange answers for one symbol at a time it is asked for those of `coins`, those with known fills, and
    those with a position. Raises ConfigError or RunError where it refuses or cannot be reached; what came is kept.
    """
    store = FillStore(paths.fills_dir(cache_dir, account.exchange, account.user))
    async with connected(account, endpoints, cache_dir, clock) as exchange:
        maps = CoinMaps(cache_dir)
        symbols = {maps.coin_to_symbol(coin, account.exchange, account.quote) for coin in coins}
        symbols |= {symbol for symbol, _ in await exchange.fetch_positions()}
        markets: dict[str, Any] = exchange.rest.markets

        def asked() -> set[str]:
            return {*symbols, *(event.symbol for event in history.events)} & set(markets)

        def c_mult(symbol: str) -> float:
            return float(markets.get(symbol, {}).get("contractSize") or 1.0)

        source = open_source(account.exchange, exchange.rest, clock, quote=account.quote, symbols=asked, c_mult=c_mult)
        history = FillHistory(store, source, clock, c_mult=c_mult)
        history.load()
        await history.refresh_range(since_ms)
