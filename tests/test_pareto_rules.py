"""Domination, selection and pruning: the examples of `optimizer_pareto_tools.md` 4.4, 6.4 and 6.5."""

from __future__ import annotations

import numpy as np
import pytest

from optimization.pareto import Floats, crowding, dominated, dominating, prune, ranks, select
from optimization.space import round_dynamic

NAMES = "abcdefghij"
OBJECTIVES = np.array(
    [(0, 10), (1, 6), (2, 5), (5, 2), (9, 1), (10, 0), (6, 6), (0, 0), (9, 9), (7, 7)], dtype=np.float64
)
VIOLATIONS = np.array([0, 0, 0, 0, 0, 0, 0, 3, 1, 1], dtype=np.float64)
FRONT = OBJECTIVES[:6]
INF = np.inf


def named(members: object) -> str:
    return "".join(NAMES[member] for member in np.asarray(members))


def test_ranks() -> None:
    """Ranks of 4.4: a smaller violation wins whatever the objectives."""
    assert [named(rank) for rank in ranks(OBJECTIVES, VIOLATIONS)] == ["abcdef", "g", "j", "i", "h"]
    assert [named(rank) for rank in ranks(OBJECTIVES, VIOLATIONS, 7)] == ["abcdef", "g"]


def test_crowding_for_selection_and_for_pruning() -> None:
    """Selection divides by the number of objectives (4.4), pruning does not (6.5)."""
    np.testing.assert_allclose(crowding(FRONT, divisor=2), [INF, 0.35, 0.4, 0.55, 0.35, INF], rtol=1e-15)
    np.testing.assert_allclose(crowding(FRONT), [INF, 0.7, 0.8, 1.1, 0.7, INF], rtol=1e-15)
    skewed = np.array([(0, 5, 1), (1, 4, 1), (2, 3, 1), (3, 2, 1)], dtype=np.float64)
    np.testing.assert_allclose(crowding(skewed), [INF, 4 / 3, 4 / 3, INF], rtol=1e-15)
    assert np.isinf(crowding(FRONT[:2])).all()
    assert np.isinf(crowding(FRONT[:1])).all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ""), (3, "afd"), (5, "afdcb"), (6, "afdcbe"), (8, "abcdefgj"), (10, "abcdefgjih"), (99, "abcdefgjih")],
)
def test_selection(count: int, expected: str) -> None:
    """Whole ranks first, then those with the most room, in stable order (4.4)."""
    assert named(select(OBJECTIVES, VIOLATIONS, count)) == expected


def test_equal_objectives_are_ranked_as_one() -> None:
    """Members with the same objectives share the rank of the first of them, whatever their own violation."""
    objectives = np.array([(1, 1), (2, 2), (1, 1)], dtype=np.float64)
    assert [list(rank) for rank in ranks(objectives, np.array([0.0, 0.0, 9.0]))] == [[0, 2], [1]]
    assert [list(rank) for rank in ranks(objectives, np.array([9.0, 0.0, 0.0]))] == [[1], [0, 2]]


def test_violations_closer_than_the_tolerance_are_equal() -> None:
    """Up to 1e-12 apart the objectives decide, also where that makes a circle of three."""
    objectives, violations = np.array([[2.0], [1.0]]), np.array([0.0, 1e-12])
    assert [list(rank) for rank in ranks(objectives, violations)] == [[1], [0]]
    assert [list(rank) for rank in ranks(objectives, violations * 1.1)] == [[0], [1]]
    circle = np.array([[3.0], [2.0], [1.0]]), np.array([0.0, 0.8e-12, 1.6e-12])
    assert sorted(np.concatenate(ranks(*circle))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("one", "violation", "above", "below"),
    [
        ((1, 6), 0, "", "ghij"),
        ((6, 7), 0, "bcdg", "hij"),
        ((6, 7), 1, "abcdefg", "hij"),
        ((20, 20), 2, "abcdefgij", "h"),
        ((-1, -1), 0, "", "abcdefghij"),
    ],
)
def test_one_against_all(one: tuple[float, float], violation: float, above: str, below: str) -> None:
    """Who dominates a newcomer, and whom it dominates; the same objectives dominate nobody."""
    newcomer = np.array(one, dtype=np.float64)
    assert named(np.flatnonzero(dominating(OBJECTIVES, VIOLATIONS, newcomer, violation))) == above
    assert named(np.flatnonzero(dominated(OBJECTIVES, VIOLATIONS, newcomer, violation))) == below


@pytest.mark.parametrize(
    ("count", "removed"), [(7, ""), (6, ""), (5, "b"), (4, "be"), (3, "bec"), (2, "becd"), (1, "becd")]
)
def test_pruning(count: int, removed: str) -> None:
    """The most crowded leave; the best and the worst of each objective stay (6.5)."""
    assert named(prune(FRONT, count)) == removed


def test_pruning_of_equal_members() -> None:
    """The middle two of four leave; a constant objective protects its first member only."""
    skewed = np.array([(0, 5, 1), (1, 4, 1), (2, 3, 1), (3, 2, 1)], dtype=np.float64)
    assert sorted(prune(skewed, 2)) == [1, 2]
    constant = np.ones((4, 1))
    assert 0 not in prune(constant, 1)
    assert len(prune(constant, 1)) == 3


def test_archive_trace() -> None:
    """The trace of 6.4 with digits 3 and at most 3 members, made of the rules of this module."""
    trace = [
        ((3, 3), 5, True, ["33"]),
        ((3, 3), 4, True, ["33"]),
        ((4, 4), 1, True, ["44"]),
        ((9, 9), 0, True, ["99"]),
        ((1, 5), 0, True, ["15"]),
        ((5, 1), 0, True, ["15", "51"]),
        ((1.0001, 5), 0, False, ["15", "51"]),
        ((2, 3), 0, True, ["15", "51", "23"]),
        ((3, 2), 0, True, ["15", "51", "32"]),
        ((2.5, 2.5), 0, True, ["15", "51", "2.52.5"]),
    ]
    objectives, violations = np.empty((0, 2)), np.empty(0)
    for point, violation, accepted, members in trace:
        one = np.array([round_dynamic(value, 3) for value in point])
        before = objectives
        objectives, violations = offer(objectives, violations, one, violation)
        assert (objectives is not before) is accepted
        assert [f"{a:g}{b:g}" for a, b in objectives] == members


def offer(objectives: Floats, violations: Floats, one: Floats, violation: float) -> tuple[Floats, Floats]:
    """Steps 4-6 and 8 of 6.4; the arrays themselves when `one` is rejected."""
    same = (objectives == one).all(axis=1)
    if (same & (violation >= violations - 1e-12)).any() or dominating(objectives, violations, one, violation).any():
        return objectives, violations
    stays = ~same & ~dominated(objectives, violations, one, violation)
    objectives, violations = np.vstack([objectives[stays], one]), np.append(violations[stays], violation)
    removed = prune(objectives, 3)
    return np.delete(objectives, removed, axis=0), np.delete(violations, removed)
