"""Chunks, lag, offspring, and the initial population (`optimizer_pareto_tools.md` 3, 4.1, 13.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from config.bounds import Bound
from core.errors import ConfigError
from optimization.initial import initial_population, seed_vectors
from optimization.samplers.protocol import Evaluated, Fitness
from optimization.schedule import Schedule, offspring_size
from optimization.space import SearchSpace

SPACE = SearchSpace.of({"long_a": Bound(0.0, 1.0), "long_total_wallet_exposure_limit": Bound(0.0, 2.0)}, 3)


def optimize(**more: Any) -> dict[str, Any]:
    return {"iters": 250, "offspring_multiplier": 1, **more}


@pytest.mark.parametrize(
    ("multiplier", "size"),
    [(1, 50), (2, 100), (0.5, 25), (0.01, 1), ("x", 50), (0, 50), (-1, 50), (None, 50), (0.51, 26)],
)
def test_offspring(multiplier: Any, size: int) -> None:
    """Rounded half to even, at least one; nonsense counts as 1."""
    assert offspring_size(50, multiplier) == size
    assert offspring_size(5, 0.5) == 2


def test_generations() -> None:
    """iters / population generations, at least one; chunks of another size make up as many candidates."""
    assert Schedule.of(optimize(), 50) == Schedule(50, 1, 5, 50)
    assert Schedule.of(optimize(iters=3), 50).chunks == 1
    assert Schedule.of(optimize(), 1).chunks == 0
    schedule = Schedule.of(optimize(iters=48, pipeline={"chunk_size": 12, "lag": 2}), 24)
    assert (schedule.chunks, [schedule.source(chunk) for chunk in (1, 2, 3, 4)]) == (4, [0, 0, 1, 2])


@pytest.mark.parametrize(
    "pipeline", [{"lag": 0}, {"lag": 1.5}, {"chunk_size": "many"}, {"chunk_size": True}, {"size": 3}]
)
def test_bad_pipelines(pipeline: dict[str, Any]) -> None:
    """Each names its key."""
    with pytest.raises(ConfigError, match=r"optimize\.pipeline"):
        Schedule.of(optimize(pipeline=pipeline), 50)


def test_seeds_come_in_pairs() -> None:
    """As they are and with three quarters of the exposure; equal ones once; what does not fit is skipped."""

    def config(a: float, twel: float) -> dict[str, Any]:
        return {"bot": {"long": {"a": a, "total_wallet_exposure_limit": twel}}}

    found = seed_vectors(
        [("x", config(0.12345, 1.0)), ("y", config(0.12345, 1.0)), ("z", {"bot": {"long": {}}}), ("v", config(5, 4))],
        SPACE,
    )
    assert found == [(0.123, 1.0), (0.123, 0.75), (1.0, 2.0)]


@pytest.mark.parametrize(("seeds", "known"), [(0, 0), (3, 3 + 3), (10, 10), (14, 10)])
def test_initial_population(seeds: int, known: int) -> None:
    """Seeds, clones of them in half of the rest, random genomes; of too many seeds the best stay."""
    evaluated = [Evaluated((i / 20, 1.0), Fitness((float(i),), 0.0)) for i in range(seeds)]
    population = initial_population(SPACE, 10, evaluated, np.random.default_rng(1))
    assert len(population) == 10
    assert [one.fitness is not None for one in population] == [True] * known + [False] * (10 - known)
    kept = {one.genome for one in evaluated[:10]}
    assert all(one.genome in kept for one in population[:known])
    randoms = initial_population(SPACE, 10, (), np.random.default_rng(1))
    assert population[known:] == randoms[known:]
