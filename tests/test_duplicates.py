"""Vectors that were seen before (`optimizer_pareto_tools.md` 5.6)."""

from __future__ import annotations

import numpy as np
import pytest

from config.bounds import Bound
from optimization.duplicates import MOVES, Seen, identity, moved
from optimization.samplers.protocol import Fitness
from optimization.space import SearchSpace

SPACE = SearchSpace.of(
    {
        "long_a": Bound(0.001, 0.05), "long_b": Bound(7, 20, 1), "long_c": Bound(0.01234, 0.01234),
        "short_d": Bound(-1, 1), "short_e": Bound(200, 1440, 10), "short_f": Bound(0, 10),
    },
    3,
)  # fmt: skip
VECTOR = SPACE.enforce([0.0123, 13, 0.01234, 0.0, 700, 5])


def test_identity() -> None:
    """The hash of the JSON list."""
    assert identity((0.0123, 13.0, 0.01234)) == "35afc3a327a6095989f519bd31be0c0424b1b6d3a6d02a76a8c3752f75a9a939"


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_moves_stay_in_the_space(move: object) -> None:
    """Within bounds and on the grid once enforced; fixed genes stay; something moves sooner or later."""
    rng = np.random.default_rng(3)
    found = {SPACE.enforce(move(VECTOR, SPACE, rng)) for _ in range(50)}  # type: ignore[operator]
    assert len(found) > 1
    for vector in found:
        assert vector[2] == 0.01234
        assert all(gene.low <= value <= gene.high for gene, value in zip(SPACE.genes, vector, strict=True))
        assert vector[1] == int(vector[1])
        assert vector[4] % 10 == 0


def test_six_tries_ever_wider() -> None:
    """Percent and step stay near, the last draws anew."""
    rng = np.random.default_rng(5)
    tries = list(moved(VECTOR, SPACE, rng))
    assert len(tries) == 6
    assert abs(tries[0][0] / VECTOR[0] - 1) <= 0.011
    assert abs(tries[1][0] - VECTOR[0]) <= 0.0001 + 1e-12
    assert abs(tries[1][1] - VECTOR[1]) <= 1


def test_seen() -> None:
    """Ids by identity, fitness in the order of ids; one that is not done has none."""
    seen = Seen(2)
    seen.add(identity(VECTOR), 0)
    assert seen.id_of(identity(VECTOR)) == 0
    assert seen.id_of(identity((1.0,))) is None
    with pytest.raises(IndexError):
        seen.fitness(0)
    seen.set_fitness(0, Fitness((1.5, -2.0), 3.0))
    assert seen.fitness(0) == Fitness((1.5, -2.0), 3.0)
    with pytest.raises(AssertionError):
        seen.set_fitness(2, Fitness((0.0, 0.0), 0.0))
