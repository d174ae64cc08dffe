"""The bar of a run whose length is only known from earlier ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WIDTH = 24
_REFRESHES_PER_S = 8


def bar_text(elapsed_s: float, expected_s: float | None) -> str:
    """The bar, the seconds so far, and those that are left if it takes as long as expected."""
    if not expected_s:
        return f"[{'-' * WIDTH}] {elapsed_s:.1f} s"
    filled = min(WIDTH, int(WIDTH * elapsed_s / expected_s))
    left = max(0.0, expected_s - elapsed_s)
    return f"[{'#' * filled}{'-' * (WIDTH - filled)}] {elapsed_s:.1f} s, about {left:.1f} s left"


@contextmanager
def running_bar(expected_s: float | None) -> Iterator[None]:
    """Show the bar meanwhile, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # only needed on a terminal
    from rich.live import Live
    from rich.text import Text

    started = time.monotonic()

    def shown() -> Text:
        return Text(bar_text(time.monotonic() - started, expected_s))

    with Live(get_renderable=shown, refresh_per_second=_REFRESHES_PER_S, transient=True, console=Console(stderr=True)):
        yield
