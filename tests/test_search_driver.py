"""The search loop on a made-up engine: order, retries, failures, duplicates, stopping (13.2, 13.3, 13.5, 5.6)."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.bounds import search_bounds
from config.load import load_config
from core.errors import RunError
from core.terms import PSIDES
from optimization.context import TWEL
from optimization.driver import Stopped
from optimization.duplicates import identity
from optimization.executors.protocol import Failure, Task
from optimization.metric_values import metric_values
from optimization.results_log import load_results
from optimization.space import SearchSpace, Vector
from search_parts import FakeExecutor, FakeSearch, Shape, values_of

SHAPES = {
    "generations": Shape(chunk=24, lag=1),
    "pipelined": Shape(),
    "long lag": Shape(chunk=5, lag=9),
    "many chunks": Shape(iters=30, population=7, chunk=2, lag=4),
}


def seeds(count: int) -> tuple[Vector, ...]:
    space = SearchSpace.of(search_bounds(load_config()), 3)
    rng = np.random.default_rng(5)
    return tuple(space.enforce(space.random(rng)) for _ in range(count))


def few_points(count: int) -> tuple[tuple[str, Any], ...]:
    """Bounds with so many points: everything is fixed but one parameter."""
    bounds = {key: [1.0, 1.0] for key in load_config()["optimize"]["bounds"]}
    return tuple({**bounds, "long_ema_span_0": [100, 99 + count, 1]}.items())


def records(search: FakeSearch) -> list[dict[str, Any]]:
    return list(load_results(search.files.results))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("started", [0, 40])
def test_nothing_depends_on_who_answers_when(shape: Shape, started: int, tmp_path: Path) -> None:
    """Same records for one worker or nine, whatever the order of answers; starting configs or not."""
    shape = Shape(shape.iters, shape.population, shape.chunk, shape.lag, seeds=seeds(started))
    plain = FakeSearch(tmp_path / "plain", FakeExecutor(), shape).run()
    for order, workers in ((1, 1), (2, 3), (3, 9)):
        other = FakeSearch(tmp_path / str(order), FakeExecutor(workers, order), shape).run()
        assert other.result == plain.result
        assert other.search.counts == plain.search.counts
    assert plain.recorder.records >= started


def test_records_hold_what_was_simulated(tmp_path: Path) -> None:
    """The metrics of each record are those of its own parameters; every identity is simulated once."""
    executor = FakeExecutor(4, order=1)
    search = FakeSearch(tmp_path, executor, Shape(seeds=seeds(6))).run()
    vectors = {task.id: task.vector for task in executor.seen}
    found = records(search)
    assert len(vectors) == len(found) == len({identity(vector) for vector in vectors.values()})
    for number, record in enumerate(found):
        genes = search.plan.space.sides(vectors[number])
        assert record["bot"] == genes
        limits = {pside: genes[pside][TWEL] for pside in PSIDES}
        metrics = metric_values(values_of(vectors[number], 0), limits)
        assert {name: stat["mean"] for name, stat in record["metrics"]["stats"].items()} == metrics
    members = [json.loads(path.read_text()) for path in search.files.pareto.iterdir()]
    assert all(member["bot"] in [record["bot"] for record in found] for member in members)
    assert [vectors[number] for number in range(6)] == list(seeds(6))


def test_scenarios_apart_or_together(tmp_path: Path) -> None:
    """`split_scenarios` changes who is asked, not what is recorded."""
    shape = Shape(runs=3)
    together = FakeSearch(tmp_path / "together", FakeExecutor(runs=3), shape).run()
    executor = FakeExecutor(4, order=2, runs=3)
    apart = FakeSearch(tmp_path / "apart", executor, shape, split=True).run()
    assert apart.result == together.result
    assert Counter(task.runs for task in executor.seen) == dict.fromkeys([(0,), (1,), (2,)], apart.recorder.records)


@pytest.mark.parametrize("split", [False, True])
def test_a_failure_is_tried_once_more(split: bool, tmp_path: Path) -> None:
    """What goes wrong once leaves no trace in the records."""
    shape = Shape(runs=2)
    sound = FakeSearch(tmp_path / "sound", FakeExecutor(runs=2), shape).run()
    once = FakeExecutor(3, order=1, runs=2, fails=lambda task, attempt: "oops" if attempt == 1 else None)
    assert FakeSearch(tmp_path / "once", once, shape, split=split).run().result == sound.result


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_a_candidate_that_always_fails(split: bool, lost: bool, tmp_path: Path) -> None:
    """It is recorded with its error, worse than any other, and is no member, not even of an empty archive; the search
    goes on. A lost one was tried again by the executor. Which run's error comes first is no matter of time."""

    def bad(task: Task, attempt: int) -> Failure | None:
        candidate, part = divmod(task.id, 2 if split else 1)
        return Failure(task.id, f"part {part}", lost) if candidate in (0, 7, 30) else None

    found = []
    for order in (0, 1, 2):
        executor = FakeExecutor(1 + order, order, runs=2, fails=bad)
        search = FakeSearch(tmp_path / str(order), executor, Shape(runs=2), split=split).run()
        assert set(executor.attempts.values()) == ({1} if lost else {1, 2})
        found.append(search)
    assert found[0].result == found[1].result == found[2].result
    metrics = [record["metrics"] for record in records(found[0])]
    failed = {"error": "part 0", "objectives": {"w_0": 1e30, "w_1": 1e30}, "constraint_violation": 1e30}
    assert [number for number, one in enumerate(metrics) if one == failed] == [0, 7, 30]
    assert all("error" not in json.loads(path.read_text())["metrics"] for path in found[0].files.pareto.iterdir())


def test_no_failed_candidate_is_a_member(tmp_path: Path) -> None:
    """Not even where nothing else has been found yet."""
    search = FakeSearch(tmp_path, FakeExecutor(fails=lambda task, attempt: "no")).run()
    assert search.recorder.records > 60
    assert search.result[1] == ()


@pytest.mark.parametrize("order", [0, 3])
@pytest.mark.parametrize(("bad", "after"), [((0, 1, 2), 200), ((5, 150, 270), 271), ((5, 150, 299), None)])
def test_too_many_failures_end_the_run(bad: tuple[int, ...], after: int | None, order: int, tmp_path: Path) -> None:
    """More than 1 % after 200 candidates: at the same record, whoever answers when; 1 % itself is allowed."""
    executor = FakeExecutor(5, order, fails=lambda task, attempt: "no" if task.id in bad else None)
    search = FakeSearch(tmp_path, executor, Shape(iters=320, population=40, chunk=20, lag=3))
    if after is None:
        assert search.run().recorder.records > 300
        return
    with pytest.raises(RunError, match=rf"3 of {after} candidates could not be simulated.*`error` in .*all_results"):
        search.run()
    assert len(records(search)) == after


def test_failures_are_counted_over_sittings(tmp_path: Path) -> None:
    """A failed candidate counts once, although it is simulated, or taken from the log, again after a stop."""
    shape = Shape(iters=320, population=40, chunk=20, lag=3)

    def executor() -> FakeExecutor:
        return FakeExecutor(5, 3, fails=lambda task, attempt: "no" if task.id in (5, 150, 299) else None)

    for number, stop_at in enumerate((3, 100, 160, 250, None)):
        search = FakeSearch(tmp_path, executor(), shape, resume=number > 0)
        stopped_at(search, stop_at)
    assert search.recorder.records > 300


def stopped_at(search: FakeSearch, records: int | None) -> None:
    """Run until so many records are written; None is to the end."""
    executor = search.executor
    assert isinstance(executor, FakeExecutor)

    def look(_: FakeExecutor) -> None:
        if records is not None and search.recorder.records >= records:
            search.stop.set()

    executor.on_poll = look
    with nullcontext() if records is None else suppress(Stopped):
        search.run()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_stopped_anywhere(shape: Shape, tmp_path: Path) -> None:
    """Stopped after any number of records and resumed, again and again: as if there had been no stop."""
    plain = FakeSearch(tmp_path / "plain", FakeExecutor(), shape).run()
    total = plain.recorder.records
    for number, first in enumerate(range(0, total, 11)):
        place = tmp_path / str(number)
        again = min(total - 1, first + 4)
        for sitting, stop_at in enumerate((first, again, again + 1, None)):
            search = FakeSearch(place, FakeExecutor(3, order=number + sitting), shape, resume=sitting > 0)
            stopped_at(search, stop_at)
        assert search.result == plain.result
        assert search.search.counts == plain.search.counts


@pytest.mark.parametrize("points", [1, 5, 30])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_few_points(points: int, order: int, tmp_path: Path) -> None:
    """Where all vectors have been seen, the fitness of the earlier candidate is used, or waited for; no record."""
    shape = Shape(iters=96, bounds=few_points(points))
    search = FakeSearch(tmp_path, FakeExecutor(3, order), shape).run()
    counts = search.search.counts
    assert search.recorder.records == points
    assert counts.total == counts.resolved + counts.reused
    assert counts.reused >= shape.population - points
    assert len({json.dumps(record["bot"]) for record in records(search)}) == points


def test_a_population_of_one(tmp_path: Path) -> None:
    """Nobody to cross with: it ends after the initial population (4.1)."""
    assert FakeSearch(tmp_path, FakeExecutor(), Shape(population=1, chunk=1, lag=1)).run().recorder.records == 1
