"""A front as a table, and the ways to choose from it (`optimizer_pareto_tools.md` 8).

Columns, one row a member in the order of the files:
    _id, violation, objective_w_i
    METRIC                      its value: aggregated over scenarios, or the mean
    METRIC_{mean,min,max,std}   its statistics
    bot.SIDE.PARAM              what was searched, numbers only
    SCENARIO__METRIC            its value in one scenario
    holdout.WINDOW.METRIC, degradation.OBJECTIVE, rank_in, rank_out   what validation added
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from config.objectives import canonical_limits, metric_weight
from core.errors import ConfigError, DataError
from core.terms import PSIDES
from optimization.expressions import Expression, parse_expression
from optimization.ideal import scaled
from optimization.members import Member
from optimization.pareto import ranks

ID = "_id"
RANKS = ("rank_in", "rank_out")

PRESETS: Mapping[str, tuple[str, ...]] = {
    "conservative": ("adg_pnl >= 0", "drawdown_worst_usd <= 0.3", "loss_profit_ratio <= 0.5"),
    "balanced": ("adg_pnl >= 0", "drawdown_worst_usd <= 0.5"),
    "aggressive": ("adg_pnl >= 0.001",),
}


@dataclass(frozen=True, slots=True)
class FrontTable:
    """The table of a front and which of its columns are what.

    scoring     metrics of the objectives, in order; `w_i` where a file does not name them
    metrics     metric columns, those of the scoring first
    parameters  `bot.SIDE.PARAM` columns
    scenarios   labels, in the order of the suite
    windows     labels of the hold-out
    filter      the run's limits as filter text
    """

    frame: pd.DataFrame
    scoring: list[str]
    metrics: list[str]
    parameters: list[str]
    scenarios: list[str]
    windows: list[str]
    filter: str

    @property
    def varying_parameters(self) -> list[str]:
        """Parameters in which the members differ."""
        return [name for name in self.parameters if self.frame[name].nunique(dropna=False) > 1]

    @property
    def objectives(self) -> npt.NDArray[np.float64]:
        """f64[members, objectives], all minimised."""
        return self.frame.filter(regex=r"^objective_w_\d+$").to_numpy(dtype=np.float64)


def front_table(members: Sequence[Member]) -> FrontTable:
    """The table of the members of one front, at least one. Raises DataError when its limits cannot be read."""
    first = members[0]
    frame = pd.DataFrame([_row(member) for member in members])
    known = {name for member in members for name in member.values}
    scoring = [name if name in known else f"objective_w_{i}" for i, name in enumerate(first.scoring)]
    return FrontTable(
        frame=frame,
        scoring=scoring,
        metrics=[*dict.fromkeys(name for name in scoring if name in known), *sorted(known - set(scoring))],
        parameters=[name for name in map(str, frame.columns) if name.startswith("bot.")],
        scenarios=first.scenario_labels,
        windows=list(dict.fromkeys(label for member in members for label in _windows(member))),
        filter=default_filter(_limits(first)),
    )


def _row(member: Member) -> dict[str, Any]:
    row: dict[str, Any] = {ID: member.path.name, "violation": member.violation}
    row |= {f"objective_w_{i}": value for i, value in enumerate(member.objectives)}
    row |= {f"{name}_{stat}": value for name, stats in member.stats.items() for stat, value in stats.items()}
    row |= {f"{label}__{name}": v for name, by in member.scenarios.items() for label, v in by.items()}
    for pside in PSIDES:
        side = member.entry.get("bot", {}).get(pside, {})
        row |= {f"bot.{pside}.{name}": float(value) for name, value in side.items() if _is_number(value)}
    return row | _holdout(member) | member.values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _windows(member: Member) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (member.holdout or {}).get("windows", {})
    return found


def _holdout(member: Member) -> dict[str, float]:
    """What validation added, in columns; a ratio that is null is left out."""
    row: dict[str, float] = {}
    for label, window in _windows(member).items():
        stats = window.get("metrics", {}).get("stats", {})
        row |= {f"holdout.{label}.{name}": by["mean"] for name, by in stats.items() if _is_number(by.get("mean"))}
        row |= {f"holdout.{label}.objective_{name}": value for name, value in window.get("objectives", {}).items()}
    holdout = member.holdout or {}
    ratios = holdout.get("degradation", {})
    row |= {f"degradation.{name}": value for name, value in ratios.items() if _is_number(value)}
    return row | {name: holdout[name] for name in RANKS if _is_number(holdout.get(name))}


def _limits(member: Member) -> list[dict[str, Any]]:
    try:
        return canonical_limits(member.entry.get("optimize", {}).get("limits"))
    except ConfigError as exc:
        raise DataError(f"{member.path}: {exc}") from exc


def default_filter(limits: Sequence[Mapping[str, Any]]) -> str:
    """Canonical limits as lines that keep good members; `inside_range` and `auto` are left out."""
    return "\n".join(line for limit in limits for line in _kept_by(limit))


def _kept_by(limit: Mapping[str, Any]) -> list[str]:
    name = f"{limit['metric']}_{limit['stat']}" if "stat" in limit else limit["metric"]
    match limit["penalize_if"]:
        case "greater_than":
            return [f"{name}<={limit['value']}"]
        case "less_than":
            return [f"{name}>={limit['value']}"]
        case "outside_range":
            low, high = limit["range"]
            return [f"{name}>={low}", f"{name}<={high}"]
        case _:
            return []


def filter_lines(frame: pd.DataFrame, text: str) -> list[Expression]:
    """The lines of a filter text that mean something for the frame; others are ignored."""
    found = [parse_expression(line) for line in text.splitlines()]
    return [expression for expression in found if expression is not None and _is_numeric(frame, expression.name)]


def _is_numeric(frame: pd.DataFrame, name: str) -> bool:
    return name in frame and pd.api.types.is_numeric_dtype(frame[name])


def passing(frame: pd.DataFrame, text: str) -> pd.Series[bool]:
    """Which rows hold every line of a filter text; a missing value holds none."""
    kept = pd.Series(True, index=frame.index)
    for expression in filter_lines(frame, text):
        values = frame[expression.name]
        kept &= values.map(expression.holds) & values.notna()
    return kept.astype(bool)


def presets(frame: pd.DataFrame) -> dict[str, str]:
    """Filter texts by name; a line about a metric that the frame lacks is left out."""
    return {name: "\n".join(line for line in lines if line.split()[0] in frame) for name, lines in PRESETS.items()}


def weighted_score(
    frame: pd.DataFrame, weights: Mapping[str, float], directions: Mapping[str, float] | None = None
) -> pd.Series[float]:
    """sum(weight x scaled value) / sum(weights), columns scaled to 0..1; constant and absent columns are skipped.

    Columns whose direction is +1 (to be minimised) count from their highest value down. 0 without any column.
    """
    used = [name for name in weights if name in frame and frame[name].nunique() > 1]
    total = math.fsum(weights[name] for name in used)
    score = pd.Series(0.0, index=frame.index)
    for name in used if total else ():
        share = scaled(*[frame[[name]].to_numpy(dtype=np.float64)] * 2)[:, 0]
        score += weights[name] / total * (1.0 - share if (directions or {}).get(name, -1.0) > 0.0 else share)
    return score


def frontier(frame: pd.DataFrame, directions: Mapping[str, float]) -> pd.Series[bool]:
    """Which rows no other row dominates in these columns: -1 maximises, +1 minimises; rows with gaps are not."""
    names = [name for name in directions if name in frame]
    values = frame[names].to_numpy(dtype=np.float64) * [directions[name] for name in names]
    complete = np.flatnonzero(np.isfinite(values).all(axis=1))
    mask = np.zeros(len(frame), dtype=np.bool_)
    if names and complete.size:
        mask[complete[ranks(values[complete], np.zeros(len(complete)), 1)[0]]] = True
    return pd.Series(mask, index=frame.index)


def direction(name: str) -> float:
    """-1 for a column to maximise, +1 to minimise: objectives are minimised, statistics go with their metric."""
    if name.startswith("objective_w_"):
        return 1.0
    metric = name.rpartition("__")[2].removeprefix("holdout.").rpartition(".")[2]
    return metric_weight(metric) or metric_weight(metric.rpartition("_")[0]) or 1.0
