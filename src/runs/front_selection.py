"""Choosing from a front on the command line: limits, objectives, the ideal point (`optimizer_pareto_tools.md` 7)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from config.objectives import canonical_metric, metric_weight
from core.errors import DataError, UsageError
from optimization.expressions import Expression, keeps, member_value
from optimization.ideal import distances, ideal_point, mode_name
from optimization.members import Member
from reporting.plots.front import FrontPicture


@dataclass(frozen=True, slots=True)
class Selection:
    """The members that were kept, some of their objectives (indices into w_i), and where they lie to the ideal."""

    members: list[Member]
    columns: list[int]
    picture: FrontPicture

    @property
    def closest(self) -> Member:
        return self.members[self.picture.closest]


def unknown_limits(members: Sequence[Member], limits: Sequence[Expression]) -> list[str]:
    """Names in limits that no member has: such a limit is passed over."""
    return [limit.name for limit in limits if all(member_value(member, limit.name) is None for member in members)]


def kept_members(members: list[Member], limits: Sequence[Expression]) -> list[Member]:
    """The members that hold every limit. Raises DataError when there are none."""
    kept = [member for member in members if keeps(limits, member)]
    if not kept:
        texts = ", ".join(f"{limit.name}{limit.op}{limit.bound:g}" for limit in limits)
        raise DataError(f"none of {len(members)} members holds {texts}: loosen a limit")
    return kept


def objective_columns(scoring: Sequence[str], wanted: str) -> list[int]:
    """Indices of the objectives in a comma list of names or `w_i`, all for an empty one. Raises UsageError."""
    known = {name: i for i, name in enumerate(scoring)} | {f"w_{i}": i for i in range(len(scoring))}
    words = [word.strip() for word in wanted.split(",") if word.strip()]
    for word in words:
        if word not in known and canonical_metric(word) not in known:
            raise UsageError(f"objective {word!r} does not exist: this front has {', '.join(scoring)} (w_0, w_1, ...)")
    columns = [known[word] if word in known else known[canonical_metric(word)] for word in words]
    return list(dict.fromkeys(columns)) or list(range(len(scoring)))


def select(members: list[Member], columns: list[int], mode: str, weights: Sequence[float]) -> Selection:
    """The members beside their ideal point."""
    points = np.array([member.objectives for member in members])[:, columns]
    ideal = ideal_point(points, mode_name(mode), weights)
    names = [objective_name(members[0].scoring[i], i) for i in columns]
    labels = [member.id[:16] for member in members]
    return Selection(members, columns, FrontPicture(points, names, labels, distances(points, ideal), ideal))


def objective_name(metric: str, index: int) -> str:
    """`w_0 = -adg_usd` for what is maximised, `w_1 = drawdown_worst_usd` for what is minimised."""
    if metric == f"w_{index}":
        return metric
    return f"w_{index} = {'-' if metric_weight(metric) == -1 else ''}{metric}"


def _objectives(selection: Selection, values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {f"w_{i}": float(value) for i, value in zip(selection.columns, values, strict=True)}


def as_json(selection: Selection) -> str:
    """Count, ideal point and closest member."""
    picture = selection.picture
    closest = _objectives(selection, picture.points[picture.closest])
    distance = float(picture.distance[picture.closest])
    result = {
        "n_members": len(selection.members),
        "ideal": _objectives(selection, picture.ideal),
        "closest": {"hash": selection.closest.id, **closest, "normalized_distance": distance},
    }
    return json.dumps(result, indent=4) + "\n"
