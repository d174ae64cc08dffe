#!/usr/bin/env python3
"""Checks what backtests read: prepared datasets (summarize, compare) and the candle cache (the other commands)."""

from __future__ import annotations

import _src_path
import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import log
from core.arguments import add_log_level, tool_parser
from core.clock import SystemClock
from core.errors import UsageError
from core.program import run_program
from core.progress import Progress

EXAMPLES = """
examples:
  verify_hlcvs_data.py                                     all datasets below caches/hlcvs_data
  verify_hlcvs_data.py compare caches/hlcvs_data/A other/hlcvs_data/B
  verify_hlcvs_data.py summarize-historical caches/ohlcv/binance --hash
  verify_hlcvs_data.py clean-historical                    lists bad files; --apply deletes them
  verify_hlcvs_data.py hash-historical --output mine.json
  verify_hlcvs_data.py compare-historical-hashes mine.json theirs.json

Hashes are those of what the files hold, however they are packed. Without a command: summarize.

Exit status: 0 all is well, 1 something is bad or differs, 2 wrong usage.
"""
DATASETS = Path("caches/hlcvs_data")
HISTORICAL = (Path("caches/ohlcv"), Path("historical_data"))
HASH_DIGITS = 16

COMMANDS = {
    "summarize": "facts and hashes of datasets",
    "compare": "in what two datasets differ",
    "summarize-historical": "facts of every market's candles",
    "clean-historical": "find bad candle files",
    "hash-historical": "write the hashes of all candle files to a file",
    "compare-historical-hashes": "in what two such files differ",
}


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    subparsers = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {name: subparsers.add_parser(name, help=text, allow_abbrev=False) for name, text in COMMANDS.items()}
    for name, command in commands.items():
        if name in ("compare", "compare-historical-hashes"):
            command.add_argument("a", type=Path)
            command.add_argument("b", type=Path)
        else:
            command.add_argument("paths", nargs="*", type=Path, help="where to look (default: the caches here)")
        add_log_level(command)
        if name.endswith("-historical"):
            command.add_argument("--progress", action="store_true", help="show how far it is")
        if name.startswith("summarize"):
            command.add_argument("--json", action="store_true", help="JSON instead of a table")
        if name in ("summarize", "compare"):
            command.add_argument("--fast", action="store_true", help="hashes only")
    historical = commands["summarize-historical"]
    historical.add_argument("--hash", action="store_true", help="with a hash of each market's candles")
    historical.add_argument("--fast", action="store_true", help="only what the files say of themselves")
    commands["clean-historical"].add_argument("--apply", action="store_true", help="delete the bad files")
    commands["hash-historical"].add_argument("--output", type=Path, required=True, metavar="FILE")
    hashes = commands["compare-historical-hashes"]
    hashes.add_argument("--local-root", type=Path, metavar="DIR", help="where the files of A are")
    hashes.add_argument("--apply", action="store_true", help="delete the files below DIR that differ")
    return p


def main(argv: Sequence[str]) -> int:
    words = list(argv)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help")):
        words.insert(0, "summarize")
    args = parser().parse_args(words)
    log.setup(max(args.debug_level, int(getattr(args, "progress", False))))
    return RUN[args.command](args)


def summarize(args: argparse.Namespace) -> int:
    from simulation import audit  # numpy, here and below, is what --help does not need

    roots = args.paths or [root for root in (DATASETS,) if root.is_dir()]
    rows = [asdict(audit.summarize(path, fast=args.fast)) for root in roots for path in audit.find_datasets(root)]
    write_rows(rows, as_json=args.json)
    return any_errors(rows)


def compare(args: argparse.Namespace) -> int:
    from simulation import audit

    a, b = (audit.summarize(only_dataset(path), fast=args.fast) for path in (args.a, args.b))
    different = audit.differences(a, b)
    for name, (one, other) in different.items():
        say(f"{name}: {one} != {other}")
    for summary in (a, b):
        for error in summary.errors:
            say(f"{summary.path}: {error}")
    if not different:
        say("identical")
    return int(bool(different or a.errors or b.errors))


def only_dataset(path: Path) -> Path:
    from simulation import audit

    if audit.find_datasets(path) != [path]:
        raise UsageError(f"{path} is no dataset; name a directory with hlcvs.npy or hlcvs.npy.gz")
    return path


def summarize_historical(args: argparse.Namespace) -> int:
    from candles.checks import audit

    def of_root(root: Path, progress: audit.Progress | None) -> list[audit.FolderSummary]:
        return audit.summarize_tree(root, fast=args.fast, with_hash=args.hash, progress=progress)

    rows = [asdict(summary) for part in over_roots(args, of_root) for summary in part]
    write_rows(rows, as_json=args.json)
    bad = [row for row in rows if row["nan"] or not row["ordered"]]
    return int(any_errors(rows) or bool(bad))


def clean_historical(args: argparse.Namespace) -> int:
    from candles.checks import audit

    bad = {path: why for found in over_roots(args, audit.bad_files) for path, why in found.items()}
    for why in bad.values():
        say(why)
    if args.apply:
        audit.delete_files(bad, SystemClock())
    say(f"{len(bad)} bad files" + (" deleted" if args.apply else "; --apply deletes them" if bad else ""))
    return int(bool(bad))


def hash_historical(args: argparse.Namespace) -> int:
    from candles.checks import audit

    with shown_progress(args) as progress:
        manifest = audit.hash_trees(historical_roots(args), SystemClock(), progress)
    audit.write_manifest(args.output, manifest)
    say(f"{len(manifest['files'])} hashes written to {args.output}")
    return 0


def compare_historical_hashes(args: argparse.Namespace) -> int:
    from candles.checks import audit

    if args.apply and args.local_root is None:
        raise UsageError("--apply needs --local-root, the folder to delete files from")
    different = audit.compare_manifests(audit.read_manifest(args.a), audit.read_manifest(args.b))
    for name, verdict in different.items():
        say(f"{verdict}\t{name}")
    if args.apply:
        gone = audit.local_files(args.local_root, [name for name, verdict in different.items() if verdict == "differs"])
        audit.delete_files(gone, SystemClock())
        say(f"{len(gone)} files deleted below {args.local_root}")
    say(f"{len(different)} differences" if different else "identical")
    return int(bool(different))


def historical_roots(args: argparse.Namespace) -> list[Path]:
    roots: list[Path] = args.paths or [root for root in HISTORICAL if root.is_dir()]
    return roots


def over_roots(args: argparse.Namespace, work: Callable[[Path, Any], Any]) -> list[Any]:
    with shown_progress(args) as progress:
        return [work(root, progress) for root in historical_roots(args)]


def shown_progress(args: argparse.Namespace) -> Any:
    """A context with the progress to report to, None if it is not wanted."""
    return Progress(args.command) if args.progress else nullcontext()


def any_errors(rows: Iterable[dict[str, Any]]) -> int:
    return int(any(row["errors"] for row in rows))


def write_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """JSON, or a table with tabs whose hashes are cut; fields that no row has are left out of it."""
    if as_json:
        say(json.dumps(rows, indent=2, sort_keys=True))
        return
    names = [
        name for name in (rows[0] if rows else ()) if name != "errors" and any(row[name] is not None for row in rows)
    ]
    if names:
        say("\t".join(names))
    for row in rows:
        say("\t".join(cell(name, row[name]) for name in names))
    for row in rows:
        for error in row["errors"]:
            say(f"BAD {next(iter(row.values()))}: {error}")
    if not rows:
        say("nothing found")


def cell(name: str, value: Any) -> str:
    from core.dates import ts_to_date

    if value is None:
        return "-"
    if name.endswith("sha256"):
        return str(value)[:HASH_DIGITS]
    return ts_to_date(value) if name.endswith("_ts") else str(value)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


RUN = {
    "summarize": summarize,
    "compare": compare,
    "summarize-historical": summarize_historical,
    "clean-historical": clean_historical,
    "hash-historical": hash_historical,
    "compare-historical-hashes": compare_historical_hashes,
}

if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
