#!/usr/bin/env python3
"""Runs a config again and again while you edit it: data are loaded once, every run is compared with those before it."""

from __future__ import annotations

import _src_path
import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.arguments import add_log_level, tool_parser
from core.clock import SystemClock
from core.log import setup as setup_logging
from core.program import run_program
from core.rust_build import Extension, ensure_extension, take_rust_flags

EXAMPLES = """
examples:
  iterative_backtester.py configs/examples/sample.json --auto-run
  iterative_history_plot.py backtests/iterative/iterative_20250801_120000

Edit the file, then press Enter: the config is read again before each run. help lists the commands. Objectives, limits
and the best run are those of optimize.scoring and optimize.limits. Results are written below {base_dir}/iterative/.
Suites are not supported: backtest.suite.enabled must be false.

Exit status: that of the last run (0 it ran, 1 data or engine, 2 config); 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("config_path", type=Path, metavar="CONFIG", help="the config file to run")
    p.add_argument("--auto-run", action="store_true", help="run once before the first prompt")
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    rust, words = take_rust_flags(argv)
    args = parser().parse_args(words)
    setup_logging(args.debug_level)
    ensure_extension(rust, Extension(say=logging.getLogger(__name__).warning))
    from reporting.iterative_tables import console_of  # numpy and pandas, which --help does not need
    from runs.iterative import PROMPT, Session

    session = Session(args.config_path, console_of(), SystemClock(), {})
    session.start()
    session.serve(commands(PROMPT, auto_run=args.auto_run))
    return session.status


def commands(prompt: str, *, auto_run: bool) -> Iterator[str]:
    """Lines as they are typed, or piped in, until they end."""
    if auto_run:
        yield "run"
    while True:
        try:
            yield input(prompt)
        except EOFError:
            sys.stdout.write("\n")
            return


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
