"""The genetic algorithms of pymoo behind our protocol (`optimizer_pareto_tools.md` 13.7).

An infeasible candidate may bring any objectives: all of these methods rank it by its violation alone. That is why the
penalised objectives of `Fitness` serve as well as unpenalised ones would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import dill
import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3, comp_by_cv_then_random
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.algorithms.moo.unsga3 import UNSGA3, comp_by_rank_and_ref_line_dist
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.termination.max_gen import MaximumGenerationTermination
from pymoo.util.ref_dirs import get_reference_directions

from config.changes import Config
from core.errors import ConfigError
from core.rng import variation
from optimization.samplers.coordinates import Coordinates
from optimization.samplers.protocol import Evaluated, Proposal
from optimization.samplers.settings import VariationSettings
from optimization.space import SearchSpace

Directions: TypeAlias = npt.NDArray[np.float64]
Build: TypeAlias = Callable[..., Any]
"""Makes an algorithm of `pop_size`, `sampling` and the operators."""

MOST_DIRECTIONS = 500
SMS_OBJECTIVES = 4


class PymooGenetic:
    """An algorithm. It draws from a generator of its own, which is seeded once from the global one."""

    def __init__(
        self, space: SearchSpace, settings: VariationSettings, population_size: int, build: Build, generations: int
    ) -> None:
        self.population_size = population_size
        self._coordinates = Coordinates.of_free(space)
        self._settings, self._build, self._generations = settings, build, generations
        self._algorithm: Any = None

    def ask(self, n: int) -> Iterator[Proposal]:
        """`n` offspring, drawn together."""
        self._algorithm.n_offsprings = n
        return (Proposal(self._coordinates.genome(x)) for x in self._algorithm.ask().get("X").tolist())

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """The first time the population; later what became of a chunk."""
        population = self._population(evaluated)
        if self._algorithm is None:
            self._algorithm = self._started(population)
            population = self._algorithm.ask()
        self._algorithm.tell(infills=population)

    def _population(self, evaluated: Sequence[Evaluated]) -> Any:
        return Population.new(
            X=np.array([self._coordinates.of(one.genome) for one in evaluated]),
            F=np.array([one.fitness.objectives for one in evaluated]),
            G=np.array([[one.fitness.violation] for one in evaluated]),
        )

    def _started(self, population: Any) -> Any:
        algorithm = self._build(
            pop_size=self.population_size,
            sampling=population,
            crossover=SBX(eta=self._settings.crossover_eta),
            mutation=PM(eta=self._settings.mutation_eta, prob_var=self._settings.mutation_indpb),
            eliminate_duplicates=False,  # ours to do, and it may leave fewer than were asked for
        )
        problem = Problem(
            n_var=len(self._coordinates),
            n_obj=population.get("F").shape[1],
            n_ieq_constr=1,
            xl=np.array(self._coordinates.lows),
            xu=np.array(self._coordinates.highs),
        )
        # RVEA plans ahead for so many generations; nothing ends when they are over.
        ending = MaximumGenerationTermination(self._generations) if isinstance(algorithm, RVEA) else NoTermination()
        return algorithm.setup(problem, termination=ending, seed=variation.getrandbits(32))

    def state(self) -> bytes:
        """The whole algorithm, generator included."""
        return bytes(dill.dumps(self._algorithm))

    def restore(self, state: bytes) -> None:
        """Take up a stored state."""
        self._algorithm = dill.loads(state)


class SeededTies:
    """A tournament in which ties of violation are decided by the algorithm's generator; pymoo asks an unseeded one."""

    def __init__(self, compare: Callable[..., npt.NDArray[np.int_]]) -> None:
        self._compare = compare

    def __call__(self, pop: Any, pairs: npt.NDArray[np.int_], random_state: Any, **kwargs: Any) -> Any:
        winners = self._compare(pop, pairs, random_state=random_state, **kwargs)
        first, second = pop.get("CV")[:, 0][pairs].T
        tied = np.flatnonzero((first == second) & (first > 0))
        winners[tied, 0] = pairs[tied, random_state.integers(0, 2, len(tied))]
        return winners


METHODS: dict[str, Build] = {
    "pymoo_nsga2": NSGA2,
    "pymoo_nsga3": partial(NSGA3, selection=TournamentSelection(func_comp=SeededTies(comp_by_cv_then_random))),
    "pymoo_unsga3": partial(
        UNSGA3, selection=TournamentSelection(func_comp=SeededTies(comp_by_rank_and_ref_line_dist))
    ),
    "pymoo_rvea": RVEA,
    "pymoo_sms": SMSEMOA,
}
_DIRECTED = ("pymoo_nsga3", "pymoo_unsga3", "pymoo_rvea")


def pymoo_sampler(name: str, space: SearchSpace, config: Config) -> PymooGenetic:
    """The sampler of a config. Raises ConfigError when population or objectives do not fit the method."""
    optimize = config["optimize"]
    objectives, size, build = len(optimize["scoring"]), optimize["population_size"], METHODS[name]
    if name == "pymoo_sms" and objectives > SMS_OBJECTIVES:
        raise ConfigError(
            f"optimize.sampler pymoo_sms cannot work with {objectives} objectives: its hypervolumes take hours above "
            f"{SMS_OBJECTIVES}; use pymoo_nsga3"
        )
    if name in _DIRECTED:
        directions = reference_directions(name, objectives)
        size = _population_size(name, size, directions)
        build = partial(build, directions)
    settings = VariationSettings.of(config, len(Coordinates.of_free(space)))
    return PymooGenetic(space, settings, size, build, generations=max(1, optimize["iters"] // size))


def _population_size(name: str, size: int | None, directions: Directions) -> int:
    count, objectives = directions.shape
    if size is not None and size < count:
        raise ConfigError(
            f"optimize.population_size {size} is too small for {name}: with {objectives} objectives it has {count} "
            f"reference directions; make it at least {count}, or null"
        )
    return count if size is None else size


def reference_directions(name: str, objectives: int) -> Directions:
    """float64 [directions, objectives]: Das-Dennis, with as many partitions as make at most 500 directions."""
    if objectives < 2:
        raise ConfigError(f"optimize.sampler {name} needs at least two entries in optimize.scoring; use deap_nsga2")
    directions: Directions = get_reference_directions("das-dennis", objectives, n_partitions=partitions(objectives))
    return directions


def partitions(objectives: int) -> int:
    """The largest number of Das-Dennis partitions with at most 500 directions; at least 1."""
    count = 1
    while math.comb(count + objectives, objectives - 1) <= MOST_DIRECTIONS:
        count += 1
    return count
