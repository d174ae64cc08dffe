#!/usr/bin/env python3
"""A web page to look at the fills of accounts: profit, fees, positions, by day, coin and order type."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Sequence

from core import paths
from core.arguments import add_cache_dir, add_log_level, tool_parser
from core.errors import ToolMissingError, UsageError
from core.program import run_program

EXAMPLES = """
examples:
  fill_events_dash.py                                all accounts in caches/fill_events, on http://127.0.0.1:8050
  fill_events_dash.py --users bybit_01,okx_01 --port 8060 --lookback-days 90

It shows what the bot and fill_events_manager.py have stored, asks no exchange, and is served on this computer only;
--host 0.0.0.0 opens it to the network. Ends with Ctrl-C. Exit status: 2 wrong usage or nothing to show, 1 the port is
taken, 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("--users", "--user", default="", metavar="A,B,..", help="accounts to show (default all on disk)")
    p.add_argument("--lookback-days", type=int, default=30, metavar="N", help="days shown at first (default 30; 0 all)")
    p.add_argument("--host", default="127.0.0.1", help="address to serve on (default 127.0.0.1)")
    p.add_argument("--port", type=int, default=8050, help="default 8050; 0 for a free one")
    add_cache_dir(p)
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    from core.log import setup as setup_logging

    setup_logging(args.debug_level)
    if not 0 <= args.port < 65536:
        raise UsageError(f"--port is {args.port}: use 1 to 65535, or 0 for a free one")
    try:
        from dashboards.fills.app import make_app  # dash and plotly take a second
    except ModuleNotFoundError as exc:
        raise ToolMissingError(f"{exc.name} is not installed: pip install -r requirements-dashboard.txt") from exc
    from core.clock import SystemClock
    from dashboards.fills.accounts import Accounts
    from dashboards.local import serve

    users = [user.strip() for user in args.users.split(",") if user.strip()]
    accounts = Accounts(paths.all_fills_dir(args.cache_dir), users)
    if not accounts.names():
        whose = f"of {', '.join(users)} " if users else ""
        raise UsageError(
            f"there are no fills {whose}below {accounts.root}: run fill_events_manager.py --user USER first"
        )
    serve(make_app(accounts, SystemClock(), days=args.lookback_days, host=args.host), args.host, args.port)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
