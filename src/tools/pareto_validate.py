"""How a front does on data that its search has not seen: `./passivbot tool pareto_validate RUN [options]`."""

from __future__ import annotations

import _src_path

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.arguments import add_cache_dir, add_log_level, tool_parser
from core.log import setup as setup_logging
from core.program import run_program

EXAMPLES = """examples:
  optimize_results/RUN                                                  what optimize.holdout of the run says
  optimize_results/RUN --holdout '{"windows": [["2025-04-01", "2025-06-01"]]}'
  optimize_results/RUN --holdout '{"scenarios": ["crash"]}'             of a suite
  optimize_results/RUN --walk-forward 4                                 searches anew, on four windows in turn"""


def parser() -> argparse.ArgumentParser:
    result = tool_parser(__doc__, EXAMPLES)
    result.add_argument("run", type=Path, metavar="RUN", help="directory of a run, or its pareto folder")
    result.add_argument("--holdout", metavar="JSON", help="in place of the run's optimize.holdout")
    result.add_argument(
        "--walk-forward", type=int, metavar="K", help="cut the dates into K windows; search each, look at the next"
    )
    result.add_argument("-c", "--cpus", type=int, metavar="N", help="threads (default: the run's n_cpus)")
    result.add_argument("--offline", action="store_true", help="no network: only what is on disk")
    add_cache_dir(result)
    add_log_level(result)
    return result


def main(argv: Sequence[str]) -> int:
    from core.rust_build import Extension, ensure_extension, take_rust_flags

    rust, words = take_rust_flags(argv)
    given = parser().parse_args(words)
    setup_logging(given.debug_level)
    ensure_extension(rust, Extension())
    validate(given)
    return 0


def validate(given: argparse.Namespace) -> None:
    """Validate the front, or walk forward."""
    from config.holdout import parse_holdout
    from core.errors import UsageError
    from optimization.members import pareto_dir, run_dir
    from runs.program_config import completed
    from runs.validate import config_of_run, validate_run
    from runs.walk_forward import walk_forward

    if given.holdout and given.walk_forward:
        raise UsageError("--holdout and --walk-forward are two different things: leave one out")
    options: dict[str, Any] = {"cache_dir": given.cache_dir, "debug_level": given.debug_level}
    values = {"backtest.offline": True} if given.offline else {}
    if given.cpus is not None:
        values["optimize.n_cpus"] = given.cpus
    if given.walk_forward is None:
        validate_run(given.run, parse_holdout(given.holdout, "--holdout"), values, options)
    else:
        config = completed(config_of_run(given.run), values, options)
        walk_forward(config, given.walk_forward, options, run_dir(pareto_dir(given.run)))


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
