"""Worker processes that map the same dataset files; a lost worker is replaced and its tasks are done again.

Each worker has a pipe of its own, so that the parent knows what a lost one was doing. Two tasks are on a pipe at a
time: one is running, the next is there when it ends. A message holds an id and the genes.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np
import numpy.typing as npt

from core.errors import RunError
from optimization.context import EvalContext
from optimization.executors.protocol import Failure, Reply, Task
from optimization.executors.worker import WorkerSetup, work
from simulation.dataset import Dataset
from simulation.sharing import shared_dataset

logger = logging.getLogger(__name__)

ON_A_PIPE = 2
MAX_ATTEMPTS = 3


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the parent's end of its pipe, and what it has been given and not answered, the running task first."""

    process: BaseProcess
    pipe: Connection
    tasks: deque[Task] = field(default_factory=deque)
    ready: bool = False


class ProcessExecutor:
    """`workers` processes. `probe` are the metrics that each must find for the probe vector before it gets work.

    `life` is what a worker does with its pipe and the setup.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        workers: int,
        probe: npt.NDArray[np.float64] | str,
        life: Callable[[Connection, WorkerSetup], None] = work,
    ) -> None:
        self.workers, self._setup, self._probe, self._life = workers, setup, probe, life
        self._waiting: deque[Task] = deque()
        self._lost: dict[int, int] = {}
        self._failed_starts = 0
        self._spawn = multiprocessing.get_context("spawn")
        self._workers = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=self._life, args=(theirs, self._setup), daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def submit(self, task: Task) -> None:
        self._waiting.append(task)
        self._hand_out()

    def _hand_out(self) -> None:
        for worker in self._workers:
            while self._waiting and worker.ready and len(worker.tasks) < ON_A_PIPE:
                task = self._waiting.popleft()
                worker.tasks.append(task)
                with suppress(OSError):  # it is gone: noticed by its sentinel, which brings the task back
                    worker.pipe.send((task.id, np.array(task.vector), task.runs))

    def poll(self, timeout_s: float) -> list[Reply]:
        """As in the protocol. Raises RunError when a worker finds other metrics than the driver, or cannot start."""
        replies: list[Reply] = []
        signs = {sign: worker for worker in self._workers for sign in (worker.pipe, worker.process.sentinel)}
        for worker in dict.fromkeys(signs[sign] for sign in wait(list(signs), timeout_s)):  # type: ignore[index]
            replies += self._read(worker)
            if not worker.process.is_alive() and not worker.pipe.closed:
                replies += self._read(worker)  # what it said before it ended
                replies += self._replace(worker)
        self._hand_out()
        return replies

    def _read(self, worker: _Worker) -> list[Reply]:
        replies: list[Reply] = []
        with suppress(EOFError, OSError):  # the end of a worker is seen by its sentinel
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if not worker.ready:
                    self._check_probe(message)
                    worker.ready, self._failed_starts = True, 0
                    continue
                worker.tasks.popleft()
                self._lost.pop(message.id, None)
                replies.append(message)
        return replies

    def _check_probe(self, found: npt.NDArray[np.float64] | str | Exception) -> None:
        if isinstance(found, Exception):
            raise RunError(f"a worker process cannot work: {found}")
        if not same_metrics(found, self._probe):
            raise RunError("a worker process finds other metrics than this process for the same parameters")

    def _replace(self, worker: _Worker) -> list[Reply]:
        """A new process for a lost one. Its running task counts an attempt; what was waiting is innocent."""
        self._failed_starts += not worker.ready
        if self._failed_starts >= MAX_ATTEMPTS:
            raise RunError(f"worker processes end while they start ({_ending(worker)}); is there enough memory?")
        logger.warning("a worker process was lost (%s); a new one takes its place", _ending(worker))
        replies: list[Reply] = []
        tasks = list(worker.tasks)
        if tasks and (attempts := self._lost.get(tasks[0].id, 0) + 1) >= MAX_ATTEMPTS:
            lost = tasks.pop(0)
            replies.append(Failure(lost.id, f"its worker process was lost {attempts} times ({_ending(worker)})", True))
        elif tasks:
            self._lost[tasks[0].id] = attempts
        self._waiting.extendleft(reversed(tasks))
        worker.pipe.close()
        self._workers[self._workers.index(worker)] = self._start()
        return replies

    def close(self, *, hard: bool = False) -> None:
        """Workers own nothing that they would have to put away, so that they are killed either way."""
        self._waiting.clear()
        for worker in self._workers:
            worker.process.kill()
        if hard:
            return
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process that is started here never sees Ctrl-C, which reaches the whole group: the parent decides.

    It inherits the mask, so that this holds from its first instruction on.
    """
    resource_tracker.ensure_running()  # where that has to be started, the mask is lifted
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def same_metrics(found: npt.NDArray[np.float64] | str, expected: npt.NDArray[np.float64] | str) -> bool:
    """Equal to the bit, also where there is no number; or the same error."""
    if isinstance(found, str) or isinstance(expected, str):
        return isinstance(found, str) and isinstance(expected, str) and found == expected
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()


def _ending(worker: _Worker) -> str:
    code = worker.process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def shared_setup(
    context: EvalContext, datasets: Sequence[Dataset], stack: ExitStack, timeout_s: float | None = None
) -> WorkerSetup:
    """The setup of workers on this machine; what it shares lasts as long as `stack`."""
    shared = tuple(stack.enter_context(shared_dataset(dataset)) for dataset in datasets)
    return WorkerSetup(context, shared, timeout_s)
