"""NSGA-II with DEAP's operators: mu + lambda, one operator an offspring (`optimizer_pareto_tools.md` 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgpack
import numpy as np
from deap.tools import cxSimulatedBinaryBounded, mutPolynomialBounded

from config.changes import Config
from core.rng import variation
from optimization.pareto import select
from optimization.samplers.coordinates import Coordinates
from optimization.samplers.protocol import Evaluated, Fitness, Proposal
from optimization.samplers.settings import VariationSettings
from optimization.space import SearchSpace, Vector


class Variation:
    """DEAP's bounded operators on the coordinates of all genes; they draw from the global `random`."""

    def __init__(self, coordinates: Coordinates, settings: VariationSettings) -> None:
        self._limits = {"low": coordinates.lows, "up": coordinates.highs}
        self._settings = settings

    def crossed(self, a: Sequence[float], b: Sequence[float]) -> tuple[list[float], list[float]]:
        """Two children of two parents."""
        first, second = cxSimulatedBinaryBounded(list(a), list(b), eta=self._settings.crossover_eta, **self._limits)
        return first, second

    def mutated(self, parent: Sequence[float]) -> list[float]:
        """A mutant."""
        settings = self._settings
        (child,) = mutPolynomialBounded(
            list(parent), eta=settings.mutation_eta, indpb=settings.mutation_indpb, **self._limits
        )
        return list(child)


@dataclass(frozen=True, slots=True)
class _Member:
    genome: Vector
    fitness: Fitness
    coordinates: list[float]


class DeapNsga2:
    """The population, and offspring of it."""

    def __init__(self, space: SearchSpace, settings: VariationSettings, population_size: int) -> None:
        self.population_size = population_size
        self._settings = settings
        self._coordinates = Coordinates.of_all(space)
        self._variation = Variation(self._coordinates, settings)
        self._population: list[_Member] = []

    def ask(self, n: int) -> Iterator[Proposal]:
        """`n` offspring of the present population; one that enters unchanged brings its fitness."""
        population = self._population
        return (self._offspring(population) for _ in range(n))

    def _offspring(self, population: list[_Member]) -> Proposal:
        """The order of draws is that of DEAP's varOr (4.2)."""
        settings, u = self._settings, variation.random()
        if u < settings.crossover_probability:
            a, b = variation.sample(population, 2)
            child, _ = self._variation.crossed(a.coordinates, b.coordinates)
            return Proposal(self._coordinates.genome(child))
        parent = variation.choice(population)
        if u < settings.crossover_probability + settings.mutation_probability:
            return Proposal(self._coordinates.genome(self._variation.mutated(parent.coordinates)))
        return Proposal(parent.genome, parent.fitness)

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """The first time the population; later the survivors of the population and a chunk."""
        arrived = [self._member(one.genome, one.fitness) for one in evaluated]
        if not self._population:
            self._population = arrived
            return
        candidates = [*self._population, *arrived]
        objectives = np.array([one.fitness.objectives for one in candidates])
        violations = np.array([one.fitness.violation for one in candidates])
        self._population = [candidates[i] for i in select(objectives, violations, self.population_size)]

    def _member(self, genome: Vector, fitness: Fitness) -> _Member:
        return _Member(genome, fitness, self._coordinates.of(genome))

    def state(self) -> bytes:
        """The population in its order: [genome, objectives, violation] each."""
        rows = [(one.genome, one.fitness.objectives, one.fitness.violation) for one in self._population]
        return bytes(msgpack.packb(rows))

    def restore(self, state: bytes) -> None:
        """Take up a stored population."""
        rows = msgpack.unpackb(state, use_list=False)
        self._population = [
            self._member(genome, Fitness(objectives, violation)) for genome, objectives, violation in rows
        ]


def deap_sampler(space: SearchSpace, config: Config) -> DeapNsga2:
    """The sampler of a config. Raises ConfigError when probabilities or population size cannot be used."""
    return DeapNsga2(space, VariationSettings.of(config, len(space)), config["optimize"]["population_size"])
