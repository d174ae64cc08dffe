"""Candidates that were seen before are moved a little; which ones were seen, and what became of them (5.6)."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optimization.samplers.protocol import Fitness
from optimization.space import Gene, SearchSpace, Vector, round_dynamic

SMALL = 0.01
SUBSET = 0.2

Move = Callable[[Sequence[float], SearchSpace, np.random.Generator], list[float]]


def identity(vector: Sequence[float]) -> str:
    """SHA-256 hex of the vector's JSON text."""
    return hashlib.sha256(json.dumps(list(vector)).encode()).hexdigest()


class Seen:
    """Every vector of a run by its identity, and the fitness of those that are done. Grows by some 200 bytes each."""

    def __init__(self, n_objectives: int) -> None:
        self._ids: dict[bytes, int] = {}
        self._fitness = array("d")
        self._width = n_objectives + 1

    def __len__(self) -> int:
        return len(self._ids)

    def id_of(self, key: str) -> int | None:
        """The candidate with that identity; None if there was none."""
        return self._ids.get(bytes.fromhex(key))

    def add(self, key: str, candidate: int) -> None:
        self._ids[bytes.fromhex(key)] = candidate

    def set_fitness(self, candidate: int, fitness: Fitness) -> None:
        """Candidates are done in the order of their ids."""
        assert len(self._fitness) == candidate * self._width, "results are taken in order"
        self._fitness.extend((*fitness.objectives, fitness.violation))

    def fitness(self, candidate: int) -> Fitness:
        """Raises IndexError for a candidate that is not done."""
        values = self._fitness[candidate * self._width : (candidate + 1) * self._width]
        if not values:
            raise IndexError(f"candidate {candidate} is not done")
        return Fitness(tuple(values[:-1]), values[-1])


@dataclass(slots=True)
class DuplicateCounts:
    """How often a vector had been seen, how often a moved one could be had, how often an old fitness was reused."""

    total: int = 0
    resolved: int = 0
    reused: int = 0


def moved(vector: Vector, space: SearchSpace, rng: np.random.Generator) -> Iterator[Vector]:
    """Six tries at another vector nearby, enforced, ever wider."""
    for move in MOVES:
        yield space.enforce(move(vector, space, rng))


def _percent(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    def of(gene: Gene, value: float) -> float:
        near = value * (1.0 + rng.uniform(-SMALL, SMALL))
        return near if gene.step is not None else _rounded(near, space)

    return [v if gene.is_fixed else of(gene, v) for gene, v in zip(space.genes, vector, strict=True)]


def _one_step(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    def of(gene: Gene, value: float) -> float:
        if rng.random() < 0.5:
            return value
        near = value + _sign(rng) * _step_of(gene, value, space)
        return near if gene.step is not None else _rounded(near, space)

    return [v if gene.is_fixed else of(gene, v) for gene, v in zip(space.genes, vector, strict=True)]


def _step_of(gene: Gene, value: float, space: SearchSpace) -> float:
    """A grid step; without a grid one of the last significant digit."""
    if gene.step is not None:
        return gene.step
    digits = _digits(space)
    if value == 0.0:
        return (gene.high - gene.low) * float(10.0 ** -(digits - 1))
    return float(10.0 ** (math.floor(math.log10(abs(value))) - (digits - 1)))


def _gaussian(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    def of(gene: Gene, value: float) -> float:
        spread = SMALL * (gene.high - gene.low)
        if gene.step is not None:
            return value + int(rng.normal(0.0, spread / gene.step) + 0.5) * gene.step
        return value + float(rng.normal(0.0, spread))

    return [v if gene.is_fixed else of(gene, v) for gene, v in zip(space.genes, vector, strict=True)]


def _subset(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    result = list(vector)
    for at in _some(space, rng):
        gene = space.genes[at]
        if gene.is_fixed:
            continue
        if gene.step is not None:
            result[at] += _sign(rng) * gene.step
        else:
            result[at] += SMALL * (gene.high - gene.low) * float(rng.uniform(-1.0, 1.0))
    return result


def _resample(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    result = list(vector)
    for at in _some(space, rng):
        if not space.genes[at].is_fixed:
            result[at] = space.genes[at].random(rng)
    return result


def _all(vector: Sequence[float], space: SearchSpace, rng: np.random.Generator) -> list[float]:
    return [v if gene.is_fixed else gene.random(rng) for gene, v in zip(space.genes, vector, strict=True)]


MOVES: tuple[Move, ...] = (_percent, _one_step, _gaussian, _subset, _resample, _all)


def _some(space: SearchSpace, rng: np.random.Generator) -> list[int]:
    """A fifth of the genes, at least one."""
    count = max(1, int(SUBSET * len(space)))
    return [int(at) for at in rng.choice(len(space), size=count, replace=False)]


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _digits(space: SearchSpace) -> int:
    return 16 if space.digits is None else space.digits


def _rounded(value: float, space: SearchSpace) -> float:
    return value if space.digits is None else round_dynamic(value, space.digits)
