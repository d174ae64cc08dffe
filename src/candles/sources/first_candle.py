"""Asking an exchange for the first candle it ever had of a symbol (`candles.md` 13)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.clock import DAY_MS
from core.dates import date_to_ts

OLDEST_VALID_MS = date_to_ts("2010-01-01")
_MONTH_MS = 30 * DAY_MS

Rows = Sequence[Sequence[Any]]
Ask = Callable[[str, "int | None", int, dict[str, Any]], Awaitable[Rows]]
"""A page of rows by `(timeframe, since, limit, params)`."""

# Timeframe and since of the one query that answers; exchanges that serve a window from `since` need long candles.
_QUERIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "binance": ("1d", (1,)),
    "bybit": ("1d", (date_to_ts("2018"),)),
    "gateio": ("1d", (date_to_ts("2018"),)),
    "okx": ("1M", (date_to_ts("2018"),)),
    "hyperliquid": ("1w", (date_to_ts("2021"),)),
    "paradex": ("1h", ()),  # has no longer ones: since when a coin is there stays unknown
    "kucoin": ("1w", (date_to_ts("2018"), date_to_ts("2021-09"), date_to_ts("2025-05"))),
}
_OTHERS = ("1d", (date_to_ts("2018"), date_to_ts("2020")))


async def first_candle_ts(exchange: str, ask: Ask, page: int, now_ms: int) -> int | None:
    """The open time in ms of the first candle, as exact as the timeframe of the question; None if there is none."""
    if exchange == "bitget":
        return await _searched_backwards(ask, now_ms)
    timeframe, sinces = _QUERIES.get(exchange, _OTHERS)
    for since in sinces:
        first = _first(await ask(timeframe, since, page, {}))
        if first is not None:
            return first
    return None


def _first(rows: Rows) -> int | None:
    return min((int(row[0]) for row in rows if row and row[0] and row[0] > OLDEST_VALID_MS), default=None)


async def _searched_backwards(ask: Ask, now_ms: int) -> int | None:
    """Bitget serves what lies before `until`, and nothing if that is before the listing: bisect, then step back."""

    async def months(until: int) -> Rows:
        return await ask("1M", None, 200, {"limit": 200, "until": until})

    rows = await months(now_ms)
    first = _first(rows)
    if first is None:
        return None
    low, high = 0, max(now_ms, int(rows[-1][0]) + _MONTH_MS)
    while high - low > _MONTH_MS:
        middle = (low + high) // 2
        found = _first(await months(middle))
        if found is None:
            low = middle
        else:
            first = min(first, found)
            high = found if found < high else middle
    while (earlier := _first(await months(first - 1))) is not None and earlier < first:
        first = earlier
    return _first(await ask("1d", None, 200, {"limit": 200, "until": first + 32 * DAY_MS})) or first
