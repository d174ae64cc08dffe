"""Backtest a config from the terminal: `python3 src/backtest.py [CONFIG] [options]`, `--help` for more.

Also the functions of `backtest_engine.md` 17 and of notebooks under one name, imported when they are first used.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from core.errors import UsageError
from core.program import run_program

logger = logging.getLogger("backtest")

_HOMES = {
    "build_backtest_payload": "simulation.payload",
    "subset_backtest_payload": "simulation.payload",
    "execute_backtest": "simulation.run",
    "run_backtest": "simulation.run",
    "expand_analysis": "simulation.results",
    "process_forager_fills": "simulation.results",
    "post_process": "reporting.files",
    "prepare_hlcvs_mss": "runs.prepared_arrays",
    "create_forager_balance_figures": "reporting.plots.exploring",
    "plot_fills_long": "reporting.plots.exploring",
    "plot_fills_short": "reporting.plots.exploring",
    "write_interactive_plot": "reporting.plots.interactive",
    "CandleCube": "simulation.results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backtest' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def main(argv: Sequence[str]) -> int:
    from config.cli import parse_command_line
    from config.programs import BACKTEST
    from core.rust_build import Extension, ensure_extension, take_rust_flags

    rust, words = take_rust_flags(argv)
    given = parse_command_line(BACKTEST, words)
    if given.help_text is not None:
        sys.stdout.write(given.help_text + "\n")
        return 0
    from runs.program_config import read_config  # 0.1 s that `--help` should not wait for

    config = read_config(given.config_path, given.values, given.options)
    ensure_extension(rust, Extension(say=logger.warning))
    backtest(config, given.options)
    return 0


def backtest(config: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Run a config as it is: standalone or as a suite."""
    if config["backtest"]["suite"]["enabled"]:
        if options.get("force_refetch_gaps"):
            raise UsageError("--force-refetch-gaps does not work with a suite: leave one of them out (--suite n)")
        from runs.suite import run_suite

        run_suite(config, options)
    else:
        from runs.standalone import run_backtests

        run_backtests(config, options)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
