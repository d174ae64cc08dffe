"""The sample market as a source of candles (`candles.md` 20.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np

from candles.resample import aggregate
from candles.sources.protocol import Keep
from core.clock import MINUTE_MS
from markets import sample
from markets.candle import Candles, timeframe_ms


class SampleSource:
    """Computes candles; `seed` 0 is the exchange `sample`."""

    id = sample.EXCHANGE

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.version = f"{sample.EXCHANGE} {sample.VERSION} seed {seed}"

    def earliest(self, period_ms: int, last_ts: int) -> int | None:
        return None

    async def first_ts(self, symbol: str) -> int | None:
        return sample.instrument(symbol).launch_ms

    async def fetch(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, keep: Keep) -> int:
        period, rows = timeframe_ms(timeframe), 0
        end_ts += period - MINUTE_MS
        for low, high in months(start_ts, end_ts) if period == MINUTE_MS else [(start_ts, end_ts)]:
            candles = await asyncio.to_thread(sample.candles, symbol, low, high, self.seed)
            candles = candles if period == MINUTE_MS else aggregate(candles, period)
            rows += len(candles)
            await keep(candles)
        return rows

    async def newest(self, symbol: str, count: int, now_ms: int) -> Candles:
        minute = now_ms // MINUTE_MS * MINUTE_MS
        return sample.candles(symbol, minute - (count - 1) * MINUTE_MS, minute, self.seed)

    async def last_price(self, symbol: str) -> float | None:
        return None


def months(start_ts: int, end_ts: int) -> Iterator[tuple[int, int]]:
    """The span of minutes cut at months, so that one month at a time is in memory and written once."""
    while start_ts <= end_ts:
        month = np.datetime64(start_ts, "ms").astype("M8[M]")
        last = int((month + 1).astype("M8[ms]").astype(np.int64)) - MINUTE_MS
        yield start_ts, min(last, end_ts)
        start_ts = last + MINUTE_MS
