"""Domination, ranks, selection: as defined, and as DEAP has them (`optimizer_pareto_tools.md` 4.4, 6.5)."""

from __future__ import annotations

import numpy as np
from deap import base
from deap.tools import emo
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optimization.pareto import Floats, crowding, dominated, dominating, prune, ranks, select

shapes = st.tuples(st.integers(1, 25), st.integers(1, 4))
coarse = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 5).map(float)))
members = coarse.flatmap(
    lambda objectives: st.tuples(
        st.just(objectives),
        arrays(np.float64, len(objectives), elements=st.sampled_from([0.0, 0.0, 1e-13, 1.0, 1e30])),
    )
)


def beats(a: Floats, violation_a: float, b: Floats, violation_b: float) -> bool:
    """The definition of domination."""
    if abs(violation_a - violation_b) > 1e-12:
        return bool(violation_a < violation_b)
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


class Minimised(base.Fitness):  # type: ignore[misc]
    weights = (-1.0, -1.0, -1.0, -1.0)


class Individual:
    """What DEAP selects among."""

    def __init__(self, index: int, objectives: Floats) -> None:
        self.index = index
        self.fitness = Minimised()
        self.fitness.weights = (-1.0,) * len(objectives)
        self.fitness.values = tuple(objectives)


def deap_ranks(objectives: Floats) -> list[list[int]]:
    individuals = [Individual(i, values) for i, values in enumerate(objectives)]
    return [sorted(one.index for one in front) for front in emo.sortNondominated(individuals, len(individuals))]


@given(members)
def test_masks_follow_the_definition(case: tuple[Floats, Floats]) -> None:
    """`dominating` and `dominated` are the definition, member by member, and opposites of each other."""
    objectives, violations = case
    one, violation = objectives[0], float(violations[0])
    above = [beats(a, v, one, violation) for a, v in zip(objectives, violations, strict=True)]
    below = [beats(one, violation, a, v) for a, v in zip(objectives, violations, strict=True)]
    assert dominating(objectives, violations, one, violation).tolist() == above
    assert dominated(objectives, violations, one, violation).tolist() == below


@given(members)
def test_ranks_are_mutually_non_dominated(case: tuple[Floats, Floats]) -> None:
    """Everybody has one rank; none of a group's first members is dominated within its rank or from a later one."""
    objectives, violations = case
    ranked = ranks(objectives, violations)
    assert sorted(np.concatenate(ranked).tolist()) == list(range(len(objectives)))
    firsts = {row.tobytes(): i for i, row in reversed(list(enumerate(objectives)))}
    rank_of = {int(member): number for number, rank in enumerate(ranked) for member in rank}
    heads = sorted(firsts.values())
    for a in heads:
        for b in heads:
            if rank_of[a] >= rank_of[b]:
                assert not beats(objectives[a], violations[a], objectives[b], violations[b])
    assert all(rank_of[i] == rank_of[firsts[row.tobytes()]] for i, row in enumerate(objectives))


@given(coarse)
def test_feasible_ranks_are_deaps(objectives: Floats) -> None:
    """Without violations the ranks are those of DEAP's sortNondominated."""
    feasible = np.zeros(len(objectives))
    assert [rank.tolist() for rank in ranks(objectives, feasible)] == deap_ranks(objectives)


@given(st.integers(0, 2**32 - 1), st.integers(3, 120), st.integers(1, 5), st.floats(0.1, 1))
def test_feasible_selection_is_deaps(seed: int, size: int, width: int, share: float) -> None:
    """Without ties and violations, selection and crowding are those of DEAP's selNSGA2."""
    objectives = np.random.default_rng(seed).normal(size=(size, width))
    individuals = [Individual(i, values) for i, values in enumerate(objectives)]
    count = max(1, int(size * share))
    theirs = emo.selNSGA2(individuals, count)
    ours = select(objectives, np.zeros(size), count)
    last = ranks(objectives, np.zeros(size), count)[-1]
    room = dict(zip(last.tolist(), crowding(objectives[last], width).tolist(), strict=True))
    assert all(individuals[i].fitness.crowding_dist == distance for i, distance in room.items())
    bounded = {i for i, distance in room.items() if np.isinf(distance)}  # among these the order of the front decides
    assert {one.index for one in theirs} - bounded == set(ours.tolist()) - bounded
    assert len(set(ours.tolist())) == count


@given(members, st.integers(0, 30))
def test_selection_takes_no_worse_rank(case: tuple[Floats, Floats], count: int) -> None:
    """As many as asked for and there are, nobody twice, and nobody while one of a better rank is left out."""
    objectives, violations = case
    selected = select(objectives, violations, count).tolist()
    assert len(selected) == len(set(selected)) == min(count, len(objectives))
    rank_of = {int(member): number for number, rank in enumerate(ranks(objectives, violations)) for member in rank}
    left_out = [rank_of[i] for i in range(len(objectives)) if i not in selected]
    assert not selected or not left_out or max(rank_of[i] for i in selected) <= min(left_out)


@given(coarse, st.integers(1, 30))
def test_pruning_keeps_the_extremes(objectives: Floats, count: int) -> None:
    """The smallest and largest value of each objective stay; no more leave than must."""
    removed = prune(objectives, count)
    kept = np.delete(objectives, removed, axis=0)
    assert len(removed) <= max(0, len(objectives) - count)
    assert (kept.min(axis=0) == objectives.min(axis=0)).all()
    assert (kept.max(axis=0) == objectives.max(axis=0)).all()


def test_many_members() -> None:
    """More members than are compared at a time give the ranks of the definition."""
    rng = np.random.default_rng(3)
    objectives, violations = rng.integers(0, 30, (700, 3)).astype(np.float64), rng.integers(0, 2, 700) * 1.0
    first = set(ranks(objectives, violations)[0].tolist())
    feasible = np.flatnonzero(violations == 0)
    for i in feasible:
        beaten = dominating(objectives[feasible], violations[feasible], objectives[i], 0.0).any()
        head = (objectives == objectives[i]).all(axis=1).argmax() == i
        assert not head or (i in first) is not bool(beaten)
