"""The search: proposes, sends, records and takes in, in an order that nothing but seed and settings decides.

One thread, one loop: draw candidates while workers have room, take what was answered, record in the order of ids, take
whole chunks in. `optimizer_pareto_tools.md` 13.1-13.3, 13.5; for stopping and going on see `state` and `restore`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import RunError
from core.rng import Streams
from optimization.candidates_log import DoneCandidate
from optimization.dispatch import POLL_S, Dispatcher
from optimization.duplicates import DuplicateCounts, Seen, identity, moved
from optimization.executors.protocol import Reply
from optimization.initial import initial_population
from optimization.outcome import Judge, Outcome
from optimization.recorder import Recorder, Restored
from optimization.report import Report
from optimization.samplers.protocol import Evaluated, Fitness, Proposal, Sampler
from optimization.schedule import Schedule
from optimization.search_state import Chunk, SearchState, Slot
from optimization.space import SearchSpace, Vector
from optimization.stop import Stop

logger = logging.getLogger(__name__)

SEEDS = -1  # the chunk of starting configs, before the initial population
FAILURES_COUNT_FROM = 200
MAX_FAILURES = 0.01


class Stopped(Exception):  # noqa: N818 - it is no error
    """The search was asked to stop and has stopped."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A vector on its way: its raw genome, its identity, and whether it is the raw genome."""

    genome: Vector
    vector: Vector
    key: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a search is made of."""

    space: SearchSpace
    sampler: Sampler
    schedule: Schedule
    streams: Streams
    dispatcher: Dispatcher
    judge: Judge
    recorder: Recorder
    report: Report
    stop: Stop
    bot: Mapping[str, Mapping[str, Any]]
    checkpoint_interval_s: float


class Search:
    """A run of the optimizer, from the first candidate or from a checkpoint."""

    def __init__(self, parts: Parts, seeds: Sequence[Vector] = ()) -> None:
        self._parts = parts
        self._seeds = list(seeds)
        self._seen = Seen(len(parts.judge.scoring.objectives))
        self.counts = DuplicateCounts()
        self._open: deque[Chunk] = deque()  # drawn in full, not taken in
        self._drawing: tuple[Chunk, Iterator[Proposal]] | None = None
        self._next_chunk = SEEDS if seeds else 0
        self._taken = self._next_chunk - 1  # the last chunk that was taken in
        self._evaluated_seeds: list[Evaluated] = []
        self._next_id = 0
        self._underway: dict[int, Candidate] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._tail: dict[str, Mapping[str, Any]] = {}
        self._failures = 0
        self.engine_seconds = 0.0
        self._snapshot = b""
        self._written_s = 0.0

    # --- the loop

    def run(self) -> None:
        """Search until the last chunk is taken in. Raises Stopped when `stop` is set, RunError when it cannot go on."""
        if not self._snapshot:
            self.checkpoint(now=True)
        while not self._is_done():
            if self._parts.stop.is_set():
                raise Stopped
            self._draw()
            waits = bool(self._parts.dispatcher.open) and self._parts.recorder.records not in self._outcomes
            for reply in self._parts.dispatcher.receive(POLL_S if waits and not self._has_room() else 0.0):
                self._outcomes[reply.id] = self._outcome(reply)
            self._record()
            self._take_in()
        self.write_checkpoint()

    def _is_done(self) -> bool:
        return self._taken >= self._parts.schedule.chunks

    def _has_room(self) -> bool:
        """Is there something to draw, and are the workers not full?"""
        return not self._parts.dispatcher.is_full and (self._drawing is not None or self._may_begin())

    def _may_begin(self) -> bool:
        """May the next chunk be drawn now? Each is drawn from the population after one certain chunk."""
        if self._next_chunk > self._parts.schedule.chunks:
            return False
        needed = self._next_chunk - 1 if self._next_chunk <= 0 else self._parts.schedule.source(self._next_chunk)
        return self._taken >= needed

    # --- drawing

    def _draw(self) -> None:
        """Draw candidates while there is room for them."""
        while self._has_room():
            if self._drawing is None:
                self._drawing = Chunk(self._next_chunk), iter(self._proposals(self._next_chunk))
            chunk, proposals = self._drawing
            proposal = next(proposals, None)
            if proposal is None:
                self._drawing = None
                self._open.append(chunk)
                self._next_chunk += 1
            else:
                chunk.slots.append(self._slot(proposal))

    def _proposals(self, number: int) -> Iterable[Proposal]:
        parts = self._parts
        if number == SEEDS:
            return [Proposal(vector) for vector in self._seeds]
        if number == 0:
            size = parts.sampler.population_size
            return initial_population(parts.space, size, self._evaluated_seeds, parts.streams.population)
        return parts.sampler.ask(parts.schedule.chunk_size)

    def _slot(self, proposal: Proposal) -> Slot:
        if proposal.fitness is not None:
            return Slot(proposal.genome, proposal.fitness)
        vector = proposal.genome if self._next_chunk <= 0 else self._parts.space.enforce(proposal.genome)
        key = identity(vector)
        known = self._seen.id_of(key)
        if known is None:
            return self._new(Candidate(proposal.genome, vector, key, exact=vector is proposal.genome))
        self.counts.total += 1
        for other in moved(vector, self._parts.space, self._parts.streams.duplicates):
            key = identity(other)
            if self._seen.id_of(key) is None:
                self.counts.resolved += 1
                return self._new(Candidate(other, other, key, exact=True))
        self.counts.reused += 1
        return Slot(proposal.genome, None, known)

    def _new(self, candidate: Candidate) -> Slot:
        number = self._next_id
        self._next_id += 1
        self._seen.add(candidate.key, number)
        self._send(number, candidate)
        return Slot(candidate.genome, None, number)

    def _send(self, number: int, candidate: Candidate) -> None:
        self._underway[number] = candidate
        block = self._tail.pop(candidate.key, None)
        if block is None:
            self._parts.dispatcher.send(number, candidate.vector)
        else:
            self._outcomes[number] = Outcome.of_record(block)

    # --- results

    def _outcome(self, reply: Reply) -> Outcome:
        outcome = self._parts.judge.outcome(self._underway[reply.id].vector, reply)
        self.engine_seconds += outcome.engine_seconds
        return outcome

    def _record(self) -> None:
        """Record what is done, in the order of ids."""
        recorder = self._parts.recorder
        while (outcome := self._outcomes.pop(recorder.records, None)) is not None:
            number = recorder.records
            candidate = self._underway.pop(number)
            self._seen.set_fitness(number, outcome.fitness)
            done = DoneCandidate(candidate.key, candidate.exact, candidate.genome, outcome.fitness)
            change = recorder.record(done, self._varying(candidate.vector, outcome))
            self._parts.report.recorded(recorder, outcome, change)
            self._count_failures(number, outcome)

    def _varying(self, vector: Vector, outcome: Outcome) -> dict[str, Any]:
        genes = self._parts.judge.context.genes(vector)
        return {"bot": {pside: {**self._parts.bot[pside], **side} for pside, side in genes.items()}, **outcome.block}

    def _count_failures(self, number: int, outcome: Outcome) -> None:
        """As records are written, so that it does not depend on who answers when."""
        if outcome.error is not None:
            self._failures += 1
            logger.warning("candidate %d could not be simulated: %s", number, outcome.error)
        records = self._parts.recorder.records
        if records >= FAILURES_COUNT_FROM and self._failures > MAX_FAILURES * records:
            raise RunError(
                f"{self._failures} of {records} candidates could not be simulated; see the warnings above, and "
                f"`error` in {self._parts.recorder.files.results}"
            )

    # --- taking in

    def _take_in(self) -> None:
        """Take in the oldest chunks that are complete, once all that depends on the state before has been drawn."""
        while self._open and self._drawing is None and not self._may_begin() and self._is_complete(self._open[0]):
            chunk = self._open.popleft()
            evaluated = [Evaluated(slot.genome, self._fitness(slot)) for slot in chunk.slots]
            if chunk.number == SEEDS:
                self._evaluated_seeds = evaluated
            else:
                self._parts.sampler.tell(evaluated)
            self._taken = chunk.number
            self.checkpoint()
            self._parts.report.taken_in(chunk.number, len(chunk.slots), self._parts.recorder, self.counts)

    def _is_complete(self, chunk: Chunk) -> bool:
        done = self._parts.recorder.records
        return all(slot.candidate is None or slot.candidate < done for slot in chunk.slots)

    def _fitness(self, slot: Slot) -> Fitness:
        if slot.fitness is not None:
            return slot.fitness
        assert slot.candidate is not None, "a slot has a fitness or a candidate"
        return self._seen.fitness(slot.candidate)

    # --- stopping and going on

    def checkpoint(self, *, now: bool = False) -> None:
        """Keep the state of this moment, a boundary of the schedule; write it if it is time."""
        assert self._drawing is None, "nothing is drawn in part"
        parts = self._parts
        state = SearchState(
            sampler=parts.sampler.state(),
            streams=parts.streams.states(),
            counts=(self.counts.total, self.counts.resolved, self.counts.reused),
            next_chunk=self._next_chunk,
            taken=self._taken,
            failures=self._failures,
            seeds=self._seeds if self._taken < 0 else [],
            evaluated_seeds=self._evaluated_seeds if self._taken < 0 else [],
            open=list(self._open),
            underway={number: (c.genome, c.vector, c.exact) for number, c in self._underway.items()},
            elapsed_s=parts.report.elapsed_s(),
        )
        self._snapshot = parts.recorder.snapshot(state.packed())
        if now or time.monotonic() - self._written_s >= parts.checkpoint_interval_s:
            self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """Write the last state that was kept; before there is one, what is on the disk holds."""
        if not self._snapshot:
            return
        self._parts.recorder.write_checkpoint(self._snapshot)
        self._written_s = time.monotonic()

    def restore(self, state: SearchState, restored: Restored) -> None:
        """Be as the search was when `state` was taken; what was recorded since is not simulated again.

        Raises Stopped when `stop` is set meanwhile.
        """
        parts = self._parts
        parts.sampler.restore(state.sampler)
        parts.streams.restore(state.streams)
        self.counts = DuplicateCounts(*state.counts)
        self._next_chunk, self._taken, self._failures = state.next_chunk, state.taken, state.failures
        self._seeds, self._evaluated_seeds = list(state.seeds), list(state.evaluated_seeds)
        self._open = deque(state.open)
        self._tail = dict(restored.logs.tail)
        for number, done in enumerate(restored.logs.done):
            self._seen.add(done.key, number)
            self._seen.set_fitness(number, done.fitness)
        self._next_id = len(restored.logs.done) + len(state.underway)
        self._write_lost_records(restored)
        parts.recorder.restore_archive(restored.archive)
        for number, (genome, vector, exact) in state.underway.items():
            candidate = Candidate(genome, vector, identity(vector), exact)
            self._seen.add(candidate.key, number)
            self._send(number, candidate)
        self._snapshot = parts.recorder.snapshot(state.packed())

    def _write_lost_records(self, restored: Restored) -> None:
        """Simulate candidates again whose records the results file has lost."""
        parts, lost = self._parts, deque(restored.logs.lost_records)
        vectors = {number: restored.logs.done[number].vector(parts.space) for number in lost}
        found: dict[int, Outcome] = {}
        for reply in parts.dispatcher.evaluated(vectors, parts.stop.is_set):
            found[reply.id] = parts.judge.outcome(vectors[reply.id], reply)
            while lost and lost[0] in found:
                number = lost.popleft()
                parts.recorder.rewrite(self._varying(vectors[number], found.pop(number)), number)
        if lost:
            raise Stopped
