"""Genes as search methods see them: the place on the grid where a gene has one, else its value (4.3, 13.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optimization.space import Gene, SearchSpace, Vector

_WIDENED = 1e-6


class Coordinates:
    """The way from genomes to the numbers that a method varies, and back; `lows` and `highs` are their limits.

    Genes that are left out, or have equal limits, come back as their low value.
    """

    def __init__(self, space: SearchSpace, positions: Iterable[int]) -> None:
        self._genes = [(position, space.genes[position]) for position in positions]
        self._template = [gene.low for gene in space.genes]
        limits = [_limits(gene) for _, gene in self._genes]
        self.lows = [low for low, _ in limits]
        self.highs = [high for _, high in limits]

    @classmethod
    def of_all(cls, space: SearchSpace) -> Coordinates:
        """All genes. Those with equal limits are varied like any other, and so use up as many random numbers."""
        return cls(space, range(len(space)))

    @classmethod
    def of_free(cls, space: SearchSpace) -> Coordinates:
        """Only genes that can change."""
        return cls(space, (position for position, gene in enumerate(space.genes) if not gene.is_fixed))

    def __len__(self) -> int:
        return len(self._genes)

    def of(self, genome: Vector) -> list[float]:
        """The coordinates of a genome; on a grid not rounded, but not beyond its ends as rounding may leave them."""
        found = []
        for (position, gene), low, high in zip(self._genes, self.lows, self.highs, strict=True):
            coordinate = genome[position] if gene.step is None else gene.index_of(genome[position])
            found.append(low if coordinate < low else high if coordinate > high else coordinate)
        return found

    def genome(self, coordinates: Sequence[float]) -> Vector:
        """The raw genome at coordinates: on a grid the nearest point."""
        values = self._template.copy()
        for (position, gene), coordinate in zip(self._genes, coordinates, strict=True):
            if not gene.is_fixed:
                values[position] = coordinate if gene.step is None else gene.value_at(coordinate)
        return tuple(values)


def _limits(gene: Gene) -> tuple[float, float]:
    if gene.is_fixed:  # operators divide by the distance of the limits
        low = gene.low if gene.step is None else 0.0
        return low - _WIDENED, low + _WIDENED
    return (gene.low, gene.high) if gene.step is None else (0.0, float(gene.last_index))
