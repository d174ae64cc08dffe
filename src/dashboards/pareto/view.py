"""What the sidebar chooses: which members are shown, which are ringed, what they score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from config.bounds import search_bounds
from config.objectives import STATS
from core.errors import ConfigError
from dashboards.pareto.runs import Run, Runs
from optimization.front_table import ID, RANKS, direction, frontier, passing, weighted_score
from optimization.ideal import distances, ideal_point
from optimization.members import Member

SCORE = "score"
SLIDER_STEPS = 200
SLIDERS = 3
WEIGHTS = 5

Stored: TypeAlias = dict[str, Any]
Ends: TypeAlias = Sequence[float] | None


@dataclass(frozen=True, slots=True)
class View:
    """File names of the members that pass and of those on the frontier, and the weights of the score."""

    run: str
    passing: list[str]
    frontier: list[str]
    weights: dict[str, float]

    def stored(self) -> Stored:
        """As the browser keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings of the sidebar that decide what is shown."""

    filter_text: str
    ranges: Mapping[str, Ends]
    weights: Mapping[str, float]
    frontier_metrics: Sequence[str]
    only_frontier: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A run with the rows that the view lets through; both frames have the column `score`."""

    run: Run
    everyone: pd.DataFrame
    frame: pd.DataFrame
    frontier: list[str]


@dataclass(frozen=True, slots=True)
class Page:
    """What every callback works with: the runs, where configs are saved, where backtests are."""

    runs: Runs
    configs: Path
    backtests: Path

    def shown(self, stored: Stored) -> Shown:
        """The run and rows of a stored view; members that have been pruned meanwhile are gone."""
        view = View(**stored)
        run = self.runs.get(view.run)
        everyone = with_score(run, view.weights)
        return Shown(run, everyone, everyone[everyone[ID].isin(view.passing)], view.frontier)


def with_score(run: Run, weights: Mapping[str, float]) -> pd.DataFrame:
    """The run's table with the weighted score: 1 is best in everything."""
    directions = {name: direction(name) for name in weights}
    return run.table.frame.assign(**{SCORE: weighted_score(run.table.frame, weights, directions)})


def range_lines(frame: pd.DataFrame, ranges: Mapping[str, Ends]) -> list[str]:
    """Filter lines of the sliders that have been moved; a slider's ends are in steps of the column's range."""
    lines: list[str] = []
    for name, ends in ranges.items():
        if ends is None or name not in frame:
            continue
        low, high = float(frame[name].min()), float(frame[name].max())
        at = [low + (high - low) * end / SLIDER_STEPS for end in ends]
        lines += [f"{name} >= {at[0]:.6g}"] if ends[0] > 0 else []
        lines += [f"{name} <= {at[1]:.6g}"] if ends[1] < SLIDER_STEPS else []
    return lines


def make_view(run: Run, choice: Choice) -> View:
    """The view that a choice makes of a run. The frontier is that of the rows that pass the filter."""
    frame = run.table.frame
    text = "\n".join([choice.filter_text, *range_lines(frame, choice.ranges)])
    kept = frame[passing(frame, text)]
    best = frontier(kept, {name: direction(name) for name in choice.frontier_metrics})
    on_it = [str(name) for name in kept[ID][best]]
    shown = on_it if choice.only_frontier else [str(name) for name in kept[ID]]
    return View(run.name, shown, on_it, dict(choice.weights))


def closest(run: Run) -> str:
    """The member closest to the best of every objective."""
    points = run.table.objectives
    return str(run.table.frame[ID].iloc[int(np.argmin(distances(points, ideal_point(points))))])


def columns(run: Run) -> list[str]:
    """What axes can show: metrics first, statistics last (where they are more than the value four times)."""
    table = run.table
    first = [*table.metrics, SCORE, "violation", *(name for name in table.frame if str(name).startswith("objective_"))]
    first += table.varying_parameters
    rest = [str(name) for name in table.frame if name not in {*first, ID, *table.parameters}]
    plain = [name for name in rest if "__" in name or name in RANKS or name.startswith(("holdout.", "degradation."))]
    spread = {name for name in table.metrics if f"{name}_std" in table.frame and table.frame[f"{name}_std"].any()}
    return [*map(str, first), *plain, *(f"{name}_{stat}" for name in table.metrics if name in spread for stat in STATS)]


def parameter_bounds(member: Member) -> dict[str, tuple[float, float]]:
    """The search range of every parameter by its column; empty when the config has none that can be read."""
    try:
        bounds = search_bounds(member.entry)
    except (KeyError, ConfigError):
        return {}
    return {f"bot.{name.replace('_', '.', 1)}": (bound.low, bound.high) for name, bound in bounds.items()}
