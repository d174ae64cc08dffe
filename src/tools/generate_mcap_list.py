#!/usr/bin/env python3
"""Writes a list of the coins with the largest market capitalisation, for `live.approved_coins`."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import log
from core.arguments import add_cache_dir, add_log_level, tool_parser
from core.clock import SystemClock
from core.errors import UsageError
from core.program import run_program

if TYPE_CHECKING:
    from rich.console import Console

    from runs.market_caps import Selection, Wanted

EXAMPLES = """
examples:
  generate_mcap_list.py                                  100 coins, 300 million dollars at least
  generate_mcap_list.py -n 80 -m 200 -e binance,bybit -o configs/approved_coins.json
  ./passivbot backtest my.json -s configs/approved_coins.json

The list comes from CoinGecko; stablecoins are left out, and with -e coins that none of the exchanges trades.
The coins' data are written beside it, as ..._full.json.

Exit status: 0 written, 1 nothing could be fetched, or an error has ended the list early (what came is written),
2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("-n", "--n_coins", type=int, default=100, metavar="N", help="the most coins (default 100)")
    p.add_argument(
        "-m", "--minimum_market_cap_dollars", type=float, default=300.0, metavar="M", help="in millions (default 300)"
    )
    p.add_argument("-e", "--exchange", default="", metavar="A,B", help="only coins that one of these trades as a swap")
    p.add_argument("-o", "--output", type=Path, metavar="FILE", help="default configs/approved_coins_{date}_....json")
    p.add_argument("--custom-endpoints", metavar="FILE", help="endpoints file, or none, off, disable")
    add_cache_dir(p)
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    if args.n_coins < 1:
        raise UsageError(f"--n_coins {args.n_coins}: at least one coin is needed")
    if not 0.0 <= args.minimum_market_cap_dollars < float("inf"):
        raise UsageError(f"--minimum_market_cap_dollars {args.minimum_market_cap_dollars}: a number from 0 is needed")
    from rich.console import Console  # slow to import, as are the HTTP client and numpy behind the next lines

    from core.progress import Progress
    from exchanges.endpoints import load_endpoints
    from runs import market_caps

    clock = SystemClock()
    exchanges = tuple(dict.fromkeys(name.strip().lower() for name in args.exchange.split(",") if name.strip()))
    wanted = market_caps.Wanted(args.n_coins, args.minimum_market_cap_dollars * 1e6, exchanges)
    output = args.output or market_caps.default_output(wanted, clock)
    endpoints = load_endpoints(args.custom_endpoints)
    with Progress("pages") as progress:
        selection = market_caps.run(
            wanted, endpoints, args.cache_dir, clock, lambda page: progress("CoinGecko", page - 1, page)
        )
    market_caps.write(selection, output)
    show(Console(width=None if sys.stdout.isatty() else 160), selection, wanted, output)
    return int(bool(selection.error))


def show(console: Console, selection: Selection, wanted: Wanted, output: Path) -> None:
    """What was kept, why others were not, why the list ended."""
    from rich.table import Table  # as above

    coins = Table("rank", "coin", "market cap, million $", "turnover", "circulating", title="Coins by market cap")
    for column in coins.columns[2:]:
        column.justify = "right"
    for rank, (coin, row) in enumerate(selection.rows.items(), 1):
        figures = (f"{row['market_cap'] / 1e6:,.0f}", f"{row['liquidity_ratio']:.1%}", f"{row['supply_ratio']:.0%}")
        coins.add_row(str(rank), coin, *figures)
    console.print(coins)
    counts = Table("left out because", "coins", "such as")
    counts.columns[1].justify = "right"
    for reason, symbols in selection.left_out.items():
        counts.add_row(reason, str(len(symbols)), ", ".join(symbols[:6]))
    if selection.left_out:
        console.print(counts)
    for line in (
        f"{len(selection.coins)} coins of {wanted.n_coins} wanted; the list ended with: {selection.ended}",
        *((f"WARNING {selection.error}",) if selection.error else ()),
        f"written: {output}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
