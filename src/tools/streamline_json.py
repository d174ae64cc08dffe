#!/usr/bin/env python3
"""Lays JSON files out so that short values stay on one line: people can read them, and differences stay small."""

from __future__ import annotations

import _src_path
import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from config.dump import COMPACT, streamlined_json
from config.text import parse_json
from core.arguments import tool_parser
from core.errors import ConfigError, UsageError
from core.files import replacing
from core.program import run_program

EXAMPLES = """
examples:
  streamline_json.py configs/template.json            one file, in place
  streamline_json.py configs/ --sort-keys             every *.json below a directory
  streamline_json.py my.json --max-inline 120 --separators ', : '

Exit status: 0 all files laid out, 1 some file could not be (the others are), 2 wrong usage.
"""


class Layout(NamedTuple):
    """The flags that say how a file is to look."""

    indent: int
    max_inline: int
    separators: tuple[str, str]
    sort_keys: bool


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("target", type=Path, help="a file, or a directory with *.json files at any depth")
    p.add_argument("--indent", type=int, default=4, metavar="N", help="blanks per level (default 4)")
    p.add_argument("--max-inline", type=int, default=72, metavar="N", help="characters of a short value (default 72)")
    p.add_argument(
        "--separators", default=", :", metavar="TEXT", help="between values on one line; ', :' (default) is compact"
    )
    p.add_argument("--sort-keys", action="store_true", help="keys in alphabetical order")
    return p


def separators_of(text: str) -> tuple[str, str]:
    """Item and key separator: up to the colon, and from it on. `, :` and `,:` mean without blanks."""
    if text in (", :", ",:"):
        return COMPACT
    item, colon, blanks = text.partition(":")
    if item.strip(" ") != "," or not colon or blanks.strip(" "):
        raise UsageError(f"--separators {text!r}: write a comma and a colon, with blanks as you like, e.g. ', : '")
    return item, colon + blanks


def files_of(target: Path) -> list[Path]:
    """The file, or all JSON files below the directory."""
    if target.is_file():
        return [target]
    if not target.is_dir():
        raise UsageError(f"{target} does not exist; name a JSON file or a directory")
    files = sorted(path for path in target.rglob("*.json") if path.is_file())
    if not files:
        raise UsageError(f"there is no *.json file below {target}")
    return files


def streamline(path: Path, layout: Layout) -> bool:
    """Lay a file out in place; False when it is so already. Raises ConfigError or OSError, RunError on a full disk."""
    try:
        text = path.read_text(encoding="utf-8")
        value = parse_json(text, str(path))
        new = streamlined_json(value, **layout._asdict())
    except (ValueError, RecursionError) as exc:
        raise exc if isinstance(exc, ConfigError) else ConfigError(f"{path} is not JSON: {exc}") from exc
    if new == text:
        return False
    real = path.resolve()  # a link stays a link
    with replacing(real) as tmp:
        tmp.touch(mode=0o600)
        tmp.write_text(new, encoding="utf-8")
        shutil.copymode(real, tmp)  # the key file stays closed to others
    return True


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    if args.indent < 0 or args.max_inline < 0:
        raise UsageError("--indent and --max-inline must not be negative")
    layout = Layout(args.indent, args.max_inline, separators_of(args.separators), args.sort_keys)
    failed = 0
    for path in files_of(args.target):
        try:
            sys.stdout.write(f"{'laid out' if streamline(path, layout) else 'unchanged'} {path}\n")
        except (ConfigError, OSError) as exc:
            failed += 1
            sys.stderr.write(f"error: {exc}\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
