"""The books of the executor `ray`, on a cluster made of lists: hand-out, losses, machines, stragglers (13.4, 13.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from core.errors import RunError
from optimization.executors.protocol import Answer, Failure, Task
from optimization.executors.ray import BATCH, LOOK_S, WITHOUT_WORKERS_S, Probe, RayExecutor, WorkerLost

OURS = Probe(np.array([[1.0, np.nan]]), "build1")


@dataclass(eq=False)
class Worker:
    node: str
    ended: bool = False


@dataclass(eq=False)
class Call:
    """`tasks` is None for a probe."""

    worker: Worker
    tasks: list[int] | None
    result: Any = None


@dataclass
class FakeCluster:
    """Machines come and go as the test says; calls are done when the test says."""

    machines: dict[str, int]
    time: float = 0.0
    found: Probe | Exception | None = OURS
    workers: list[Worker] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    probes: dict[str, Call] = field(default_factory=dict)
    closed: int = 0

    def now(self) -> float:
        return self.time

    def nodes(self) -> Mapping[str, int]:
        return dict(self.machines)

    def start(self, node: str) -> Worker:
        self.workers.append(Worker(node))
        return self.workers[-1]

    def probe(self, worker: Worker) -> Call:
        self.probes[worker.node] = Call(worker, None, self.found)
        return self.probes[worker.node]

    def evaluate(self, worker: Worker, tasks: Sequence[Task]) -> Call:
        self.calls.append(Call(worker, [task.id for task in tasks]))
        return self.calls[-1]

    def done(self, calls: Sequence[Call], timeout_s: float) -> Sequence[Call]:
        return [call for call in calls if call.result is not None or call.worker.ended]

    def result(self, call: Call) -> Any:
        if call.result is None:
            raise WorkerLost("killed")
        if isinstance(call.result, Exception):
            raise call.result
        return call.result

    def end(self, worker: Worker) -> None:
        worker.ended = True

    def close(self) -> None:
        self.closed += 1

    # what tests do

    def answer(self, call: Call, seconds: float = 0.1) -> None:
        assert call.tasks is not None
        call.result = [answer(number, seconds) for number in call.tasks]

    def open(self) -> list[Call]:
        return [call for call in self.calls if call.result is None and not call.worker.ended]

    def held(self) -> list[list[int]]:
        """Tasks of open calls, in the order of handing out."""
        return [call.tasks or [] for call in self.open()]


def answer(number: int, seconds: float = 0.1) -> Answer:
    return Answer(number, np.full((1, 2), float(number)), seconds)


def started(machines: dict[str, int], tasks: int = 0, found: Probe | Exception = OURS) -> tuple[FakeCluster, Any]:
    """An executor whose workers have been probed, with `tasks` tasks handed out."""
    cluster = FakeCluster(machines, found=found)
    executor = RayExecutor(cluster, OURS, cluster.now)
    for number in range(tasks):
        executor.submit(Task(number, (0.5,)))
    executor.poll(0)
    return cluster, executor


def ids(replies: Sequence[Any]) -> list[int]:
    return [reply.id for reply in replies]


def finish(cluster: FakeCluster, executor: RayExecutor) -> list[Any]:
    """Answer whatever is open until nothing is left."""
    replies = []
    while cluster.open():
        for call in cluster.open():
            cluster.answer(call)
        replies += executor.poll(0)
    return replies


def test_two_calls_a_worker() -> None:
    """Each processor has a worker, each worker one task running and one queued; the idle ones are served first."""
    cluster, executor = started({"a": 2, "b": 1}, tasks=7)
    assert executor.workers == 3
    assert cluster.held() == [[0], [1], [2], [3], [4], [5]]
    assert [call.worker for call in cluster.calls[:3]] == cluster.workers
    cluster.answer(cluster.calls[1])
    assert ids(executor.poll(0)) == [1]
    assert cluster.held()[-1] == [6]
    assert cluster.calls[-1].worker is cluster.calls[1].worker
    assert sorted(ids(finish(cluster, executor))) == [0, 2, 3, 4, 5, 6]


def test_short_backtests_share_calls() -> None:
    """Once backtests prove to take less than 20 ms a call carries up to 8."""
    cluster, executor = started({"a": 1}, tasks=30)
    assert cluster.held() == [[0], [1]]
    cluster.answer(cluster.calls[0], seconds=0.019)
    executor.poll(0)
    assert cluster.held() == [[1], list(range(2, 2 + BATCH))]
    cluster.answer(cluster.calls[1], seconds=0.5)
    executor.poll(0)
    assert cluster.held()[-1] == [10]


def test_no_work_before_the_probe() -> None:
    """Tasks wait until a worker has found the driver's metrics."""
    cluster = FakeCluster({"a": 1}, found=OURS)
    executor = RayExecutor(cluster, OURS, cluster.now)
    executor.submit(Task(0, (0.5,)))
    assert not cluster.calls
    executor.poll(0)
    assert cluster.held() == [[0]]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Probe(np.array([[1.0000000000000002, np.nan]]), "build2"), r"other metrics .*builds build2 and build1"),
        (Probe("engine refuses", "build2"), "other metrics than this one"),
        (RunError("No module named 'passivbot_rust'"), "cannot work: No module named 'passivbot_rust'"),
    ],
)
def test_a_machine_that_fails_the_probe(
    found: Probe | Exception, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets no work and no more workers; when there is no other machine the run ends and says why."""
    with pytest.raises(RunError, match=f"no machine of the cluster can work: .*{message}"):
        started({"a": 2}, tasks=1, found=found)
    caplog.clear()
    cluster = FakeCluster({"a": 1, "b": 1})
    executor = RayExecutor(cluster, OURS, cluster.now)
    cluster.probes["b"].result = found
    executor.submit(Task(0, (0.5,)))
    executor.poll(0)
    assert [worker.node for worker in cluster.workers if not worker.ended] == ["a"]
    assert "it gets no work" in caplog.text
    cluster.time += 2 * LOOK_S
    executor.poll(0)
    assert len(cluster.workers) == 2
    assert ids(finish(cluster, executor)) == [0]


def test_a_lost_worker_is_replaced() -> None:
    """What it held is done elsewhere, first of all; a new worker is started two seconds later."""
    cluster, executor = started({"a": 2}, tasks=6)
    assert cluster.held() == [[0], [1], [2], [3]]
    cluster.workers[0].ended = True
    assert executor.poll(0) == []
    assert cluster.held() == [[1], [3]]
    assert len(cluster.workers) == 2
    cluster.time += 2.0
    executor.poll(0)
    executor.poll(0)
    assert [worker.ended for worker in cluster.workers] == [True, False, False]
    assert cluster.held() == [[1], [3], [0], [2]]
    assert sorted(ids(finish(cluster, executor))) == list(range(6))


def test_a_candidate_that_kills_its_workers() -> None:
    """After three losses it fails as lost; what was queued behind it or shared its call is done."""
    cluster, executor = started({"a": 1}, tasks=12)
    cluster.answer(cluster.calls[0], seconds=0.001)
    cluster.answer(cluster.calls[1], seconds=0.001)
    assert ids(executor.poll(0)) == [0, 1]
    assert cluster.held() == [list(range(2, 10)), [10, 11]]
    replies = []
    for _ in range(20):
        for call in cluster.open():
            if call.tasks and 5 in call.tasks:
                call.worker.ended = True
                break
            cluster.answer(call, seconds=0.001)
        cluster.time += 2.0
        replies += executor.poll(0)
    failures = [reply for reply in replies if isinstance(reply, Failure)]
    assert failures == [Failure(5, "its worker was lost 3 times (killed)", lost=True)]
    assert sorted(ids(replies)) == list(range(2, 12))
    assert [call.tasks for call in cluster.calls if call.tasks and 5 in call.tasks][1:] == [[5], [5]]
    assert [9] in [call.tasks for call in cluster.calls]
    assert [10, 11] in [call.tasks for call in cluster.calls]


def test_machines_come_and_go() -> None:
    """Every 30 s new processors get workers, and workers of machines that left are given up with what they held."""
    cluster, executor = started({"a": 1}, tasks=6)
    cluster.machines["b"] = 2
    executor.poll(0)
    assert executor.workers == 1
    cluster.time += LOOK_S
    executor.poll(0)
    assert executor.workers == 3
    executor.poll(0)
    assert sorted(cluster.held()) == [[0], [1], [2], [3], [4], [5]]
    del cluster.machines["a"]
    cluster.time += LOOK_S
    executor.poll(0)
    assert executor.workers == 2
    assert all(call.worker.node == "b" for call in cluster.open())
    assert sorted(ids(finish(cluster, executor))) == list(range(6))


def test_workers_that_end_while_they_start() -> None:
    """After three attempts a machine gets no more; if it was the only one the run ends."""
    cluster = FakeCluster({"a": 1}, found=None)
    executor = RayExecutor(cluster, OURS, cluster.now)
    executor.submit(Task(0, (0.5,)))
    with pytest.raises(RunError, match="workers on machine a end while they start"):
        for _ in range(6):
            cluster.workers[-1].ended = True
            executor.poll(0)
            cluster.time += 2.0
            executor.poll(0)
    assert len(cluster.workers) == 3


def test_no_machine_for_ten_minutes() -> None:
    """The run waits for machines to come back, but not for ever."""
    cluster, executor = started({"a": 1}, tasks=1)
    cluster.machines.clear()
    cluster.workers[0].ended = True
    cluster.time += WITHOUT_WORKERS_S
    executor.poll(0)
    cluster.time += 1
    with pytest.raises(RunError, match="no worker for 10 minutes; the run can be resumed"):
        executor.poll(0)


def test_machines_that_come_back() -> None:
    """Within the ten minutes the run goes on."""
    cluster, executor = started({"a": 1}, tasks=1)
    cluster.machines.clear()
    cluster.workers[0].ended = True
    executor.poll(0)
    cluster.time += WITHOUT_WORKERS_S - 1
    cluster.machines["c"] = 1
    executor.poll(0)
    executor.poll(0)
    assert ids(finish(cluster, executor)) == [0]


def test_stragglers_are_done_twice() -> None:
    """With nothing left to hand out, what takes over four times the median, and 1 s, is done elsewhere too."""
    cluster, executor = started({"a": 1, "b": 1}, tasks=4)
    _slow, other = cluster.workers
    for call in [call for call in cluster.open() if call.worker is other]:
        cluster.answer(call, seconds=0.5)
    executor.poll(0)
    held = [number for call in cluster.open() for number in call.tasks or []]
    assert held == [0, 2]
    cluster.time = 2.0
    executor.poll(0)
    assert cluster.held() == [[0], [2]]
    cluster.time = 2.1
    executor.poll(0)
    assert [(call.worker, call.tasks) for call in cluster.open()][2:] == [(other, [0]), (other, [2])]
    cluster.answer(cluster.open()[2])
    assert ids(executor.poll(0)) == [0]
    cluster.answer(cluster.open()[0])
    assert ids(executor.poll(0)) == []
    assert ids(finish(cluster, executor)) == [2]
    assert executor.poll(0) == []


def test_a_slow_worker_gets_nothing_more() -> None:
    """Until its task is done; a task that was queued has been running since the one before it ended."""
    cluster, executor = started({"a": 1, "b": 1}, tasks=2)
    cluster.answer(cluster.calls[1], seconds=0.5)
    executor.poll(0)
    cluster.time = 3.0
    executor.poll(0)
    executor.poll(0)
    for number in (7, 8):
        executor.submit(Task(number, (0.5,)))
    executor.poll(0)
    assert cluster.held() == [[0], [0], [7]]
    cluster.answer(cluster.calls[0], seconds=3.0)
    executor.poll(0)
    assert cluster.held() == [[0], [7], [8]]
    assert cluster.open()[2].worker is cluster.workers[0]
    finish(cluster, executor)


def test_time_counts_from_the_end_of_the_task_before() -> None:
    """A queued task is not slow because it had to wait."""
    cluster, executor = started({"a": 1, "b": 1}, tasks=4)
    for call in cluster.open():
        if call.tasks != [2]:
            cluster.answer(call, seconds=0.5)
    cluster.time = 9.0
    executor.poll(0)
    assert cluster.held() == [[2]]
    cluster.time = 10.0
    executor.poll(0)
    assert cluster.held() == [[2]]
    cluster.time = 11.1
    executor.poll(0)
    assert cluster.held() == [[2], [2]]


def test_a_straggler_whose_worker_is_lost() -> None:
    """Losing one of two copies brings the task back only when the other is lost as well."""
    cluster, executor = started({"a": 1, "b": 1}, tasks=3)
    for call in cluster.open()[1:2]:
        cluster.answer(call, seconds=0.5)
    executor.poll(0)
    cluster.time = 5.0
    executor.poll(0)
    assert sorted(cluster.held()) == [[0], [0], [2], [2]]
    cluster.workers[0].ended = True
    executor.poll(0)
    assert sorted(cluster.held()) == [[0], [2]]
    cluster.workers[1].ended = True
    executor.poll(0)
    cluster.time += 2.0
    executor.poll(0)
    executor.poll(0)
    assert sorted(ids(finish(cluster, executor))) == [0, 2]


def test_closing() -> None:
    """Once, however often it is asked for; a defect in a worker ends the run."""
    cluster, executor = started({"a": 1}, tasks=1)
    cluster.calls[0].result = RunError("TypeError: a defect")
    with pytest.raises(RunError, match="a defect"):
        executor.poll(0)
    executor.close()
    executor.close(hard=True)
    assert cluster.closed == 1
