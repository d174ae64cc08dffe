"""The sample market as a source of candles (`candles.md` 20.6)."""

from __future__ import annotations

from markets import sample
from markets.candle import Candles


class SampleSource:
    """Computes candles; `seed` 0 is the exchange `sample`."""

    id = sample.EXCHANGE

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.version = f"{sample.EXCHANGE} {sample.VERSION} seed {seed}"

    def first_ts(self, symbol: str) -> int | None:
        return sample.instrument(symbol).launch_ms

    def fetch(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        return sample.candles(symbol, start_ts, end_ts, self.seed)
