"""Rules of the fill history under any order of arrival (`live.md` 17.3)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from live.fills.book import FillBook
from live.fills.coalesce import coalesce
from live.fills.gaps import FillGap, add_gap, clear_range
from live.fills.record import FillEvent, dump_fill, in_time_order, parse_fill
from test_fill_records import T, fill

trades = st.builds(
    lambda ts, name, side, pside, qty, price, pnl: fill(
        timestamp=T + ts, id=name, side=side, position_side=pside, qty=qty, price=price, pnl=pnl
    ),
    st.integers(0, 5),
    st.uuids().map(str),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["long", "short"]),
    st.integers(1, 50).map(lambda n: n / 8),
    st.integers(1, 1000).map(float),
    st.integers(-50, 50).map(float),
)
histories = st.lists(trades, max_size=20, unique_by=lambda event: event.id)


def book_of(events: list[FillEvent]) -> FillBook:
    book = FillBook(lambda symbol: 1.0)
    book.add(events)
    book.annotate()
    return book


@given(histories, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(events: list[FillEvent], random: st.random) -> None:  # type: ignore[name-defined]
    """Any order, in any batches, twice or once: the same history with the same positions."""
    shuffled = [*events, *events]
    random.shuffle(shuffled)
    book = book_of([])
    for event in shuffled:
        book.add([event])
        book.annotate()
    assert book.events == book_of(events).events
    assert [e.id for e in book.events] == [e.id for e in sorted(events, key=in_time_order)]
    assert all(event.psize >= 0.0 and (event.pprice > 0.0) == (event.psize > 0.0) for event in book.events)


@given(histories)
def test_coalescing_keeps_the_sums(events: list[FillEvent]) -> None:
    """No trade is lost or counted twice; quantity, value and pnl stay what they were; twice is as once."""
    joined = coalesce(events)
    assert sorted(part for event in joined for part in event.parts) == sorted(p for e in events for p in e.parts)
    assert sum(e.qty for e in joined) == sum(e.qty for e in events)
    assert abs(sum(e.qty * e.price for e in joined) - sum(e.qty * e.price for e in events)) < 1e-6
    assert sum(e.pnl for e in joined) == sum(e.pnl for e in events)
    assert coalesce(joined) == joined


@given(histories)
def test_parts_before_the_whole(events: list[FillEvent]) -> None:
    """Whether parts or the coalesced event came first, the book ends with the whole."""
    joined = coalesce(events)
    assert book_of([*events, *joined]).events == book_of([*joined, *events]).events == book_of(joined).events


@given(trades)
def test_records_survive_storing(event: FillEvent) -> None:
    """What is stored reads as it was."""
    assert parse_fill(dump_fill(event)) == replace(event)


spans = st.tuples(st.integers(0, 40), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.tuples(st.booleans(), spans), max_size=20))
def test_gaps_stay_sorted_and_apart(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    """Adding covers the span, clearing frees it; gaps never overlap."""
    gaps: tuple[FillGap, ...] = ()
    for adds, (low, high) in steps:
        gaps = add_gap(gaps, (low, high), "no_fills", 0) if adds else clear_range(gaps, low, high)
        ends = [(gap.start_ts, gap.end_ts) for gap in gaps]
        assert all(a[1] <= b[0] for a, b in pairwise(ends))
        assert any(a <= low and high <= b for a, b in ends) == adds or not adds
        assert adds or not any(a < high and low < b for a, b in ends)
