"""The initial population: random genomes, and the starting configs in front (`optimizer_pareto_tools.md` 3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from config.changes import Config
from core.errors import ConfigError
from optimization.context import TWEL
from optimization.pareto import select
from optimization.samplers.protocol import Evaluated, Proposal
from optimization.space import SearchSpace, Vector

logger = logging.getLogger(__name__)

LESS_EXPOSURE = 0.75


def seed_vectors(configs: Sequence[tuple[str, Config]], space: SearchSpace) -> list[Vector]:
    """The evaluated vectors of starting configs (`(name, config)`), each also with less exposure; equal ones once.

    A config that does not fit is skipped with an error on the log.
    """
    found: dict[Vector, None] = {}
    for name, config in configs:
        try:
            values = space.values(config["bot"])
        except ConfigError as exc:
            logger.error("starting config %s is skipped: %s", name, exc)
            continue
        less = [v * LESS_EXPOSURE if g.key == TWEL else v for g, v in zip(space.genes, values, strict=True)]
        found |= {space.enforce(values): None, space.enforce(less): None}
    return list(found)


def initial_population(
    space: SearchSpace, size: int, seeds: Sequence[Evaluated], rng: np.random.Generator
) -> list[Proposal]:
    """`size` proposals: the best seeds with their fitness, clones of them in half of the rest, random genomes."""
    randoms = [Proposal(space.enforce(space.random(rng))) for _ in range(size)]
    if not seeds:
        return randoms
    kept = _trimmed(seeds, size)
    clones = [kept[int(rng.integers(len(kept)))] for _ in range((size - len(kept)) // 2)]
    known = [Proposal(one.genome, one.fitness) for one in (*kept, *clones)]
    return [*known, *randoms[len(known) :]]


def _trimmed(seeds: Sequence[Evaluated], size: int) -> list[Evaluated]:
    if len(seeds) <= size:
        return list(seeds)
    objectives = np.array([one.fitness.objectives for one in seeds])
    violations = np.array([one.fitness.violation for one in seeds])
    return [seeds[at] for at in select(objectives, violations, size)]
