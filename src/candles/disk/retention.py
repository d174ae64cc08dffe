"""Keeping a live bot's candle store within its limit without looking into every file every time (`candles.md` 17.7)."""

from __future__ import annotations

import os

from candles.disk.store import CandleStore
from core.clock import HOUR_MS
from core.errors import LockTimeoutError

CHECK_EVERY_MS = HOUR_MS


class Retention:
    """At most `max_rows` rows of each symbol and timeframe; 0: no limit. Files with imported rows always stay."""

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self._checked: dict[tuple[str, str], tuple[int, frozenset[str]]] = {}

    def apply(self, store: CandleStore, symbol: str) -> int:
        """Remove the oldest files if there are too many rows; the rows removed.

        Rows are counted when a file has come or gone, and once an hour.
        """
        if self.max_rows <= 0:
            return 0
        key, now = (store.timeframe, symbol), store.clock.now_ms()
        checked_at, known = self._checked.get(key, (0, frozenset()))
        if now - checked_at < CHECK_EVERY_MS and _file_names(store, symbol) == known:
            return 0
        try:
            removed = store.prune(symbol, self.max_rows, timeout_s=0.0)
        except LockTimeoutError:  # somebody is at work on the symbol; there is no hurry
            return 0
        self._checked[key] = now, _file_names(store, symbol)
        return removed


def _file_names(store: CandleStore, symbol: str) -> frozenset[str]:
    try:
        with os.scandir(store.directory(symbol)) as entries:
            return frozenset(entry.name for entry in entries if entry.name.endswith(".parquet"))
    except FileNotFoundError:
        return frozenset()
