"""The only door to candles (`candles.md` 4-11): one manager serves the candles of one exchange.

What the store lacks is fetched from the exchange it was given; without one it serves what is on disk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from candles.disk.retention import Retention
from candles.fetching import history, present
from candles.fetching.feed import ARCHIVE_FROM_MINUTES
from candles.fetching.longer import LongerCandles
from candles.fetching.open_feed import FeedOptions, open_feed
from candles.fetching.prices import LastPrices
from candles.fill import standardize_gaps
from candles.gaps import gap_summary
from candles.indicators.deep_emas import DeepEmas
from candles.indicators.emas import Emas, SyntheticMinutes
from candles.indicators.queries import Age, EmaQueries
from core.clock import MINUTE_MS
from markets.candle import CANDLE_DTYPE, Candles, timeframe_ms, timeframe_name

__all__ = ["CandlestickManager"]


class CandlestickManager(EmaQueries):
    """Candles, EMAs and last prices of one exchange. Queries are coroutines; `timeframe` may be called `tf`.

    `exchange` is an async CCXT client, which stays its owner's to close, or a `CandleSource`, or None: only what is on
    disk (and the market `sample`, which is computed). Options: those of `candles.fetching.open_feed.FeedOptions`.
    Raises CandleFetchError where the exchange could not be asked: never silently nothing.
    """

    def __init__(self, exchange: Any = None, exchange_name: str = "unknown", **options: Any) -> None:
        self.options = FeedOptions(**options)
        self.feed = open_feed(exchange, exchange_name, self.options)
        self.store = self.feed.store
        self._longer = LongerCandles(self.feed)
        self._prices = LastPrices(self.feed)
        self._synthetic = SyntheticMinutes()
        self._deep_emas = DeepEmas(self._load_for_ema, self.feed.store_of, self.feed.clock)
        self._emas = Emas(self._load_for_ema, self.feed.clock, self._synthetic, self._deep_emas.forget)
        self._retention = Retention(self.options.max_disk_candles_per_symbol_per_tf)
        self._prepared: set[str] = set()

    async def __aenter__(self) -> CandlestickManager:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to archives."""
        if self.feed.archive:
            await self.feed.archive.aclose()

    close = aclose

    # --- candles

    async def get_candles(  # noqa: PLR0913 - the interface that `candles.md` 4 fixes
        self,
        symbol: str,
        *,
        start_ts: float | None = None,
        end_ts: float | None = None,
        max_age_ms: Age = None,
        strict: bool = False,
        timeframe: str | None = None,
        tf: str | None = None,
        force_refetch_gaps: bool = False,
        fill_leading_gaps: bool = False,
        skip_historical_gap_fill: bool = False,
    ) -> Candles:
        """Candles of both ends' minutes and all between, never of the minute in progress.

        Missing minutes are zero candles at the last close, from the first row on (from `start_ts` with
        `fill_leading_gaps`); with `strict` they are missing, as they are in longer timeframes. The default window ends
        at the last finished minute. Raises ValueError for a negative `max_age_ms`.
        """
        if max_age_ms is not None and max_age_ms < 0:
            raise ValueError("max_age_ms cannot be negative")
        period = timeframe_ms(timeframe or tf or "1m")
        frame = timeframe_name(period)
        start, end = self._window(start_ts, end_ts, period)
        if force_refetch_gaps:
            await history.forget_gaps(self.feed, symbol, frame, (start, end))
        if start > end:
            return np.empty(0, CANDLE_DTYPE)
        if period > MINUTE_MS:
            return await self._longer.load(symbol, frame, (start, end), max_age_ms, anew=force_refetch_gaps)
        await self._prepare(symbol)
        real = await self._load(symbol, (start, end), max_age_ms, edges_only=skip_historical_gap_fill)
        self._emas.forget_outdated(symbol, real)
        if strict:
            return real
        return self._filled(symbol, real, (start, end), fill_leading_gaps=fill_leading_gaps)

    async def ensure(self, symbol: str, start_ts: int, end_ts: int, *, force_refetch_gaps: bool = False) -> None:
        """Bring the minutes of a range into the store, as far as they can be had, without loading them."""
        window = self._window(start_ts, end_ts, MINUTE_MS)
        if force_refetch_gaps:
            await history.forget_gaps(self.feed, symbol, "1m", window)
        await self._prepare(symbol)
        if window[0] <= window[1]:
            await history.ensure_history(self.feed, symbol, *window)

    standardize_gaps = staticmethod(standardize_gaps)

    async def refresh(self, symbol: str, through_ts: float | None = None) -> None:
        """Fetch the newest candles, up to the last finished minute or through `through_ts`."""
        await self._prepare(symbol)
        asked_from = await present.refresh(self.feed, symbol, None if through_ts is None else int(through_ts))
        self._retention.apply(self.store, symbol)
        self._emas.forget_outdated(symbol, self.store.read(symbol, asked_from))

    async def warmup_since(self, symbols: Iterable[str], since_ts: float) -> None:
        """Bring each symbol's candles since then into the store, one symbol after the other."""
        for symbol in symbols:
            await self.get_candles(symbol, start_ts=since_ts, max_age_ms=0, strict=True, skip_historical_gap_fill=True)

    def stored_first_ts(self, symbol: str) -> int | None:
        """The first candle there ever was, as far as is known, else the first stored one; None if there is none."""
        meta = self.store.read_meta(symbol)
        return meta.first_seen_ts if meta.inception_ts is None else meta.inception_ts

    # --- gaps

    def clear_known_gaps(self, symbol: str, date_range: tuple[int, int] | None = None) -> int:
        """Forget gaps that overlap the range in ms, all without one; the number of gaps forgotten."""
        return self.store.clear_gaps(symbol, date_range)

    def get_gap_summary(self, symbol: str) -> dict[str, Any]:
        """Counts and list of the symbol's known gaps."""
        return gap_summary(self.store.read_meta(symbol).known_gaps)

    # --- prices

    async def get_current_close(self, symbol: str, max_age_ms: Age = None) -> float:
        """The last price; NaN if nobody knows one."""
        return await self._prices.current_close(symbol, max_age_ms)

    async def get_last_prices(self, symbols: Iterable[str], max_age_ms: Age = 10_000) -> dict[str, float]:
        """Last prices, 0 where nobody knows one."""
        prices = {symbol: await self.get_current_close(symbol, max_age_ms) for symbol in symbols}
        return {symbol: price if math.isfinite(price) else 0.0 for symbol, price in prices.items()}

    # --- parts

    def _window(self, start_ts: float | None, end_ts: float | None, period: int) -> tuple[int, int]:
        """Both ends on the grid; the last period that is over is the latest."""
        last = (self.feed.last_final() + MINUTE_MS) // period * period - period
        end = last if end_ts is None else min(int(end_ts) // period * period, last)
        start = end - self.feed.window * period if start_ts is None else int(start_ts) // period * period
        return start, end

    async def _prepare(self, symbol: str) -> None:
        if symbol not in self._prepared:
            await history.prepare_symbol(self.feed, symbol, compact=self.options.compact)
            self._prepared.add(symbol)

    async def _load(self, symbol: str, window: tuple[int, int], max_age_ms: Age, *, edges_only: bool) -> Candles:
        """The real rows; what is missing is fetched as far as the age asked for wants it (5.4-5.7)."""
        start, end = window
        feed = self.feed
        tail_allowed = True
        if feed.source and end >= feed.last_final() and max_age_ms is not None:
            last = feed.last_refresh(symbol)
            if max_age_ms == 0 or last == 0 or feed.clock.now_ms() - last > max_age_ms:
                await self.refresh(symbol, end)
            else:
                tail_allowed = False
        is_long = (end - start) // MINUTE_MS > ARCHIVE_FROM_MINUTES
        if not edges_only and (is_long or end < feed.last_final()):
            return await history.load_history(feed, symbol, start, end, tail_allowed=tail_allowed)
        if not tail_allowed:
            return feed.store.read(symbol, start, end)
        return await present.load_present(feed, symbol, start, end, edges_only=edges_only)

    def _filled(self, symbol: str, real: Candles, window: tuple[int, int], *, fill_leading_gaps: bool) -> Candles:
        """With zero candles for missing minutes, carried on from the last candle before the window."""
        start, end = window
        if not len(real) or real["ts"][0] > start:
            real = np.concatenate((self.store.read_last_before(symbol, start), real))
        filled = standardize_gaps(
            real, start_ts=start, end_ts=end, fill_leading_gaps=fill_leading_gaps, assume_sorted=True
        )
        if self.feed.source:
            self._synthetic.note(symbol, filled, self.feed.clock.now_ms())
        return filled

    async def _load_for_ema(self, symbol: str, start_ts: int, end_ts: int, max_age_ms: Age, timeframe: str) -> Candles:
        return await self.get_candles(
            symbol, start_ts=start_ts, end_ts=end_ts, max_age_ms=max_age_ms, timeframe=timeframe
        )
