"""What holds for any bounds, any candidates, any state (`optimizer_pareto_tools.md` 15.2, 13.6)."""

from __future__ import annotations

from itertools import combinations

import msgpack
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from passivbot_rust import round_dynamic as engine_rounding

from config.bounds import Bound
from optimization.archive import Archive
from optimization.candidates_log import CandidateFormat, DoneCandidate
from optimization.results_log import diff, overlay
from optimization.samplers.protocol import Evaluated, Fitness
from optimization.search_state import Chunk, SearchState, Slot
from optimization.space import Gene, SearchSpace, round_dynamic, round_significant

numbers = st.floats(-1000, 1000).map(lambda value: round_significant(value, 3))
anything = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def genes(draw: st.DrawFn) -> Gene:
    """Bounds of at most three digits, continuous, on a grid or fixed."""
    low, high = sorted((draw(numbers), draw(numbers)))
    step = draw(st.none() | st.floats(0.001, 500).map(lambda value: round_significant(value, 2)))
    assume(step is None or low == high or step <= high - low)
    return Gene("long_x", "long", "x", low, high, step)


@given(genes(), anything)
def test_enforced_values(gene: Gene, value: float) -> None:
    """Within the bounds, on the grid, and enforcing again changes nothing."""
    found = gene.enforce(value, 3)
    assert gene.low <= found <= gene.high
    assert gene.enforce(found, 3) == found
    if gene.step is not None:
        places = [gene.value_at(index) for index in {0, gene.last_index, round(gene.index_of(found))}]
        assert found in [min(place, gene.high) for place in places]


@given(genes(), st.integers(0, 10**6))
def test_grid_points_stay(gene: Gene, index: int) -> None:
    """`quantize(value_at(i)) == value_at(i)`, but for the last bit of a point that lies beyond the upper bound."""
    assume(gene.step is not None)
    place = gene.value_at(index)
    assert gene.quantize(place) == min(place, gene.high)
    assert place - gene.high <= 1e-9


@given(st.lists(genes(), min_size=1, max_size=6), st.data())
def test_a_space_is_its_genes(found: list[Gene], data: st.DataObject) -> None:
    """Each value by itself, in order; fixed genes take the bound's value whatever comes."""
    bounds = {f"long_{number}": Bound(gene.low, gene.high, gene.step) for number, gene in enumerate(found)}
    space = SearchSpace.of(bounds, 3)
    values = [data.draw(anything) for _ in found]
    vector = space.enforce(values)
    assert vector == tuple(gene.enforce(value, 3) for gene, value in zip(found, values, strict=True))
    assert all(value == gene.low for gene, value in zip(found, vector, strict=True) if gene.is_fixed)


offers = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 6).map(float)] * width),
            st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5]),
        ),
        min_size=1,
        max_size=40,
    )
)


def offered(archive: Archive, number: int, objectives: tuple[float, ...], violation: float) -> None:
    archive.offer(Fitness(objectives, violation), lambda: {"bot": number, "metrics": {"w": list(objectives)}})


@given(offers, st.integers(1, 8))
def test_members_of_an_archive(case: list[tuple[tuple[float, ...], float]], size: int) -> None:
    """None dominates another, none equals another, all have the smallest violation seen."""
    archive = Archive(3, size)
    for number, (objectives, violation) in enumerate(case):
        offered(archive, number, objectives, violation)
    assert set(archive.violations) == {min(violation for _, violation in case)}
    for a, b in combinations(archive.objectives, 2):
        assert any(x < y for x, y in zip(a, b, strict=True))
        assert any(y < x for x, y in zip(a, b, strict=True))
    assert len(archive) <= max(size, 2 * len(case[0][0]))
    assert len(set(archive.ids)) == len(archive) == len(archive.objectives)


@given(offers, st.integers(1, 8), st.integers(0, 40))
def test_an_archive_put_back(case: list[tuple[tuple[float, ...], float]], size: int, stop: int) -> None:
    """One that is made of its stored members goes on as if it had never been away."""
    plain, resumed = Archive(3, size), Archive(3, size)
    for number, (objectives, violation) in enumerate(case):
        if number == stop:
            for identity, *fitness in zip(plain.ids, plain.objectives, plain.violations, strict=True):
                resumed.load(identity, Fitness(*fitness))
        for archive in (plain, resumed) if number >= stop else (plain,):
            offered(archive, number, objectives, violation)
    if stop < len(case):
        assert (resumed.ids, resumed.objectives, resumed.violations) == (plain.ids, plain.objectives, plain.violations)
        assert resumed.best == plain.best


vectors = st.lists(st.floats(allow_nan=False), min_size=3, max_size=3).map(tuple)
fitnesses = st.builds(Fitness, st.lists(st.floats(allow_nan=False), min_size=2, max_size=2).map(tuple), anything)
slots = st.builds(Slot, vectors, st.none() | fitnesses, st.none() | st.integers(0, 10**9))
states = st.builds(
    SearchState,
    sampler=st.binary(),
    streams=st.dictionaries(st.text(), st.text(), max_size=3),
    counts=st.tuples(*[st.integers(0, 10**9)] * 3),
    next_chunk=st.integers(-1, 10**6),
    taken=st.integers(-2, 10**6),
    failures=st.integers(0, 10**6),
    seeds=st.lists(vectors, max_size=3),
    evaluated_seeds=st.lists(st.builds(Evaluated, vectors, fitnesses), max_size=3),
    open=st.lists(st.builds(Chunk, st.integers(-1, 10**6), st.lists(slots, max_size=3)), max_size=3),
    underway=st.dictionaries(st.integers(0, 10**9), st.tuples(vectors, vectors, st.booleans()), max_size=3),
    elapsed_s=st.floats(0, 1e9),
)


@given(states)
def test_states_survive_the_disk(state: SearchState) -> None:
    """What was packed is what is found, to the bit."""
    assert SearchState.of(msgpack.unpackb(msgpack.packb(state.packed()))) == state


@given(st.builds(DoneCandidate, st.binary(min_size=32, max_size=32).map(bytes.hex), st.booleans(), vectors, fitnesses))
def test_candidates_survive_the_disk(done: DoneCandidate) -> None:
    """Records of one size, read as they were written."""
    layout = CandidateFormat(genes=3, objectives=2)
    packed = layout.pack(done)
    assert len(packed) == layout.size
    assert layout.unpack(packed) == done


trees = st.recursive(
    st.floats(allow_nan=False) | st.integers(-9, 9) | st.text(max_size=3) | st.lists(st.integers(0, 3), max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abcd"), below, max_size=4),
    max_leaves=12,
)
entries = st.dictionaries(st.sampled_from("abcd"), trees, max_size=4)


@given(entries, entries)
def test_differences(previous: dict[str, object], current: dict[str, object]) -> None:
    """A difference laid over what was before gives what is, and what has vanished since."""

    def holds(part: object, whole: object) -> bool:
        if not isinstance(part, dict) or not isinstance(whole, dict):
            return part == whole
        return all(key in whole and holds(value, whole[key]) for key, value in part.items())

    assume(not _turns_into_a_mapping(previous, current))
    assert holds(current, overlay(previous, diff(previous, current)))
    assert diff(current, current) == {}


def _turns_into_a_mapping(previous: object, current: object) -> bool:
    """An empty mapping in the place of something else cannot be told from no change: no entry has that."""
    if not isinstance(previous, dict) or not isinstance(current, dict):
        return False
    return any(
        (isinstance(previous[key], dict) != isinstance(current[key], dict))
        or _turns_into_a_mapping(previous[key], current[key])
        for key in previous.keys() & current.keys()
    )


@given(st.floats(), st.integers(1, 8))
def test_archive_rounding_is_the_engines(value: float, digits: int) -> None:
    """One rounding for files and engine; whatever the number, there is one."""
    found = round_dynamic(value, digits)
    assert np.isfinite(found) == np.isfinite(value)
    if abs(value) < 1e15:
        assert found == (engine_rounding(value, digits) if abs(value) > 1e-200 else 0.0)
