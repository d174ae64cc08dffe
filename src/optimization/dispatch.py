"""Candidates to tasks and back: some are split into their runs, a failed one is tried once more (13.4, 13.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimization.executors.protocol import Answer, Executor, Failure, Reply, Task
from optimization.space import Vector

TRIES = 2


@dataclass(slots=True)
class _Open:
    """A candidate that has not been answered in full."""

    vector: Vector
    answers: dict[int, Answer]
    tries: int = 1


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
        return len(self._open) * self._parts >= 4 * self._executor.workers + 8

    def send(self, candidate: int, vector: Vector) -> None:
        self._open[candidate] = _Open(vector, {})
        for part in range(self._parts):
            self._executor.submit(self._task(candidate, part))

    def _task(self, candidate: int, part: int) -> Task:
        runs = (part,) if self._parts > 1 else ()
        return Task(candidate * self._parts + part, self._open[candidate].vector, runs)

    def receive(self, timeout_s: float) -> Iterator[Reply]:
        """Answers and failures of whole candidates, under their ids."""
        for reply in self._executor.poll(timeout_s):
            candidate, part = divmod(reply.id, self._parts)
            entry = self._open.get(candidate)
            if entry is None:  # another part of it has failed
                continue
            if isinstance(reply, Failure):
                yield from self._failed(candidate, part, reply)
                continue
            entry.answers[part] = reply
            if len(entry.answers) == self._parts:
                del self._open[candidate]
                yield _joined(candidate, entry.answers)

    def _failed(self, candidate: int, part: int, failure: Failure) -> Iterator[Reply]:
        entry = self._open[candidate]
        if failure.lost or entry.tries >= TRIES:  # lost ones were tried again by the executor
            del self._open[candidate]
            yield Failure(candidate, failure.reason, failure.lost)
        else:
            entry.tries += 1
            self._executor.submit(self._task(candidate, part))


def _joined(candidate: int, answers: dict[int, Answer]) -> Answer:
    parts = [answers[part] for part in sorted(answers)]
    return Answer(candidate, np.concatenate([a.values for a in parts]), sum(a.engine_seconds for a in parts))
