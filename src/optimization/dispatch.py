"""Candidates to tasks and back: some are split into their runs, a failed one is tried once more (13.4, 13.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from optimization.executors.protocol import Answer, Executor, Failure, Reply, Task
from optimization.space import Vector

POLL_S = 0.2  # between looks at whether to stop


@dataclass(slots=True)
class _Open:
    """A candidate that has not been answered in full: the replies of its parts, and which of them were tried again."""

    vector: Vector
    replies: dict[int, Reply] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)


class Dispatcher:
    """Sends candidates to an executor; with `split` each of the context's `runs` is a task of its own."""

    def __init__(self, executor: Executor, runs: int, *, split: bool) -> None:
        self._executor = executor
        self._parts = runs if split else 1
        self._open: dict[int, _Open] = {}

    @property
    def open(self) -> int:
        """Candidates that were sent and are not answered."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Is there enough to do for all workers until somebody looks again?"""
        return len(self._open) * self._parts >= 16 * self._executor.workers + 8

    def send(self, candidate: int, vector: Vector) -> None:
        self._open[candidate] = _Open(vector)
        for part in range(self._parts):
            self._executor.submit(self._task(candidate, part))

    def _task(self, candidate: int, part: int) -> Task:
        runs = (part,) if self._parts > 1 else ()
        return Task(candidate * self._parts + part, self._open[candidate].vector, runs)

    def receive(self, timeout_s: float) -> Iterator[Reply]:
        """Answers and failures of whole candidates, under their ids."""
        for reply in self._executor.poll(timeout_s):
            candidate, part = divmod(reply.id, self._parts)
            entry = self._open[candidate]
            if isinstance(reply, Failure) and not reply.lost and part not in entry.again:
                entry.again.add(part)  # lost ones were tried again by the executor
                self._executor.submit(self._task(candidate, part))
                continue
            entry.replies[part] = reply
            if len(entry.replies) == self._parts:
                del self._open[candidate]
                yield _joined(candidate, entry.replies)

    def evaluated(self, vectors: Mapping[int, Vector], stop: Callable[[], bool] = lambda: False) -> Iterator[Reply]:
        """Send all of them, by id; their replies as they come. Ends early once `stop` says so."""
        waiting = deque(vectors.items())
        while (waiting or self._open) and not stop():
            while waiting and not self.is_full:
                self.send(*waiting.popleft())
            yield from self.receive(POLL_S)


def _joined(candidate: int, replies: dict[int, Reply]) -> Reply:
    """One reply of those of all parts: of several failures that of the first part, whichever came first."""
    answers: list[Answer] = []
    for _, reply in sorted(replies.items()):
        if isinstance(reply, Failure):
            return Failure(candidate, reply.reason, reply.lost)
        answers.append(reply)
    return Answer(candidate, np.concatenate([a.values for a in answers]), sum(a.engine_seconds for a in answers))
