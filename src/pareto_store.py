"""Show the front of an optimizer run and the member closest to an ideal point: `python3 src/pareto_store.py [DIR]`.

`optimizer_pareto_tools.md` 7. Also the functions that read members, imported when they are first used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.arguments import tool_parser
from core.program import run_program

if TYPE_CHECKING:
    from runs.front_selection import Selection

_HOMES = {
    "Member": "optimization.members",
    "read_member": "optimization.members",
    "read_members": "optimization.members",
    "newest_pareto": "optimization.members",
    "pareto_dir": "optimization.members",
    "ideal_point": "optimization.ideal",
    "distances": "optimization.ideal",
    "front_table": "optimization.front_table",
}

EXAMPLES = """
modes: min (m), weighted (w), utopian (u), percentile (p), midrange (mi), geomedian (g)

examples:
  pareto_store.py                                             the newest run below optimize_results/
  pareto_store.py optimize_results/RUN -m geomedian
  pareto_store.py RUN/pareto -l 'drawdown_worst_usd<0.3' -l 'adg_pnl.min>=0' -o adg_pnl,w_2
  pareto_store.py RUN --json -w 0.1,0.2,0

Writes pareto_front.html (interactive) and pareto_front.png into the run's directory.
Exit status: 0 shown, 1 no members (left), 2 wrong usage.
"""

STRONG = 0.65
TOP = 5


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pareto_store' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def parser() -> argparse.ArgumentParser:
    p = tool_parser("Shows a Pareto front and the member closest to an ideal point.", EXAMPLES)
    p.add_argument("pareto_dir", type=Path, nargs="?", help="a run or its `pareto` folder (default: the newest)")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument(
        "-w", "--weights", type=_numbers, default=[0.0], metavar="A,B,..",
        help="mode weighted: the share of an objective's range that the ideal gives away; one for all, or one an "
        "objective (default 0)",
    )  # fmt: skip
    p.add_argument("-m", "--mode", default="weighted", help="how the ideal point is chosen (default weighted)")
    p.add_argument(
        "-l", "--limit", "--limits", action="append", default=[], dest="limits", metavar="EXPR",
        help="keep members with name[.mean|.min|.max|.std] or w_i, then <= >= < > == = and a number; repeatable",
    )  # fmt: skip
    p.add_argument(
        "-o", "--objectives", default="", metavar="A,B,..", help="only these: names of optimize.scoring or w_i"
    )
    return p


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write numbers with commas between them") from None


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(_joined_weights(argv))
    from optimization.expressions import limit_expression  # numpy and more: not for --help
    from optimization.members import newest_pareto, pareto_dir, read_members, run_dir
    from runs.front_selection import as_json, kept_members, objective_columns, select, unknown_limits

    folder = pareto_dir(args.pareto_dir) if args.pareto_dir else newest_pareto()
    limits = [limit_expression(text) for text in args.limits]
    members = read_members(folder)
    for name in unknown_limits(members, limits):
        sys.stderr.write(f"warning: no member has {name}: this limit is passed over\n")
    members = kept_members(members, limits)
    columns = objective_columns(members[0].scoring, args.objectives)
    selection = select(members, columns, args.mode, args.weights)
    sys.stdout.write(as_json(selection) if args.json else as_text(selection))
    for path in draw(selection, run_dir(folder)):
        (sys.stderr if args.json else sys.stdout).write(f"wrote {path}\n")
    return 0


def _joined_weights(argv: Sequence[str]) -> list[str]:
    """`-w -0.1,0.2` in one word: argparse would take the list for an option."""
    words = list(argv)
    for i in range(len(words) - 2, -1, -1):
        if words[i] in ("-w", "--weights") and words[i + 1][:1] == "-" and words[i + 1][1:2] in "0123456789.":
            words[i : i + 2] = [f"--weights={words[i + 1]}"]
    return words


def as_text(selection: Selection) -> str:
    from reporting.front_text import closeness, relations

    picture = selection.picture
    note = selection.closest.data_note
    lines = [f"{len(selection.members)} members", *([note] if note else [])]
    lines += closeness(picture, str(selection.closest.path))
    if len(selection.columns) > 3:
        lines += relations(picture, top=TOP, strong=STRONG)
    return "\n".join(lines) + "\n"


def draw(selection: Selection, folder: Path) -> list[Path]:
    """Write the figures; never opens a window."""
    from reporting.plots.front import interactive, save_interactive, static
    from reporting.plots.style import Heading, save

    subtitle = f"{folder.resolve().name}, {len(selection.members)} members"
    heading = Heading("Pareto front", subtitle, selection.closest.data_note)
    page, image = folder / "pareto_front.html", folder / "pareto_front.png"
    save(static(selection.picture, heading), image)
    save_interactive(interactive(selection.picture, heading), page)
    return [page, image]


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
