"""The last price of a symbol, as cheaply as the age asked for allows (`candles.md` 9)."""

from __future__ import annotations

import math

import numpy as np

from candles.fetching.feed import Feed
from candles.rows import newest


class LastPrices:
    """Prices by symbol with the time they were seen."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen: dict[str, tuple[int, float]] = {}

    async def current_close(self, symbol: str, max_age_ms: int | None) -> float:
        """The own memory, the last finished candle, a page of candles, the ticker, whatever is on disk; else NaN.

        Raises CandleFetchError when the exchange cannot be asked: what is on disk is no answer to that.
        """
        now = self._feed.clock.now_ms()
        at, price = self._seen.get(symbol, (0, math.nan))
        if at and max_age_ms is not None and now - at <= max_age_ms:
            return price
        held = newest(self._feed.store.read(symbol, self._feed.last_final(), self._feed.last_final()))
        if len(held) and (max_age_ms is None or now - self._feed.last_refresh(symbol) <= max_age_ms):
            return float(held["c"][0])
        price = await self._asked(symbol)
        if math.isfinite(price):
            self._seen[symbol] = now, price
            return price
        stored = self._feed.store.read_last_before(symbol, now)
        return float(stored["c"][0]) if len(stored) else math.nan

    async def _asked(self, symbol: str) -> float:
        source = self._feed.source
        if source is None:
            return math.nan
        async with self._feed.lock(symbol, "price"):
            last = self._feed.last_final()  # before asking: a minute that ends meanwhile may come unfinished
            page = await source.newest(symbol, self._feed.overlap, self._feed.clock.now_ms())
            self._feed.store.write(symbol, np.array(page[page["ts"] <= last]), "price")
        if len(page):
            return float(page["c"][-1])
        price = await source.last_price(symbol)
        return math.nan if price is None else price
