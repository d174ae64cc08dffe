"""Metric names, directions and limits (`config_cli_suite.md` 13, 21, 23)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from config.objectives import (
    CURRENCY_METRICS,
    SHARED_METRICS,
    canonical_limits,
    canonical_metric,
    canonical_scoring,
    default_stat,
    limit_violation,
    metric_exists,
    metric_weight,
    objective_weights,
    resolved_limit,
)
from core.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adg", "adg_usd"), ("btc_adg", "adg_btc"), ("usd_mdg_w", "mdg_w_usd"), ("mdg_btc", "mdg_btc"),
        ("btc_loss_profit_ratio", "loss_profit_ratio"), ("loss_profit_ratio", "loss_profit_ratio"), ("foo", "foo"),
        ("btc_total_wallet_exposure_max", "total_wallet_exposure_max_btc"),
        ("total_wallet_exposure_max", "total_wallet_exposure_max"), ("adg_pnl", "adg_pnl"),
        ("gain_per_exposure_long", "gain_per_exposure_long_usd"), ("usd_", "usd_"),
    ],
)  # fmt: skip
def test_canonical_names(name: str, expected: str) -> None:
    assert canonical_metric(name) == expected


def test_number_of_metrics() -> None:
    """105 keys: 24 shared, 39 per currency, 3 appended."""
    assert (len(SHARED_METRICS) + 5, len(CURRENCY_METRICS)) == (24, 39)
    assert metric_exists("adg_usd")
    assert metric_exists("pnl_ratio_long_short")
    assert not any(
        metric_exists(name) for name in ("adg", "foo", "loss_profit_ratio_usd", "total_wallet_exposure_max_btc")
    )


@pytest.mark.parametrize(
    ("metric", "weight"),
    [
        ("adg_usd", -1), ("mdg_w_btc", -1), ("gain_per_exposure_short_usd", -1), ("sharpe_ratio_pnl", -1),
        ("volume_pct_per_day_avg_w", -1), ("entry_initial_balance_pct_long", -1), ("drawdown_worst_usd", 1),
        ("loss_profit_ratio", 1), ("peak_recovery_hours_equity_btc", 1), ("total_wallet_exposure_mean", 1),
        ("peak_recovery_hours_pnl", None), ("loss_profit_ratio_long", None), ("pnl_ratio_long_short", None),
        ("foo", None),
    ],
)  # fmt: skip
def test_directions(metric: str, weight: float | None) -> None:
    assert metric_weight(metric) == weight


def test_scoring() -> None:
    """Canonical, without repetitions, in order; a comma text is a list."""
    assert canonical_scoring(["adg", "adg_usd", "btc_mdg", "mdg_btc"]) == ["adg_usd", "mdg_btc"]
    assert canonical_scoring("adg, gain_btc") == ["adg_usd", "gain_btc"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ("  ", []),
        ([], []),
        ({}, []),
        (
            [{"metric": "adg", "penalize_if": "outside", "values": [3, 1.5]}],
            [{"metric": "adg_usd", "penalize_if": "outside_range", "range": [1.5, 3]}],
        ),
        (
            [{"name": "adg", "penalize_if": "ABOVE", "threshold": "0.5", "field": "MAX"}],
            [{"metric": "adg_usd", "penalize_if": "greater_than", "stat": "max", "value": 0.5}],
        ),
        (
            "--lower_bound_adg 2 --upper_bound_mdg 1",
            [
                {"metric": "adg_usd", "penalize_if": "greater_than", "value": 2},
                {"metric": "mdg_usd", "penalize_if": "less_than", "value": 1},
            ],
        ),
        (
            {"penalize_if_greater_than_drawdown_worst_btc": 0.5, "penalize_if_lower_than_gain": 2.0, "adg": "0.1"},
            [
                {"metric": "drawdown_worst_btc", "penalize_if": "greater_than", "value": 0.5},
                {"metric": "gain_usd", "penalize_if": "less_than", "value": 2},
                {"metric": "adg_usd", "penalize_if": "auto", "value": 0.1},
            ],
        ),
        (
            '[{"metric": "gain_btc", "penalize_if": " < ", "bound": 1.0}]',
            [{"metric": "gain_btc", "penalize_if": "less_than", "value": 1}],
        ),
        (
            {"metric": "gain", "penalize_if": "inside", "value": [5, 2]},
            [{"metric": "gain_usd", "penalize_if": "inside_range", "range": [2, 5]}],
        ),
        (
            [{"metric": "gain", "penalize_if": "inside", "bounds": {"min": 1, "end": 0}}],
            [{"metric": "gain_usd", "penalize_if": "inside_range", "range": [0, 1]}],
        ),
        ("--adg -0.001", [{"metric": "adg_usd", "penalize_if": "auto", "value": -0.001}]),
    ],
)
def test_limits(given: Any, expected: list[dict[str, Any]]) -> None:
    """Every accepted form has one canonical form, which is its own canonical form."""
    assert canonical_limits(given) == expected
    assert canonical_limits(expected) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"metric": "adg", "value": 1}], "limits entries must include 'penalize_if'."),
        ([{"metric": "adg", "penalize_if": "foo", "value": 1}], "Unsupported penalize_if value 'foo'."),
        ([{"metric": "adg", "penalize_if": ">", "value": "x"}], "Limit for adg_usd requires a numeric 'value'."),
        ([{"metric": "adg", "penalize_if": ">", "value": True}], "Limit for adg_usd requires a numeric 'value'."),
        ([{"metric": "adg", "penalize_if": "inside", "range": [1]}], "Limit for adg_usd requires a two-value 'range'."),
        (
            [{"metric": "adg", "penalize_if": ">", "value": 1, "stat": "median"}],
            "Unsupported stat 'median' for limit on adg_usd.",
        ),
        ([{"penalize_if": ">", "value": 1}], "Limit entries must include a 'metric' field."),
        (["adg"], "Each limit entry must be a dict, got str."),
        (7, "Unsupported limits format: int"),
        ("--adg", "Invalid limits format for token: adg"),
        ("--adg x", "Limit 'adg' must have a numeric value."),
        ("[{]", "optimize.limits is not JSON"),
    ],
)
def test_malformed_limits(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.").replace("[", r"\[")):
        canonical_limits(given)


def test_resolving_auto() -> None:
    """`auto` takes the metric's direction; without one, or for a name no result has, it is an error (F17)."""
    assert resolved_limit({"metric": "adg_usd", "penalize_if": "auto", "value": 1})["penalize_if"] == "less_than"
    up = resolved_limit({"metric": "drawdown_worst_usd", "penalize_if": "auto", "value": 1})
    assert up["penalize_if"] == "greater_than"
    plain = {"metric": "peak_recovery_hours_pnl", "penalize_if": "greater_than", "value": 1}
    assert resolved_limit(plain) == plain
    for metric in ("peak_recovery_hours_pnl", "foo", "loss_profit_ratio_long", "pnl_ratio_long_short"):
        with pytest.raises(ConfigError, match=metric):
            resolved_limit({"metric": metric, "penalize_if": "auto", "value": 1})


def test_objectives() -> None:
    """Their directions, in order; one without a listed direction is minimised."""
    names = ["adg_usd", "drawdown_worst_btc", "peak_recovery_hours_pnl"]
    assert objective_weights(names) == {"adg_usd": -1.0, "drawdown_worst_btc": 1.0, "peak_recovery_hours_pnl": 1.0}
    assert list(objective_weights(names)) == names


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ([], r"optimize\.scoring is empty"),
        (["agd_usd"], r"optimize\.scoring names the metric 'agd_usd', which no result has; did you mean adg_usd\?"),
        (["pnl_ratio_long_short"], "which backtests have and the optimizer has not"),
        (["zzz"], "'zzz', which no result has; check the spelling"),
    ],
)
def test_impossible_objectives(scoring: list[str], message: str) -> None:
    """Nothing to search by, or a name that no candidate's result has."""
    with pytest.raises(ConfigError, match=message):
        objective_weights(scoring)


@pytest.mark.parametrize(
    ("rule", "value", "violation"),
    [
        ({"penalize_if": "less_than", "value": 0.001}, 0.0002, 800.0),
        ({"penalize_if": "less_than", "value": 0.001}, 0.001, 0.0),
        ({"penalize_if": "greater_than", "value": 0.5}, 0.75, 250000.0),
        ({"penalize_if": "outside_range", "range": [1, 3]}, 0.5, 500000.0),
        ({"penalize_if": "outside_range", "range": [1, 3]}, 5.0, 2000000.0),
        ({"penalize_if": "inside_range", "range": [1, 3]}, 1.25, 250000.0),
        ({"penalize_if": "inside_range", "range": [1, 3]}, 4.0, 0.0),
        ({"penalize_if": "greater_than", "value": 0.5}, math.nan, 1.0),
        ({"penalize_if": "less_than", "value": 0.5}, math.inf, 1.0),
    ],
)
def test_violations(rule: dict[str, Any], value: float, violation: float) -> None:
    assert limit_violation({"metric": "adg_usd", **rule}, value) == pytest.approx(violation)


def test_statistics_compared_by_default() -> None:
    assert [default_stat(r) for r in ("greater_than", "less_than", "outside_range")] == ["max", "min", "mean"]
