"""The search space: one gene a bot parameter, its grid, and the way from a genome to what the engine is given.

`optimizer_pareto_tools.md` 2. A *raw* genome is as variation left it; `enforce` makes the *evaluated* vector of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from config.bounds import Bound
from core.errors import ConfigError
from core.terms import PSIDES, Pside

Vector: TypeAlias = tuple[float, ...]
SideParams: TypeAlias = dict[str, float]

_GRID_TOLERANCE = 1e-9
_TINY, _HUGE = 1e-11, 1e290  # what has no tenth decimal, and what cannot be multiplied by 1e10


@dataclass(frozen=True, slots=True)
class Gene:
    """One searched number: the parameter `key` of a side, between `low` and `high`, on a grid if it has a `step`.

    `last_index` is the index of the last grid point; 0 without a grid.
    """

    name: str
    pside: Pside
    key: str
    low: float
    high: float
    step: float | None = None
    last_index: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.step is not None:
            object.__setattr__(self, "last_index", int((self.high - self.low + _GRID_TOLERANCE) / self.step))

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high

    def enforce(self, value: float, digits: int | None) -> float:
        """The value as the engine gets it: on the grid, or rounded to significant digits, then within the bound."""
        if self.step is not None:
            return self.quantize(value)
        rounded = value if digits is None else round_significant(value, digits)
        return self.high if rounded > self.high else self.low if rounded < self.low else rounded

    def quantize(self, value: float) -> float:
        """The nearest grid point (2.3)."""
        assert self.step is not None
        clamped = min(max(value, self.low), self.high)
        index = min(max(int((clamped - self.low) / self.step + 0.5), 0), self.last_index)
        return min(max(self.low + index * self.step, self.low), self.high)

    def index_of(self, value: float) -> float:
        """The place of a value on the grid, not rounded."""
        assert self.step is not None
        return (value - self.low) / self.step

    def value_at(self, index: float) -> float:
        """The grid point at a place between grid points."""
        assert self.step is not None
        return self.low + min(max(int(index + 0.5), 0), self.last_index) * self.step

    def random(self, rng: np.random.Generator) -> float:
        """A grid point, each as likely, or a number from low to below high."""
        if self.step is not None:
            return self.low + int(rng.integers(0, self.last_index, endpoint=True)) * self.step
        return self.low + (self.high - self.low) * float(rng.random())


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All genes in canonical order (long before short, names ascending), and the digits that genes are rounded to."""

    genes: tuple[Gene, ...]
    digits: int | None

    @classmethod
    def of(cls, bounds: Mapping[str, Bound], digits: int | None) -> SearchSpace:
        """The space of `config.bounds.search_bounds`, names as in `long_n_positions`."""
        return cls(tuple(_gene(name, bound) for name, bound in bounds.items()), digits)

    def __len__(self) -> int:
        return len(self.genes)

    def enforce(self, values: Sequence[float]) -> Vector:
        """The evaluated vector of a genome. Enforce once: twice may move a value whose bound has more digits (2.4)."""
        if len(values) != len(self.genes):
            raise ConfigError(f"a genome of {len(values)} numbers does not fit {len(self.genes)} bounds")
        return tuple(gene.enforce(value, self.digits) for gene, value in zip(self.genes, values, strict=True))

    def random(self, rng: np.random.Generator) -> Vector:
        """A random genome, not enforced."""
        return tuple(gene.random(rng) for gene in self.genes)

    def middle(self) -> Vector:
        """The middle of every bound, as an evaluated vector."""
        return self.enforce([(gene.low + gene.high) / 2 for gene in self.genes])

    def sides(self, vector: Sequence[float]) -> dict[Pside, SideParams]:
        """Parameters by side of an evaluated vector."""
        sides: dict[Pside, SideParams] = {pside: {} for pside in PSIDES}
        for gene, value in zip(self.genes, vector, strict=True):
            sides[gene.pside][gene.key] = value
        return sides

    def values(self, bot: Mapping[str, Mapping[str, float]]) -> list[float]:
        """A config's `bot` as a genome, not enforced. Raises ConfigError naming what is missing or no number."""
        return [_value(bot, gene) for gene in self.genes]


def _gene(name: str, bound: Bound) -> Gene:
    pside, _, key = name.partition("_")
    return Gene(name, next(p for p in PSIDES if p == pside), key, bound.low, bound.high, bound.step)


def _value(bot: Mapping[str, Mapping[str, float]], gene: Gene) -> float:
    try:
        value = float(bot[gene.pside][gene.key])
    except (KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"bot.{gene.pside}.{gene.key} is missing or no number") from exc
    if not math.isfinite(value):
        raise ConfigError(f"bot.{gene.pside}.{gene.key} is {value}: it must be a finite number")
    return value


def round_significant(value: float, digits: int) -> float:
    """Decimal rounding of the exact binary value, ties to even: the rounding of genes (2.4)."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


@lru_cache(maxsize=4096)  # of one dataset, mean, min and max are the same number
def round_dynamic(value: float, digits: int) -> float:
    """The engine's rounding, half away from zero, at most ten decimals: that of archive and perturbation (2.4)."""
    size = abs(value)
    if not _TINY <= size < _HUGE:
        return math.copysign(0.0, value) if size < _TINY else value
    scale = 10.0 ** (digits - math.floor(math.log10(size)) - 1)
    return math.copysign(_whole(_whole(size * scale) / scale * 1e10) / 1e10, value)


def _whole(size: float) -> float:
    """The nearest whole number, halves up, as the engine has it; a large float is one already."""
    below = math.floor(size)
    return below + (size - below >= 0.5)
