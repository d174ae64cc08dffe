"""`candidates.bin`: what a resumed run must know of every candidate that is done (`additions.md` 15).

One record of fixed size a candidate, in the order of ids: SHA-256 of the evaluated vector, whether it is the
raw genome itself, the raw genome, objectives and violation. With it, nothing else has to be read to know what was seen.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError
from optimization.duplicates import identity
from optimization.samplers.protocol import Fitness
from optimization.space import SearchSpace, Vector


@dataclass(frozen=True, slots=True)
class DoneCandidate:
    """A candidate that is done. `exact`: its raw genome is its evaluated vector."""

    key: str
    exact: bool
    genome: Vector
    fitness: Fitness

    def vector(self, space: SearchSpace) -> Vector:
        """The evaluated vector. Raises DataError when it does not have the stored identity."""
        vector = self.genome if self.exact else space.enforce(self.genome)
        if identity(vector) != self.key:
            raise DataError("candidates.bin and the bounds disagree: this is not the run that was stopped")
        return vector


@dataclass(frozen=True, slots=True)
class CandidateFormat:
    """The layout of a record for so many genes and objectives."""

    genes: int
    objectives: int

    @property
    def size(self) -> int:
        return 33 + 8 * (self.genes + self.objectives + 1)

    def pack(self, done: DoneCandidate) -> bytes:
        numbers = (*done.genome, *done.fitness.objectives, done.fitness.violation)
        return bytes.fromhex(done.key) + bytes([done.exact]) + struct.pack(f"<{len(numbers)}d", *numbers)

    def unpack(self, record: bytes) -> DoneCandidate:
        numbers = struct.unpack(f"<{self.genes + self.objectives + 1}d", record[33:])
        fitness = Fitness(numbers[self.genes : -1], numbers[-1])
        return DoneCandidate(record[:32].hex(), bool(record[32]), numbers[: self.genes], fitness)

    def read(self, path: Path, count: int) -> Iterator[DoneCandidate]:
        """The first `count` candidates. Raises DataError when there are fewer."""
        with path.open("rb") as file:
            for number in range(count):
                record = file.read(self.size)
                if len(record) < self.size:
                    raise DataError(
                        f"{path} ends after {number} of {count} candidates: the run cannot be resumed; "
                        f"start a new one from its front: --start {path.parent / 'pareto'}"
                    )
                yield self.unpack(record)
