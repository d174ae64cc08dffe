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

MARK_SYMBOLS, MARK_S = 50, 0.5  # candles.md 23: seconds of the processor
NOW = date_to_ts("2024-06-15T10:00")
HISTORY_DAYS = 10
SPANS: Mapping[str, float] = {"close": 1260.0, "qv": 1250.0, "log_range": 95.3}  # of one minute, as the template's
HOUR_SPAN = 240.0
CLOSE_AGE_MS, RANKING_AGE_MS, HOUR_AGE_MS = 30_000, 60_000, 600_000  # as old as the bot takes them (candles.md 9)


@dataclass(frozen=True, slots=True)
class CandlesRow:
    """Seconds of the processor that one minute of all symbols takes, and of that the refreshes: medians."""

    symbols: int
    emas: int
    minutes: int
    seconds: float
    refresh_seconds: float
    target: float | None


def measure(options: Options, directory: Path) -> list[CandlesRow]:
    """All symbols, a minute after the other, over a warm cache."""
    return [asyncio.run(_measure(directory / "live", options.live_symbols, 2 * options.repeats))]


async def _measure(cache: Path, n_symbols: int, minutes: int) -> CandlesRow:
    clock = ManualClock(NOW + 1000)
    exchange = _Exchange(sample.candles("BTC/USDT:USDT", NOW - HISTORY_DAYS * DAY_MS, NOW + (minutes + 2) * MINUTE_MS))
    symbols = [f"C{i}/USDT:USDT" for i in range(n_symbols)]
    async with CandlestickManager(exchange, "bench", cache_dir=cache, clock=clock, archive_enabled=False) as cm:
        for symbol in symbols:
            cm.store.write(symbol, exchange.held[exchange.held["ts"] < NOW])
        await _minute(cm, symbols)
        taken = []
        for _ in range(minutes):
            clock.advance(MINUTE_MS)
            taken.append(await _minute(cm, symbols))
    refreshing, all_of_it = (statistics.median(seconds) for seconds in zip(*taken, strict=True))
    target = MARK_S if n_symbols == MARK_SYMBOLS else None
    return CandlesRow(n_symbols, 1 + len(SPANS), minutes, all_of_it, refreshing, target)


async def _minute(cm: CandlestickManager, symbols: list[str]) -> tuple[float, float]:
    """Seconds of the processor: those of the refreshes, and all."""
    began = time.process_time()
    for symbol in symbols:
        await cm.refresh(symbol)
    refreshed = time.process_time()
    for symbol in symbols:
        await cm.get_latest_ema_close(symbol, SPANS["close"], CLOSE_AGE_MS)
        await cm.get_latest_ema_quote_volume(symbol, SPANS["qv"], RANKING_AGE_MS)
        await cm.get_latest_ema_log_range(symbol, SPANS["log_range"], RANKING_AGE_MS)
        await cm.get_latest_ema_log_range(symbol, HOUR_SPAN, HOUR_AGE_MS, tf="1h")
    return refreshed - began, time.process_time() - began


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
