"""When what is proposed and taken in: chunks with a fixed lag (`optimizer_pareto_tools.md` 4.1, 13.3).

Chunk 0 is the initial population. Chunk j is varied from the population as it is right after chunk max(0, j - lag) was
taken in, whatever is running or done meanwhile, so that neither workers nor chance of timing change a run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`chunks` counts those after the initial population; `generation` is how many candidates a log line is about."""

    chunk_size: int
    lag: int
    chunks: int
    generation: int

    @classmethod
    def of(cls, optimize: Mapping[str, Any], population: int) -> Schedule:
        """That of `config["optimize"]`. Raises ConfigError for a pipeline that cannot be."""
        offspring = offspring_size(population, optimize["offspring_multiplier"])
        chunk_size, lag = _pipeline(optimize.get("pipeline"), offspring)
        if population < 2:
            logger.warning(
                "optimize.population_size is %d: nothing can be bred, the run ends with its first generation",
                population,
            )
        generations = max(1, int(optimize["iters"] / population))
        chunks = 0 if population < 2 else -(-generations * offspring // chunk_size)
        return cls(chunk_size, lag, chunks, population)

    @property
    def generations(self) -> int:
        """How many there will be after the first."""
        return self.chunks * self.chunk_size // max(1, self.generation)

    def source(self, chunk: int) -> int:
        """The chunk that has to be taken in before that one is varied."""
        return max(0, chunk - self.lag)


def offspring_size(population: int, multiplier: Any) -> int:
    """Lambda: population x multiplier, rounded half to even, at least 1; a multiplier that is none counts as 1."""
    try:
        factor = 1.0 if isinstance(multiplier, bool) else float(multiplier)
    except (TypeError, ValueError):
        factor = 1.0
    return max(1, round(population * (factor if 0.0 < factor < float("inf") else 1.0)))


def _pipeline(pipeline: Any, offspring: int) -> tuple[int, int]:
    stated = {} if pipeline is None else pipeline
    unknown = sorted(stated.keys() - {"chunk_size", "lag"})
    if unknown:
        raise ConfigError(f"optimize.pipeline has {unknown[0]!r}: it takes chunk_size and lag")
    size = stated.get("chunk_size")
    lag = stated.get("lag", 1)
    for name, value in (("chunk_size", offspring if size is None else size), ("lag", lag)):
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 1:
            raise ConfigError(f"optimize.pipeline.{name} is {value!r}: it must be a whole number above 0")
    return int(offspring if size is None else size), int(lag)
