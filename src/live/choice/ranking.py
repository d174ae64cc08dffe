"""By what coins compete for slots: EMAs of volume and log range (`live.md` 8)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.clock import Clock
from core.errors import DataError
from core.terms import Pside
from live.planning.indicators import EmaSource, age_in_minute

logger = logging.getLogger(__name__)

TOLD_COINS = 8
TOLD_EVERY_MS = 300_000


@dataclass(frozen=True, slots=True)
class RankingNeed:
    """Whom to rank, with the side's two spans in minutes; without `volume_span` volumes do not count."""

    symbols: Collection[str]
    volume_span: float | None
    volatility_span: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Quote volumes and log ranges by symbol; 0 where there is none. `volumes` None: they do not count."""

    volumes: Mapping[str, float] | None
    volatilities: Mapping[str, float]


async def read_scores(source: EmaSource, need: RankingNeed, now_ms: int) -> Scores:
    """The scores of all symbols, read at the same time."""
    symbols = sorted(need.symbols)
    rows = await asyncio.gather(*(_scores_of(source, symbol, need, now_ms) for symbol in symbols))
    volumes = {symbol: volume for symbol, (volume, _) in zip(symbols, rows, strict=True)}
    ranges = {symbol: log_range for symbol, (_, log_range) in zip(symbols, rows, strict=True)}
    return Scores(volumes if need.volume_span is not None else None, ranges)


async def _scores_of(source: EmaSource, symbol: str, need: RankingNeed, now_ms: int) -> tuple[float, float]:
    spans = {"log_range": [need.volatility_span]}
    if need.volume_span is not None:
        spans["qv"] = [need.volume_span]
    try:
        found = await source.get_deep_emas(symbol, spans, age_in_minute(now_ms))
    except DataError as exc:
        logger.warning("[ranking] %s counts as the last one: %s", symbol, exc)
        return 0.0, 0.0
    volume = found["qv", need.volume_span] if need.volume_span is not None else 0.0
    log_range = found["log_range", need.volatility_span]
    return volume if math.isfinite(volume) else 0.0, log_range if math.isfinite(log_range) else 0.0


class RankingLog:
    """Tells the first coins of each ranking when their order has changed, at most every five minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[tuple[str, Pside], tuple[int, list[str]]] = {}

    def tell(self, pside: Pside, scores: Scores, coin: Mapping[str, str]) -> None:
        """`coin` maps symbols to names."""
        for metric, values in (("volume", scores.volumes), ("log range", scores.volatilities)):
            if not values:
                continue
            first = sorted(values, key=lambda symbol: -values[symbol])[:TOLD_COINS]
            at_ms, before = self._told.get((metric, pside), (0, []))
            now_ms = self._clock.now_ms()
            if first != before and now_ms - at_ms >= TOLD_EVERY_MS:
                self._told[metric, pside] = now_ms, first
                names = ", ".join(f"{coin.get(symbol, symbol)} {values[symbol]:.6g}" for symbol in first)
                logger.info("[ranking] %s by %s: %s", pside, metric, names)
