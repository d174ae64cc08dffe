#!/usr/bin/env python3
"""Compares the live bot with the backtester: the same candles, minute by minute, must give the same fills."""

from __future__ import annotations

import _src_path
import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core import log
from core.arguments import add_log_level, tool_parser
from core.errors import UsageError
from core.program import run_program

EXAMPLES = """
examples:
  live_parity.py                                            a day of the sample market, Bybit protocol
  live_parity.py --days 7 --protocol binance
  live_parity.py --restart-every 100                        the bot is thrown away every 100 minutes
  live_parity.py --data DIR --market-settings FILE --coins BTC,ETH --start 2025-05-20 --days 7

The production bot runs against the exchange simulator on this machine, through the real client, a cycle a minute; the
engine runs on the same candles. Caps, tolerances and the sticky balance are switched off for both (docs/live.md).
Exit status: 0 equal, or all differences explained; 1 otherwise.
"""
DEFAULT_CONFIG = "configs/examples/parity.json"


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("config", nargs="?", default=DEFAULT_CONFIG, help="default %(default)s")
    p.add_argument("--protocol", choices=("bybit", "binance"), default="bybit", help="default %(default)s")
    p.add_argument("--data", default="sample", metavar="D", help="sample, or a directory of candle files")
    p.add_argument("--coins", metavar="A,B", help="in place of the config's")
    p.add_argument("--market-settings", type=Path, metavar="FILE", help="steps and fees of a directory's coins")
    p.add_argument("--seed", type=int, default=0, help="of the sample market (default 0)")
    p.add_argument("--start", default="2025-02-03", metavar="DATE", help="first minute of orders (default %(default)s)")
    p.add_argument("--days", type=float, default=1.0, help="length (default 1)")
    p.add_argument("--restart-every", type=int, default=0, metavar="N", help="minutes between restarts; 0: none")
    p.add_argument("--show", type=int, default=20, metavar="N", help="differences to print (default 20)")
    add_log_level(p)
    return p


def run(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level if args.debug_level != 1 else 0)  # the bot's own lines would bury the bar
    if args.days <= 0:
        raise UsageError(f"--days {args.days:g}: it must be above 0")
    import asyncio

    from runs.parity.comparison import (
        MarketChoice,
        compare_live,
        print_comparison,
        span_of,
    )  # ccxt and aiohttp take a second

    source = MarketChoice(args.data, args.market_settings, args.seed)
    coins = args.coins.upper().split(",") if args.coins else None
    span = span_of(args.config, coins, source, args.start, args.days)
    restarts = range(args.restart_every, span.minutes, args.restart_every) if args.restart_every > 0 else range(0)
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        comparison = asyncio.run(compare_live(span, args.protocol, Path(folder) / "caches", restarts))
    print_comparison(span, comparison, args.show)
    return 1 if comparison.unexplained else 0


def main(argv: list[str] | None = None) -> int:
    return run_program(run, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
