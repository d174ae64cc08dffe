"""Candles before the first cycle, so that it need not wait for them (`live.md` 3)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Mapping

from candlestick_manager import CandlestickManager
from config.live_settings import LiveSettings
from config.warmup import DEFAULT_SET
from core.clock import HOUR_MS, MINUTE_MS, Clock
from core.rng import variation
from core.terms import PSIDES
from live.choice.market_book import MarketBook

logger = logging.getLogger(__name__)

AGE_MS = 300_000
USUAL_CONCURRENCY, HYPERLIQUID_CONCURRENCY = 8, 2
MANY, TOLD_EVERY_MS = 20, 2_000


def windows(settings: LiveSettings, symbols: Collection[str], book: MarketBook, *, forager: bool) -> dict[str, int]:
    """Minutes of candles for each symbol: its warm-up, and what ranking needs where coins compete; at least one."""
    minutes = settings.warmup.minutes
    spans = [settings.side(p)[f"filter_{name}_ema_span"] for p in PSIDES for name in ("volume", "volatility")]
    least = max(1, *(math.ceil(span) for span in spans)) if forager else 1
    return {s: max(least, minutes.get(book.coin(s), minutes[DEFAULT_SET])) for s in sorted(symbols)}


async def warm_up(
    manager: CandlestickManager, minutes: Mapping[str, int], settings: LiveSettings, exchange: str, clock: Clock
) -> None:
    """Fetch minutes and hours of every symbol, several at a time, after a random delay. Failures are logged."""
    await clock.sleep(variation.uniform(0.0, max(0.0, settings.warmup.jitter_s)))
    usual = HYPERLIQUID_CONCURRENCY if exchange == "hyperliquid" else USUAL_CONCURRENCY
    slots = asyncio.Semaphore(settings.warmup.concurrency or usual)
    done, told_ms = 0, clock.now_ms()

    async def one(symbol: str, window: int) -> None:
        nonlocal done, told_ms
        async with slots:
            await _fetch(manager, symbol, window, clock)
        done += 1
        if len(minutes) > MANY and clock.now_ms() - told_ms >= TOLD_EVERY_MS:
            told_ms = clock.now_ms()
            logger.info("[warmup] %d of %d symbols", done, len(minutes))

    logger.info("[warmup] candles of %d symbols", len(minutes))
    await asyncio.gather(*(one(symbol, window) for symbol, window in minutes.items()))
    logger.info("[warmup] done")


async def _fetch(manager: CandlestickManager, symbol: str, window: int, clock: Clock) -> None:
    now_ms = clock.now_ms()
    minute = now_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS
    hour = now_ms // HOUR_MS * HOUR_MS - HOUR_MS
    try:
        await manager.get_candles(
            symbol,
            start_ts=minute - window * MINUTE_MS,
            end_ts=minute,
            max_age_ms=AGE_MS,
            skip_historical_gap_fill=True,
        )
        hours = max(1, math.ceil(window / 60))
        await manager.get_candles(
            symbol, start_ts=hour - hours * HOUR_MS, end_ts=hour, max_age_ms=AGE_MS, timeframe="1h"
        )
    except Exception as exc:  # noqa: BLE001 - candles that are missing now are fetched when they are needed
        logger.warning("[warmup] %s: %s: %s", symbol, type(exc).__name__, exc)
