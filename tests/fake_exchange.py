"""An exchange in memory that answers as an async CCXT client does, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.clock import MINUTE_MS as M
from markets.candle import CANDLE_DTYPE, REST, Candles


def candles(start: int, count: int, price: float = 100.0) -> Candles:
    """Ascending minutes with prices that rise by one."""
    out = np.empty(count, CANDLE_DTYPE)
    out["ts"] = start + M * np.arange(count)
    for name, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.0), ("bv", 0.0)):
        out[name] = price + offset + np.arange(count)
    out["src"] = REST
    return out


@dataclass
class FakeExchange:
    """`rows` by timeframe; `served` caps a page; `errors` are raised one after the other before answers come."""

    rows: dict[str, list[list[Any]]] = field(default_factory=dict)
    id: str = "fake"
    served: int = 1000
    errors: list[Exception] = field(default_factory=list)
    ticker: dict[str, float] = field(default_factory=dict)
    calls: list[tuple[str, str, int, int, dict[str, Any]]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    markets: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_response_headers: dict[str, str] = field(default_factory=dict)

    def hold(self, rows: Candles | Iterable[list[Any]], timeframe: str = "1m") -> None:
        """Add rows to what it has."""
        new = [list(row)[:6] for row in (rows.tolist() if isinstance(rows, np.ndarray) else rows)]
        merged = {row[0]: row for row in [*self.rows.get(timeframe, []), *new]}
        self.rows[timeframe] = [merged[ts] for ts in sorted(merged)]

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None, params: Any = None
    ) -> list[list[Any]]:
        self.calls.append((symbol, timeframe, since or 0, limit or 0, dict(params or {})))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if self.errors:
                raise self.errors.pop(0)
            until = (params or {}).get("until", 2**62)
            found = [row for row in self.rows.get(timeframe, []) if (since or 0) <= row[0] <= until]
            return found[: min(limit or self.served, self.served)]
        finally:
            self.in_flight -= 1

    async def fetch_ticker(self, symbol: str) -> dict[str, float]:
        self.calls.append((symbol, "ticker", 0, 0, {}))
        return self.ticker

    @property
    def sinces(self) -> list[int]:
        return [since for _, _, since, _, _ in self.calls]
