#!/usr/bin/env python3
"""A web page to explore the fronts that the optimizer found (`optimizer_pareto_tools.md` 8)."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.arguments import add_log_level, tool_parser
from core.errors import ToolMissingError, UsageError
from core.log import setup as setup_logging
from core.program import run_program

EXAMPLES = """
examples:
  pareto_dash.py                                      runs below optimize_results, on http://127.0.0.1:8050
  pareto_dash.py --data-root results --port 8060
  pareto_dash.py --backtests backtests/mine --configs configs/found

It is served on this computer only; --host 0.0.0.0 opens it to the network: whoever reaches it can save configs.
Ends with Ctrl-C. Exit status: 2 wrong usage or nothing to show, 1 the port is taken, 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("--data-root", type=Path, default=Path("optimize_results"), metavar="DIR",
                   help="directory of runs (default optimize_results)")  # fmt: skip
    p.add_argument("--host", default="127.0.0.1", help="address to serve on (default 127.0.0.1)")
    p.add_argument("--port", type=int, default=8050, help="default 8050")
    p.add_argument("--configs", type=Path, default=Path("configs"), metavar="DIR",
                   help="where configs are saved (default configs)")  # fmt: skip
    p.add_argument("--backtests", type=Path, default=Path("backtests"), metavar="DIR",
                   help="backtests to compare with (default backtests)")  # fmt: skip
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    setup_logging(args.debug_level)
    if not 0 <= args.port < 65536:
        raise UsageError(f"--port is {args.port}: use 1 to 65535, or 0 for a free one")
    try:
        from dashboards.pareto.app import make_app  # dash and plotly take a second
    except ModuleNotFoundError as exc:
        raise ToolMissingError(f"{exc.name} is not installed: pip install -r requirements-dashboard.txt") from exc
    from dashboards.local import serve
    from dashboards.pareto.runs import Runs
    from dashboards.pareto.view import Page

    runs = Runs(args.data_root)
    if not runs.names():
        raise UsageError(f"there is no run (a directory with `pareto`) below {args.data_root}: optimize first")
    app = make_app(Page(runs, args.configs, args.backtests), args.host)
    serve(app, args.host, args.port)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
