#!/usr/bin/env python3
"""Measures Passivbot on this machine: engine, planner, loading of candles, start-up, threads, memory.

What each figure means: docs/performance.md
"""

from __future__ import annotations

import _src_path
import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.options import SECTIONS, YEAR, Options
from core.clock import SystemClock
from core.errors import UsageError
from core.files import write_json
from core.program import run_program
from core.rust_build import Extension, ensure_extension, take_rust_flags

WIDTH_OF_FILES = 200  # columns, where the output is no terminal


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="./passivbot tool bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--quick", action="store_true", help="a tenth of the data and few repeats, to try it out")
    p.add_argument("--coins", default="1,5,20", metavar="N,N", help="coin counts of the engine (default 1,5,20)")
    p.add_argument("--minutes", type=int, metavar="N", help=f"minutes after the warm-up (default a year, {YEAR})")
    p.add_argument("--only", default=",".join(SECTIONS), metavar="NAME,NAME", help=f"of {', '.join(SECTIONS)}")
    p.add_argument("--no-floor", action="store_true", help="engine without the floor, which cargo builds")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    return p


def options_of(args: argparse.Namespace) -> Options:
    """Raises UsageError naming the flag."""
    counts = [word.strip() for word in args.coins.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in counts):
        raise UsageError(f"--coins {args.coins}: write it as 1,5,20")
    sections = [word.strip() for word in args.only.split(",")]
    if unknown := [word for word in sections if word not in SECTIONS]:
        raise UsageError(f"--only {unknown[0]}: known are {', '.join(SECTIONS)}")
    minutes = args.minutes if args.minutes is not None else YEAR // 10 if args.quick else YEAR
    if minutes < 1:
        raise UsageError(f"--minutes {minutes}: at least 1")
    return Options(
        coins=tuple(int(word) for word in counts),
        minutes=minutes,
        sections=tuple(name for name in SECTIONS if name in sections),
        quick=args.quick,
        with_floor=not args.no_floor,
    )


Measure = Callable[[Options, Path, Callable[[str], None]], Sequence[Any]]


def _engine(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import engine
    from benchmarks.floor import build_floor

    if options.with_floor:
        say("building the floor")
    floor = build_floor() if options.with_floor else None
    return list(engine.measure(options, floor, directory, say))


def _planner(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import planner

    return list(planner.measure(options))


def _dataset(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import dataset

    return dataset.measure(options, directory)


def _candles(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import candles

    return candles.measure(options, directory)


def _startup(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import startup

    return startup.measure(options)


def _batch(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import batch

    return batch.measure(options, directory)


def _search(options: Options, directory: Path, say: Callable[[str], None]) -> Sequence[Any]:
    from benchmarks import search

    return search.measure(options, directory)


# imported when measured: the extension is rebuilt before its first import
MEASURES: dict[str, Measure] = {
    "engine": _engine,
    "planner": _planner,
    "dataset": _dataset,
    "candles": _candles,
    "startup": _startup,
    "batch": _batch,
    "search": _search,
}


def table_of(section: str, rows: Sequence[Any]) -> Table:
    from benchmarks import tables

    made: Table = getattr(tables, f"{section}_table")(rows)
    return made


def main(argv: Sequence[str]) -> int:
    from benchmarks.machine import this_machine

    rust, words = take_rust_flags(argv)
    args = parser().parse_args(words)
    options = options_of(args)
    errors = Console(stderr=True)
    ensure_extension(rust, Extension(say=errors.print))
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    machine = this_machine(SystemClock())
    console.print(machine.line, highlight=False, soft_wrap=True)
    figures: dict[str, Any] = {"machine": asdict(machine), "options": asdict(options)}
    with tempfile.TemporaryDirectory(prefix="passivbot_bench_") as folder, errors.status("") as status:
        for section in options.sections:
            status.update(section)
            rows = MEASURES[section](options, Path(folder), status.update)
            figures[section] = [asdict(row) for row in rows]
            console.print(table_of(section, rows))
    if args.json:
        write_json(args.json, figures, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
