"""From the metrics of a candidate's runs to objectives and violation (`optimizer_pareto_tools.md` 5.2-5.5, 5.7).

A *run* is one scenario on one dataset. A metric that is missing in any run of a candidate is missing for the candidate:
it makes the candidate infeasible, never good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from config.aggregate import check_aggregate
from config.objectives import (
    Limit,
    canonical_limits,
    canonical_scoring,
    default_stat,
    limit_violation,
    objective_metric,
    objective_weights,
    resolved_limit,
)
from simulation.suite_summary import Stats, build_scenario_metrics, suite_metrics

Analyses: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]

MISSING_PENALTY = 1e6
# Sums of penalties stay finite whatever the metrics: records are JSON.
_LARGEST_PENALTY = 1e300


@dataclass(frozen=True, slots=True)
class Objective:
    """An entry of `optimize.scoring`: its name there, the metric it means, and -1 (maximised) or +1 (minimised)."""

    name: str
    metric: str
    weight: float


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A limit with its direction, and the statistic it compares; None is the metric's aggregated value (suites)."""

    limit: Limit
    stat: str | None

    @property
    def metric(self) -> str:
        return str(self.limit["metric"])


@dataclass(frozen=True, slots=True)
class Measured:
    """What objectives and limits look at: a metric's statistics and its value (mean, in suites aggregated)."""

    stats: Mapping[str, Stats]
    values: Mapping[str, float | None]

    def value(self, metric: str, stat: str | None = None) -> float | None:
        """The metric's value or statistic; None if there is none: statistics that are not finite are absent."""
        return self.values.get(metric) if stat is None else self.stats.get(metric, {}).get(stat)


@dataclass(frozen=True, slots=True)
class Scored:
    """`objectives` in the order of scoring, all minimised; `violation` 0 is feasible; `block` is what a record holds of
    them: `metrics`, in suites `suite_metrics` before it (6.3)."""

    objectives: tuple[float, ...]
    violation: float
    block: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How candidates of a config are judged; `aggregate` of `backtest.suite` in suites, None otherwise."""

    objectives: tuple[Objective, ...]
    limits: tuple[LimitRule, ...]
    aggregate: Mapping[str, Any] | None

    @classmethod
    def of(cls, config: Mapping[str, Any], *, suite: bool) -> Scoring:
        """Raises ConfigError for a metric that results do not have, and for `auto` where there is no direction."""
        aggregate = config["backtest"]["suite"]["aggregate"] if suite else None
        check_aggregate(aggregate or {})
        limits = (resolved_limit(limit) for limit in canonical_limits(config["optimize"]["limits"]))
        return cls(
            _objectives(config["optimize"]["scoring"]), tuple(_rule(limit, suite=suite) for limit in limits), aggregate
        )

    def score(self, analyses: Analyses) -> Scored:
        """Judge a candidate by `{scenario: {dataset: metrics}}`; without a suite there is one scenario."""
        measured, block = self.measure(analyses)
        objectives, violation = self.fitness(measured)
        metrics = {
            "objectives": {f"w_{i}": value for i, value in enumerate(objectives)},
            "constraint_violation": violation,
        }
        if self.aggregate is None:
            return Scored(objectives, violation, {"metrics": {**block, **metrics}})
        return Scored(objectives, violation, {"suite_metrics": block, "metrics": metrics})

    def measure(self, analyses: Analyses) -> tuple[Measured, dict[str, Any]]:
        """Statistics over the runs, without what is missing in one of them; and all of them as records hold them."""
        block: dict[str, Any]
        if self.aggregate is not None:
            block = suite_metrics(analyses, self.aggregate)
            stats = {name: metric["stats"] for name, metric in block["metrics"].items()}
            values = {name: metric["aggregated"] for name, metric in block["metrics"].items()}
        else:
            (datasets,) = analyses.values()
            block = {**build_scenario_metrics(datasets)}
            stats = block["stats"]
            values = {name: fields["mean"] for name, fields in stats.items() if "mean" in fields}
        runs = [run for datasets in analyses.values() for run in datasets.values()]
        complete = {name for name in self._compared() if all(run.get(name) is not None for run in runs)}
        return Measured(_only(stats, complete), _only(values, complete)), block

    def _compared(self) -> set[str]:
        return {objective.metric for objective in self.objectives} | {rule.metric for rule in self.limits}

    def fitness(self, measured: Measured) -> tuple[tuple[float, ...], float]:
        """Objectives and violation: a penalty replaces the objective (5.5)."""
        general, own = 0.0, [0.0] * len(self.objectives)
        for rule in self.limits:
            penalty = self.penalty(rule, measured)
            matching = [i for i, objective in enumerate(self.objectives) if objective.metric == rule.metric]
            for i in matching:
                own[i] += penalty
            if not matching:
                general += penalty
        general += MISSING_PENALTY * len(self._missing(measured))
        objectives = tuple(
            general + penalty or objective.weight * _present(measured, objective)
            for objective, penalty in zip(self.objectives, own, strict=True)
        )
        return objectives, general + sum(own)

    def _missing(self, measured: Measured) -> set[str]:
        """Metrics that have no finite number where one is compared."""
        compared: list[tuple[str, str | None]] = [(objective.metric, None) for objective in self.objectives]
        compared += [(rule.metric, rule.stat) for rule in self.limits]
        return {metric for metric, stat in compared if measured.value(metric, stat) is None}

    def penalty(self, rule: LimitRule, measured: Measured) -> float:
        """What a limit costs; nothing if its metric is missing: that is counted once for the metric."""
        value = measured.value(rule.metric, rule.stat)
        return 0.0 if value is None else min(limit_violation(rule.limit, value), _LARGEST_PENALTY)

    def signed(self, measured: Measured) -> tuple[float | None, ...]:
        """The objectives as they are without limits; None where one is missing."""
        values = ((objective, measured.value(objective.metric)) for objective in self.objectives)
        return tuple(None if value is None else objective.weight * value for objective, value in values)


def _present(measured: Measured, objective: Objective) -> float:
    value = measured.value(objective.metric)
    assert value is not None, "a missing objective has a penalty"
    return value


def _objectives(scoring: Any) -> tuple[Objective, ...]:
    weights = objective_weights(canonical_scoring(scoring))
    return tuple(Objective(name, objective_metric(name) or name, weight) for name, weight in weights.items())


def _rule(limit: Limit, *, suite: bool) -> LimitRule:
    default = None if suite else default_stat(limit["penalize_if"])
    return LimitRule(limit, limit.get("stat", default))


def _only(table: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: table[name] for name in names if name in table}
