"""The manager's questions about EMAs, by metric (`candles.md` 4, 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from candles.indicators.deep_emas import DeepEmas, Spans
from candles.indicators.emas import Emas, SyntheticMinutes, zero_for_failures
from candles.indicators.series import Floats

Age = int | None  # how old an answer may be in ms; 0: ask anew; None: what is held will do
Series = tuple[npt.NDArray[np.int64], Floats]


class EmaQueries:
    """Newest EMAs over as many candles as the span rounded up, NaN without any; `timeframe` may be called `tf`.

    The span itself is never rounded. Raises CandleFetchError where the exchange could not be asked.
    """

    _emas: Emas
    _deep_emas: DeepEmas
    _synthetic: SyntheticMinutes

    async def get_latest_ema_metrics(
        self, symbol: str, spans: Mapping[str, float], max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> dict[str, float]:
        """`{metric: EMA}` of close, volume, qv, log_range by their spans, with one read. KeyError: unknown metric."""
        return await self._emas.latest(symbol, spans, max_age_ms, tf or timeframe)

    async def _latest(self, metric: str, symbol: str, span: float, max_age_ms: Age, timeframe: str) -> float:
        return (await self._emas.latest(symbol, {metric: span}, max_age_ms, timeframe))[metric]

    async def get_latest_ema_close(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> float:
        return await self._latest("close", symbol, span, max_age_ms, tf or timeframe)

    async def get_latest_ema_volume(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> float:
        """Of the base volume."""
        return await self._latest("volume", symbol, span, max_age_ms, tf or timeframe)

    async def get_latest_ema_quote_volume(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> float:
        return await self._latest("qv", symbol, span, max_age_ms, tf or timeframe)

    async def get_latest_ema_log_range(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> float:
        """Of ln(high / low)."""
        return await self._latest("log_range", symbol, span, max_age_ms, tf or timeframe)

    async def get_deep_emas(
        self, symbol: str, spans: Spans, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> dict[tuple[str, float], float]:
        """`{(metric, span): EMA}` over up to ten spans of what is stored: those to trade by (`DeepEmas`)."""
        return await self._deep_emas.latest(symbol, spans, max_age_ms, tf or timeframe)

    async def get_ema_bounds(
        self, symbol: str, span_0: float, span_1: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> tuple[float, float]:
        """Lowest and highest of the close EMAs of both spans and of their geometric mean."""
        return await self._emas.bounds(symbol, span_0, span_1, max_age_ms, tf or timeframe)

    async def get_ema_bounds_many(
        self,
        items: Iterable[tuple[str, float, float]],
        max_age_ms: Age = None,
        timeframe: str = "1m",
        tf: str = "",
    ) -> dict[str, tuple[float, float]]:
        """Bounds of `(symbol, span_0, span_1)`; (0, 0) where there are none or the exchange failed."""
        spans = {symbol: (span_0, span_1) for symbol, span_0, span_1 in items}
        answers = await zero_for_failures(
            spans, lambda symbol: self.get_ema_bounds(symbol, *spans[symbol], max_age_ms, tf or timeframe), 2
        )
        return {symbol: (low, high) for symbol, (low, high) in answers.items()}

    async def get_latest_ema_log_range_many(
        self, items: Iterable[tuple[str, float]], max_age_ms: Age = None, timeframe: str = "1h", tf: str = ""
    ) -> dict[str, float]:
        """EMAs of `(symbol, span)`; 0 where there is none or the exchange failed."""
        spans = dict(items)

        async def ask(symbol: str) -> tuple[float, ...]:
            return (await self._latest("log_range", symbol, spans[symbol], max_age_ms, tf or timeframe),)

        return {symbol: values[0] for symbol, values in (await zero_for_failures(spans, ask, 1)).items()}

    async def get_ema_close_series(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> Series:
        """`(ts int64 [n], ema float64 [n])`, the last one the newest."""
        return await self._emas.series(symbol, "close", span, max_age_ms, tf or timeframe)

    async def get_ema_volume_series(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> Series:
        return await self._emas.series(symbol, "volume", span, max_age_ms, tf or timeframe)

    async def get_ema_log_range_series(
        self, symbol: str, span: float, max_age_ms: Age = None, timeframe: str = "1m", tf: str = ""
    ) -> Series:
        return await self._emas.series(symbol, "log_range", span, max_age_ms, tf or timeframe)

    def needs_ema_recompute(self, symbol: str) -> bool:
        """Whether a candle has come late for a minute that EMAs of the symbol were made without."""
        return symbol in self._synthetic.outdated

    def clear_synthetic_tracking(self, symbol: str) -> None:
        """Forget which minutes of the symbol were served without a candle."""
        self._synthetic.clear(symbol)
