"""What is kept from a search (`additions.md` 6): parsing, cutting windows, ranks, degradation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.holdout import consecutive, left_over, overlap, parse_holdout, window_label
from config.scenarios import Window
from core.clock import DAY_MS, MINUTE_MS
from core.errors import ConfigError
from optimization.holdout import Judged, median_degradation, member_block, rank_correlation, ranks
from optimization.scoring import Objective, Scored, Scoring

BASE = Window("2025-01-01", "2025-04-11")  # a hundred days
SCORING = Scoring(
    (Objective("adg_usd", "adg_usd", -1.0), Objective("drawdown_worst_usd", "drawdown_worst_usd", 1.0)), (), None
)


def labels(windows: tuple[Window, ...]) -> list[str]:
    return [window_label(window) for window in windows]


def test_fraction_is_the_last_part() -> None:
    """The search ends a minute before."""
    holdout = parse_holdout({"fraction": 0.2})
    assert holdout is not None
    held = holdout.held_out(BASE)
    assert labels(held) == ["2025-03-22..2025-04-11"]
    assert labels(left_over(BASE, held)) == ["2025-01-01..2025-03-21T23:59:00"]


def test_windows_cut_the_range_in_pieces() -> None:
    """In the middle two parts are left; outside nothing changes; without any the window itself."""
    holdout = parse_holdout('{"windows": [["2025-05-01", "2025-06-01"], ["2025-02-01", "2025-03-01"]]}')
    assert holdout is not None
    held = holdout.held_out(BASE)
    assert labels(held) == ["2025-02-01..2025-03-01", "2025-05-01..2025-06-01"]
    assert labels(left_over(BASE, held)) == [
        "2025-01-01..2025-01-31T23:59:00", "2025-03-01T00:01:00..2025-04-11",
    ]  # fmt: skip
    assert left_over(BASE, held[1:]) == (BASE,)
    assert left_over(BASE, [BASE]) == ()
    assert overlap(BASE, held[1]) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-50, 200), st.integers(1, 60)), max_size=4))
def test_nothing_is_seen_twice(ranges: list[tuple[int, int]]) -> None:
    """No minute is in the search and held out; none of the base is lost but at most the edges."""

    def window(start_day: int, days: int) -> Window:
        from core.dates import ts_to_date

        start = BASE.start_ms + start_day * DAY_MS
        return Window(ts_to_date(start), ts_to_date(start + days * DAY_MS))

    held = [window(*pair) for pair in ranges]
    parts = left_over(BASE, held)
    for part in parts:
        assert BASE.start_ms <= part.start_ms < part.end_ms <= BASE.end_ms
        assert all(overlap(part, other) is None for other in held)
    minutes = sum((part.end_ms - part.start_ms) // MINUTE_MS + 1 for part in parts)
    taken = {
        m for h in held for m in range(max(h.start_ms, BASE.start_ms), min(h.end_ms, BASE.end_ms) + 1, MINUTE_MS * 60)
    }
    assert minutes <= (BASE.end_ms - BASE.start_ms) // MINUTE_MS + 1 - len(taken)


def test_walk_forward_windows() -> None:
    """Consecutive, none overlapping, the whole range."""
    found = consecutive(BASE, 4)
    assert labels(found) == [
        "2025-01-01..2025-01-26", "2025-01-26T00:01:00..2025-02-20", "2025-02-20T00:01:00..2025-03-17",
        "2025-03-17T00:01:00..2025-04-11",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"fraction": 1.2}, "fraction"), ({"fraction": True}, "fraction"), ({"share": 0.2}, "one of fraction"),
        ({"fraction": 0.2, "windows": []}, "one of"), ({"windows": []}, "windows"),
        ({"windows": [["2025-01-01"]]}, "pair"), ("{", "no JSON"),
        ({"windows": [["2025-02-01", "2025-01-01"]]}, "not after"), ({"scenarios": "base"}, "scenarios"),
    ],
)  # fmt: skip
def test_mistakes(value: Any, message: str) -> None:
    """Each names its key."""
    with pytest.raises(ConfigError, match=message) as error:
        parse_holdout(value)
    assert "optimize.holdout" in str(error.value)


def test_nothing() -> None:
    """Null and an empty mapping keep nothing."""
    assert parse_holdout(None) is None
    assert parse_holdout({}) is None


def test_ranks() -> None:
    """Less violation first, then nearer to the ideal; what has no value comes last."""
    values = [
        {"adg_usd": 0.001, "drawdown_worst_usd": 0.5}, {"adg_usd": 0.003, "drawdown_worst_usd": 0.5},
        {"adg_usd": None, "drawdown_worst_usd": 0.1}, {"adg_usd": 0.9, "drawdown_worst_usd": 0.0},
    ]  # fmt: skip
    assert ranks(values, [0.0, 0.0, 0.0, 5.0], SCORING) == [2, 1, 3, 4]
    assert rank_correlation([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1], [1]) is None


def test_degradation_and_block() -> None:
    """Ratios of the metrics as they are, null at 0; a label that failed says so and counts as worst."""
    stats = {"adg_usd": {"mean": 0.001}}
    block = {"metrics": {"stats": stats, "objectives": {"w_0": -0.001}, "constraint_violation": 0.0}}
    result = Scored((-0.001, 0.4), 0.0, block)
    inside = {"adg_usd": 0.002, "drawdown_worst_usd": 0.0}
    judged = Judged("x", {"a": result}, {"adg_usd": 0.001, "drawdown_worst_usd": 0.4}, inside)
    assert judged.degradation() == {"adg_usd": 0.5, "drawdown_worst_usd": None}
    assert judged.violation == 0.0
    assert Judged("y", {"a": None}, inside, inside).violation == float("inf")
    block = member_block(judged, 3, 1)
    assert block["windows"]["a"]["objectives"] == {"w_0": -0.001}
    assert (block["rank_in"], block["rank_out"], block["degradation"]["adg_usd"]) == (3, 1, 0.5)
    assert median_degradation([judged])["adg_usd"] == 0.5
