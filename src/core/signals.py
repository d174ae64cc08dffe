"""SIGINT and SIGTERM at the edges of a program: before its own handlers stand, and when it leaves."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from core.program import INTERRUPTED, run_program

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_on_sigterm() -> None:
    """SIGTERM ends the program as Ctrl-C does: what it has begun is put away, the status is 130."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def run_and_exit(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> NoReturn:
    """`run_program`, then the end; signals that come while the program leaves change nothing: how it ended is decided.

    The interpreter is not taken apart: with Ray that takes as long again as ending it, and libraries' threads have
    been seen to abort the process while their module was unloaded. Exit functions and threads are waited for.
    """
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first to be registered is the last to be called
    try:
        ended.append(run_program(main, argv))
        _ignore_signals()
    except KeyboardInterrupt:  # a second signal, while the first was being told
        _ignore_signals()
        ended[:] = [INTERRUPTED]
    sys.exit(ended[0])


def _leave(ended: Sequence[int]) -> None:
    if ended:  # else Python has an exit status to find, and something to tell
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(ended[0])


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
