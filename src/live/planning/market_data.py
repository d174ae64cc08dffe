"""Prices and candles of a cycle (`live.md` 4, 8, 9; `candles.md` 9)."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from candlestick_manager import CandlestickManager
from config.settings import SideParams
from core.clock import MINUTE_MS, Clock
from core.errors import DataError, LockTimeoutError
from exchanges.failures import failure_of
from exchanges.protocol import Exchange, HeldPosition, Key
from live.fills.record import FillEvent
from live.planning.indicators import age_in_minute
from live.planning.trailing import Bundle, candles_since, trailing_bundle, trailing_needs
from markets.candle import Candles

logger = logging.getLogger(__name__)

PRICE_AGE_MS, REFRESH_AGE_MS = 10_000, 10_000
REFRESHED_MINUTES = 100
LATEST_MS = 3 * MINUTE_MS  # candles older than this open nothing


class MarketData:
    """Last prices, newest candles and trailing states; remembers the last known price of each symbol."""

    def __init__(self, exchange: Exchange, manager: CandlestickManager, clock: Clock) -> None:
        self._exchange, self.manager, self._clock = exchange, manager, clock
        self.known_prices: dict[str, float] = {}

    async def prices(self, symbols: Collection[str], needed: Collection[str]) -> dict[str, float]:
        """Last prices of the symbols, from one snapshot of tickers; the candle manager knows those of `needed` too."""
        prices = await self._from_tickers(symbols)
        for symbol in sorted(needed):
            if symbol not in prices:
                price = await self._from_candles(symbol)
                prices |= {symbol: price} if math.isfinite(price) and price > 0.0 else {}
        self.known_prices |= prices
        return prices

    async def _from_tickers(self, symbols: Collection[str]) -> dict[str, float]:
        if not symbols:
            return {}
        try:
            tickers = await self._exchange.fetch_tickers(sorted(symbols))
        except Exception as exc:
            kind = failure_of(self._exchange.capabilities.exchange, exc)
            if kind not in ("network", "unavailable", "refused"):
                raise
            logger.warning("no tickers (%s: %s); prices are those of candles", kind, exc)
            return {}
        return {symbol: ticker.last for symbol, ticker in tickers.items() if ticker.last > 0.0}

    async def _from_candles(self, symbol: str) -> float:
        try:
            return await self.manager.get_current_close(symbol, PRICE_AGE_MS)
        except DataError as exc:
            logger.warning("no price of %s: %s", symbol, exc)
            return math.nan

    async def refresh(self, symbols: Iterable[str]) -> None:
        """Bring the newest minutes of each symbol into the store, one after the other; failures are logged."""
        for symbol in sorted(symbols):
            end = self._last_minute()
            try:
                await self.manager.get_candles(
                    symbol, start_ts=end - REFRESHED_MINUTES * MINUTE_MS, end_ts=end, max_age_ms=self._age()
                )
            except LockTimeoutError as exc:
                logger.warning("[candle] %s: %s", symbol, exc)
            except DataError as exc:
                logger.error("[candle] %s: %s", symbol, exc)

    def late(self, symbols: Iterable[str]) -> dict[str, int]:
        """Symbols whose newest candle is too old to open anything on, with its age in minutes."""
        last = self._last_minute()
        ages = {}
        for symbol in symbols:
            rows = self.manager.store.read(symbol, last - REFRESHED_MINUTES * MINUTE_MS, last)
            newest = int(rows["ts"][-1]) if len(rows) else last - REFRESHED_MINUTES * MINUTE_MS
            if last - newest > LATEST_MS:
                ages[symbol] = (last - newest) // MINUTE_MS
        return ages

    async def bundles(
        self,
        positions: Mapping[Key, HeldPosition],
        params: Mapping[Key, SideParams],
        fills: Sequence[FillEvent],
    ) -> tuple[dict[Key, Bundle], dict[str, str]]:
        """The trailing state of every position that trails; the symbols whose state is not known, with the reason."""
        needs = trailing_needs(positions, params, fills, self._clock.now_ms())
        candles: dict[str, Candles] = {}
        failed: dict[str, str] = {}
        for symbol, since_ms in candles_since(needs).items():
            try:
                candles[symbol] = await self.manager.get_candles(
                    symbol, start_ts=since_ms, end_ts=self._last_minute(), max_age_ms=self._age()
                )
            except DataError as exc:
                failed[symbol] = f"the trailing state of {symbol} is not known: {exc}"
        known = [need for need in needs if need.key[0] in candles]
        return {need.key: trailing_bundle(candles[need.key[0]], need.since_ms) for need in known}, failed

    def _age(self) -> int:
        return age_in_minute(self._clock.now_ms(), REFRESH_AGE_MS)

    def _last_minute(self) -> int:
        return self._clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
