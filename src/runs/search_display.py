"""What a user sees while a search runs: on a terminal a live table, elsewhere a log line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from optimization.report import Progress

logger = logging.getLogger("optimize")

LOG_INTERVAL_S = 30.0


class SearchDisplay:
    """A context; `show` takes the progress. `objectives` are `(name, weight)`, weight -1 where more is better."""

    def __init__(self, objectives: Sequence[tuple[str, float]]) -> None:
        self._live = _LiveTable(objectives) if sys.stderr.isatty() else None
        self._began: tuple[float, int] | None = None
        self._logged_s = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Show where the search stands."""
        rate = self._rate(progress)
        if self._live is not None:
            self._live.update(progress, rate)
        elif time.monotonic() - self._logged_s >= LOG_INTERVAL_S:
            self._logged_s = time.monotonic()
            logger.info(
                "progress evals=%d/%d rate=%.1f/s front=%d left=%s",
                progress.evaluations, progress.expected, rate, progress.front, time_left(progress, rate),
            )  # fmt: skip

    def _rate(self, progress: Progress) -> float:
        """Evaluations a second of this sitting."""
        if self._began is None:
            self._began = time.monotonic(), progress.evaluations
        seconds = time.monotonic() - self._began[0]
        return (progress.evaluations - self._began[1]) / seconds if seconds > 0 else 0.0

    def __enter__(self) -> SearchDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()


def time_left(progress: Progress, rate: float) -> str:
    """`1:02:03`, or a dash while nothing is known."""
    if rate <= 0:
        return "-"
    seconds = round(max(0, progress.expected - progress.evaluations) / rate)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class _LiveTable:
    def __init__(self, objectives: Sequence[tuple[str, float]]) -> None:
        from rich.console import Console  # only needed on a terminal
        from rich.live import Live

        self._objectives = objectives
        self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)

    def update(self, progress: Progress, rate: float) -> None:
        self._live.update(self._table(progress, rate))

    def _table(self, progress: Progress, rate: float) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        head = Table.grid(padding=(0, 3))
        head.add_row(
            f"[bold]{progress.evaluations:,}[/] of about {progress.expected:,} evaluations",
            f"[bold]{rate:,.1f}[/] a second",
            f"left {time_left(progress, rate)}",
        )
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("objective")
        table.add_column("best", justify="right")
        for (name, weight), value in zip(self._objectives, progress.best, strict=False):
            feasible = progress.violation == 0
            table.add_row(f"{name} {'↑' if weight < 0 else '↓'}", f"{weight * value:.4g}" if feasible else "-")
        state = f"front [bold]{progress.front}[/]"
        if progress.violation > 0:
            state += f"   no candidate within all limits yet; least violation {progress.violation:.3g}"
        bar = ProgressBar(max(1, progress.expected), min(progress.evaluations, progress.expected), width=60)
        return Group(bar, head, state, table)

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()
