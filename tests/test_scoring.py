"""Objectives, limits and records of candidates (`optimizer_pareto_tools.md` 5.2-5.5, 5.7, 6.3, acceptance 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest

from core.errors import ConfigError
from optimization.metric_values import metric_values
from optimization.scoring import Scoring
from simulation.results import expand_analysis
from simulation.suite_summary import metric_stats

TABLE = [row[0] for row in pbr.metric_table()]
Metrics = Mapping[str, float]


def scoring(names: list[str], limits: Any = (), aggregate: Mapping[str, str] | None = None) -> Scoring:
    config = {
        "optimize": {"scoring": names, "limits": list(limits)},
        "backtest": {"suite": {"aggregate": {} if aggregate is None else aggregate}},
    }
    return Scoring.of(config, suite=aggregate is not None)


def fitness(judge: Scoring, *datasets: Metrics) -> tuple[tuple[float, ...], float]:
    scored = judge.score({"": {str(i): metrics for i, metrics in enumerate(datasets)}})
    return scored.objectives, scored.violation


def test_statistics_over_datasets() -> None:
    """5.2: mean, min, max, population deviation of the finite numbers; a metric without any is absent."""
    judge = scoring(["loss_profit_ratio"])
    block = judge.score({"": {"x": {"loss_profit_ratio": 1.0}, "y": {"loss_profit_ratio": 3.0}}}).block
    assert block["metrics"]["stats"] == {"loss_profit_ratio": {"mean": 2.0, "min": 1.0, "max": 3.0, "std": 1.0}}


@pytest.mark.parametrize("value", [0.1, -0.0, 1e308, -3.7e-9])
def test_one_dataset_is_no_special_case(value: float) -> None:
    """The short way for one dataset gives what the arithmetic over several gives."""
    judge, metrics = scoring(["loss_profit_ratio"]), {"loss_profit_ratio": value, "adg_usd": -value}
    stats = judge.score({"": {"x": metrics}}).block["metrics"]["stats"]
    assert repr(stats) == repr({name: metric_stats([metrics[name]]) for name in sorted(metrics)})


@pytest.mark.parametrize(
    ("name", "metric", "weight"),
    [
        ("adg", "adg_usd", -1.0), ("btc_adg", "adg_btc", -1.0), ("usd_loss_profit_ratio", "loss_profit_ratio", 1.0),
        ("adg_pnl", "adg_pnl", -1.0), ("adg_btc_w", "adg_w_btc", -1.0), ("adg_w", "adg_w_usd", -1.0),
        ("peak_recovery_hours_pnl", "peak_recovery_hours_pnl", 1.0), ("sharpe_w_ratio_usd", "sharpe_ratio_w_usd", -1.0),
        ("total_wallet_exposure_mean", "total_wallet_exposure_mean", 1.0),
        ("drawdown_1pct_mean_worst_btc", "drawdown_worst_mean_1pct_btc", 1.0),
        ("entry_initial_balance_pct_short", "entry_initial_balance_pct_short", -1.0),
    ],
)  # fmt: skip
def test_names_and_directions(name: str, metric: str, weight: float) -> None:
    """5.3: canonical names, words in another order, one shared table of directions."""
    (objective,) = scoring([name]).objectives
    assert (objective.metric, objective.weight) == (metric, weight)
    assert fitness(scoring([name]), {metric: 0.25}) == ((0.25 * weight,), 0.0)


@pytest.mark.parametrize("name", ["foo", "adg_usd_eur", "loss_profit_ratio_long", "a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p"])
def test_unknown_objectives(name: str) -> None:
    """An error before anything runs, at once however long the name."""
    with pytest.raises(ConfigError, match=f"optimize.scoring names the metric '{name}'"):
        scoring([name])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([{"metric": "foo", "penalize_if": ">", "value": 1}], "optimize.limits names the metric 'foo'"),
        ([{"metric": "peak_recovery_hours_pnl", "penalize_if": "auto", "value": 1}], "'auto' on peak_rec"),
        ([{"metric": "adg", "penalize_if": ">"}], "Limit for adg_usd requires a numeric 'value'"),
    ],
)  # fmt: skip
def test_impossible_limits(limits: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scoring(["adg"], limits)


def test_impossible_aggregate() -> None:
    with pytest.raises(ConfigError, match=r"suite\.aggregate\.adg is 'sum'"):
        scoring(["adg"], aggregate={"adg": "sum"})


FIRST = scoring(
    ["adg_usd", "loss_profit_ratio", "sharpe_ratio_usd"],
    [
        {"metric": "drawdown_worst_usd", "penalize_if": ">", "value": 0.4},
        {"metric": "loss_profit_ratio", "penalize_if": ">", "value": 0.5},
    ],
)


def _two(drawdown: float, ratios: tuple[float, float]) -> list[Metrics]:
    common = {"adg_usd": 0.0012, "sharpe_ratio_usd": 0.1, "drawdown_worst_usd": drawdown}
    return [{**common, "loss_profit_ratio": ratio} for ratio in ratios]


@pytest.mark.parametrize(
    ("runs", "objectives", "violation"),
    [
        (_two(0.45, (0.5, 0.6)), (49999.999999999985, 149999.99999999994, 49999.999999999985), 149999.99999999994),
        (_two(0.4, (0.5, 0.6)), (-0.0012, 99999.99999999997, -0.1), 99999.99999999997),
        (_two(0.4, (0.5, 0.5)), (-0.0012, 0.5, -0.1), 0.0),
    ],
)
def test_first_example(runs: list[Metrics], objectives: tuple[float, ...], violation: float) -> None:
    """5.5: a limit on an objective penalises that one, any other all; a penalty replaces the objective."""
    assert fitness(FIRST, *runs) == (objectives, violation)


def test_second_example() -> None:
    """5.5: ranges, and `auto` on an objective."""
    limits = [
        {"metric": "loss_profit_ratio", "penalize_if": "outside", "range": [0.2, 0.5]},
        {"metric": "omega_ratio_usd", "penalize_if": "inside", "range": [1, 1.5]},
        {"metric": "adg_usd", "penalize_if": "auto", "value": 0.001},
    ]
    run = {"loss_profit_ratio": 0.55, "omega_ratio_usd": 1.2, "adg_usd": 0.0004, "mdg_usd": 1.0}
    objectives, violation = fitness(scoring(["adg_usd", "mdg_usd"], limits), run)
    assert objectives == pytest.approx((250600, 250000), rel=1e-12)
    assert violation == pytest.approx(250600, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "penalty"),
    [
        ({"penalize_if": ">", "value": 2.5}, 0.5), ({"penalize_if": "<", "value": 1.5}, 0.5),
        ({"penalize_if": "outside", "range": [2.5, 9]}, 0.5), ({"penalize_if": "inside", "range": [1.5, 9]}, 0.5),
        ({"penalize_if": ">", "value": 3}, 0.0), ({"penalize_if": "<", "value": 1}, 0.0),
        ({"penalize_if": ">", "value": 1.5, "stat": "mean"}, 0.5),
        ({"penalize_if": ">", "value": 0.5, "stat": "min"}, 0.5),
        ({"penalize_if": "<", "value": 3.5, "stat": "max"}, 0.5),
        ({"penalize_if": "<", "value": 2, "stat": "std"}, 1.0),
        ({"penalize_if": "auto", "value": 2.5}, 0.5),
    ],
)  # fmt: skip
def test_statistic_that_a_limit_compares(rule: dict[str, Any], penalty: float) -> None:
    """5.4: of 1 and 3 the worst for one-sided limits, the mean for ranges, or the one that is named; strictly."""
    judge = scoring(["adg"], [{"metric": "loss_profit_ratio", **rule}])
    runs = [{"adg_usd": 1.0, "loss_profit_ratio": value} for value in (1.0, 3.0)]
    assert fitness(judge, *runs)[1] == pytest.approx(penalty * 1e6)


@pytest.mark.parametrize("suite", [False, True])
@pytest.mark.parametrize(
    ("runs", "missing"),
    [
        ([{"loss_profit_ratio": 0.1}], 1),
        ([{"adg_usd": 1.0}], 1),
        ([{}], 2),
        ([{"adg_usd": 1.0, "loss_profit_ratio": 0.1}, {"adg_usd": 1.0}], 1),
        ([{"adg_usd": 1e308, "loss_profit_ratio": 0.1}, {"adg_usd": 1e308, "loss_profit_ratio": 0.1}], 1),
    ],
)
def test_missing_metrics(runs: list[Metrics], missing: int, *, suite: bool) -> None:
    """14: an objective or limited metric that one run lacks, or that overflows, costs 1e6, once, on every objective."""
    limits = [{"metric": "loss_profit_ratio", "penalize_if": word, "value": 0.0} for word in ("<", "<")]
    judge = scoring(["adg", "loss_profit_ratio"], limits, {} if suite else None)
    analyses = {str(i): {"": run} for i, run in enumerate(runs)}
    scored = judge.score(analyses if suite else {"": {i: run[""] for i, run in analyses.items()}})
    assert (scored.objectives, scored.violation) == ((missing * 1e6, missing * 1e6), missing * 1e6)


def test_statistic_that_overflows() -> None:
    """A limited statistic that is not finite is missing, though the metric has values."""
    judge = scoring(["adg"], [{"metric": "adg", "penalize_if": ">", "value": 0.0, "stat": "std"}])
    assert fitness(judge, {"adg_usd": 1e300}, {"adg_usd": -1e300}) == ((1e6,), 1e6)


def test_record_without_a_suite() -> None:
    """6.3: statistics, objectives in order, violation."""
    block = FIRST.score({"": {"combined": _two(0.4, (0.5, 0.5))[0]}}).block
    assert list(block) == ["metrics"]
    assert list(block["metrics"]) == ["stats", "objectives", "constraint_violation"]
    assert block["metrics"]["objectives"] == {"w_0": -0.0012, "w_1": 0.5, "w_2": -0.1}
    assert block["metrics"]["stats"]["loss_profit_ratio"] == {"mean": 0.5, "min": 0.5, "max": 0.5, "std": 0.0}


def _suite_example(scenario: tuple[float, float]) -> dict[str, Metrics]:
    return {"combined": {"adg_pnl_w": scenario[0], "drawdown_worst_usd": scenario[1]}}


def test_suite_example() -> None:
    """5.7: the aggregated value is what scoring uses, and what is written; a mode may stand for both currencies."""
    aggregate = {"default": "mean", "adg_pnl": "median", "drawdown_worst": "max"}
    limits = [{"metric": "drawdown_worst_usd", "penalize_if": ">", "value": 0.4}]
    judge = scoring(["adg_pnl_w", "drawdown_worst_usd"], limits, aggregate)
    runs = {label: _suite_example(s) for label, s in {"a": (1, 0.2), "b": (2, 0.5), "c": (6, 0.3)}.items()}
    scored = judge.score(runs)
    assert scored.objectives == (-2.0, (0.5 - 0.4) * 1e6)
    assert list(scored.block) == ["suite_metrics", "metrics"]
    assert list(scored.block["metrics"]) == ["objectives", "constraint_violation"]
    suite = scored.block["suite_metrics"]
    assert suite["scenario_labels"] == ["a", "b", "c"]
    assert suite["metrics"]["adg_pnl_w"] == {
        "stats": {"mean": 3.0, "min": 1.0, "max": 6.0, "std": 2.160246899469287},
        "aggregated": 2.0,
        "scenarios": {"a": 1.0, "b": 2.0, "c": 6.0},
    }
    assert suite["metrics"]["drawdown_worst_usd"]["stats"]["mean"] == 0.3333333333333333
    assert suite["metrics"]["drawdown_worst_usd"]["stats"]["std"] == 0.12472191289246472
    assert suite["metrics"]["drawdown_worst_usd"]["aggregated"] == 0.5


def test_suite_objective_is_the_aggregated_value() -> None:
    """Acceptance 9: `aggregate: {adg_pnl: max}` gives w_0 = -max; a scenario's value is the mean over its datasets."""
    runs = {"a": {"x": {"adg_pnl": 0.1}, "y": {"adg_pnl": 0.5}}, "b": {"x": {"adg_pnl": 0.2}}}
    scored = scoring(["adg_pnl"], aggregate={"adg_pnl": "max"}).score(runs)
    assert scored.objectives == (-0.3,)
    assert scored.block["suite_metrics"]["metrics"]["adg_pnl"]["aggregated"] == 0.3


@pytest.mark.parametrize(("stat", "violation"), [(None, 1.0), ("max", 5.0), ("min", 0.0), ("mean", 2.0)])
def test_limit_in_a_suite(stat: str | None, violation: float) -> None:
    """E8: without `stat` the aggregated value is compared, otherwise that statistic over the scenarios."""
    limit = {"metric": "loss_profit_ratio", "penalize_if": ">", "value": 1.0, **({"stat": stat} if stat else {})}
    judge = scoring(["adg"], [limit], {"loss_profit_ratio": "median"})
    runs = {str(i): {"": {"adg_usd": 1.0, "loss_profit_ratio": v}} for i, v in enumerate((1.0, 2.0, 6.0))}
    assert judge.score(runs).violation == violation * 1e6


@pytest.mark.parametrize("limits", [{"long": 1.25, "short": 0.3}, {"long": 0.0, "short": 3.0}])
@pytest.mark.parametrize("holes", [(), (0, 60), (3, 5, 58), (52, 105, 13), tuple(range(106))])
def test_named_values(limits: Mapping[str, float], holes: tuple[int, ...]) -> None:
    """A row of the engine gets the names and values that a backtest's analysis has; what is not finite is absent."""
    row = np.random.default_rng(3).normal(size=2 * len(TABLE))
    row[list(holes)] = np.nan
    usd, btc = (
        {name: None if np.isnan(value) else float(value) for name, value in zip(TABLE, half, strict=True)}
        for half in np.split(row, 2)
    )
    config = {"bot": {pside: {"total_wallet_exposure_limit": limit} for pside, limit in limits.items()}}
    expanded = expand_analysis(usd, btc, None, None, config)
    expected = {name: value for name, value in sorted(expanded.items()) if value is not None}
    assert list(metric_values(row, limits).items()) == list(expected.items())  # type: ignore[arg-type]
