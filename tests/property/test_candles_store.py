"""Random candles in random chunks and orders: the store holds their union, newest rows winning (`candles.md` 2, 17)."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from candles.disk.store import CandleStore
from candles.fill import missing_spans, standardize_gaps
from candles.gaps import KnownGap, without_rows
from candles.resample import aggregate
from core.clock import DAY_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from markets.candle import CANDLE_DTYPE, FILLED, REST, Candles

SYMBOL = "BTC/USDT:USDT"
BASE = date_to_ts("2024-01-31")
NOW = date_to_ts("2024-03-04T06:00")  # January is closed, February only just, March is open

# Minutes around the ends of a closed month, of days, and of the month that closes; values to tell rows apart.
minutes = st.one_of(st.integers(1420, 1460), st.integers(43190, 43210), st.integers(0, 46000))
chunks = st.lists(st.tuples(minutes, st.integers(1, 10**9)), min_size=1, max_size=40)


def rows(chunk: list[tuple[int, int]]) -> Candles:
    out = np.empty(len(chunk), CANDLE_DTYPE)
    out["ts"] = [BASE + minute * M for minute, _ in chunk]
    for i, name in enumerate(("o", "h", "l", "c", "bv")):
        out[name] = [value / 1000 + i for _, value in chunk]
    out["l"], out["h"] = out["o"] - 1e-4, out["c"] + 1.0
    out["src"] = REST
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(chunks, st.integers(0, 30), st.booleans()), min_size=1, max_size=6))
def test_union_with_newest_winning(steps: list[tuple[list[tuple[int, int]], int, bool]]) -> None:
    """Whatever the chunks, their order, the day they are stored on and compactions between: a dict does the same."""
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock(NOW)
        store = CandleStore(Path(folder), "x", clock)
        model: dict[int, int] = {}
        for chunk, days, compact in steps:
            clock.advance(days * DAY_MS)
            store.write(SYMBOL, rows(chunk))
            model |= dict(chunk)
            if compact:
                store.compact(SYMBOL)
            wanted = rows(sorted(model.items()))
            assert np.array_equal(store.read(SYMBOL), wanted)
        low, high = sorted((BASE + steps[0][0][0][0] * M, BASE + 1440 * M))
        inside = wanted[(wanted["ts"] >= low) & (wanted["ts"] <= high)]
        assert np.array_equal(store.read(SYMBOL, low, high), inside)
        before = wanted[wanted["ts"] < low][-1:]
        assert np.array_equal(store.read_last_before(SYMBOL, low), before)
        meta = store.read_meta(SYMBOL)
        assert (meta.first_seen_ts, meta.last_final_ts) == (wanted["ts"][0], wanted["ts"][-1])


def slow_fill(candles: Candles, start: int, end: int, leading: bool) -> list[tuple[float, ...]]:
    """The definition of `candles.md` 7, minute by minute."""
    by_ts = {int(row["ts"]): row for row in candles}
    first = min(by_ts)
    start = start if leading or first <= start else first
    earlier = [ts for ts in by_ts if ts <= start]
    close = by_ts[max(earlier)]["c"] if earlier else by_ts[first]["c"] if leading else None
    out = []
    for ts in range(start, end + M, M):
        if ts in by_ts:
            out.append(tuple(by_ts[ts].tolist()))
            close = by_ts[ts]["c"]
        elif close is not None:
            out.append((ts, close, close, close, close, 0.0, FILLED))
    return out


small = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 1000)), min_size=1, max_size=25, unique_by=lambda row: row[0]
)


@given(small, st.integers(-10, 70), st.integers(-10, 70), st.booleans())
def test_gap_filling_equals_its_definition(chunk: list[tuple[int, int]], low: int, high: int, leading: bool) -> None:
    """The vector form and the loop over minutes agree, whatever the window."""
    candles = rows(sorted(chunk))
    start, end = BASE + low * M, BASE + high * M
    filled = standardize_gaps(candles, start_ts=start, end_ts=end, fill_leading_gaps=leading, assume_sorted=True)
    assert [tuple(row.tolist()) for row in filled] == slow_fill(candles, start, end, leading)
    shuffled = candles[::-1]
    again = standardize_gaps(shuffled, start_ts=start, end_ts=end, fill_leading_gaps=leading)
    assert np.array_equal(again, filled)


@given(small, st.integers(-10, 70), st.integers(-10, 70))
def test_missing_spans_are_the_absent_minutes(chunk: list[tuple[int, int]], low: int, high: int) -> None:
    """Spans are ascending, do not touch, and hold exactly the minutes without a row; so do gaps after rows came."""
    ts = rows(sorted(chunk))["ts"]
    spans = missing_spans(ts, BASE + low * M, BASE + high * M)
    listed = [minute for start, end in spans for minute in range(start, end + M, M)]
    assert listed == [
        minute for minute in range(BASE + low * M, BASE + high * M + M, M) if minute not in set(ts.tolist())
    ]
    assert all(later[0] > earlier[1] + M for earlier, later in pairwise(spans))
    if low <= high:
        gap = KnownGap(BASE + low * M, BASE + high * M, 3, "manual", 0)
        assert [(rest.start_ts, rest.end_ts) for rest in without_rows([gap], ts)] == spans


@given(small, st.sampled_from([2, 5, 15]))
def test_aggregation_keeps_extremes_and_volume(chunk: list[tuple[int, int]], minutes_each: int) -> None:
    """Sums lose no volume and no extreme, and start where their period starts."""
    candles = rows(sorted(chunk))
    sums = aggregate(candles, minutes_each * M)
    assert (sums["ts"] % (minutes_each * M) == 0).all()
    assert np.isclose(sums["bv"].sum(), candles["bv"].sum())
    assert (sums["h"].max(), sums["l"].min()) == (candles["h"].max(), candles["l"].min())
    assert (sums["o"][0], sums["c"][-1]) == (candles["o"][0], candles["c"][-1])
