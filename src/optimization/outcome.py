"""What became of a candidate: scored, or failed (`optimizer_pareto_tools.md` 5.5, 6.3, 13.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.terms import PSIDES
from optimization.context import TWEL, EvalContext
from optimization.executors.protocol import Answer, Reply
from optimization.metric_values import metric_values
from optimization.samplers.protocol import Fitness
from optimization.scoring import Scoring
from optimization.space import Vector

FAILED = 1e30  # objectives and violation of a candidate that could not be simulated


@dataclass(frozen=True, slots=True)
class Outcome:
    """Fitness, and the part of the record that holds the metrics; `error` says why there are none."""

    fitness: Fitness
    block: Mapping[str, Any]
    engine_seconds: float = 0.0
    error: str | None = None

    @classmethod
    def of_record(cls, block: Mapping[str, Any]) -> Outcome:
        """An outcome that was recorded before."""
        metrics = block["metrics"]
        fitness = Fitness(tuple(metrics["objectives"].values()), metrics["constraint_violation"])
        return cls(fitness, block, error=metrics.get("error"))


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns the engine's numbers into outcomes."""

    context: EvalContext
    scoring: Scoring

    def outcome(self, vector: Vector, reply: Reply) -> Outcome:
        """What a reply of an executor means."""
        return self.scored(vector, reply) if isinstance(reply, Answer) else self.failed(reply.reason)

    def scored(self, vector: Vector, answer: Answer) -> Outcome:
        """The outcome of all runs of a candidate, in the order of the context."""
        genes = self.context.genes(vector)
        analyses: dict[str, dict[str, dict[str, float]]] = {}
        for run, row in zip(self.context.runs, answer.values, strict=True):
            sides = run.sides(genes)
            limits = {pside: sides[pside][TWEL] for pside in PSIDES}
            analyses.setdefault(run.label, {})[run.name] = metric_values(row, limits)
        scored = self.scoring.score(analyses)
        return Outcome(Fitness(scored.objectives, scored.violation), scored.block, answer.engine_seconds)

    def failed(self, reason: str) -> Outcome:
        """The outcome of a candidate that cannot be simulated: recorded, never a member of the front."""
        objectives = (FAILED,) * len(self.scoring.objectives)
        block = {
            "metrics": {
                "error": reason,
                "objectives": {f"w_{i}": value for i, value in enumerate(objectives)},
                "constraint_violation": FAILED,
            }
        }
        return Outcome(Fitness(objectives, FAILED), block, error=reason)
