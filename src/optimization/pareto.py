"""Who dominates whom, who survives a generation, who leaves a full archive (`optimizer_pareto_tools.md` 4.4, 6.4, 6.5).

Objectives are float64 [members, objectives], all minimised; violations float64 [members], 0 = feasible.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

SAME_VIOLATION = 1e-12
_CHUNK = 256  # rows compared with all others at a time: a table of 2000 x 2000 floats would not stay in the cache


def dominating(objectives: Floats, violations: Floats, one: Floats, violation: float) -> Mask:
    """Which members dominate `one`: by a smaller violation, else by no larger and at least one smaller objective."""
    better: Mask = np.all(objectives <= one, axis=1) & np.any(objectives < one, axis=1)
    return _by_violation(violations, np.float64(violation), better)


def dominated(objectives: Floats, violations: Floats, one: Floats, violation: float) -> Mask:
    """Which members `one` dominates."""
    better: Mask = np.all(one <= objectives, axis=1) & np.any(one < objectives, axis=1)
    return _by_violation(np.float64(violation), violations, better)


def _by_violation(mine: Floats | np.float64, others: Floats | np.float64, better: Mask) -> Mask:
    gain: Floats = np.asarray(others - mine)
    decided: Mask = (gain > SAME_VIOLATION) | ((gain >= -SAME_VIOLATION) & better)
    return decided


def ranks(objectives: Floats, violations: Floats, count: int | None = None) -> list[Indices]:
    """Members by rank, best rank first, ascending within one; stops with the rank that makes `count` full.

    Members with the same objectives have the same rank: that of the first of them.
    """
    wanted = len(objectives) if count is None else min(count, len(objectives))
    firsts, group_of = _groups(objectives)
    beats = _domination(objectives[firsts], violations[firsts])
    beaten_by = beats.sum(axis=0)
    waiting = np.ones(len(firsts), dtype=np.bool_)
    result: list[Indices] = []
    while wanted > 0:
        best = waiting & (beaten_by == 0)
        if not best.any():  # violations within the tolerance can make a circle: nobody in it is better
            best = waiting
        beaten_by = beaten_by - beats[best].sum(axis=0)
        waiting = waiting & ~best
        result.append(np.flatnonzero(best[group_of]))
        wanted -= len(result[-1])
    return result


def _groups(objectives: Floats) -> tuple[Indices, Indices]:
    """The first member of each group of equal objectives, and the group of each member."""
    _, firsts, group_of = np.unique(objectives, axis=0, return_index=True, return_inverse=True)
    return firsts, group_of.reshape(-1)


def _domination(objectives: Floats, violations: Floats) -> Mask:
    """[i, j]: whether i dominates j. No two rows of objectives are equal: nowhere larger means somewhere smaller."""
    count = len(objectives)
    beats = np.empty((count, count), dtype=np.bool_)
    columns = np.ascontiguousarray(objectives.T)
    for start in range(0, count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        better = np.ones((len(violations[rows]), count), dtype=np.bool_)
        for column in columns:
            better &= column[rows, None] <= column
        beats[rows] = _by_violation(violations[rows, None], violations, better)
    np.fill_diagonal(beats, False)
    return beats


def crowding(objectives: Floats, divisor: int = 1) -> Floats:
    """How much room each member has between its neighbours, summed over objectives; infinite at the ends.

    Selection divides by the number of objectives, pruning does not.
    """
    room = np.zeros(len(objectives))
    for values in objectives.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        room[order[[0, -1]]] = np.inf
        if ordered[0] != ordered[-1]:
            room[order[1:-1]] += (ordered[2:] - ordered[:-2]) / (divisor * (ordered[-1] - ordered[0]))
    return room


def select(objectives: Floats, violations: Floats, count: int) -> Indices:
    """The `count` members that survive: whole ranks, then of the next rank those with the most room (4.4)."""
    if len(objectives) == 0 or count <= 0:
        return np.empty(0, dtype=np.intp)
    *whole, last = ranks(objectives, violations, count)
    room = crowding(objectives[last], divisor=objectives.shape[1])
    by_room = last[np.argsort(-room, kind="stable")]
    return np.concatenate([*whole, by_room])[:count]


def prune(objectives: Floats, count: int) -> list[int]:
    """The members to remove, in that order, so that `count` stay: the most crowded (6.5).

    The best and the worst of each objective stay, so that more than `count` may be left.
    """
    surplus = len(objectives) - count
    if surplus <= 0:
        return []
    protected = {*objectives.argmin(axis=0).tolist(), *objectives.argmax(axis=0).tolist()}
    most_crowded_first = np.argsort(crowding(objectives), kind="stable").tolist()
    return [member for member in most_crowded_first if member not in protected][:surplus]
