#!/usr/bin/env python3
"""Plots two metrics of the runs of the iterative backtester against each other."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import log
from core.arguments import add_log_level, tool_parser
from core.errors import DataError, RunError, UsageError
from core.program import run_program

if TYPE_CHECKING:
    from reporting.plots.iterative_history import Point

EXAMPLES = """
examples:
  iterative_history_plot.py backtests/iterative/iterative_20250801_120000
  iterative_history_plot.py A/history.jsonl B/history.jsonl --y-metric sharpe_ratio_usd --output both.png

Exit status: 0 drawn, 1 a file cannot be read or written, 2 wrong usage.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("history_paths", type=Path, nargs="+", metavar="PATH", help="history.jsonl, or its folder")
    p.add_argument("--x-metric", default="peak_recovery_hours_equity_usd", metavar="NAME", help="default %(default)s")
    p.add_argument("--y-metric", default="adg_btc_w", metavar="NAME", help="default %(default)s")
    p.add_argument("--output", type=Path, metavar="PNG", help="default history_plot.png beside the first history")
    p.add_argument("--title", default="Iterative backtests", metavar="T", help="default %(default)s")
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    from config.objectives import objective_metric

    axes = (args.x_metric, args.y_metric)
    for flag, name in zip(("--x-metric", "--y-metric"), axes, strict=True):
        if objective_metric(name) is None:
            raise UsageError(f"{flag} is {name!r}, which no result has; check the spelling")
    runs = [run for path in args.history_paths for run in runs_of(path)]
    found = list(points(runs, axes))
    if not found:
        raise DataError(f"no run in {', '.join(map(str, args.history_paths))} has values of {' and '.join(axes)}")
    note = next((run["data_note"] for run in runs if run.get("data_note")), None)
    draw(found, axes, (args.title, note), args.output or default_output(args.history_paths[0]))
    return 0


def default_output(path: Path) -> Path:
    return (path if path.is_dir() else path.parent) / "history_plot.png"


def runs_of(path: Path) -> list[dict[str, Any]]:
    """The runs of a history, marked whether they are its best."""
    from runs.iterative_files import read_history

    runs = read_history(path)
    return [{**run, "is_best": run["run_index"] == runs[-1].get("best_run_index")} for run in runs]


def points(runs: Sequence[dict[str, Any]], axes: tuple[str, str]) -> Iterator[Point]:
    """The runs that have both metrics."""
    from reporting.plots.iterative_history import Point
    from runs.iterative_files import metric_of

    for run in runs:
        x, y = (metric_of(run, name) for name in axes)
        if x is not None and y is not None:
            yield Point(Path(run["session"]).name, run["run_index"], x, y, run["is_best"])


def draw(found: Sequence[Point], axes: tuple[str, str], heading: tuple[str, str | None], output: Path) -> None:
    from reporting.plots.iterative_history import DPI, iterative_history
    from reporting.plots.style import Heading

    try:
        figure = iterative_history(found, axes, Heading(heading[0], note=heading[1]))
        figure.savefig(output, dpi=DPI, metadata={"Software": None})
    except OSError as exc:
        raise RunError(f"cannot write {output}: {exc.strerror or exc}; name another file with --output") from exc
    sys.stdout.write(f"{len(found)} runs drawn: {output}\n")


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
