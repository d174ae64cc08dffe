"""A small constrained problem with known best values, and a driver of samplers: no engine, one chunk at a time.

Run as a program it takes up a stored sampler and prints what it proposes: `python sampler_runs.py FILE`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from pymoo.indicators.hv import HV

from core.rng import Streams
from optimization.samplers.protocol import Evaluated, Fitness, Sampler
from optimization.samplers.registry import make_sampler
from optimization.space import Gene, SearchSpace, Vector

GENES = 8
SPACE = SearchSpace(
    (
        *(Gene(f"long_{i}", "long", str(i), 0, 1, 0.01 if i % 2 else None) for i in range(GENES)),
        Gene("short_fixed", "short", "fixed", 3, 3),
    ),
    digits=None,
)


def fitness(genome: Vector) -> Fitness:
    """ZDT1, infeasible where the first gene is below 0.25; the violation penalises the objectives."""
    x = genome[:GENES]
    distance = 1 + 9 * sum(x[1:]) / (GENES - 1)
    violation = max(0.0, 0.25 - x[0])
    return Fitness((x[0] + violation, distance * (1 - (x[0] / distance) ** 0.5) + violation), violation)


def evaluate(genomes: Sequence[Vector], score: Callable[[Vector], Fitness] = fitness) -> list[Evaluated]:
    return [Evaluated(genome, score(genome)) for genome in genomes]


def hypervolume(evaluated: Sequence[Evaluated]) -> float:
    """Of the feasible ones, up to (2, 11)."""
    objectives = [one.fitness.objectives for one in evaluated if one.fitness.violation == 0]
    return float(HV(ref_point=np.array([2.0, 11.0]))(np.array(objectives)))


def config(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "optimize": {
            "sampler": name,
            "population_size": 24,
            "iters": 240,
            "scoring": ["a", "b"],
            "crossover_probability": 0.64,
            "mutation_probability": 0.34,
            "crossover_eta": 20.0,
            "mutation_eta": 20.0,
            "mutation_indpb": 0.0,
        }
        | changes
    }


@dataclass
class Run:
    """A sampler under way, and everything it has been told."""

    sampler: Sampler
    streams: Streams
    told: list[Evaluated]

    @classmethod
    def started(cls, name: str, seed: int = 1, score: Callable[[Vector], Fitness] = fitness, **changes: Any) -> Run:
        streams = Streams.of(seed)
        sampler = make_sampler(SPACE, config(name, **changes))
        first = evaluate([SPACE.random(streams.population) for _ in range(sampler.population_size)], score)
        sampler.tell(first)
        return cls(sampler, streams, first)

    def ask(self, n: int) -> list[Vector]:
        return [proposal.genome for proposal in self.sampler.ask(n)]

    def go(self, chunks: int, size: int = 24, score: Callable[[Vector], Fitness] = fitness) -> Run:
        for _ in range(chunks):
            chunk = evaluate(self.ask(size), score)
            self.sampler.tell(chunk)
            self.told = self.told + chunk
        return self

    @property
    def genomes(self) -> list[Vector]:
        return [one.genome for one in self.told]

    def stored(self) -> bytes:
        return bytes(msgpack.packb([self.sampler.state(), self.streams.states()]))


def resumed(name: str, stored: bytes, **changes: Any) -> Run:
    """A new sampler that takes up a stored state; the streams are those of the stored run, not of the new seed."""
    sampler, streams = make_sampler(SPACE, config(name, **changes)), Streams.of(999)
    state, states = msgpack.unpackb(stored)
    sampler.restore(state)
    streams.restore(states)
    return Run(sampler, streams, [])


if __name__ == "__main__":
    runs = msgpack.unpackb(Path(sys.argv[1]).read_bytes())
    json.dump({name: resumed(name, stored, **changes).go(2, 6).genomes for name, stored, changes in runs}, sys.stdout)
