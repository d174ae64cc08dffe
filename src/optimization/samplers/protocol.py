"""What every search method looks like to the driver (`optimizer_pareto_tools.md` 13.1, 13.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from optimization.space import Vector


@dataclass(frozen=True, slots=True)
class Fitness:
    """Objectives in the order of scoring, all minimised; violation 0 means feasible."""

    objectives: Vector
    violation: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A raw genome to be evaluated; one that comes with its fitness is not evaluated again."""

    genome: Vector
    fitness: Fitness | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A raw genome with its fitness."""

    genome: Vector
    fitness: Fitness


class Sampler(Protocol):
    """Proposes genomes and learns what became of them. Draws from the global `random` only (`core.rng`).

    The first `tell` brings the initial population. Then `ask` and `tell` alternate, or run ahead of each other by the
    lag of the schedule: between two tells several `ask` may come, all from the same state.

    population_size how many the initial population has, and a chunk where nothing else is configured
    """

    population_size: int

    def ask(self, n: int) -> Iterator[Proposal]:
        """`n` proposals, drawn one by one as the iterator is advanced."""
        ...

    def tell(self, evaluated: Sequence[Evaluated]) -> None:
        """What became of a chunk, in the order in which it was proposed."""
        ...

    def state(self) -> bytes:
        """Everything but the global `random` that the future depends on."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up a stored state."""
        ...
