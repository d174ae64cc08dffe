"""What the command lines of the tools have in common: layout of `--help`, level of the log, place of the caches."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.log import parse_level
from core.paths import DEFAULT_CACHE_DIR


def tool_parser(description: str | None, examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with examples, as they are laid out; options cannot be shortened."""
    return argparse.ArgumentParser(
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """`--debug-level` and its alias, by number or word; the tools say no more than warnings by themselves."""
    parser.add_argument(
        "--debug-level", "--log-level", type=_level, default=0, metavar="X",
        help="0 warnings (default), 1 info, 2 debug, 3 trace",
    )  # fmt: skip


def _level(text: str) -> int:
    level = parse_level(text)
    if level is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no level: 0 warnings, 1 info, 2 debug, 3 trace")
    return level


def add_cache_dir(parser: argparse.ArgumentParser, purpose: str = "") -> None:
    """`--cache-dir`."""
    parser.add_argument(
        "--cache-dir", type=Path, default=DEFAULT_CACHE_DIR, metavar="DIR", help=f"{purpose}default {DEFAULT_CACHE_DIR}"
    )


def add_account(parser: argparse.ArgumentParser) -> None:
    """`--user`, and where its keys and its exchange are found."""
    parser.add_argument("-u", "--user", required=True, help="account in api-keys.json")
    parser.add_argument(
        "--api-keys", type=Path, default=Path("api-keys.json"), metavar="FILE", help="default %(default)s"
    )
    parser.add_argument("--custom-endpoints", metavar="FILE", help="other hosts for exchanges, or none")
