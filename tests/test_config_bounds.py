"""Search bounds and fine tuning (`config_cli_suite.md` 7.1, 8.5; `optimizer_pareto_tools.md` 2.2, 2.5, 2.6)."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.bounds import Bound, fine_tune, parse_bound, search_bounds
from config.load import load_config
from config.schema import defaults
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError

CLOCK = ManualClock(date_to_ts("2026-11-21"))
PATH = "optimize.bounds.long_ema_span_0"


@pytest.mark.parametrize(
    ("value", "bound", "warned"),
    [
        (5, Bound(5, 5), False),
        ([5], Bound(5, 5), False),
        ([3, 1], Bound(1, 3), False),
        ([7, 20, 1], Bound(7, 20, 1), False),
        ([20, 7, 1], Bound(7, 20, 1), False),
        ([5, 5, 1], Bound(5, 5, 1), False),
        ([1, 3, 2], Bound(1, 3, 2), False),
        ([1, 3, None], Bound(1, 3), True),
        ([1, 3, "x"], Bound(1, 3), True),
        ([1, 3, True], Bound(1, 3), True),
        ([1, 3, 0], Bound(1, 3), True),
        ([1, 3, -1], Bound(1, 3), True),
        ([1, 3, 2.5], Bound(1, 3), True),
        ([3, 1, 9, 9], Bound(1, 3), True),
    ],
)
def test_one_bound(caplog: pytest.LogCaptureFixture, value: Any, bound: Bound, warned: bool) -> None:
    """The table of the optimizer's 2.2; what is no step is left out, with a warning that names the key."""
    with caplog.at_level(logging.WARNING):
        assert parse_bound(PATH, value) == bound
    assert (PATH in caplog.text) is warned


@pytest.mark.parametrize("value", [[], "x", {}, None, ["a", 1], True, [float("inf"), 1]])
def test_malformed_bounds(value: Any) -> None:
    """An error that names the key and the value."""
    with pytest.raises(ConfigError, match=rf"malformed bound {PATH}: "):
        parse_bound(PATH, value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_ends_are_sorted_and_steps_fit(value: list[float]) -> None:
    """Whatever the numbers: low <= high, and a step is above 0 and within the range."""
    bound = parse_bound(PATH, value)
    assert bound.low <= bound.high
    assert bound.step is None or (bound.step > 0 and (bound.low == bound.high or bound.step <= bound.high - bound.low))


def test_all_bounds() -> None:
    """74 of them, long side first, names ascending; the template's short side is off, so it is fixed at its low."""
    bounds = search_bounds(load_config(clock=CLOCK))
    names = list(bounds)
    assert len(names) == 74
    assert names[:37] == sorted(names[:37])
    assert names[37:] == sorted(names[37:])
    assert bounds["long_ema_span_0"] == Bound(200, 1440, 10)
    assert bounds["short_ema_span_0"] == Bound(200, 200, 10)
    assert all(bounds[name].low == bounds[name].high for name in names[37:])


@pytest.mark.parametrize(("name", "high"), [("n_positions", 0), ("total_wallet_exposure_limit", 0), ("n_positions", 1)])
def test_side_without_positions_or_exposure_is_fixed(name: str, high: float) -> None:
    """One upper end at or below 0 is enough to switch the side's search off."""
    config = defaults()
    config["optimize"]["bounds"][f"long_{name}"] = [-1, high]
    bound = search_bounds(config)["long_ema_span_1"]
    assert bound == (Bound(200, 1440) if high else Bound(200, 200))


def test_missing_bound() -> None:
    """Every parameter needs one."""
    config = defaults()
    del config["optimize"]["bounds"]["short_unstuck_ema_dist"]
    with pytest.raises(ConfigError, match="short_unstuck_ema_dist"):
        search_bounds(config)


def test_fine_tuning(caplog: pytest.LogCaptureFixture) -> None:
    """The example of the optimizer's 2.6: named bounds stay, all others are fixed at the value in `bot`."""
    config = {
        "bot": {"long": {"n_positions": 7, "ema_span_0": 580}, "short": {"n_positions": 3}},
        "optimize": {
            "bounds": {
                "long_n_positions": [7, 20, 1], "short_n_positions": [5, 5], "long_ema_span_0": [200, 1440, 10],
                "long_gone": [1, 2],
            }
        },
    }  # fmt: skip
    with caplog.at_level(logging.WARNING):
        tuned = fine_tune(config, ["long_n_positions", "long_n_positons"])["optimize"]["bounds"]
    assert tuned == {
        "long_n_positions": [7, 20, 1], "short_n_positions": [3.0, 3.0], "long_ema_span_0": [580.0, 580.0],
        "long_gone": [1, 2],
    }  # fmt: skip
    assert "long_n_positons (did you mean long_n_positions?)" in caplog.text
    assert "optimize.bounds.long_gone stays as it is" in caplog.text
    assert fine_tune(config, []) == config
