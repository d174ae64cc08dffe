"""The store against a dict of minutes: whatever is done to it in whatever order, both hold the same (`candles.md` 17).

The clock moves over the ends of months, so rows go to day files, month files, and from one to the other.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from candles.disk.store import CandleStore, period_bounds
from candles.gaps import add_gap
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, IMPORT, REST, VALUE_FIELDS, Candles

SYMBOL, OTHER = "BTC/USDT:USDT", "ETH/USDT:USDT"
BASE = date_to_ts("2024-01-30")
NOW = date_to_ts("2024-02-03T22:00")  # January closes two hours later
SPAN = 34 * 1440  # minutes from BASE on, into March
CLOSES_AFTER_MS = 72 * HOUR_MS

# Around the ends of a day, of January and of February, or anywhere.
minutes = st.one_of(st.integers(1400, 1480), st.integers(2840, 2920), st.integers(44600, 44680), st.integers(0, SPAN))
lengths = st.one_of(st.integers(1, 30), st.sampled_from([200, 1440]))
sources = st.sampled_from([REST, ARCHIVE, ARCHIVE_FILL, IMPORT])


def rows_of(start: int, length: int, every: int, price: int, src: int) -> Candles:
    """Every n-th minute from one on."""
    out = np.empty(-(-length // every), CANDLE_DTYPE)
    out["ts"] = BASE + (start + every * np.arange(len(out))) * M
    for offset, name in enumerate(("l", "o", "c", "h", "bv")):
        out[name] = price + offset + np.arange(len(out)) / 8.0
    out["src"] = src
    return out


class CacheMachine(RuleBasedStateMachine):
    """`model` maps minutes to rows; `gaps` are the minutes of known gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(NOW)
        self.store = CandleStore(Path(self.folder.name), "x", self.clock)
        self.remembering = CandleStore(Path(self.folder.name), "x", self.clock, memory_rows=5000)
        self.model: dict[int, tuple[Any, ...]] = {}
        self.gaps: set[int] = set()
        self.window = (BASE, BASE + 1440 * M)

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- what is done

    @rule(
        start=minutes, length=lengths, every=st.sampled_from([1, 1, 1, 2, 7]), price=st.integers(10, 10**6),
        src=sources, remembering=st.booleans(),
    )  # fmt: skip
    def write(self, start: int, length: int, every: int, price: int, src: int, remembering: bool) -> None:
        self._write(rows_of(start, length, every, price, src), remembering)

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 10**4), price=st.integers(10, 10**6), src=sources, remembering=st.booleans())
    def write_over(self, number: int, price: int, src: int, remembering: bool) -> None:
        """Rows at and after one that is there."""
        there = sorted(self.model)[number % len(self.model)]
        self._write(rows_of((there - BASE) // M, 3, 1, price, src), remembering)

    def _write(self, rows: Candles, remembering: bool) -> None:
        result = (self.remembering if remembering else self.store).write(SYMBOL, rows)
        before = len(self.model)
        for row in rows.tolist():
            if row[-1] in (ARCHIVE, ARCHIVE_FILL):
                self.model.setdefault(row[0], row)
            else:
                self.model[row[0]] = row
        self.gaps -= set(rows["ts"].tolist())
        assert result.added == len(self.model) - before

    @rule(hours=st.sampled_from([1, 3, 30, 24 * 9, 24 * 31]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours * HOUR_MS)

    @rule(hours=st.sampled_from([0, 3, 24 * 29]))
    def compact(self, hours: int) -> None:
        self.clock.advance(hours * HOUR_MS)
        self.store.compact(SYMBOL)
        days = [path.stem for path in self.store.files(SYMBOL) if len(path.stem) == 10]
        assert not [day for day in days if self._closed(day)]

    @precondition(lambda self: self.model)
    @rule(percent=st.integers(0, 110))
    def prune(self, percent: int) -> None:
        """Whole files, the oldest first, none with imported rows."""
        limit = max(len(self.model) * percent // 100, 1)
        by_file = self._by_file()
        left = len(self.model)
        for name in sorted(by_file):
            if left > limit and not any(self.model[ts][-1] == IMPORT for ts in by_file[name]):
                left -= len(by_file[name])
                for ts in by_file[name]:
                    del self.model[ts]
        before = len(self.store.read(SYMBOL))
        assert before - self.store.prune(SYMBOL, limit) == len(self.model)

    @rule(start=minutes, length=st.integers(1, 2000))
    def gap(self, start: int, length: int) -> None:
        span = (BASE + start * M, BASE + (start + length - 1) * M)
        wanted = set(range(span[0], span[1] + M, M)) - set(self.model)
        for ts in sorted(wanted):
            if ts - M not in wanted:
                end = ts
                while end + M in wanted:
                    end += M
                self._add_gap((ts, end))
        self.gaps |= wanted

    def _add_gap(self, span: tuple[int, int]) -> None:
        self.store.update_meta(
            SYMBOL, lambda meta: meta.with_gaps(add_gap(meta.known_gaps, span, "fetch_failed", self.clock.now_ms()))
        )

    # --- what goes wrong

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 100), how=st.sampled_from(["truncated", "of another symbol", "no parquet"]))
    def damage(self, number: int, how: str) -> None:
        """A file that cannot be trusted counts as missing, with all its rows; the others are not concerned."""
        by_file = self._by_file()
        name = sorted(by_file)[number % len(by_file)]
        path = self.store.directory(SYMBOL) / name
        content = path.read_bytes()
        if how == "of another symbol":
            self.store.write(OTHER, rows_of(int((period_bounds(name) or (0, 0))[0] - BASE) // M, 5, 1, 10, REST))
            content = self.store.files(OTHER)[0].read_bytes()
            self.store.clear(OTHER)
        path.write_bytes({"truncated": content[:-300], "no parquet": b"hello"}.get(how, content))
        for ts in by_file[name]:
            del self.model[ts]

    @rule()
    def lose_meta(self) -> None:
        """Gaps are lost, candles are not."""
        path = self.store.directory(SYMBOL) / "meta.json"
        if path.exists():
            path.write_text("{")
            self.gaps = set()

    # --- what must hold

    @rule(start=minutes, length=lengths)
    def look_elsewhere(self, start: int, length: int) -> None:
        self.window = (BASE + start * M, BASE + (start + length - 1) * M)

    @invariant()
    def reads_equal_the_model(self) -> None:
        low, high = self.window
        whole = [self.model[ts] for ts in sorted(self.model)]
        inside = [row for row in whole if low <= row[0] <= high]
        for store in (self.store, self.remembering):
            assert store.read(SYMBOL).tolist() == whole
            assert store.read(SYMBOL, low, high).tolist() == inside
        columns = self.store.read_columns(SYMBOL, ("c", "src"), low, high)
        assert list(zip(*(columns[name].tolist() for name in ("ts", "c", "src")), strict=True)) == [
            (row[0], row[4], row[6]) for row in inside
        ]
        earlier = [ts for ts in self.model if ts < low]
        assert self.store.read_last_before(SYMBOL, low).tolist() == ([self.model[max(earlier)]] if earlier else [])
        assert len(self.store.read(SYMBOL)) == len(self.model)

    @invariant()
    def has_all_is_no_promise_too_much(self) -> None:
        low, high = self.window
        complete = all(ts in self.model for ts in range(low, high + M, M))
        if self.store.has_all(SYMBOL, low, high):
            assert complete
        files = [set(ts) for ts in self._by_file().values()]
        without_holes = all(len(ts) == (max(ts) - min(ts)) // M + 1 for ts in files)
        if complete and without_holes:
            assert self.store.has_all(SYMBOL, low, high)

    @invariant()
    def gaps_are_minutes_without_rows(self) -> None:
        known = self.store.read_meta(SYMBOL).known_gaps
        assert {ts for gap in known for ts in range(gap.start_ts, gap.end_ts + M, M)} == self.gaps

    @invariant()
    def rows_are_where_they_belong(self) -> None:
        """Days of a month that was open when they were written; no month file of one that is open."""
        for path in self.store.files(SYMBOL):
            start, end = period_bounds(path.name) or (0, 0)
            assert end - start == DAY_MS or self._closed(path.stem)
        left = list(self.store.directory(SYMBOL).glob(".*.tmp")) if self.store.directory(SYMBOL).exists() else []
        assert not left

    # --- parts

    def _closed(self, period: str) -> bool:
        _, end = period_bounds(f"{period[:7]}.parquet") or (0, 0)
        return end - M < self.clock.now_ms() - CLOSES_AFTER_MS

    def _by_file(self) -> dict[str, list[int]]:
        """The minutes of each file that has any."""
        found: dict[str, list[int]] = {}
        names = [path.name for path in self.store.files(SYMBOL)]
        for ts in self.model:
            name = next(n for n in names if (b := period_bounds(n)) and b[0] <= ts < b[1])
            found.setdefault(name, []).append(ts)
        return found


assert CANDLE_DTYPE.names == ("ts", *VALUE_FIELDS, "src")  # rows of the model are what `tolist` gives

TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
