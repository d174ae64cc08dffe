"""Metrics over datasets and scenarios: statistics, aggregated values, `suite_summary.json`.

`config_cli_suite.md` 15.5, 15.6, `backtest_engine.md` 17.6, `additions.md` 2. What is not finite is left out; a metric
without any finite value has no statistics: an empty mapping, no zeros.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from config.aggregate import aggregate_mode

Stats: TypeAlias = dict[str, float]
MetricStats: TypeAlias = dict[str, dict[str, Stats]]

FIELDS = ("mean", "min", "max", "std")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _std(values: list[float], mean: float | None = None) -> float:
    """Population standard deviation."""
    centre = _mean(values) if mean is None else mean
    return math.sqrt(sum([(value - centre) * (value - centre) for value in values]) / len(values))


_REDUCE: Mapping[str, Callable[[list[float]], float]] = {
    "mean": _mean, "min": min, "max": max, "std": _std, "median": statistics.median,
}  # fmt: skip


def finite(values: Iterable[Any]) -> list[float]:
    """The finite numbers among the values; true and false count as 1 and 0."""
    return [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]


def metric_stats(values: Iterable[Any]) -> Stats:
    """Mean, min, max and population standard deviation of the finite values; empty when there are none.

    A mean or deviation too large for a number is left out.
    """
    numbers = finite(values)
    if not numbers:
        return {}
    mean = _mean(numbers)
    stats = {"mean": mean, "min": min(numbers), "max": max(numbers), "std": _std(numbers, mean)}
    return stats if math.isfinite(stats["std"]) else {f: v for f, v in stats.items() if math.isfinite(v)}


def _stats_of_one(value: Any) -> Stats:
    """`metric_stats` of one value, without the arithmetic: most runs have one dataset, and a search many runs."""
    if not (isinstance(value, int | float) and math.isfinite(value)):
        return {}
    number = float(value)
    return {"mean": number + 0.0, "min": number, "max": number, "std": 0.0}


def build_scenario_metrics(analyses: Mapping[str, Mapping[str, Any]]) -> MetricStats:
    """`{"stats": {metric: statistics}}` over several analyses, `{label: analysis}`; metrics sorted by name.

    Texts, such as the note on synthetic data, are no metrics.
    """
    if len(analyses) == 1:
        (analysis,) = analyses.values()
        return {
            "stats": {name: _stats_of_one(analysis[name]) for name in sorted(analysis) if _is_metric(analysis[name])}
        }
    names = sorted({name for analysis in analyses.values() for name, v in analysis.items() if _is_metric(v)})
    return {"stats": {name: metric_stats(a[name] for a in analyses.values() if name in a) for name in names}}


def _is_metric(value: Any) -> bool:
    return not isinstance(value, str)


def flatten_metric_stats(stats: Mapping[str, Stats], prefix: str = "") -> Stats:
    """`{prefix + metric + "_" + field: number}`."""
    return {f"{prefix}{name}_{field}": value for name, fields in stats.items() for field, value in fields.items()}


def scenario_means(scenarios: Mapping[str, Mapping[str, Mapping[str, Stats]]]) -> dict[str, dict[str, float]]:
    """`{metric: {label: mean}}` of the metrics of each scenario, sorted by name; absent means are left out."""
    names = sorted({name for metrics in scenarios.values() for name in metrics["stats"]})
    return {
        name: {
            label: metrics["stats"][name]["mean"]
            for label, metrics in scenarios.items()
            if "mean" in metrics["stats"].get(name, {})
        }
        for name in names
    }


def aggregated_value(metric: str, values: Iterable[float], aggregate: Mapping[str, Any]) -> float | None:
    """The metric over scenarios by its mode in `backtest.suite.aggregate`; None without finite values.

    Raises ConfigError for a mode that does not exist.
    """
    reduce = _REDUCE[aggregate_mode(metric, aggregate)]
    numbers = finite(values)
    value = reduce(numbers) if numbers else math.nan
    return value if math.isfinite(value) else None


def merge_suite_payload(
    aggregate_stats: Mapping[str, Stats],
    aggregate_values: Mapping[str, float | None] | None = None,
    scenario_metrics: Mapping[str, Mapping[str, Mapping[str, Stats]]] | None = None,
) -> dict[str, Any]:
    """`suite_metrics` as summaries and Pareto members carry it; metrics sorted by name.

    `aggregated` is the given value, else the mean; a metric without statistics has null.
    """
    values = aggregate_values or {}
    aggregated = {name: values.get(name, stats.get("mean")) for name, stats in aggregate_stats.items()}
    labels = None if scenario_metrics is None else list(scenario_metrics)
    return _payload(aggregate_stats, aggregated, scenario_means(scenario_metrics or {}), labels)


def _payload(
    stats: Mapping[str, Stats],
    aggregated: Mapping[str, float | None],
    means: Mapping[str, Mapping[str, float]],
    labels: list[str] | None,
) -> dict[str, Any]:
    metrics = {
        name: {"stats": dict(stats[name]), "aggregated": aggregated[name], "scenarios": dict(means.get(name, {}))}
        for name in sorted(stats)
    }
    return {"metrics": metrics} if labels is None else {"metrics": metrics, "scenario_labels": labels}


def suite_metrics(
    scenarios: Mapping[str, Mapping[str, Mapping[str, Any]]], aggregate: Mapping[str, Any]
) -> dict[str, Any]:
    """`suite_metrics` of `{label: {dataset: analysis}}`: over each scenario's datasets, then over the scenarios."""
    per_scenario = {label: build_scenario_metrics(analyses) for label, analyses in scenarios.items()}
    means = scenario_means(per_scenario)
    stats = {name: metric_stats(values.values()) for name, values in means.items()}
    aggregated = {name: _aggregated(name, stats[name], values, aggregate) for name, values in means.items()}
    return _payload(stats, aggregated, means, list(scenarios))


def _aggregated(metric: str, stats: Stats, values: Mapping[str, float], aggregate: Mapping[str, Any]) -> float | None:
    """`aggregated_value`, read from the statistics where they have it."""
    mode = aggregate_mode(metric, aggregate)
    return stats.get(mode) if mode in FIELDS else aggregated_value(metric, values.values(), aggregate)


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """One scenario that ran: the seconds it took and where its results are."""

    elapsed_seconds: float
    output_path: str


def suite_summary(suite_id: str, metrics: Mapping[str, Any], runs: Mapping[str, ScenarioRun]) -> dict[str, Any]:
    """The content of `suite_summary.json`. `suite_id` is the time in the directory's name, `runs` go by label."""
    return {
        "suite_id": suite_id,
        "meta": {"scenarios": list(runs), "timestamp": suite_id},
        "suite_metrics": dict(metrics),
        "per_scenario": {
            label: {"elapsed_seconds": run.elapsed_seconds, "output_path": run.output_path}
            for label, run in runs.items()
        },
    }
