"""SIGINT and SIGTERM at the edges of a program: before its own handlers stand, and when it leaves."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_on_sigterm() -> None:
    """SIGTERM ends the program as Ctrl-C does: what it has begun is put away, the status is 130."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def ignore_signals() -> None:
    """For a program that is about to leave: how it ended is decided."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
