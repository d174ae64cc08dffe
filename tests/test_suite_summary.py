"""Statistics over datasets and scenarios, and the summary file (`config_cli_suite.md` 15.5, 15.6, 23)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.aggregate import MODES, aggregate_mode, check_aggregate
from core.errors import ConfigError
from simulation.suite_summary import (
    ScenarioRun,
    aggregated_value,
    build_scenario_metrics,
    flatten_metric_stats,
    merge_suite_payload,
    metric_stats,
    suite_metrics,
    suite_summary,
)

anything = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-9, 9), st.text(max_size=3))


@pytest.mark.parametrize(
    ("values", "stats"),
    [
        ([1.0, 3.0], {"mean": 2.0, "min": 1.0, "max": 3.0, "std": 1.0}),
        ([None, 5], {"mean": 5.0, "min": 5.0, "max": 5.0, "std": 0.0}),
        ([math.nan, math.inf], {}),
        ([], {}),
        ([True, False], {"mean": 0.5, "min": 0.0, "max": 1.0, "std": 0.5}),
        ([1, 2, 6], {"mean": 3.0, "min": 1.0, "max": 6.0, "std": 2.160246899469287}),
        ([0.2, 0.5, 0.3], {"mean": 0.3333333333333333, "min": 0.2, "max": 0.5, "std": 0.12472191289246472}),
    ],
)
def test_statistics(values: list[Any], stats: dict[str, float]) -> None:
    """Finite values only, population deviation; without any there are no statistics, and no zeros."""
    assert metric_stats(values) == stats


@given(st.lists(anything, max_size=6))
def test_statistics_are_ordered(values: list[Any]) -> None:
    """Whatever the values: min <= mean <= max, nothing infinite."""
    stats = metric_stats(
        [value for value in values if not isinstance(value, float) or abs(value) < 1e9 or value != value]
    )
    if stats:
        assert stats["min"] <= stats["mean"] + 1e-6
        assert stats["mean"] <= stats["max"] + 1e-6
        assert 0 <= stats["std"] <= stats["max"] - stats["min"] + 1e-6


@pytest.mark.parametrize(
    ("metric", "aggregate", "mode"),
    [
        ("mdg_usd", {"mdg": "max"}, "max"),
        ("mdg_usd", {"mdg": "max", "mdg_usd": "MIN"}, "min"),
        ("mdg_w_usd", {"mdg": "max", "default": "median"}, "median"),
        ("gain", {"default": " Std "}, "std"),
        ("gain", {}, "mean"),
    ],
)
def test_lookup_of_the_mode(metric: str, aggregate: dict[str, str], mode: str) -> None:
    """The full name, else without the last part, else default, else mean; case does not matter."""
    assert aggregate_mode(metric, aggregate) == mode


@pytest.mark.parametrize("mode", ["average", "", None, 3, ["mean"]])
def test_unknown_modes(mode: Any) -> None:
    """An error that names the entry, its value and the modes."""
    for check in (lambda: aggregate_mode("mdg_usd", {"mdg": mode}), lambda: check_aggregate({"mdg": mode})):
        with pytest.raises(
            ConfigError, match=r"backtest\.suite\.aggregate\.mdg is .*: use mean, min, max, std, median"
        ):
            check()


@pytest.mark.parametrize(
    ("mode", "value"), [("mean", 14 / 3), ("min", 1), ("max", 9), ("std", 3.299831645537222), ("median", 4)]
)
def test_modes(mode: str, value: float) -> None:
    """Means 1, 4, 9 over three scenarios."""
    assert aggregated_value("mdg_usd", [1, 4, 9], {"mdg": mode}) == pytest.approx(value, rel=1e-15)
    assert aggregated_value("mdg_usd", [math.nan], {"mdg": mode}) is None
    assert mode in MODES


def test_metrics_of_a_suite() -> None:
    """Over the datasets of a scenario first, then over the scenarios' means; metrics sorted by name."""
    first = {"mdg_usd": 1.0, "gain_usd": 1.0, "odd": None, "data_note": "synthetic"}
    scenarios = {
        "full": {"binance": first, "bybit": {"mdg_usd": 3.0, "gain_usd": 3.0}},
        "majors": {"binance": {"mdg_usd": 8.0, "gain_usd": math.nan, "only_here": 5}},
    }
    result = suite_metrics(scenarios, {"mdg": "max", "default": "mean"})
    assert list(result) == ["metrics", "scenario_labels"]
    assert result["scenario_labels"] == ["full", "majors"]
    assert list(result["metrics"]) == ["gain_usd", "mdg_usd", "odd", "only_here"]
    assert result["metrics"]["mdg_usd"] == {
        "stats": {"mean": 5.0, "min": 2.0, "max": 8.0, "std": 3.0},
        "aggregated": 8.0,
        "scenarios": {"full": 2.0, "majors": 8.0},
    }
    assert result["metrics"]["gain_usd"]["scenarios"] == {"full": 2.0}
    assert result["metrics"]["only_here"]["scenarios"] == {"majors": 5.0}
    assert result["metrics"]["odd"] == {"stats": {}, "aggregated": None, "scenarios": {}}


def test_named_functions_of_the_engine_document() -> None:
    """`build_scenario_metrics`, `flatten_metric_stats`, `merge_suite_payload` (`backtest_engine.md` 17.6)."""
    metrics = build_scenario_metrics({"a": {"x": 1, "n": None}, "b": {"x": 3}})
    assert metrics == {"stats": {"n": {}, "x": {"mean": 2.0, "min": 1.0, "max": 3.0, "std": 1.0}}}
    flat = {"s_x_mean": 2.0, "s_x_min": 1.0, "s_x_max": 3.0, "s_x_std": 1.0}
    assert flatten_metric_stats(metrics["stats"], "s_") == flat
    bare = merge_suite_payload(metrics["stats"])
    assert list(bare) == ["metrics"]
    assert (bare["metrics"]["x"]["aggregated"], bare["metrics"]["n"]["aggregated"]) == (2.0, None)
    assert merge_suite_payload(metrics["stats"], {"x": None})["metrics"]["x"]["aggregated"] is None
    assert list(merge_suite_payload({"b": {}, "a": {}})["metrics"]) == ["a", "b"]
    given_value = merge_suite_payload(metrics["stats"], {"x": 9.0}, {"full": metrics})
    assert given_value["metrics"]["x"] == {
        "stats": metrics["stats"]["x"], "aggregated": 9.0, "scenarios": {"full": 2.0},
    }  # fmt: skip
    assert given_value["scenario_labels"] == ["full"]


def test_summary_file() -> None:
    """Keys in the documented order, JSON without NaN."""
    metrics = suite_metrics({"full": {"combined": {"mdg_usd": 0.5}}}, {"default": "mean"})
    stamp = "2024-05-01T10_20_30"
    summary = suite_summary(stamp, metrics, {"full": ScenarioRun(0.72, f"backtests/suite_runs/{stamp}/full")})
    assert json.dumps(summary, indent=2, allow_nan=False) == json.dumps(
        {
            "suite_id": stamp,
            "meta": {"scenarios": ["full"], "timestamp": stamp},
            "suite_metrics": {
                "metrics": {
                    "mdg_usd": {
                        "stats": {"mean": 0.5, "min": 0.5, "max": 0.5, "std": 0.0},
                        "aggregated": 0.5,
                        "scenarios": {"full": 0.5},
                    }
                },
                "scenario_labels": ["full"],
            },
            "per_scenario": {"full": {"elapsed_seconds": 0.72, "output_path": f"backtests/suite_runs/{stamp}/full"}},
        },
        indent=2,
    )
