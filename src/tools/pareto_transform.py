#!/usr/bin/env python3
"""Brings members of Pareto fronts to today's form, and thins fronts out (`optimizer_pareto_tools.md` 9)."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.arguments import tool_parser
from core.errors import UsageError
from core.program import run_program

if TYPE_CHECKING:
    from optimization.pareto import Floats

EXAMPLES = """
examples:
  pareto_transform.py old_run/pareto --convert-metrics             what would change
  pareto_transform.py old_run/pareto --convert-metrics --apply     change it
  pareto_transform.py run/pareto --prune 50 --apply                keep 50 members, far from each other

Directories are not searched below. Exit status: 0 done, 1 a file is no member (nothing is changed), 2 wrong usage.
"""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: new content of files, and files to go."""

    rewrite: dict[Path, Entry]
    remove: list[Path]


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="files or directories of members")
    p.add_argument("--convert-metrics", action="store_true", help="`analyses_combined` of older files to `metrics`")
    p.add_argument("--prune", type=int, metavar="N", help="keep N members of each directory, as different as can be")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="decides between equally far members (default 0)")
    p.add_argument("--max-inline", type=int, default=72, metavar="N", help="characters of a short value (default 72)")
    p.add_argument("--indent", type=int, default=4, metavar="N", help="blanks per level (default 4)")
    p.add_argument("--sort-keys", action="store_true", help="keys in alphabetical order")
    p.add_argument("--apply", action="store_true", help="do it; without it, only say what would be done")
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    if not args.convert_metrics and args.prune is None:
        raise UsageError("nothing to do: give --convert-metrics, --prune N or both")
    if min(args.indent, args.max_inline) < 0 or (args.prune is not None and args.prune < 1):
        raise UsageError("--indent and --max-inline must not be negative, --prune must be at least 1")
    from optimization.members import read_entry  # numpy and more: not for --help

    entries = {path: read_entry(path) for path in files_of(args.paths)}
    plan = planned(entries, convert=args.convert_metrics, keep=args.prune, seed=args.seed)
    report(plan, apply=args.apply)
    if args.apply:
        carry_out(plan, {"indent": args.indent, "max_inline": args.max_inline, "sort_keys": args.sort_keys})
    return 0


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files given and those right in the directories given, each once, sorted within a directory."""
    from optimization.members import member_paths

    found: dict[Path, None] = {}
    for path in paths:
        files = member_paths(path) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise UsageError(f"{path}: there is no JSON file; name members or their directory")
        found |= dict.fromkeys(files)
    return list(found)


def planned(entries: Mapping[Path, Entry], *, convert: bool, keep: int | None, seed: int) -> Plan:
    """What the actions make of the entries; each directory is pruned by itself."""
    converted = {path: converted_entry(entry) for path, entry in entries.items()} if convert else dict(entries)
    removed: list[Path] = []
    if keep is not None:
        for folder in dict.fromkeys(path.parent for path in converted):
            paths = [path for path in converted if path.parent == folder]
            kept = set(kept_members([converted[path] for path in paths], keep, seed))
            removed += [path for i, path in enumerate(paths) if i not in kept]
    changed = {path: entry for path, entry in converted.items() if entry is not entries[path] and path not in removed}
    return Plan(changed, removed)


def converted_entry(entry: Entry) -> Entry:
    """The entry with `metrics` in place of the older `analyses_combined`; the very same one if it has none."""
    from optimization.members import FLAT_METRICS, metrics_of_flat

    if FLAT_METRICS not in entry:
        return entry
    rest = {key: value for key, value in entry.items() if key != FLAT_METRICS}
    return rest if "metrics" in rest else rest | {"metrics": metrics_of_flat(entry[FLAT_METRICS])}


def kept_members(entries: Sequence[Entry], count: int, seed: int) -> list[int]:
    """Indices of the members to keep, ascending: those without objectives first, then those far from each other."""
    import numpy as np

    objectives = [objectives_of(entry) for entry in entries]
    without = [i for i, found in enumerate(objectives) if not found][:count]
    others = [i for i, found in enumerate(objectives) if found]
    names = sorted({name for found in objectives for name in found})
    matrix = np.array([[objectives[i].get(name, 0.0) for name in names] for i in others]).reshape(len(others), -1)
    return sorted([*without, *(others[i] for i in far_apart(standardised(matrix), count - len(without), seed))])


def objectives_of(entry: Entry) -> dict[str, float]:
    """The `w_i` of an entry, in today's form or the older one."""
    from optimization.members import FLAT_METRICS, metrics_of_flat

    metrics = entry.get("metrics") or metrics_of_flat(entry.get(FLAT_METRICS) or {})
    return {name: float(value) for name, value in (metrics.get("objectives") or {}).items()}


def standardised(matrix: Floats) -> Floats:
    """Each column with mean 0 and standard deviation 1; a constant column is only centred."""
    import numpy as np

    spread = matrix.std(axis=0)
    return np.asarray((matrix - matrix.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)) if len(matrix) else matrix


def far_apart(points: Floats, count: int, seed: int) -> list[int]:
    """Indices of `count` points: the one nearest the origin, then always the one farthest from those chosen."""
    import numpy as np

    from core.rng import variation

    choice = variation.Random(seed).choice  # of its own: the process's generator is left alone
    if count <= 0:
        return []
    chosen: list[int] = []
    to_origin = np.linalg.norm(points, axis=1)
    gap = -to_origin
    while len(chosen) < min(count, len(points)):
        gap[chosen] = -np.inf
        chosen.append(choice(np.flatnonzero(gap == gap.max()).tolist()))
        distance = np.linalg.norm(points - points[chosen[-1]], axis=1)
        gap = distance if len(chosen) == 1 else np.minimum(gap, distance)
    return chosen


def report(plan: Plan, *, apply: bool) -> None:
    """A line a file, and the total."""
    would = "" if apply else "would "
    lines = [f"{would}rewrite {path}" for path in plan.rewrite] + [f"{would}remove {path}" for path in plan.remove]
    hint = "" if apply else " (nothing is changed without --apply)"
    lines.append(f"{len(plan.rewrite)} to rewrite, {len(plan.remove)} to remove{hint}")
    sys.stdout.write("\n".join(lines) + "\n")


def carry_out(plan: Plan, layout: Mapping[str, Any]) -> None:
    """Write and delete files. Raises RunError when the disk refuses."""
    from config.dump import streamlined_json
    from core.files import write_text

    for path, entry in plan.rewrite.items():
        write_text(path, streamlined_json(entry, **layout))
    for path in plan.remove:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
