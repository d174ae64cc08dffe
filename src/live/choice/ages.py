"""Since when coins are traded, here or anywhere: young ones are not chosen (`live.md` 6, `candles.md` 13)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from candles.first_timestamps import LAST_RESORT, UNIFIED_EXCHANGES, ask_missing, first_anywhere, is_old_enough
from candlestick_manager import CandlestickManager
from core.clock import HOUR_MS, Clock
from core.errors import ConfigError, DataError
from exchanges.network import ExchangeNetwork
from live.choice.market_book import MarketBook
from markets.symbols import coin_maps_of, quote_currency

logger = logging.getLogger(__name__)

ASK_AGAIN_MS = HOUR_MS


class CoinAges:
    """First candles by symbol in ms, 0 where nobody knows, which counts as too young.

    Other exchanges are asked only about coins that are too young on the bot's own.
    """

    def __init__(self, manager: CandlestickManager, network: ExchangeNetwork, cache_dir: Path, clock: Clock) -> None:
        self._manager, self._network, self._cache_dir, self._clock = manager, network, cache_dir, clock
        self.first: dict[str, float] = {}
        self._again_ms: dict[str, int] = {}

    def lacks(self, symbols: Collection[str]) -> bool:
        """Whether somebody has to be asked; about coins that nobody knew, again after a while."""
        now_ms = self._clock.now_ms()
        return any(not self.first.get(symbol) and now_ms >= self._again_ms.get(symbol, 0) for symbol in symbols)

    async def learn(self, symbols: Collection[str], book: MarketBook, minimum_days: float) -> None:
        """Find out about the symbols: from disk, the own exchange, then the others. Failures leave a coin unknown."""
        source = self._manager.feed.source
        if source is None:
            return
        coins = {book.coin(symbol): symbol for symbol in sorted(symbols)}
        here = await ask_missing(self._cache_dir, book.exchange, list(coins), lambda c: source.first_ts(coins[c]))
        now_ms = self._clock.now_ms()
        young = list(here)
        for name in (*UNIFIED_EXCHANGES, LAST_RESORT):
            known = first_anywhere(self._cache_dir)
            young = [coin for coin in young if not is_old_enough(known.get(coin, 0.0), now_ms, minimum_days)]
            wanted = [coin for coin in young if name != LAST_RESORT or not known.get(coin)]
            if wanted and name != book.exchange:
                await self._ask(name, wanted)
        known = first_anywhere(self._cache_dir)
        for coin, symbol in coins.items():
            stated = [float(ts) for ts in (here.get(coin), known.get(coin)) if ts]
            self.first[symbol] = min(stated, default=0.0)
            self._again_ms[symbol] = self._clock.now_ms() + ASK_AGAIN_MS

    async def _ask(self, exchange: str, coins: Collection[str]) -> None:
        if not self._network.knows(exchange):
            return
        try:
            client = await self._network.client(exchange)
            symbols_of, _ = coin_maps_of(client.markets, quote_currency(exchange))
            listed = {coin: symbols_of[coin][0] for coin in coins if symbols_of.get(coin)}
            await ask_missing(self._cache_dir, exchange, list(listed), self._asking(client, exchange, listed))
        except (DataError, ConfigError) as exc:
            logger.warning("[config] when coins began on %s stays unknown: %s", exchange, exc)

    def _asking(self, client: Any, exchange: str, listed: dict[str, str]) -> Callable[[str], Any]:
        manager = CandlestickManager(client, exchange, cache_dir=self._cache_dir, clock=self._clock)
        source = manager.feed.source

        async def ask(coin: str) -> int | None:
            return await source.first_ts(listed[coin]) if source else None

        return ask
