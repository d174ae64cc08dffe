#!/usr/bin/env python3
"""Imports one-minute candles and market settings of your own, so that backtests run on them without any network."""

from __future__ import annotations

import _src_path
import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from candles.importing.reader import ALIASES, ReadOptions
from candles.importing.importer import CONFLICT_RULES, ImportRequest, ImportResult, run_import
from core import log
from core.arguments import add_cache_dir, add_log_level, tool_parser
from core.clock import SystemClock
from core.dates import ts_to_date
from core.errors import PassivbotError, UsageError

EXAMPLES = """
examples:
  import_candles.py BTC.csv ETH.csv --exchange local --market-settings settings.json
  import_candles.py downloads/ --exchange binance --market-settings settings.json --on-conflict keep
  import_candles.py x.parquet --coin SOL --columns ts=t,bv=turnover --volume quote --exchange local \\
      --market-settings settings.json --dry-run

The settings file names price_step, qty_step and fees of each coin:
  {"quote": "USDT", "defaults": {"maker_fee": 0.0002, "taker_fee": 0.0005},
   "coins": {"BTC": {"price_step": 0.1, "qty_step": 0.001}}}

Exit status: 0 all files imported, 1 some file failed (the others are imported), 2 wrong usage or settings.
Formats and rules: docs/importing_candles.md
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="file, or directory to search for files")
    p.add_argument(
        "--exchange", required=True, metavar="NAME", help="exchange to file them under; any name, e.g. local"
    )
    p.add_argument("--market-settings", required=True, type=Path, metavar="FILE", help="JSON file with steps and fees")
    p.add_argument("--coin", help="the coin all files are about (default: from each file's name)")
    p.add_argument("--symbol", help="the same by symbol, e.g. BTC/USDT:USDT")
    p.add_argument("--columns", default="", metavar="ts=time,o=open,...", help="column names (default: usual names)")
    p.add_argument("--no-header", action="store_true", help="the columns are time, open, high, low, close, volume")
    p.add_argument(
        "--ts-unit", choices=("auto", "s", "ms", "us", "ns", "iso"), default="auto", help="unit of the times"
    )
    p.add_argument("--tz", default="UTC", help="time zone of texts without one (default UTC)")
    p.add_argument("--ts-is", choices=("open", "close"), default="open", help="which end of the minute the time marks")
    p.add_argument("--volume", choices=("base", "quote", "contracts"), default="base", help="unit of the volume")
    p.add_argument("--on-conflict", choices=CONFLICT_RULES, default="replace", help="for minutes stored already")
    p.add_argument("--btc-flat", type=float, metavar="PRICE", help="also store BTC at one price, if you have no BTC")
    p.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
    add_cache_dir(p)
    add_log_level(p)
    return p


def request_of(args: argparse.Namespace) -> ImportRequest:
    if args.coin and args.symbol:
        raise UsageError("--coin and --symbol exclude each other")
    return ImportRequest(
        inputs=tuple(args.inputs),
        exchange=args.exchange,
        settings=args.market_settings,
        cache_dir=args.cache_dir,
        read=ReadOptions(_columns(args.columns), not args.no_header, args.ts_unit, args.tz, args.ts_is, args.volume),
        coin=args.coin,
        symbol=args.symbol,
        on_conflict=args.on_conflict,
        btc_flat=args.btc_flat,
        dry_run=args.dry_run,
    )


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    for target, equals, name in pairs:
        if not equals or target.strip() not in ALIASES or not name.strip():
            raise UsageError(f"--columns {text}: write it as ts=NAME,o=NAME,h=NAME,l=NAME,c=NAME,bv=NAME")
    return {target.strip(): name.strip() for target, _, name in pairs}


def show(result: ImportResult, console: Console) -> None:
    """One line a coin, then what was wrong with which file."""
    table = Table("coin", "rows", "new", "changed", "gaps", title="Imported candles")
    for column in ("first", "last"):
        table.add_column(column, no_wrap=True)
    for coin in result.coins:
        new, changed = (coin.written.added, coin.written.replaced) if coin.written else ("dry run", "")
        span = (ts_to_date(coin.start_ts)[:16], ts_to_date(coin.end_ts)[:16])
        table.add_row(coin.coin, str(coin.rows), str(new), str(changed), str(coin.gaps), *span)
    console.print(table)
    for file in result.files:
        if file.error:
            console.print(f"FAILED {file.error}", markup=False, style="red", soft_wrap=True)
        elif file.report and (file.report.dropped or file.report.duplicates):
            counts = f"{file.report.dropped} bad rows dropped, {file.report.duplicates} times given twice"
            console.print(f"{file.path}: {counts}", markup=False, soft_wrap=True)
            for complaint in file.report.complaints:
                console.print(f"  {complaint}", markup=False, soft_wrap=True)


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    try:
        with Console(stderr=True).status("reading") as status:
            result = run_import(request_of(args), SystemClock(), lambda coin: status.update(f"importing {coin}"))
    except PassivbotError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201
        return exc.exit_status
    except KeyboardInterrupt:
        print("interrupted; what was stored is complete, import again for the rest", file=sys.stderr)  # noqa: T201
        return 130
    show(result, Console())
    return int(result.failed)


if __name__ == "__main__":
    sys.exit(main())
