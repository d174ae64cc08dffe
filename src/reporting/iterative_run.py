"""A run of the iterative backtester as it is shown and compared (`optimizer_pareto_tools.md` 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """A limit as what has to hold, e.g. `loss_profit_ratio.max <= 0.6`; the number compared, None where it is missing;
    the distance to the bound, below 0 beyond it."""

    requirement: str
    value: float | None
    distance: float | None

    @property
    def violated(self) -> bool:
        return self.distance is None or self.distance < 0.0


@dataclass(frozen=True, slots=True)
class IterativeRun:
    """One finished run, judged by the config's scoring.

    scores      objectives with penalties, smaller is better; infinite where the metric is missing
    signed      objectives without penalties, likewise
    metrics     mean over the datasets; a metric without a finite value is absent
    """

    number: int
    time_ms: int
    duration_s: float
    directory: Path
    objectives: tuple[str, ...]
    scores: tuple[float, ...]
    signed: tuple[float, ...]
    violation: float
    metrics: Mapping[str, float]
    limits: tuple[LimitCheck, ...]
    data_note: str | None = None

    def dominates(self, other: IterativeRun) -> bool:
        """Nowhere worse and somewhere better, penalties apart."""
        pairs = list(zip(self.signed, other.signed, strict=True))
        return all(mine <= theirs for mine, theirs in pairs) and any(mine < theirs for mine, theirs in pairs)


def best_run(runs: Sequence[IterativeRun]) -> IterativeRun:
    """The run with the lexicographically smallest scores, the earlier one of equals."""
    return min(runs, key=lambda run: (run.scores, run.number))


def dominating(run: IterativeRun, runs: Sequence[IterativeRun]) -> list[IterativeRun]:
    """The runs that are better than `run` without being worse in anything."""
    return [other for other in runs if other.dominates(run)]


def pareto_front(runs: Sequence[IterativeRun]) -> list[IterativeRun]:
    """The runs that no other one dominates, best scores first."""
    return sorted((run for run in runs if not dominating(run, runs)), key=lambda run: (run.scores, run.number))


def json_number(value: float) -> float | None:
    """JSON has no infinity: what is missing is null."""
    return value if math.isfinite(value) else None
