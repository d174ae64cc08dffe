"""Which days and months to ask an archive for (`candles.md` 12.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from candles.archives.formats import DAY_ROWS
from candles.disk.store import CandleStore
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS

DELAY_MS = 72 * HOUR_MS
MONTH_FILE_FROM_ROWS = 7 * DAY_ROWS
_MONDAY = np.datetime64("1970-01-05", "D")


@dataclass(frozen=True, slots=True)
class MonthPlan:
    """The days of a month (`YYYY-MM`) that the store does not hold whole, as their first minutes in ms."""

    month: str
    days: tuple[int, ...]
    missing_rows: int

    def as_one_file(self, now_ms: int) -> bool:
        """Whether the month's own file is out by now, and worth its size."""
        return self.missing_rows > MONTH_FILE_FROM_ROWS and now_ms >= monthly_file_due_ms(self.month)


def monthly_file_due_ms(month: str) -> int:
    """24 hours after the beginning of the first Monday after the month."""
    end = (np.datetime64(month, "M") + 1).astype("M8[D]")
    monday = end + (_MONDAY - end) % np.timedelta64(7, "D")
    return int(monday.astype("M8[ms]").astype(np.int64)) + DAY_MS


def plan_range(store: CandleStore, symbol: str, start_ts: int, end_ts: int) -> list[MonthPlan]:
    """Whole UTC days in `[start_ts, end_ts]` (ms, inclusive) that are over for 72 hours and not stored completely."""
    end_ts = min(end_ts, store.clock.now_ms() - DELAY_MS)
    first, stop = -(-start_ts // DAY_MS), (end_ts + MINUTE_MS) // DAY_MS
    return [plan for month, days in _months(first, stop) if (plan := _plan_month(store, symbol, month, days)).days]


def _months(first: int, stop: int) -> Iterator[tuple[str, range]]:
    """Days since 1970 from `first` up to `stop`, by month."""
    while first < stop:
        month = np.datetime64(first, "D").astype("M8[M]")
        end = min(int((month + 1).astype("M8[D]").astype(np.int64)), stop)
        yield str(month), range(first, end)
        first = end


def _plan_month(store: CandleStore, symbol: str, month: str, days: range) -> MonthPlan:
    ts = store.read(symbol, days.start * DAY_MS, days.stop * DAY_MS - MINUTE_MS)["ts"]
    rows = np.bincount(ts // DAY_MS - days.start, minlength=len(days))
    lacking = np.flatnonzero(rows < DAY_ROWS)
    missing = int((DAY_ROWS - rows[lacking]).sum())
    return MonthPlan(month, tuple((days.start + int(i)) * DAY_MS for i in lacking), missing)
