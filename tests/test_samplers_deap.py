"""DEAP's NSGA-II: operators, order of draws, survivors, state (`optimizer_pareto_tools.md` 1.2, 4)."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from core.errors import ConfigError
from optimization.pareto import select
from optimization.samplers.coordinates import Coordinates
from optimization.samplers.deap_nsga2 import DeapNsga2, Variation
from optimization.samplers.protocol import Evaluated, Fitness, Proposal
from optimization.samplers.settings import VariationSettings
from optimization.space import Gene, SearchSpace

SPACE = SearchSpace(
    (
        Gene("long_a", "long", "a", 0.001, 0.05),
        Gene("long_b", "long", "b", 7, 20, 1),
        Gene("long_c", "long", "c", 0.01234, 0.01234),
        Gene("long_d", "long", "d", -1, 1),
    ),
    digits=3,
)
COORDINATES = Coordinates.of_all(SPACE)
SETTINGS = VariationSettings(0.64, 0.34, 20.0, 20.0, 1.0)
PARENT, OTHER = (0.02, 12.0, 0.01234, 0.5), (0.04, 9.0, 0.01234, -0.5)


def evaluated(*objectives: float, violation: float = 0.0, a: float = 0.02) -> Evaluated:
    return Evaluated((a, 12.0, 0.01234, 0.5), Fitness(objectives, violation))


def population(size: int) -> list[Evaluated]:
    rng = np.random.default_rng(1)
    return [Evaluated(SPACE.random(rng), Fitness(tuple(rng.random(2)), 0.0)) for _ in range(size)]


def started(size: int, settings: VariationSettings = SETTINGS) -> DeapNsga2:
    sampler = DeapNsga2(SPACE, settings, size)
    sampler.tell(population(size))
    return sampler


def test_mutation_vector() -> None:
    """The mutation vector of 4.3."""
    random.seed(1)
    child = Variation(COORDINATES, SETTINGS).mutated(COORDINATES.of(PARENT))
    assert COORDINATES.genome(child) == (0.02269286484572697, 12, 0.01234, 0.5800852850625173)


def test_crossover_vector() -> None:
    """The crossover vector of 4.3, both children."""
    random.seed(1)
    first, second = Variation(COORDINATES, SETTINGS).crossed(COORDINATES.of(PARENT), COORDINATES.of(OTHER))
    assert COORDINATES.genome(first) == (0.019418477336665775, 12, 0.01234, 0.5)
    assert COORDINATES.genome(second) == (0.04058152199631488, 9, 0.01234, -0.5)


def test_operators_leave_parents_alone() -> None:
    """Children are made of copies."""
    a, b = COORDINATES.of(PARENT), COORDINATES.of(OTHER)
    variation = Variation(COORDINATES, SETTINGS)
    variation.crossed(a, b)
    variation.mutated(a)
    assert (a, b) == (COORDINATES.of(PARENT), COORDINATES.of(OTHER))


def test_coordinates() -> None:
    """Grids count from 0; equal limits are widened by 1e-6; back come grid points, and the low of fixed genes."""
    assert COORDINATES.of(PARENT) == [0.02, 5.0, 0.01234, 0.5]
    assert COORDINATES.lows == [0.001, 0.0, 0.01234 - 1e-6, -1]
    assert COORDINATES.highs == [0.05, 13.0, 0.01234 + 1e-6, 1]
    assert COORDINATES.genome([0.03, 5.5, 0.0123400001, -0.25]) == (0.03, 13.0, 0.01234, -0.25)
    free = Coordinates.of_free(SPACE)
    assert (free.lows, free.highs) == ([0.001, 0.0, -1], [0.05, 13.0, 1])
    assert free.genome(free.of(PARENT)) == PARENT
    fixed_on_grid = Coordinates.of_all(SearchSpace((Gene("long_e", "long", "e", 5, 5, 1),), 3))
    assert (fixed_on_grid.lows, fixed_on_grid.highs) == ([-1e-6], [1e-6])
    assert fixed_on_grid.genome([1e-6]) == (5,)


def test_both_ways_to_write_the_last_grid_point() -> None:
    """7 x 0.01 above 0.5 is beyond 0.57 by rounding: crossing the two writings of that point fails nowhere."""
    coordinates = Coordinates.of_all(SearchSpace((Gene("long_a", "long", "a", 0.5, 0.57, 0.01),), 3))
    variation = Variation(coordinates, replace(SETTINGS, crossover_eta=20.5))
    for _ in range(20):
        children = variation.crossed(coordinates.of((0.57,)), coordinates.of((0.5 + 7 * 0.01,)))
        assert [coordinates.genome(child) for child in children] == [(0.5700000000000001,)] * 2


def test_fixed_genes_use_up_draws() -> None:
    """A fixed gene takes part in the draws, so that fixing one does not shift those of the others."""
    random.seed(3)
    mutant = COORDINATES.genome(Variation(COORDINATES, SETTINGS).mutated(COORDINATES.of(PARENT)))
    free_c = Gene("long_c", "long", "c", 0.01, 0.02)
    other = Coordinates.of_all(replace(SPACE, genes=(*SPACE.genes[:2], free_c, SPACE.genes[3])))
    random.seed(3)
    unfixed = other.genome(Variation(other, SETTINGS).mutated(other.of(PARENT)))
    assert unfixed[2] != mutant[2]
    assert (unfixed[:2], unfixed[3]) == (mutant[:2], mutant[3])


def test_order_of_draws() -> None:
    """The operator first, then the parents, then the genes: as in DEAP's varOr (4.2)."""
    sampler, members, variation = started(6), population(6), Variation(COORDINATES, SETTINGS)
    random.seed(11)
    proposals = list(sampler.ask(40))
    random.seed(11)
    for proposal in proposals:
        u = random.random()
        if u < 0.64:
            a, b = random.sample(members, 2)
            child, _ = variation.crossed(COORDINATES.of(a.genome), COORDINATES.of(b.genome))
            assert proposal == Proposal(COORDINATES.genome(child))
        elif u < 0.98:
            parent = random.choice(members)
            assert proposal == Proposal(COORDINATES.genome(variation.mutated(COORDINATES.of(parent.genome))))
        else:
            parent = random.choice(members)
            assert proposal == Proposal(parent.genome, parent.fitness)


@pytest.mark.parametrize(("crossover", "mutation", "kept"), [(1.0, 0.0, False), (0.0, 1.0, False), (0.0, 0.0, True)])
def test_one_operator_an_offspring(crossover: float, mutation: float, kept: bool) -> None:
    """Changed offspring lose their fitness, unchanged ones keep it, violation included."""
    sampler = DeapNsga2(SPACE, replace(SETTINGS, crossover_probability=crossover, mutation_probability=mutation), 2)
    parents = [evaluated(1, 2, violation=3.0), evaluated(2, 1, violation=4.0, a=0.03)]
    sampler.tell(parents)
    for proposal in sampler.ask(20):
        assert (proposal.fitness is not None) is kept
        assert not kept or Evaluated(proposal.genome, proposal.fitness) in parents


def test_asking_draws_one_by_one() -> None:
    """Proposals are drawn when the iterator gets there, and from the population at the time of asking."""
    sampler = started(6)
    random.seed(2)
    expected = list(sampler.ask(2))
    random.seed(2)
    proposals = sampler.ask(5)
    before = random.getstate()
    assert next(proposals) == expected[0]
    assert random.getstate() != before
    sampler.tell([evaluated(-1.0, -1.0)] * 6)
    assert next(proposals) == expected[1]


def test_survivors() -> None:
    """The first chunk becomes the population; after later ones the best of both survive, in the order of selection."""
    first = population(8)
    sampler = DeapNsga2(SPACE, SETTINGS, 8)
    sampler.tell(first)
    kept = [evaluated(0.9, 0.1, a=0.03), evaluated(-1.0, 0.5, violation=1.0)]
    sampler.tell(kept)
    candidates = [*first, *kept]
    objectives = np.array([one.fitness.objectives for one in candidates])
    violations = np.array([one.fitness.violation for one in candidates])
    expected = DeapNsga2(SPACE, SETTINGS, 8)
    expected.tell([candidates[i] for i in select(objectives, violations, 8)])
    assert sampler.state() == expected.state()


def test_state_goes_on_exactly() -> None:
    """A restored sampler has the population of the stored one, to the last bit and in its order."""
    sampler, restored = started(6), DeapNsga2(SPACE, SETTINGS, 6)
    sampler.tell([evaluated(0.1 + 0.2, 1e-300, violation=1e30)])
    restored.restore(sampler.state())
    assert restored.state() == sampler.state()
    random.seed(4)
    expected = list(sampler.ask(30))
    random.seed(4)
    assert list(restored.ask(30)) == expected


@pytest.mark.parametrize(
    ("given", "indpb"), [(0.05, 0.05), (1.0, 1.0), (7, 1.0), (0.0, 0.25), (-1, 0.25), (None, 0.25), ("x", 0.25)]
)
def test_settings(given: object, indpb: float) -> None:
    """The probability per gene is clamped; what is none, or not above 0, becomes 1 / number of genes (1.2)."""
    assert VariationSettings.of({"optimize": options(mutation_indpb=given)}, 4) == replace(
        SETTINGS, mutation_indpb=indpb
    )


def test_probabilities_above_one() -> None:
    """Crossing and mutating exclude each other, so that their probabilities cannot exceed 1 together."""
    assert VariationSettings.of({"optimize": options(mutation_probability=0.36)}, 4).mutation_probability == 0.36
    with pytest.raises(ConfigError, match=r"crossover_probability 0.64 .* 0.37 exceed 1"):
        VariationSettings.of({"optimize": options(mutation_probability=0.37)}, 4)


def options(**changes: object) -> dict[str, object]:
    given = {"crossover_probability": 0.64, "mutation_probability": 0.34, "mutation_indpb": 1.0}
    return {**given, "crossover_eta": 20.0, "mutation_eta": 20.0, **changes}
