"""What a minute of the live bot costs the candle manager: every symbol refreshed, its EMAs taken."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import Options
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, MINUTE_MS, ManualClock
from core.dates import date_to_ts
from markets import sample
from markets.candle import Candles

SYMBOLS = 50
TARGET_S = 0.5  # candles.md 23: fifty symbols, seconds of the processor
NOW = date_to_ts("2024-06-15T10:00")
HISTORY_DAYS = 10
SPANS: Mapping[str, float] = {"close": 1260.0, "qv": 1250.0, "log_range": 95.3}  # of one minute, as the template's
HOUR_SPAN = 240.0
CLOSE_AGE_MS, RANKING_AGE_MS, HOUR_AGE_MS = 30_000, 60_000, 600_000  # as old as the bot takes them (candles.md 9)


@dataclass(frozen=True, slots=True)
class CandlesRow:
    """Seconds of the processor that one minute of `symbols` symbols takes; the median of several minutes."""

    symbols: int
    emas: int
    minutes: int
    seconds: float
    target: float | None


def measure(options: Options, directory: Path) -> list[CandlesRow]:
    """The whole set of symbols, a minute after the other, over a warm cache."""
    return asyncio.run(_measure(directory / "live", 2 * options.repeats, HISTORY_DAYS))


async def _measure(cache: Path, minutes: int, days: int) -> list[CandlesRow]:
    clock = ManualClock(NOW + 1000)
    exchange = _Exchange(sample.candles("BTC/USDT:USDT", NOW - days * DAY_MS, NOW + (minutes + 2) * MINUTE_MS))
    symbols = [f"C{i}/USDT:USDT" for i in range(SYMBOLS)]
    async with CandlestickManager(exchange, "bench", cache_dir=cache, clock=clock, archive_enabled=False) as cm:
        for symbol in symbols:
            cm.store.write(symbol, exchange.held[exchange.held["ts"] < NOW])
        await _minute(cm, symbols)
        seconds = []
        for _ in range(minutes):
            clock.advance(MINUTE_MS)
            began = time.process_time()
            await _minute(cm, symbols)
            seconds.append(time.process_time() - began)
    return [CandlesRow(SYMBOLS, 1 + len(SPANS), minutes, statistics.median(seconds), TARGET_S)]


async def _minute(cm: CandlestickManager, symbols: list[str]) -> None:
    for symbol in symbols:
        await cm.refresh(symbol)
        await cm.get_latest_ema_close(symbol, SPANS["close"], CLOSE_AGE_MS)
        await cm.get_latest_ema_quote_volume(symbol, SPANS["qv"], RANKING_AGE_MS)
        await cm.get_latest_ema_log_range(symbol, SPANS["log_range"], RANKING_AGE_MS)
        await cm.get_latest_ema_log_range(symbol, HOUR_SPAN, HOUR_AGE_MS, tf="1h")


class _Exchange:
    """Answers from memory as an async CCXT client does, with the same candles for every symbol."""

    id = "bench"
    markets: Mapping[str, Any] = {}

    def __init__(self, held: Candles) -> None:
        self.held = held
        self._rows: list[list[float]] = [list(row)[:6] for row in held.tolist()]

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int | None, limit: int | None, params: dict[str, Any]
    ) -> list[list[float]]:
        """Hours are every sixtieth row: what is in them does not matter here."""
        step = 60 if timeframe == "1h" else 1
        first = int(np.searchsorted(self.held["ts"], since or 0))
        first += -first % step
        stop = int(np.searchsorted(self.held["ts"], params["until"], side="right"))
        return self._rows[first:stop:step][: limit or 1000]

    async def fetch_ticker(self, symbol: str) -> Mapping[str, Any]:
        return {}
