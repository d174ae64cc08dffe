"""Showing that something is under way: a bar on a terminal, log lines every few seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

logger = logging.getLogger(__name__)

DEFAULT_LOG_INTERVAL_S = 10.0


class Progress:
    """A context whose value is called with `(what, done, total)`. `log_interval_s` 0 logs nothing."""

    def __init__(self, title: str, log_interval_s: float = DEFAULT_LOG_INTERVAL_S) -> None:
        self.title = title
        self._interval_s = log_interval_s
        self._last_s = time.monotonic()
        self._bar = _terminal_bar(title) if sys.stderr.isatty() else None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(done, total, what)
        elif self._interval_s > 0 and time.monotonic() - self._last_s >= self._interval_s:
            self._last_s = time.monotonic()
            logger.info("%s: %d/%d %s", self.title, done, total, what)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


class _TerminalBar:
    def __init__(self, title: str) -> None:
        from rich.console import Console  # only needed on a terminal
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[what]}"),
        )
        self._rich = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._rich.add_task(title, total=None, what="")

    def update(self, done: int, total: int, what: str) -> None:
        self._rich.update(self._task, completed=done, total=total, what=what)

    def start(self) -> None:
        self._rich.start()

    def stop(self) -> None:
        self._rich.stop()


def _terminal_bar(title: str) -> _TerminalBar:
    return _TerminalBar(title)
