"""Run the suite of a config, whatever its `enabled` says: `python3 src/backtest_suite.py [CONFIG] [options]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from backtest import main as backtest_main
from core.program import run_program


def main(argv: Sequence[str]) -> int:
    """As `backtest.py --suite y`."""
    return backtest_main([*argv, "--suite", "y"])


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
