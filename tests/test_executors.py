"""Every way of running candidates: same answers, and what happens when something goes wrong (13.2, 13.4, 13.5)."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import executor_workers
from core.errors import ConfigError, DataError, RunError
from optimization.context import EvalContext, engine_bundle
from optimization.evaluator import Evaluator
from optimization.executors.local import LocalExecutor
from optimization.executors.processes import ProcessExecutor, same_metrics, shared_setup
from optimization.executors.protocol import Answer, Executor, Failure, Reply, Task
from optimization.executors.registry import Work, make_executor
from optimization.executors.serial import SerialExecutor
from optimization.executors.worker import WorkerSetup
from optimization.space import Vector
from optimization.stop import Stop
from search_parts import tiny_context
from simulation.dataset import Dataset

NAMES = ["serial", "local", "processes"]
TOO_LONG = "took longer than optimize.eval_timeout_s"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tiny(cache: Path) -> tuple[EvalContext, tuple[Dataset, ...]]:
    """Three days of one coin."""
    return tiny_context(cache)


@pytest.fixture(scope="module")
def long(cache: Path) -> tuple[EvalContext, tuple[Dataset, ...]]:
    """The same over five years, each run of which takes a while."""
    return tiny_context(cache, "2021-01-01", "2026-01-01")


def evaluator(parts: tuple[EvalContext, Sequence[Dataset]]) -> Evaluator:
    context, datasets = parts
    return Evaluator(context, [engine_bundle(dataset) for dataset in datasets])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def made(
    name: str, parts: tuple[EvalContext, Sequence[Dataset]], stack: ExitStack, workers: int = 2,
    timeout_s: float | None = None,
) -> Executor:  # fmt: skip
    executor = make_executor(name, Work(evaluator(parts), parts[1], workers, timeout_s, Stop(), stack))
    stack.callback(executor.close)
    return executor


def replies(executor: Executor, count: int, seconds: float = 60.0) -> list[Reply]:
    """So many replies, sorted by id."""
    found: list[Reply] = []
    until = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} replies"
        found += executor.poll(0.2)
    return sorted(found, key=lambda reply: reply.id)


def vectors(context: EvalContext, count: int) -> list[Vector]:
    rng = np.random.default_rng(1)
    return [context.space.enforce(context.space.random(rng)) for _ in range(count)]


def unreadable(context: EvalContext) -> Vector:
    """A vector that the engine refuses."""
    return (float("nan"),) * len(context.space)


def bits(reply: Reply) -> bytes:
    assert isinstance(reply, Answer), reply
    return reply.values.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_and_same_errors(name: str, tiny: Any, stack: ExitStack) -> None:
    """Whoever does it: the same numbers; a vector that the engine refuses fails with the same text."""
    context = tiny[0]
    tasks = [Task(number, vector) for number, vector in enumerate(vectors(context, 6))]
    tasks.insert(2, Task(6, unreadable(context)))
    tasks.append(Task(7, tasks[0].vector, (0,)))
    expected = [evaluator(tiny).evaluate(task) for task in sorted(tasks, key=lambda task: task.id)]
    executor = made(name, tiny, stack)
    for task in tasks:
        executor.submit(task)
    found = replies(executor, len(tasks))
    assert isinstance(expected[6], Failure)
    assert found[6] == expected[6]
    assert [bits(one) for one in found if one.id != 6] == [bits(one) for one in expected if one.id != 6]
    assert bits(found[7]) == bits(found[0])
    assert all(isinstance(one, Failure) or one.engine_seconds > 0 for one in found)
    assert executor.poll(0.0) == []


def test_the_first_of_several_errors_counts(tiny: Any, stack: ExitStack) -> None:
    """A candidate of several runs fails with the error of the first that fails, as one after the other would."""
    context, datasets = tiny
    rows = len(datasets[0].timestamps)
    bad = [replace(context.runs[0], rows=(0, rows + more)) for more in (1, 2)]
    several = replace(context, runs=(context.runs[0], *bad))
    task = Task(0, vectors(context, 1)[0])
    expected = evaluator((several, datasets)).evaluate(task)
    assert isinstance(expected, Failure)
    for name in NAMES:
        executor = made(name, (several, datasets), stack)
        executor.submit(task)
        assert replies(executor, 1) == [expected]


@pytest.mark.parametrize("name", ["local", "processes"])
def test_runaways_are_stopped(name: str, long: Any, stack: ExitStack) -> None:
    """A candidate that takes too long is a failure that says so; those that follow are done."""
    executor = made(name, long, stack, workers=1, timeout_s=0.02)
    for number, vector in enumerate(vectors(long[0], 2)):
        executor.submit(Task(number, vector))
    found = replies(executor, 2)
    assert all(isinstance(one, Failure) and one.reason.startswith(TOO_LONG) for one in found), found


@pytest.mark.parametrize("name", ["local", "processes"])
def test_time_limits_leave_others_alone(name: str, tiny: Any, stack: ExitStack) -> None:
    """Within the limit nothing changes."""
    executor = made(name, tiny, stack, timeout_s=60.0)
    vector = vectors(tiny[0], 1)[0]
    executor.submit(Task(0, vector))
    assert bits(replies(executor, 1)[0]) == bits(evaluator(tiny).evaluate(Task(0, vector)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hard", [False, True])
def test_closed_in_the_middle(name: str, hard: bool, long: Any, stack: ExitStack) -> None:
    """It ends while runs are under way and more wait; twice is as good as once."""
    executor = made(name, long, stack)
    for number, vector in enumerate(vectors(long[0], 20)):
        executor.submit(Task(number, vector))
    if name != "serial":
        executor.poll(0.05)
    began = time.monotonic()
    executor.close(hard=hard)
    executor.close()
    assert time.monotonic() - began < 5.0
    assert not children()


def children() -> list[int]:
    """Worker processes of this one that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def test_threads_that_end_are_an_error(tiny: Any) -> None:
    """Without threads nothing would ever be answered."""
    executor = LocalExecutor(evaluator(tiny), 0)
    executor.submit(Task(0, vectors(tiny[0], 1)[0]))
    with pytest.raises(RunError, match="the engine's threads have ended"):
        replies(executor, 1)
    executor.close()


def test_serial_is_stopped_by_its_flag(long: Any) -> None:
    """What runs ends when the flag is set."""
    stop = Stop()
    executor = SerialExecutor(evaluator(long), stop.flag)
    executor.submit(Task(0, vectors(long[0], 1)[0]))
    stop.set()
    (reply,) = executor.poll(0.0)
    assert isinstance(reply, Failure)
    assert executor.poll(0.0) == []


def test_unknown_executors(tiny: Any, stack: ExitStack) -> None:
    """The message names those that there are."""
    with pytest.raises(ConfigError, match=r"'cloud': use one of local, serial, processes"):
        made("cloud", tiny, stack)


def test_serial_says_that_it_watches_no_time(tiny: Any, stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """A limit that is not kept is told."""
    made("serial", tiny, stack, timeout_s=1.0)
    assert "eval_timeout_s" in caplog.text


# --- worker processes


@pytest.fixture
def setup(tiny: Any, stack: ExitStack) -> WorkerSetup:
    return shared_setup(*tiny, stack)


def pool(setup: WorkerSetup, stack: ExitStack, life: Any, workers: int = 2) -> ProcessExecutor:
    executor = ProcessExecutor(setup, workers, executor_workers.PROBE, life)
    stack.callback(executor.close)
    return executor


def test_a_vector_that_kills_its_worker(setup: WorkerSetup, stack: ExitStack) -> None:
    """It is tried three times and given up as lost; what waited behind it, and all others, are answered."""
    executor = pool(setup, stack, executor_workers.answers_anything)
    for number in range(20):
        executor.submit(Task(number, (executor_workers.DEADLY if number == 5 else 0.0, float(number))))
    found = replies(executor, 20)
    assert [one.id for one in found] == list(range(20))
    assert found[5] == Failure(5, "its worker process was lost 3 times (signal 9)", lost=True)
    assert [one.values[0, 1] for one in found if isinstance(one, Answer)] == [n for n in range(20) if n != 5]
    assert len(children()) == 2


def test_a_worker_that_is_killed(tiny: Any, stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """Its tasks are done by others, and a new one takes its place."""
    executor = made("processes", tiny, stack)
    tasks = [Task(number, vector) for number, vector in enumerate(vectors(tiny[0], 24))]
    for task in tasks:
        executor.submit(task)
    found = list(replies(executor, 2))
    os.kill(children()[0], signal.SIGKILL)
    found += replies(executor, 24 - len(found))
    assert sorted(one.id for one in found) == list(range(24))
    assert all(bits(one) == bits(evaluator(tiny).evaluate(tasks[one.id])) for one in found)
    assert "a worker process was lost (signal 9)" in caplog.text
    assert len(children()) == 2


def test_workers_that_cannot_start(setup: WorkerSetup, stack: ExitStack) -> None:
    """No endless row of new ones."""
    executor = pool(setup, stack, executor_workers.ends_at_once)
    executor.submit(Task(0, (0.0, 0.0)))
    with pytest.raises(RunError, match=r"worker processes end while they start \(signal 9\)"):
        replies(executor, 1)


def test_workers_without_data(setup: WorkerSetup, stack: ExitStack, tmp_path: Path) -> None:
    """A dataset that a worker cannot open is named."""
    gone = {**setup.datasets[0].arrays}
    gone["hlcvs"] = replace(gone["hlcvs"], name=str(tmp_path / "gone.npy"))
    broken = replace(setup, datasets=(replace(setup.datasets[0], arrays=gone),))
    executor = ProcessExecutor(broken, 1, executor_workers.PROBE)
    stack.callback(executor.close)
    executor.submit(Task(0, (0.0, 0.0)))
    with pytest.raises(RunError, match=r"a worker process cannot work: .*gone\.npy cannot be opened"):
        replies(executor, 1)


def test_workers_that_find_other_metrics(setup: WorkerSetup, stack: ExitStack, tiny: Any) -> None:
    """One bit is enough; they get no work."""
    probe = evaluator(tiny).probe()
    assert not isinstance(probe, str)
    other = probe.copy()
    at = np.flatnonzero(np.isfinite(other[0]))[-1]
    other[0, at] = np.nextafter(other[0, at], np.inf)
    executor = ProcessExecutor(setup, 1, other)
    stack.callback(executor.close)
    with pytest.raises(RunError, match="finds other metrics than this process"):
        replies(executor, 1)


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (np.array([[1.0, np.nan]]), np.array([[1.0, np.nan]]), True),
        (np.array([[1.0, 0.0]]), np.array([[1.0, -0.0]]), False),
        (np.array([[1.0]]), np.array([[1.0], [1.0]]), False),
        ("no", "no", True), ("no", "other", False), ("no", np.array([[1.0]]), False),
    ],
)  # fmt: skip
def test_same_metrics(found: Any, expected: Any, same: bool) -> None:
    """Bit by bit; an error is the same where its text is."""
    assert same_metrics(found, expected) is same


def test_ctrl_c_reaches_no_worker(setup: WorkerSetup, stack: ExitStack) -> None:
    """A terminal interrupts the whole group: workers go on from their first instruction, the parent decides."""
    executor = pool(setup, stack, executor_workers.answers_anything)
    before = children()
    for pid in before:
        os.kill(pid, signal.SIGINT)
    executor.submit(Task(0, (0.0, 1.0)))
    (reply,) = replies(executor, 1)
    assert isinstance(reply, Answer)
    assert sorted(children()) == sorted(before)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_small_messages(long: Any, stack: ExitStack) -> None:
    """Out go an id and the genes, below 1 KB whatever the dataset; back come the metrics, below 16 KB."""
    context = long[0]
    assert len(context.space) == 74
    vector = vectors(context, 1)[0]
    assert long[1][0].hlcvs.nbytes > 50_000_000
    assert len(pickle.dumps((10**9, np.array(vector), ()))) < 1024
    assert len(pickle.dumps(Answer(10**9, np.ones((1, 106)), 1.0))) < 16 * 1024
    assert len(pickle.dumps(shared_setup(*long, stack))) < 64 * 1024


def test_nothing_in_shared_memory(tiny: Any) -> None:
    """Nothing is left of a pool, killed or not."""
    before = set(Path("/dev/shm").iterdir())
    with ExitStack() as stack:
        executor = made("processes", tiny, stack)
        executor.submit(Task(0, vectors(tiny[0], 1)[0]))
        replies(executor, 1)
        os.kill(children()[0], signal.SIGKILL)
    assert set(Path("/dev/shm").iterdir()) <= before


def test_data_errors_are_told_by_name() -> None:
    """What a worker sends about its start can be sent."""
    assert str(pickle.loads(pickle.dumps(DataError("x cannot be opened")))) == "x cannot be opened"
