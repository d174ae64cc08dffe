#!/usr/bin/env python3
"""Takes the candles of older versions' caches over into the candle store."""

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
from core.dates import ts_to_date
from core.errors import UsageError
from core.program import run_program
from core.progress import Progress

if TYPE_CHECKING:
    from candles.older.migrate import MigrationRequest, MigrationResult

EXAMPLES = """
examples:
  migrate_historical_data.py --dry-run
  migrate_historical_data.py --execute
  migrate_historical_data.py --execute --source /old/passivbot --exchange binance --coins BTC,ETH
  migrate_historical_data.py --execute --delete-legacy

What is recognised, below the working directory or --source:
  caches/ohlcv/EXCHANGE/TIMEFRAME/SYMBOL/YYYY-MM-DD.npy
  historical_data/ohlcvs_EXCHANGE/COIN/YYYY-MM-DD.npy or YYYY-MM.npy

Candles that are stored already stay. It may be stopped at any time and started again.

Exit status: 0 all done, 1 something could not be migrated (the rest is), 2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    mode = p.add_mutually_exclusive_group(required=True)
    mode.add_argument("--dry-run", action="store_true", help="read and count everything, write nothing")
    mode.add_argument("--execute", action="store_true", help="migrate")
    p.add_argument("--delete-legacy", action="store_true", help="with --execute: remove the old files if all went well")
    p.add_argument("--source", type=Path, metavar="DIR", help="where to look (default: the working directory)")
    p.add_argument("--exchange", metavar="NAME", help="only this exchange")
    p.add_argument("--coins", default="", metavar="A,B", help="only these coins")
    add_cache_dir(p, "where to; ")
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    if args.delete_legacy and not args.execute:
        raise UsageError("--delete-legacy goes with --execute only")
    from candles.older.migrate import MigrationRequest, run_migration  # numpy and pyarrow, which --help does not need

    request = MigrationRequest(
        cache_dir=args.cache_dir,
        source=args.source,
        exchange=args.exchange,
        coins=frozenset(coin.strip() for coin in args.coins.split(",") if coin.strip()),
        execute=args.execute,
        delete_legacy=args.delete_legacy,
    )
    with Progress("migrating") as progress:
        result = run_migration(request, SystemClock(), progress)
    return show(result, request)


def show(result: MigrationResult, request: MigrationRequest) -> int:
    """One line a market, the totals, what failed; the exit status."""
    from rich.console import Console  # as above
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("exchange", "timeframe", "symbol", "files", "rows", "new", "dropped", "gaps", "first", "last")
    for item in result.series:
        counts = map(str, (item.files, item.rows, item.new, item.dropped, item.gaps))
        span = ("" if ts is None else ts_to_date(ts)[:16] for ts in (item.first_ts, item.last_ts))
        table.add_row(item.exchange, item.timeframe, item.symbol, *counts, *span)
    if result.series:
        console.print(table)
    for error in result.errors:
        console.print(f"FAILED {error}", markup=False, highlight=False, style="red", soft_wrap=True)
    console.print(totals(result, request), markup=False, highlight=False, soft_wrap=True)
    return int(bool(result.errors))


def totals(result: MigrationResult, request: MigrationRequest) -> str:
    if not result.series:
        return f"no candles of older versions found below {(request.source or Path()).resolve()}"
    files, rows, new = (sum(getattr(item, name) for item in result.series) for name in ("files", "rows", "new"))
    did = "stored" if request.execute else "to be stored (dry run, nothing was written)"
    counts = f"{len(result.series)} markets, {files} files, {rows} rows, of which {new} new"
    line = f"{counts} {did}, {len(result.errors)} failures"
    if not request.delete_legacy:
        return line
    return f"{line}, {result.deleted} old files deleted" + ("" if not result.errors else " because of the failures")


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
