"""What a search tells while it runs: log lines (6.7), and figures for whoever shows them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from optimization.archive import Change
from optimization.duplicates import DuplicateCounts
from optimization.outcome import Outcome

if TYPE_CHECKING:
    from optimization.recorder import Recorder

logger = logging.getLogger("optimize")

SHOW_S = 0.25
MEMBER_LOG_S = 1.0  # a fast search finds hundreds of members a second: so often they are told


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands. `best` is the smallest of each objective in the front; seconds are of all its sittings."""

    evaluations: int
    expected: int
    front: int
    violation: float
    best: tuple[float, ...]
    seconds: float


@dataclass(slots=True)
class _Generation:
    """Since the last log line."""

    number: int = 0
    slots: int = 0
    evaluations: int = 0
    counts: DuplicateCounts = field(default_factory=DuplicateCounts)


class Report:
    """Logs a search; `show` is called with its progress a few times a second."""

    def __init__(
        self,
        scoring: Sequence[str],
        expected: int,
        generation_size: int,
        show: Callable[[Progress], None] = lambda progress: None,
        *,
        seconds_before: float = 0.0,
    ) -> None:
        self._scoring, self._expected, self._generation_size, self._show = scoring, expected, generation_size, show
        self._began_s = time.monotonic() - seconds_before
        self._told_s, self._untold, self._shown_s = 0.0, 0, 0.0
        self._last = _Generation()

    def elapsed_s(self) -> float:
        """Seconds of this run, earlier sittings included."""
        return time.monotonic() - self._began_s

    def recorded(self, recorder: Recorder, outcome: Outcome, change: Change | None) -> None:
        """A candidate was recorded; `change` is what it did to the archive."""
        if change is not None:
            self._member(recorder, outcome, change)
        if time.monotonic() - self._shown_s >= SHOW_S:
            self._shown_s = time.monotonic()
            self._show(self._progress(recorder))

    def _progress(self, recorder: Recorder) -> Progress:
        archive = recorder.archive
        return Progress(
            evaluations=recorder.records,
            expected=self._expected,
            front=len(archive),
            violation=min(archive.violations, default=0.0),
            best=archive.best,
            seconds=self.elapsed_s(),
        )

    def _member(self, recorder: Recorder, outcome: Outcome, change: Change) -> None:
        self._untold += 1
        if self._last.number and time.monotonic() - self._told_s < MEMBER_LOG_S:
            return
        more, self._untold, self._told_s = self._untold - 1, 0, time.monotonic()
        archive = recorder.archive
        ranges = " ".join(
            f"{name}:({min(values):.3g},{max(values):.3g})"
            for name, values in zip(self._scoring, zip(*archive.objectives, strict=True), strict=True)
        )
        logger.info(
            "archive iter=%d +1/-%d size=%d %s constraint:(%.3g,%.3g)%s",
            recorder.records, len(change.removed), len(archive), ranges, min(archive.violations),
            max(archive.violations), f" ({more} more since the last line)" if more else "",
        )  # fmt: skip
        logger.info(
            "new member eval=%d front=%d objectives=%s constraint=%.3g",
            recorder.records, len(archive), formatted(outcome.fitness.objectives), outcome.fitness.violation,
        )  # fmt: skip

    def taken_in(self, chunk: int, slots: int, recorder: Recorder, counts: DuplicateCounts) -> None:
        """A chunk was taken in; a generation is as many places as the population has."""
        last = self._last
        last.slots += slots
        if chunk > 0 and last.slots < self._generation_size:
            return
        evaluations = recorder.records - last.evaluations
        fresh = counts.total - last.counts.total
        logger.info(
            "generation gen=%d evals=%d total=%d front=%d best=%s duplicates=%d (resolved %d, reused %d) "
            "new_duplicates=%d (resolved %d, reused %d) ratio=%.3f gen_ratio=%.3f elapsed=%.1fs",
            last.number, evaluations, recorder.records, len(recorder.archive), formatted(recorder.archive.best),
            counts.total, counts.resolved, counts.reused, fresh, counts.resolved - last.counts.resolved,
            counts.reused - last.counts.reused, counts.total / max(1, recorder.records), fresh / max(1, last.slots),
            self.elapsed_s(),
        )  # fmt: skip
        self._last = _Generation(last.number + 1, evaluations=recorder.records, counts=replace(counts))


def formatted(values: Sequence[float]) -> str:
    """`[0.00123, 1.23e+06, -0.5]`."""
    return "[" + ", ".join(f"{value:.3g}" for value in values) + "]"
