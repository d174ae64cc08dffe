"""How a front does on data that its search has not seen: degradation, ranks, their correlation (`additions.md` 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optimization.ideal import distances, ideal_point
from optimization.scoring import Scored, Scoring

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """A member outside of its search: each label's result, None where it could not be simulated, and the metric of each
    objective there (mean over labels) and in the search, None where there is none."""

    id: str
    results: Mapping[str, Scored | None]
    outside: Mapping[str, float | None]
    inside: Mapping[str, float | None]

    @property
    def violation(self) -> float:
        """The sum over labels; one that failed counts as no less than any."""
        return sum(float("inf") if result is None else result.violation for result in self.results.values())

    def degradation(self) -> dict[str, float | None]:
        """Outside over inside, of the metrics as they are; null where the inner one is 0 or one is missing."""
        return {name: _ratio(self.outside[name], self.inside[name]) for name in self.inside}


def _ratio(outside: float | None, inside: float | None) -> float | None:
    return None if outside is None or not inside else outside / inside


def mean_values(results: Mapping[str, Scored | None], scoring: Scoring) -> dict[str, float | None]:
    """The metric of each objective, mean over labels; None if one of them has none."""
    found: dict[str, float | None] = {}
    for objective in scoring.objectives:
        values = [None if r is None else _value(r.block, objective.metric) for r in results.values()]
        known = [value for value in values if value is not None]
        found[objective.name] = sum(known) / len(known) if known and len(known) == len(values) else None
    return found


def _value(block: Mapping[str, Any], metric: str) -> float | None:
    value: float | None = block["metrics"]["stats"].get(metric, {}).get("mean")
    return value


def ranks(values: Sequence[Mapping[str, float | None]], violations: Sequence[float], scoring: Scoring) -> list[int]:
    """Places from 1: less violation first, then the distance to the ideal point; what has no value comes last."""
    weights = {objective.name: objective.weight for objective in scoring.objectives}
    points = np.array([[_signed(row[name], weight) for name, weight in weights.items()] for row in values])
    known = np.isfinite(points).all(axis=1)
    distance = np.full(len(points), np.inf)
    if known.any():
        distance[known] = distances(points[known], ideal_point(points[known]))
    order = sorted(range(len(points)), key=lambda at: (violations[at], distance[at], at))
    places = [0] * len(points)
    for place, at in enumerate(order, start=1):
        places[at] = place
    return places


def _signed(value: float | None, weight: float) -> float:
    return np.inf if value is None else weight * value


def rank_correlation(a: Sequence[int], b: Sequence[int]) -> float | None:
    """Spearman's coefficient of two rankings without ties; None for fewer than two members."""
    if len(a) < 2:
        return None
    x, y = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    return float(
        ((x - x.mean()) * (y - y.mean())).sum() / np.sqrt(((x - x.mean()) ** 2).sum() * ((y - y.mean()) ** 2).sum())
    )


def member_block(judged: Judged, rank_in: int, rank_out: int) -> dict[str, Any]:
    """What a member's file gains under `holdout`."""
    windows = {
        label: {"error": "could not be simulated"} if result is None else _window_block(result)
        for label, result in judged.results.items()
    }
    return {"windows": windows, "degradation": judged.degradation(), "rank_in": rank_in, "rank_out": rank_out}


def _window_block(result: Scored) -> dict[str, Any]:
    metrics = result.block["metrics"]
    return {
        "metrics": {"stats": metrics["stats"]},
        "objectives": metrics["objectives"],
        "constraint_violation": metrics["constraint_violation"],
    }


def median_degradation(members: Sequence[Judged]) -> dict[str, float | None]:
    """The median of each objective's ratio over members that have one."""
    names = list(members[0].inside) if members else []
    found: dict[str, float | None] = {}
    for name in names:
        ratios = [ratio for one in members if (ratio := one.degradation()[name]) is not None]
        found[name] = float(np.median(ratios)) if ratios else None
    return found
