"""Logging: four levels (0 warning, 1 info, 2 debug, 3 trace), one line format, one set-up call for every program.

Times are UTC, without zone. Lines of the live bot carry a prefix; no line carries a secret (`live.md` 22).
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from core.redaction import redacted

TRACE = 5
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, TRACE)
LEVEL_TOKENS = {
    "warning": 0, "warn": 0, "w": 0,
    "info": 1, "i": 1,
    "debug": 2, "d": 2,
    "trace": 3, "t": 3,
}  # fmt: skip
LINE_FORMAT = "%(asctime)s %(levelname)-8s %(prefix)s%(message)s"
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

logging.addLevelName(TRACE, "TRACE")


def parse_level(token: Any) -> int | None:
    """A debug level 0..3 from a word or a number (truncated, clamped); None for anything else."""
    if isinstance(token, bool) or token is None:
        return None
    text = str(token).strip().lower()
    if text in LEVEL_TOKENS:
        return LEVEL_TOKENS[text]
    try:
        return max(0, min(3, int(float(text))))
    except (ValueError, OverflowError):
        return None


class _CurrentStderr(logging.StreamHandler[TextIO]):
    """Writes to what is `sys.stderr` now: a progress bar puts itself there, so that lines appear above it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _LineFormatter(logging.Formatter):
    """UTC, a prefix, nothing secret; tracebacks included."""

    converter = staticmethod(time.gmtime)

    def __init__(self, prefix: str) -> None:
        super().__init__(LINE_FORMAT, DATE_FORMAT, defaults={"prefix": f"{prefix} " if prefix else ""})

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def setup(debug_level: int, prefix: str = "") -> None:
    """Send the root logger to stderr at the given debug level (0..3). Calling it again changes level and prefix."""
    handler = _CurrentStderr()
    handler.setFormatter(_LineFormatter(prefix))
    logging.basicConfig(level=LEVELS[debug_level], handlers=[handler], force=True)
    quiet_below_trace = logging.WARNING if debug_level < 3 else TRACE
    for name in ("ccxt", "matplotlib", "PIL", "asyncio"):
        logging.getLogger(name).setLevel(quiet_below_trace)


def trace(logger: logging.Logger, message: str, *args: Any) -> None:
    """Log below debug."""
    logger.log(TRACE, message, *args)
