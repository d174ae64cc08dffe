"""The EMAs that a cycle needs, symbol by symbol (`live.md` 8); a symbol that lacks one is named with what it lacks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from config.settings import SideParams
from core.clock import MINUTE_MS
from core.errors import DataError
from core.terms import PSIDES, Mode, Pside

Values: TypeAlias = Mapping[tuple[str, float], float]

HOURLY_AGE_MS = 600_000


def age_in_minute(now_ms: int, most_ms: int = MINUTE_MS) -> int:
    """How old candles may be: half of what has passed of the minute, so that one that has just ended is not missed.

    That is never more than 30 s (`candles.md` 9), and at most `most_ms`. What is there already costs no request. A late
    candle is asked for again, each time after twice as long.
    """
    return max(1, min(most_ms, now_ms % MINUTE_MS // 2))


class EmaSource(Protocol):
    """What of the candle manager is used here."""

    async def get_deep_emas(
        self, symbol: str, spans: Mapping[str, Collection[float]], max_age_ms: int | None = None, timeframe: str = "1m"
    ) -> dict[tuple[str, float], float]: ...


@dataclass(frozen=True, slots=True)
class EmaNeed:
    """Spans by metric; hours for `hourly_log_ranges`, else minutes."""

    closes: frozenset[float] = frozenset()
    volumes: frozenset[float] = frozenset()
    log_ranges: frozenset[float] = frozenset()
    hourly_log_ranges: frozenset[float] = frozenset()


@dataclass(frozen=True, slots=True)
class SymbolEmas:
    """EMAs by span; `missing` says which one the symbol cannot trade without, and why there is none."""

    closes: Mapping[float, float]
    volumes: Mapping[float, float]
    log_ranges: Mapping[float, float]
    hourly_log_ranges: Mapping[float, float]
    missing: str = ""


NO_EMAS = SymbolEmas({}, {}, {}, {})


def ema_need(
    sides: Mapping[Pside, SideParams], modes: Mapping[Pside, Mode], held: Collection[Pside], filters: EmaNeed
) -> EmaNeed:
    """The spans of a symbol: those of the sides that may place orders by EMAs, and the coin filters of all symbols.

    `sides` are the symbol's parameters, `held` the sides with a position.
    """
    closes: set[float] = set()
    hours: set[float] = set()
    for pside in PSIDES:
        if modes[pside] == "panic" or (modes[pside] == "manual" and pside not in held):
            continue
        first, second = float(sides[pside]["ema_span_0"]), float(sides[pside]["ema_span_1"])
        closes |= {first, second, math.sqrt(first * second) if first > 0.0 < second else 0.0}
        hours.add(float(sides[pside]["entry_volatility_ema_span_hours"]))
    return EmaNeed(_usable(closes), filters.volumes, filters.log_ranges, _usable(hours))


def filter_need(sides: Iterable[SideParams]) -> EmaNeed:
    """The spans by which coins are ranked, of both sides."""
    params = list(sides)
    return EmaNeed(
        volumes=_usable(float(p["filter_volume_ema_span"]) for p in params),
        log_ranges=_usable(float(p["filter_volatility_ema_span"]) for p in params),
    )


def _usable(spans: Iterable[float]) -> frozenset[float]:
    return frozenset(span for span in spans if math.isfinite(span) and span > 0.0)


async def read_emas(source: EmaSource, needs: Mapping[str, EmaNeed], now_ms: int) -> dict[str, SymbolEmas]:
    """The EMAs of all symbols, read at the same time. One symbol's failure is its own (`live.md` 24, D5)."""
    found = await asyncio.gather(*(_of_symbol(source, symbol, need, now_ms) for symbol, need in needs.items()))
    return dict(zip(needs, found, strict=True))


async def _of_symbol(source: EmaSource, symbol: str, need: EmaNeed, now_ms: int) -> SymbolEmas:
    minutes = {"close": need.closes, "qv": need.volumes, "log_range": need.log_ranges}
    try:
        m1 = await source.get_deep_emas(symbol, minutes, age_in_minute(now_ms)) if any(minutes.values()) else {}
        hourly = {"log_range": need.hourly_log_ranges}
        h1 = await source.get_deep_emas(symbol, hourly, HOURLY_AGE_MS, "1h") if need.hourly_log_ranges else {}
    except DataError as exc:
        return SymbolEmas({}, {}, {}, {}, missing=f"no candles of {symbol}: {exc}")
    lacking = [f"{span:g} of 1m closes" for span in sorted(need.closes) if not math.isfinite(m1["close", span])]
    lacking += [
        f"{span:g} of 1h log ranges"
        for span in sorted(need.hourly_log_ranges)
        if not math.isfinite(h1["log_range", span])
    ]
    return SymbolEmas(
        closes=_finite(m1, "close"),
        volumes=_finite(m1, "qv"),
        log_ranges=_finite(m1, "log_range"),
        hourly_log_ranges=_finite(h1, "log_range"),
        missing=f"no EMA with span {lacking[0]} of {symbol}: there are no candles to make it from" if lacking else "",
    )


def _finite(values: Values, metric: str) -> dict[float, float]:
    return {span: value for (name, span), value in values.items() if name == metric and math.isfinite(value)}
