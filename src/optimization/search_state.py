"""What a search must remember to go on as if it had never stopped (`optimizer_pareto_tools.md` 13.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimization.samplers.protocol import Evaluated, Fitness
from optimization.space import Vector


@dataclass(slots=True)
class Slot:
    """A place in a chunk: a genome, with its fitness, or with the candidate whose fitness it gets."""

    genome: Vector
    fitness: Fitness | None = None
    candidate: int | None = None


@dataclass(slots=True)
class Chunk:
    """What is taken in together."""

    number: int
    slots: list[Slot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SearchState:
    """The search at a boundary of its schedule.

    counts      duplicates: total, resolved, reused
    next_chunk  the chunk to be drawn next; `taken` the last one taken in
    open        chunks that were drawn and are not taken in
    underway    `{id: (raw genome, evaluated vector, are they the same)}` of candidates that are not recorded
    """

    sampler: bytes
    streams: Mapping[str, str]
    counts: tuple[int, int, int]
    next_chunk: int
    taken: int
    failures: int
    seeds: list[Vector]
    evaluated_seeds: list[Evaluated]
    open: list[Chunk]
    underway: Mapping[int, tuple[Vector, Vector, bool]]
    elapsed_s: float

    def packed(self) -> dict[str, Any]:
        """Plain lists and mappings."""
        return {
            "sampler": self.sampler,
            "streams": dict(self.streams),
            "counts": list(self.counts),
            "next_chunk": self.next_chunk,
            "taken": self.taken,
            "failures": self.failures,
            "seeds": self.seeds,
            "evaluated_seeds": [(one.genome, _packed(one.fitness)) for one in self.evaluated_seeds],
            "open": [(c.number, [(s.genome, _packed(s.fitness), s.candidate) for s in c.slots]) for c in self.open],
            "underway": [(number, *candidate) for number, candidate in self.underway.items()],
            "elapsed_s": self.elapsed_s,
        }

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> SearchState:
        """The state that was packed."""
        return cls(
            sampler=packed["sampler"],
            streams=packed["streams"],
            counts=tuple(packed["counts"]),
            next_chunk=packed["next_chunk"],
            taken=packed["taken"],
            failures=packed["failures"],
            seeds=[tuple(vector) for vector in packed["seeds"]],
            evaluated_seeds=[Evaluated(tuple(g), _fitness(f)) for g, f in packed["evaluated_seeds"]],
            open=[Chunk(number, [_slot(*slot) for slot in slots]) for number, slots in packed["open"]],
            underway={number: (tuple(g), tuple(v), exact) for number, g, v, exact in packed["underway"]},
            elapsed_s=packed["elapsed_s"],
        )


def _packed(fitness: Fitness | None) -> list[Any] | None:
    return None if fitness is None else [fitness.objectives, fitness.violation]


def _fitness(packed: list[Any]) -> Fitness:
    return Fitness(tuple(packed[0]), packed[1])


def _slot(genome: list[float], fitness: list[Any] | None, candidate: int | None) -> Slot:
    return Slot(tuple(genome), None if fitness is None else _fitness(fitness), candidate)
