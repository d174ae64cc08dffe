"""Which EMAs a cycle needs, and what a symbol that lacks one is told to lack (`live.md` 8, D5)."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from core.errors import DataError
from live.planning.indicators import (
    NO_EMAS,
    EmaNeed,
    SymbolEmas,
    age_in_minute,
    ema_need,
    filter_need,
    read_emas,
)
from live_cases import MINUTE, NOW, FakeEmas

LONG = {"ema_span_0": 100.0, "ema_span_1": 400.5, "entry_volatility_ema_span_hours": 72.5}
SHORT = {"ema_span_0": 9.0, "ema_span_1": 4.0, "entry_volatility_ema_span_hours": 24.0}
LONG_SPANS, SHORT_SPANS = {100.0, 400.5, math.sqrt(100.0 * 400.5)}, {9.0, 4.0, 6.0}
FILTERS = EmaNeed(volumes=frozenset({10.5}), log_ranges=frozenset({20.5}))


def need(long: Any, short: Any, held: Any = (), **changes: float) -> EmaNeed:
    return ema_need({"long": LONG | changes, "short": SHORT}, {"long": long, "short": short}, held, FILTERS)


@pytest.mark.parametrize(
    ("long", "short", "held", "closes", "hours"),
    [
        ("normal", "normal", (), LONG_SPANS | SHORT_SPANS, {72.5, 24.0}),
        ("graceful_stop", "panic", ("short",), LONG_SPANS, {72.5}),
        ("panic", "tp_only", (), SHORT_SPANS, {24.0}),
        ("manual", "manual", (), set(), set()),
        ("manual", "manual", ("short",), SHORT_SPANS, {24.0}),
        ("tp_only", "manual", ("long",), LONG_SPANS, {72.5}),
    ],
)
def test_need(long: str, short: str, held: Any, closes: set[float], hours: set[float]) -> None:
    """Spans of the sides but those in panic, or in manual while flat; filters of every symbol. Nothing is rounded."""
    found = need(long, short, held)
    assert (found.closes, found.hourly_log_ranges) == (closes, hours)
    assert (found.volumes, found.log_ranges) == ({10.5}, {20.5})


@pytest.mark.parametrize(
    ("changes", "closes"),
    [
        ({"ema_span_0": 0.0}, {400.5}),
        ({"ema_span_1": -4.0}, {100.0}),
        ({"ema_span_0": -1.0, "ema_span_1": -4.0}, set()),
        ({"ema_span_1": math.inf}, {100.0}),
        ({"ema_span_0": 0.5}, {0.5, 400.5, math.sqrt(0.5 * 400.5)}),
        ({"ema_span_0": math.nan}, {400.5}),
    ],
)
def test_spans_that_are_none(changes: dict[str, float], closes: set[float]) -> None:
    """Spans that are not above 0, or no numbers, are left out."""
    assert need("normal", "panic", **changes).closes == closes
    assert need("normal", "panic", entry_volatility_ema_span_hours=0.0).hourly_log_ranges == set()


def test_filter_need() -> None:
    """The spans of both sides by which coins are ranked."""
    sides = [
        {"filter_volume_ema_span": 10.5, "filter_volatility_ema_span": 20.5},
        {"filter_volume_ema_span": 0.0, "filter_volatility_ema_span": 30.0},
    ]
    assert filter_need(iter(sides)) == EmaNeed(volumes=frozenset({10.5}), log_ranges=frozenset({20.5, 30.0}))


@pytest.mark.parametrize(("into_minute_ms", "age"), [(0, 1), (1, 1), (3, 1), (4, 2), (5_000, 2_500), (59_999, 29_999)])
def test_age_in_a_young_minute(into_minute_ms: int, age: int) -> None:
    """Half of what has passed of the minute, at least 1 ms, at most what is asked for: a late candle comes soon."""
    assert age_in_minute(MINUTE + into_minute_ms) == age
    assert age_in_minute(MINUTE + into_minute_ms, 1_000) == min(age, 1_000)


ALL = EmaNeed(frozenset({2.0, 3.5}), frozenset({10.5}), frozenset({20.5}), frozenset({72.5}))


def read(values: Any, given: EmaNeed = ALL, now_ms: int = NOW) -> tuple[SymbolEmas, FakeEmas]:
    source = FakeEmas(values)
    return asyncio.run(read_emas(source, {"A": given}, now_ms))["A"], source


def test_reading() -> None:
    """One question about minutes, one about hours, each by its span."""
    found, source = read(
        {"close": {"A": {2.0: 1.5}}, "qv": {"A": 7.0}, "log_range": {"A": 0.5}}, now_ms=MINUTE + 59_999
    )
    assert found == SymbolEmas({2.0: 1.5, 3.5: 100.0}, {10.5: 7.0}, {20.5: 0.5}, {72.5: 0.5})
    assert source.asked == [
        ("A", "1m", {"close": [2.0, 3.5], "qv": [10.5], "log_range": [20.5]}, 29_999),
        ("A", "1h", {"log_range": [72.5]}, 600_000),
    ]


def test_nothing_is_asked_without_need() -> None:
    """No spans, no question."""
    assert read({}, EmaNeed()) == (NO_EMAS, FakeEmas({}))
    assert [asked[1] for asked in read({}, EmaNeed(hourly_log_ranges=frozenset({1.0})))[1].asked] == ["1h"]
    assert [asked[2] for asked in read({}, FILTERS)[1].asked] == [{"close": [], "qv": [10.5], "log_range": [20.5]}]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"close": {"A": {3.5: math.nan}}}, "no EMA with span 3.5 of 1m closes of A: there are no candles to make it"),
        ({"close": {"A": math.inf}}, "no EMA with span 2 of 1m closes of A"),
        ({"close": {"A": DataError("timed out")}}, "no candles of A: timed out"),
        ({"qv": {"A": DataError("timed out")}}, "no candles of A: timed out"),
    ],
)
def test_what_is_missing(values: Any, missing: str) -> None:
    """A close that has no EMA is named with symbol, span and timeframe; a failure is the symbol's own."""
    found, _ = read(values)
    assert found.missing.startswith(missing)


def test_missing_hours() -> None:
    """They are needed too; minutes of volume and range are not: they are left out."""
    nan = math.nan
    found, _ = read({"log_range": {"A": {72.5: nan, 20.5: nan}}, "qv": {"A": nan}})
    assert found.missing.startswith("no EMA with span 72.5 of 1h log ranges of A")
    assert (found.volumes, found.log_ranges, found.hourly_log_ranges) == ({}, {}, {})
    assert found.closes == {2.0: 100.0, 3.5: 100.0}
    found, _ = read({"log_range": {"A": {72.5: 1.0, 20.5: nan}}, "qv": {"A": nan}})
    assert (found.missing, found.hourly_log_ranges) == ("", {72.5: 1.0})


def test_one_failure_is_not_that_of_others() -> None:
    """The other symbols have their EMAs."""
    source = FakeEmas({"close": {"A": DataError("no")}})
    found = asyncio.run(read_emas(source, {"A": ALL, "B": EmaNeed(frozenset({2.0}))}, NOW))
    assert (found["A"].closes, found["B"]) == ({}, SymbolEmas({2.0: 100.0}, {}, {}, {}))
