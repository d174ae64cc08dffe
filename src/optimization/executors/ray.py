"""Workers of a Ray cluster: one a processor, as many as the cluster has at the moment (13.4, 13.5; additions 18).

The driver keeps the books itself: which call holds which tasks, on which worker. A lost worker's tasks go back to the
queue and a new one is started, where Ray's own retries could run out. Two calls are with each worker, one running and
one queued there; short backtests share calls. The number of workers never changes results.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from core.errors import RunError
from optimization.executors.processes import same_metrics
from optimization.executors.protocol import Answer, Failure, Reply, Task

logger = logging.getLogger(__name__)

CALLS = 2
MAX_ATTEMPTS = 3
BATCH = 8
SHORT_S = 0.02
STRAGGLING = 4.0
STRAGGLING_S = 1.0  # below this the way to the worker takes longer than what could be saved
LOOK_S = 30.0
LOOK_AFTER_LOSS_S = 2.0
WITHOUT_WORKERS_S = 600.0

Metrics = npt.NDArray[np.float64] | str


class WorkerLost(Exception):  # noqa: N818 - an event, which the executor deals with
    """The worker of a call is gone, and with it what it had to do."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a worker finds for the probe vector, and its build of the engine."""

    metrics: Metrics
    build: str


class Cluster(Protocol):
    """What the executor asks of a cluster. Handles of workers and calls are its own affair."""

    def nodes(self) -> Mapping[str, int]:
        """Processors of each machine that is there."""
        ...

    def start(self, node: str) -> Any:
        """Begin to start a worker on a machine."""
        ...

    def probe(self, worker: Any) -> Any:
        """A call whose result is a `Probe`."""
        ...

    def evaluate(self, worker: Any, tasks: Sequence[Task]) -> Any:
        """A call whose result are the replies to tasks."""
        ...

    def done(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those that are done; waits until one is, or for `timeout_s`."""
        ...

    def result(self, call: Any) -> Any:
        """The result of a call that is done. Raises WorkerLost, RunError."""
        ...

    def end(self, worker: Any) -> None:
        """End a worker, if it is still there."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


@dataclass(slots=True, eq=False)
class _Worker:
    """`calls` in the order in which it does them, the first runs since `since`; `slow` if that takes too long."""

    handle: Any
    node: str
    calls: list[Any] = field(default_factory=list)
    since: float = 0.0
    ready: bool = False
    slow: bool = False


@dataclass(slots=True)
class _Open:
    """A task that is not answered: how often it is waiting or with a worker, how many workers were lost over it."""

    task: Task
    copies: int = 1
    losses: int = 0


class RayExecutor:
    """Tasks over the workers of a cluster. Each must find the metrics of `probe` before it gets work.

    `workers` is how many there are at the moment, at least 1.
    """

    def __init__(self, cluster: Cluster, probe: Probe, now: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._probe, self._now = cluster, probe, now
        self._waiting: deque[int] = deque()
        self._open: dict[int, _Open] = {}
        self._workers: list[_Worker] = []
        self._calls: dict[Any, tuple[_Worker, Sequence[int]]] = {}
        self._failed_starts: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._seconds: deque[float] = deque(maxlen=100)
        self._look_at, self._worked_at = now(), now()
        self._replies: list[Reply] = []
        self._closed = False
        self.workers = 1
        self._look()

    def submit(self, task: Task) -> None:
        self._open[task.id] = _Open(task)
        self._waiting.append(task.id)

    def poll(self, timeout_s: float) -> list[Reply]:
        """As in the protocol. Raises RunError when all machines are refused, or none has been there for 10 minutes."""
        if self._now() >= self._look_at:
            self._look()
        self._repeat_stragglers()
        self._hand_out()
        for call in self._cluster.done(list(self._calls), timeout_s):
            if call in self._calls:  # it may have gone with its worker
                self._finish(call)
        self._hand_out()
        self._check_workers()
        replies, self._replies = self._replies, []
        return replies

    def close(self, *, hard: bool = False) -> None:
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self._cluster.close()

    # --- workers

    def _look(self) -> None:
        """Start workers for processors that have none, give up those of machines that are gone."""
        nodes = self._cluster.nodes()
        self._refused = {node: why for node, why in self._refused.items() if node in nodes}
        for worker in [worker for worker in self._workers if worker.node not in nodes]:
            self._lose(worker, "its machine left the cluster")
        before = len(self._workers)
        for node in sorted(nodes.keys() - self._refused.keys()):
            present = sum(worker.node == node for worker in self._workers)
            for _ in range(nodes[node] - present):
                worker = _Worker(self._cluster.start(node), node)
                self._workers.append(worker)
                self._call(worker, self._cluster.probe(worker.handle), ())
        if len(self._workers) != before:
            logger.info("%d workers on %d machines of the cluster", len(self._workers), len(nodes))
        self.workers = max(1, len(self._workers))
        self._look_at = self._now() + (LOOK_S if self._workers else LOOK_AFTER_LOSS_S)

    def _check_workers(self) -> None:
        if any(worker.ready for worker in self._workers):
            self._worked_at = self._now()
        elif self._refused and not self._workers:
            raise RunError(f"no machine of the cluster can work: {'; '.join(self._refused.values())}")
        elif self._now() - self._worked_at > WITHOUT_WORKERS_S:
            minutes = WITHOUT_WORKERS_S / 60
            raise RunError(f"the cluster has had no worker for {minutes:.0f} minutes; the run can be resumed")

    def _admit(self, worker: _Worker, found: Probe) -> None:
        if same_metrics(found.metrics, self._probe.metrics):
            worker.ready = True
            self._failed_starts.pop(worker.node, None)
        else:
            self._refuse(
                worker,
                f"machine {worker.node[:8]} finds other metrics than this one for the same parameters "
                f"(engine builds {found.build} and {self._probe.build})",
            )

    def _refuse(self, worker: _Worker, why: str) -> None:
        """No more workers on its machine; others that are there have to stand the probe themselves."""
        logger.warning("%s; it gets no work", why)
        self._refused[worker.node] = why
        self._remove(worker)

    def _lose(self, worker: _Worker, why: str) -> None:
        """A worker is gone. What it was doing counts an attempt, what was queued there is innocent."""
        logger.warning("a worker on machine %s was lost (%s)", worker.node[:8], why)
        self._look_at = min(self._look_at, self._now() + LOOK_AFTER_LOSS_S)
        if not worker.ready:
            failed = self._failed_starts[worker.node] = self._failed_starts.get(worker.node, 0) + 1
            if failed >= MAX_ATTEMPTS:
                self._refuse(worker, f"workers on machine {worker.node[:8]} end while they start ({why})")
                return
        for task_id in self._remove(worker):
            self._count_loss(task_id, why)

    def _remove(self, worker: _Worker) -> Sequence[int]:
        """Take a worker out, and its tasks back. Returns those that it was doing."""
        self._workers.remove(worker)
        self._cluster.end(worker.handle)
        held = [self._calls.pop(call)[1] for call in worker.calls]
        for task_id in reversed([task_id for tasks in held for task_id in tasks if task_id in self._open]):
            self._open[task_id].copies -= 1
            if self._open[task_id].copies == 0:
                self._open[task_id].copies = 1
                self._waiting.appendleft(task_id)
        return held[0] if held else ()

    def _count_loss(self, task_id: int, why: str) -> None:
        entry = self._open.get(task_id)
        if entry is None:
            return
        entry.losses += 1
        if entry.losses >= MAX_ATTEMPTS:
            del self._open[task_id]
            self._replies.append(Failure(task_id, f"its worker was lost {entry.losses} times ({why})", lost=True))

    # --- calls

    def _hand_out(self) -> None:
        """Give waiting tasks to workers with room, the idle ones first."""
        for room in range(CALLS):
            for worker in self._workers:
                if worker.ready and not worker.slow and len(worker.calls) == room:
                    tasks = self._next_tasks()
                    if not tasks:
                        return
                    self._call(worker, self._cluster.evaluate(worker.handle, tasks), [task.id for task in tasks])

    def _next_tasks(self) -> list[Task]:
        """What goes into a call: one task, several short ones; one over which a worker was lost goes alone."""
        size = BATCH if self._seconds and statistics.median(self._seconds) < SHORT_S else 1
        tasks: list[Task] = []
        while self._waiting and len(tasks) < size:
            entry = self._open.get(self._waiting.popleft())
            if entry is not None:  # not answered since
                tasks.append(entry.task)
                size = 1 if entry.losses else size
        return tasks

    def _call(self, worker: _Worker, call: Any, tasks: Sequence[int]) -> None:
        if not worker.calls:
            worker.since = self._now()
        worker.calls.append(call)
        self._calls[call] = (worker, tasks)

    def _finish(self, call: Any) -> None:
        worker, _ = self._calls[call]
        try:
            result = self._cluster.result(call)
        except WorkerLost as lost:
            self._lose(worker, str(lost))
            return
        except RunError as exc:
            if worker.ready:
                raise
            self._refuse(worker, f"a worker on machine {worker.node[:8]} cannot work: {exc}")
            return
        del self._calls[call]
        worker.calls.remove(call)
        worker.since, worker.slow = self._now(), False
        if isinstance(result, Probe):
            self._admit(worker, result)
            return
        for reply in result:
            self._answered(reply)

    def _answered(self, reply: Reply) -> None:
        if isinstance(reply, Answer):
            self._seconds.append(reply.engine_seconds)
        if self._open.pop(reply.id, None) is not None:  # the first answer wins; another is the same
            self._replies.append(reply)

    def _repeat_stragglers(self) -> None:
        """When workers have nothing to do, what a slow one holds is done a second time elsewhere."""
        if self._waiting or not self._seconds or all(worker.calls for worker in self._workers if worker.ready):
            return
        usual = statistics.median(self._seconds)
        for worker in self._workers:
            if not worker.ready or worker.slow or not worker.calls:
                continue
            running, *queued = [self._calls[call][1] for call in worker.calls]
            if self._now() - worker.since > max(STRAGGLING * usual * len(running), STRAGGLING_S):
                worker.slow = True
                self._repeat([task_id for tasks in (running, *queued) for task_id in tasks if task_id in self._open])

    def _repeat(self, tasks: Sequence[int]) -> None:
        for task_id in tasks:
            self._open[task_id].copies += 1
            self._waiting.append(task_id)
