"""Optuna's tree-structured Parzen estimator behind our protocol (`optimizer_pareto_tools.md` 13.7).

It splits the past into good and bad candidates and asks where good ones are dense; infeasible ones count by their
violation alone. Each proposal costs time that grows with the number of past candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dill
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from core.rng import variation
from optimization.samplers.coordinates import Coordinates
from optimization.samplers.protocol import Evaluated, Proposal
from optimization.space import SearchSpace


class OptunaTpe:
    """A study in memory, and the trials of it that are being evaluated: proposals keep away from these."""

    def __init__(self, space: SearchSpace, population_size: int) -> None:
        self.population_size = population_size
        self._coordinates = Coordinates.of_free(space)
        limits = zip(self._coordinates.lows, self._coordinates.highs, strict=True)
        self._distributions: dict[str, BaseDistribution] = {
            f"{i:03d}": FloatDistribution(low, high) for i, (low, high) in enumerate(limits)
        }
        self._study: optuna.Study | None = None
        self._running: list[int] = []

    def ask(self, n: int) -> Iterator[Proposal]:
        """`n` proposals, each knowing of those before it."""
        for _ in range(n):
            assert self._study is not None, "the initial population has not been told"
            trial = self._study.ask(self._distributions)
            self._running.append(trial.number)
            yield Proposal(self._coordinates.genome([trial.params[name] for name in self._distributions]))

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """What became of candidates. They may differ from what was proposed: duplicates are perturbed."""
        study = self._study = self._study or _new_study(len(evaluated[0].fitness.objectives))
        for number in self._running[: len(evaluated)]:
            study.tell(number, state=TrialState.FAIL)
        del self._running[: len(evaluated)]
        study.add_trials([self._trial(one) for one in evaluated])

    def _trial(self, one: Evaluated) -> Any:
        return optuna.create_trial(
            params=dict(zip(self._distributions, self._coordinates.of(one.genome), strict=True)),
            distributions=self._distributions,
            values=one.fitness.objectives,
            constraints={"violation": one.fitness.violation},
        )

    def state(self) -> bytes:
        """The whole study, generators included."""
        return bytes(dill.dumps((self._study, self._running)))

    def restore(self, state: bytes) -> None:
        """Take up a stored state."""
        self._study, self._running = dill.loads(state)


def _new_study(objectives: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=variation.getrandbits(32))
    return optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
