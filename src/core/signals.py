"""SIGINT and SIGTERM at the edges of a program: before its own handlers stand, and when it leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from core.program import INTERRUPTED, run_program

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_on_sigterm() -> None:
    """SIGTERM ends the program as Ctrl-C does: what it has begun is put away, the status is 130."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def run_to_exit(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """`run_program`, and signals that come while the program leaves change nothing: how it ended is decided."""
    try:
        status = run_program(main, argv)
        _ignore_signals()
    except KeyboardInterrupt:  # a second signal, while the first was being told
        _ignore_signals()
        status = INTERRUPTED
    return status


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
