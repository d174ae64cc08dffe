#!/usr/bin/env python3
"""Shows what the candle cache holds: coverage by month, sources, known gaps, who wrote last."""

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
from core.errors import DataError
from core.program import run_program
from core.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from candles.checks.coverage import Coverage, MonthCoverage, Series

EXAMPLES = """
examples:
  inspect_candles.py
  inspect_candles.py --exchange binance --coins BTC,ETH       with months and gaps of each
  inspect_candles.py --verify
  inspect_candles.py --exchange binance --coins BTC --clear-gaps

Missing candles are those between the first and the last one. Clearing known gaps has them fetched again.

Exit status: 0 all is well, 1 nothing found or something wrong, 2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("--exchange", metavar="NAME", help="only this exchange")
    p.add_argument("--coins", default="", metavar="A,B", help="only these coins, in detail")
    p.add_argument("--timeframe", metavar="1m", help="only this timeframe")
    p.add_argument("--verify", action="store_true", help="also compare candles and meta data")
    p.add_argument("--clear-gaps", action="store_true", help="forget the known gaps of what is shown")
    add_cache_dir(p)
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    from rich.console import Console  # slow to import, as are numpy and pyarrow behind the next line

    from candles.checks.coverage import coverage_of, find_series

    clock = SystemClock()
    coins = [coin.strip() for coin in args.coins.split(",") if coin.strip()]
    found = find_series(args.cache_dir, args.exchange, coins, args.timeframe)
    if not found:
        raise DataError(f"no such candles below {args.cache_dir / 'ohlcv'}")
    covered: list[tuple[Series, Coverage]] = []
    with Progress("reading") as progress:
        for i, series in enumerate(found):
            progress(f"{series.exchange} {series.symbol}", i, len(found))
            covered.append((series, coverage_of(series, args.cache_dir, clock, verify=args.verify)))
    console = Console(width=None if sys.stdout.isatty() else 180)
    show(console, covered, in_detail=bool(coins) or len(found) == 1)
    if args.clear_gaps:
        for series, coverage in covered:
            series.store(args.cache_dir, clock).update_meta(series.symbol, lambda meta: meta.with_gaps(()))
            tell(console, f"{series.exchange} {series.symbol} {series.timeframe}: {len(coverage.gaps)} gaps forgotten")
    errors = [error for _, coverage in covered for error in coverage.errors]
    for error in errors:
        tell(console, f"WRONG {error}", style="red")
    if args.verify:
        tell(console, f"{len(found)} markets verified, {len(errors)} errors")
    return int(bool(errors))


def tell(console: Console, line: str, style: str | None = None) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True, style=style)


def show(console: Console, covered: list[tuple[Series, Coverage]], *, in_detail: bool) -> None:
    """One line a market; months and gaps below it if wanted."""
    from rich.table import Table  # as above

    table = Table("exchange", "timeframe", "symbol", "rows", "missing", "gaps", "first", "last", "last written")
    for series, coverage in covered:
        counts = map(str, (coverage.rows, coverage.expected - coverage.rows, len(coverage.gaps)))
        span = (minute(coverage.first_ts), minute(coverage.last_ts))
        table.add_row(series.exchange, series.timeframe, series.symbol, *counts, *span, coverage.writer)
    console.print(table)
    for series, coverage in covered if in_detail else ():
        title = f"{series.exchange} {series.symbol} {series.timeframe}"
        months = Table("month", "rows", "coverage", "sources", "files", "written", title=title)
        for month in coverage.months:
            months.add_row(*month_cells(month))
        console.print(months)
        if coverage.gaps:
            gaps = Table("known gap from", "to", "reason", "tries", "last try", title=title)
            for gap in coverage.gaps:
                tried = minute(gap.last_attempt_at or None)
                gaps.add_row(minute(gap.start_ts), minute(gap.end_ts), gap.reason, str(gap.retry_count), tried)
            console.print(gaps)


def month_cells(month: MonthCoverage) -> tuple[str, ...]:
    sources = ", ".join(f"{name} {count}" for name, count in month.sources.items())
    share = f"{month.rows / month.expected:.2%}" if month.rows < month.expected else "100%"
    return month.month, str(month.rows), share, sources, str(month.files), minute(month.written_at or None)


def minute(ts: int | None) -> str:
    return "" if ts is None else ts_to_date(ts)[:16]


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
