"""A front outside of its search, on the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_ROWS = 12


def print_holdout(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    degradation: Mapping[str, float | None],
    correlation: float | None,
) -> None:
    """The best members outside, each objective inside and outside, how the two rankings agree."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 160
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=f"Outside of the search: {', '.join(labels)}"
    )
    table.add_column("member")
    table.add_column("place in", justify="right")
    table.add_column("out", justify="right")
    for name in degradation:
        table.add_column(f"{name} in", justify="right")
        table.add_column("out", justify="right")
    for row in rows[:MOST_ROWS]:
        values = [text for n in degradation for text in (_number(row["inside"][n]), _number(row["outside"][n]))]
        table.add_row(row["id"][:10], str(row["rank_in"]), str(row["rank_out"]), *values)
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"... and {len(rows) - MOST_ROWS} more members in holdout.json")
    medians = ", ".join(f"{name} {_number(value)}" for name, value in degradation.items())
    console.print(f"outside / inside, median over members: {medians}")
    console.print(f"rank correlation of inside and outside: {_number(correlation)}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def print_walk_forward(rows: Sequence[Mapping[str, Any]]) -> None:
    """A row a fold: the chosen member where it was searched and in the window after it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 200
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title="Walk-forward: the member each search chose"
    )
    for head in ("searched", "next", "front", "place outside"):
        table.add_column(head)
    names = list(rows[0]["inside"])
    for name in names:
        table.add_column(f"{name} in", justify="right")
        table.add_column("next", justify="right")
    table.add_column("rank corr.", justify="right")
    for row in rows:
        values = [text for name in names for text in (_number(row["inside"][name]), _number(row["outside"][name]))]
        places = f"{row['place_outside']} of {row['members']}"
        correlation = _number(row["rank_correlation"])
        table.add_row(row["searched"], row["next"], str(row["members"]), places, *values, correlation)
    console.print(table)
