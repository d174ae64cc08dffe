#!/usr/bin/env python3
"""Fills up incomplete day files of the oldest candle cache to 1440 rows with flat candles of no volume."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core import log
from core.arguments import add_log_level, tool_parser
from core.clock import SystemClock
from core.errors import DataError
from core.program import run_program
from core.progress import Progress

EXAMPLES = """
examples:
  pad_historical_daily.py --dry-run
  pad_historical_daily.py historical_data/ohlcvs_binanceusdm/BTC

Only YYYY-MM-DD.npy files of rows of numbers are touched, and only days that are over. Minutes without a candle get the
close before them, those at the beginning of a day the first close of the day.

Exit status: 0 all done, 1 a file is damaged (the others are filled up), 2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("roots", nargs="*", type=Path, default=[Path("historical_data")], metavar="ROOT",
                   help="folders to search (default historical_data)")  # fmt: skip
    p.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    from candles.older.padding import day_files, pad_file  # numpy and pyarrow, which --help does not need

    now = SystemClock().now_ms()
    files = [path for root in args.roots for path in day_files(root)]
    padded, added, failures = 0, 0, list[str]()
    with Progress("filling up") as progress:
        for i, path in enumerate(files):
            progress(str(path), i, len(files))
            try:
                rows = pad_file(path, now, dry_run=args.dry_run)
            except DataError as exc:
                failures.append(str(exc))
                continue
            if rows:
                padded, added = padded + 1, added + rows
                sys.stdout.write(f"{path}: {rows} rows {'missing' if args.dry_run else 'added'}\n")
    sys.stdout.writelines(f"FAILED {failure}\n" for failure in failures)
    done = "to be filled up (dry run)" if args.dry_run else "filled up"
    sys.stdout.write(f"{len(files)} day files, {padded} {done} with {added} rows, {len(failures)} failures\n")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
