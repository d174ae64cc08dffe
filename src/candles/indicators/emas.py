"""EMAs over the newest candles, remembered while no candle they were made from has changed (`candles.md` 10)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from candles.fill import floor_minute
from candles.indicators.series import SERIES, Floats, ema_series, latest_ema, window_length
from core.clock import DAY_MS, Clock
from core.errors import DataError
from markets.candle import FILLED, Candles, timeframe_ms

SYNTHETIC_FOR_MS = 7 * DAY_MS

Load = Callable[[str, int, int, "int | None", str], Awaitable[Candles]]
"""Candles of `(symbol, start_ts, end_ts, max_age_ms, timeframe)`, minutes without one filled."""


class SyntheticMinutes:
    """Minutes that were served as zero candles because their candle was late; symbols whose EMAs are outdated by it."""

    def __init__(self) -> None:
        self._minutes: dict[str, set[int]] = {}
        self.outdated: set[str] = set()

    def note(self, symbol: str, served: Candles, now_ms: int) -> None:
        """Enter what was served."""
        minutes = self._minutes.setdefault(symbol, set())
        minutes -= {ts for ts in minutes if ts < now_ms - SYNTHETIC_FOR_MS}
        recent = served["ts"][served["src"] == FILLED]
        minutes.update(recent[recent >= now_ms - SYNTHETIC_FOR_MS].tolist())

    def arrived(self, symbol: str, stored: Candles) -> bool:
        """Whether a real candle has come for a minute that had been served without one; it is taken off the list."""
        minutes = self._minutes.get(symbol)
        arrived = minutes.intersection(stored["ts"].tolist()) if minutes else set()
        if not minutes or not arrived:
            return False
        minutes -= arrived
        self.outdated.add(symbol)
        return True

    def clear(self, symbol: str) -> None:
        self._minutes.pop(symbol, None)
        self.outdated.discard(symbol)


class Emas:
    """The newest EMA of a symbol's close, volume, quote volume (`qv`) or log range."""

    def __init__(
        self,
        load: Load,
        clock: Clock,
        synthetic: SyntheticMinutes,
        on_forget: Callable[[str], None] = lambda symbol: None,
    ) -> None:
        self._load, self._clock, self._synthetic, self._on_forget = load, clock, synthetic, on_forget
        self._known: dict[str, dict[tuple[str, float, int], tuple[float, int, int]]] = {}

    def forget(self, symbol: str) -> None:
        """Drop what was computed for a symbol."""
        self._known.pop(symbol, None)
        self._on_forget(symbol)

    def forget_outdated(self, symbol: str, stored: Candles) -> None:
        """Drop what was computed without candles that have come by now."""
        if self._synthetic.arrived(symbol, stored):
            self.forget(symbol)

    async def latest(
        self, symbol: str, spans: Mapping[str, float], max_age_ms: int | None, timeframe: str
    ) -> dict[str, float]:
        """`{metric: EMA}`, each over as many candles as its span rounded up, with one read; NaN without candles.

        Raises KeyError for an unknown metric, CandleFetchError.
        """
        if unknown := set(spans) - set(SERIES):
            raise KeyError(f"unknown metric {sorted(unknown)[0]!r}: known are {', '.join(SERIES)}")
        period, now = timeframe_ms(timeframe), self._clock.now_ms()
        end = floor_minute(now) // period * period - period
        known = self._known.setdefault(symbol, {})
        result, wanted = {}, {}
        for metric, span in spans.items():
            value, at_end, computed = known.get((metric, span, period), (math.nan, 0, 0))
            if max_age_ms and at_end == end and now - computed <= max_age_ms:
                result[metric] = value
            else:
                wanted[metric] = span
        if wanted:
            start = end - period * (max(map(window_length, wanted.values())) - 1)
            candles = await self._load(symbol, start, end, max_age_ms, timeframe)
            known = self._known.setdefault(symbol, {})  # a late candle may have made it forget
            for metric, span in wanted.items():
                tail = candles[candles["ts"] > end - period * window_length(span)]
                result[metric] = latest_ema(tail, metric, span)
                known[metric, span, period] = result[metric], end, now
            self._synthetic.outdated.discard(symbol)
        return {metric: result[metric] for metric in spans}

    async def series(
        self, symbol: str, metric: str, span: float, max_age_ms: int | None, timeframe: str
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """`(ts int64 [n], ema float64 [n])` over the same window."""
        period = timeframe_ms(timeframe)
        end = floor_minute(self._clock.now_ms()) // period * period - period
        start = end - period * (window_length(span) - 1)
        candles = await self._load(symbol, start, end, max_age_ms, timeframe)
        return np.array(candles["ts"]), ema_series(SERIES[metric](candles), span)

    async def bounds(
        self, symbol: str, span_0: float, span_1: float, max_age_ms: int | None, timeframe: str
    ) -> tuple[float, float]:
        """Lowest and highest of the close EMAs of both spans and of their geometric mean; NaN without any."""
        values = [
            (await self.latest(symbol, {"close": span}, max_age_ms, timeframe))["close"]
            for span in (span_0, span_1, (span_0 * span_1) ** 0.5)
        ]
        finite = [value for value in values if math.isfinite(value)]
        return (min(finite), max(finite)) if finite else (math.nan, math.nan)


async def zero_for_failures(
    symbols: Iterable[str], ask: Callable[[str], Awaitable[tuple[float, ...]]], width: int
) -> dict[str, tuple[float, ...]]:
    """Each symbol's answer; zeros where it is not finite or the exchange failed, which the fetch has logged."""
    answers = {}
    for symbol in symbols:
        try:
            values = await ask(symbol)
        except DataError:
            values = (math.nan,)
        answers[symbol] = values if all(math.isfinite(value) for value in values) else (0.0,) * width
    return answers
