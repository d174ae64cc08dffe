"""The top of every program: expected failures become one line and an exit status (`config_cli_suite.md` 21).

Status 0 done, 1 data or run-time failure, 2 what the user can correct, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from core.errors import PassivbotError
from core.redaction import redacted

INTERRUPTED = 130


def run_program(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run `main` with the arguments; returns the exit status. The traceback is shown from debug level 2 on."""
    try:
        return main(argv)
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except PassivbotError as exc:
        _tell(f"error: {exc}")
        return exc.exit_status
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as exc:
        _tell(f"error: {exc.filename or 'the system'}: {exc.strerror or exc}")
        return 1
    except Exception as exc:  # noqa: BLE001 - top of the program: nothing above could handle it
        _tell(f"error: unexpected {type(exc).__name__}: {exc} (--debug-level 2 shows where)")
        return 1


def _tell(line: str) -> None:
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        sys.stderr.write(redacted(traceback.format_exc()))
    sys.stderr.write(redacted(" ".join(line.split())) + "\n")
