"""Rules of candles as loops and sets have them: gaps, resampling, a column of the cube (`candles.md` 6-8, 15.2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candles.disk.meta import SymbolMeta
from candles.gaps import KnownGap, add_gap, clear_gaps, dump_gaps, parse_gaps
from candles.resample import aggregate
from core.clock import MINUTE_MS as M
from markets.candle import CANDLE_DTYPE, REST, Candles
from simulation.loading import daily_volumes, place

Span = tuple[int, int]

spans = st.tuples(st.integers(0, 25), st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))
reasons = st.sampled_from(["auto_detected", "fetch_failed", "no_archive", "manual", "exchange_downtime"])
operations = st.one_of(
    st.tuples(st.just("add"), spans, reasons),
    st.tuples(st.just("rows"), st.sets(st.integers(0, 30), min_size=1, max_size=6), st.none()),
    st.tuples(st.just("clear"), spans, st.none()),
)


def runs(minutes: set[int]) -> list[Span]:
    """Maximal runs of a set of minutes."""
    starts = sorted(minute for minute in minutes if minute - 1 not in minutes)
    ends = sorted(minute for minute in minutes if minute + 1 not in minutes)
    return list(zip(starts, ends, strict=True))


@given(st.lists(operations, max_size=25))
def test_gaps_are_the_runs_of_a_set_of_minutes(steps: list[tuple[str, object, object]]) -> None:
    """What is added, arrives or is forgotten, in any order: gaps are sorted, apart, and hold the minutes of a set."""
    meta, model = SymbolMeta("x", "X", "1m"), set[int]()
    for now, (what, where, reason) in enumerate(steps):
        if what == "rows":
            assert isinstance(where, set)
            meta = meta.with_rows(np.array(sorted(where)) * M)
            model -= where
            assert meta.first_seen_ts is not None
        else:
            assert isinstance(where, tuple)
            low, high = where
            if what == "add":
                gaps = add_gap(meta.known_gaps, (low * M, high * M), reason, now)  # type: ignore[arg-type]
                meta = meta.with_gaps(gaps)
                model |= set(range(low, high + 1))
            else:
                meta = meta.with_gaps(clear_gaps(meta.known_gaps, (low * M, high * M)))
                gone = [run for run in runs(model) if run[0] <= high and run[1] >= low]
                model -= {minute for start, end in gone for minute in range(start, end + 1)}
        assert [(gap.start_ts // M, gap.end_ts // M) for gap in meta.known_gaps] == runs(model)
        assert all(1 <= gap.retry_count <= 3 for gap in meta.known_gaps)
        assert tuple(parse_gaps(dump_gaps(meta.known_gaps))) == meta.known_gaps


@given(st.lists(st.tuples(spans, reasons), min_size=1, max_size=12))
def test_attempts_at_a_gap_are_counted(steps: list[tuple[Span, str]]) -> None:
    """The first gap that a span touches counts one more attempt, three at most; a new one begins with one."""
    gaps: list[KnownGap] = []
    for now, ((low, high), reason) in enumerate(steps):
        touched = next(
            (i for i, g in enumerate(gaps) if g.start_ts // M <= high + 1 and g.end_ts // M >= low - 1), None
        )
        after = add_gap(gaps, (low * M, high * M), reason, now)  # type: ignore[arg-type]
        if touched is None:
            assert after == [*gaps, KnownGap(low * M, high * M, 1, reason, now, now)]
        else:
            old, new = gaps[touched], after[touched]
            assert (new.retry_count, new.added_at, new.last_attempt_at) == (
                min(old.retry_count + 1, 3),
                old.added_at,
                now,
            )
            assert new.reason == (old.reason if reason == "auto_detected" else reason)
            assert gaps[:touched] + gaps[touched + 1 :] == after[:touched] + after[touched + 1 :]
        gaps = after


def rows(minutes: list[int], values: list[int]) -> Candles:
    out = np.empty(len(minutes), CANDLE_DTYPE)
    out["ts"] = np.array(minutes, dtype=np.int64) * M
    out["o"], out["c"] = [value / 8 for value in values], [(value * 7 % 1000 + 1) / 8 for value in values]
    out["h"], out["l"] = np.maximum(out["o"], out["c"]) + 0.5, np.minimum(out["o"], out["c"]) / 2
    out["bv"] = [value % 97 for value in values]
    out["src"] = REST
    return out


some_rows = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 1000)), min_size=1, max_size=60, unique_by=lambda pair: pair[0]
).map(lambda pairs: rows(*(list(column) for column in zip(*sorted(pairs), strict=True))))


@given(some_rows, st.sampled_from([2, 5, 15, 60]))
def test_resampling_is_a_loop_over_buckets(candles: Candles, minutes: int) -> None:
    """Open first, high greatest, low least, close last, volume summed, for every bucket that has a row."""
    buckets: dict[int, list[np.void]] = {}
    for row in candles:
        buckets.setdefault(int(row["ts"]) // (minutes * M), []).append(row)
    assert [list(row)[:6] for row in aggregate(candles, minutes * M).tolist()] == [
        [
            bucket * minutes * M,
            inside[0]["o"],
            max(row["h"] for row in inside),
            min(row["l"] for row in inside),
            inside[-1]["c"],
            sum(row["bv"] for row in inside),
        ]
        for bucket, inside in buckets.items()
    ]


@given(some_rows, st.integers(0, 20), st.integers(0, 20))
def test_a_column_is_filled_minute_by_minute(candles: Candles, before: int, after: int) -> None:
    """Nothing before the first candle; then each minute's own candle, or the close before it without volume."""
    origin, end = int(candles["ts"][0]) - before * M, int(candles["ts"][-1]) + after * M
    by_ts = {int(row["ts"]): row for row in candles}
    expected = []
    for ts in range(origin, end + M, M):
        if row := by_ts.get(ts):
            expected.append([row["h"], row["l"], row["c"], row["bv"]])
        else:
            expected.append([expected[-1][2]] * 3 + [0.0] if ts > candles["ts"][0] else [np.nan] * 4)
    column = np.full((len(expected), 4), np.nan)
    filled = place({name: candles[name] for name in ("ts", "h", "l", "c", "bv")}, column, origin, end)
    assert np.array_equal(column, np.array(expected), equal_nan=True)
    assert filled == len(expected) - before - len(candles)


@given(
    st.lists(
        st.tuples(st.integers(0, 6 * 1440), st.integers(1, 1000)), min_size=1, max_size=40, unique_by=lambda p: p[0]
    ),
    st.integers(0, 7 * 1440),
    st.integers(0, 7 * 1440),
)
def test_daily_volumes_are_sums_by_day(pairs: list[tuple[int, int]], low: int, high: int) -> None:
    """Every day from that of the first candle in the window to that of its end, days without candles with 0."""
    candles = rows(*(list(column) for column in zip(*sorted(pairs), strict=True)))
    low, high = sorted((low, high))
    inside = [(int(row["ts"]) // M, float(row["bv"])) for row in candles if low <= int(row["ts"]) // M <= high]
    days = range(inside[0][0] // 1440, high // 1440 + 1) if inside else range(0)
    expected = {day: sum(volume for minute, volume in inside if minute // 1440 == day) for day in days}
    assert daily_volumes({"ts": candles["ts"], "bv": candles["bv"]}, low * M, high * M) == pytest.approx(expected)
