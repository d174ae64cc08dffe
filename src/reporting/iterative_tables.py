"""What the iterative backtester shows on the console: a run beside the previous and the best one, and the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.objectives import metric_weight
from core.dates import ts_to_date
from reporting.iterative_run import IterativeRun, LimitCheck, best_run, dominating, pareto_front
from reporting.suite_tables import MAIN_METRICS
from reporting.tables import number_text

WIDTH_OF_FILES = 120  # columns, where the output is no terminal
MOST_CHANGES = 12
SNAPSHOT_ROWS = 6

Deltas = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a run is compared with: all runs of the session in order, the run before it, the parameters that changed
    since then, and the mean seconds of runs."""

    runs: Sequence[IterativeRun]
    previous: IterativeRun | None
    changes: Deltas
    mean_s: float


def console_of() -> Console:
    """The console of the session; wide enough for every column where nobody looks."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_OF_FILES)
    return console


def print_run(console: Console, run: IterativeRun, context: Context) -> None:
    """The summary of a run."""
    if run.data_note:
        console.print(f"[bold yellow]{escape(run.data_note)}")
    console.print(f"\n[bold cyan]Run {run.number}[/]  {_time(run)} UTC")
    _print_facts(console, run, context)
    _print_changes(console, context.changes)
    _print_pareto(console, run, context.runs)
    console.print(_metrics_table(run, context.previous, best_run(context.runs)))
    if run.limits:
        console.print(_limits_table(run.limits))


def _time(run: IterativeRun) -> str:
    return ts_to_date(run.time_ms // 1000 * 1000).replace("T", " ")


def _print_facts(console: Console, run: IterativeRun, context: Context) -> None:
    best = best_run(context.runs)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("score", vector_text(run.scores))
    facts.add_row("penalty", number_text(run.violation))
    facts.add_row("best run", "this one" if best is run else f"run {best.number}: {vector_text(best.scores)}")
    facts.add_row("results", escape(str(run.directory)))
    facts.add_row("seconds", f"{run.duration_s:.2f} (mean {context.mean_s:.2f})")
    console.print(facts)


def vector_text(values: Sequence[float]) -> str:
    """Numbers of a vector, shortened."""
    return ", ".join(number_text(value) for value in values)


def _print_changes(console: Console, changes: Deltas) -> None:
    if not changes:
        return
    console.print("\n[bold]Changed parameters")
    for name, (old, new) in list(changes.items())[:MOST_CHANGES]:
        console.print(f"  {name}: {escape(str(old))} -> {escape(str(new))}", soft_wrap=True)
    if len(changes) > MOST_CHANGES:
        console.print(f"  and {len(changes) - MOST_CHANGES} more")


def _print_pareto(console: Console, run: IterativeRun, runs: Sequence[IterativeRun]) -> None:
    above = dominating(run, runs)
    if above:
        console.print(f"\nPareto: [red]dominated[/] by run {', '.join(str(other.number) for other in above)}")
    else:
        console.print("\nPareto: [green]on the front[/] (penalties apart)")
    table = _table("Front")
    table.add_column("run", justify="right")
    for name in run.objectives:
        table.add_column(name, justify="right")
    table.add_column("penalty", justify="right")
    for member in pareto_front(runs)[:SNAPSHOT_ROWS]:
        cells = [number_text(_metric(member, i)) for i in range(len(member.objectives))]
        table.add_row(str(member.number), *cells, number_text(member.violation), style="bold" if member is run else "")
    console.print(table)


def _metric(run: IterativeRun, index: int) -> float | None:
    """An objective as the metric it is, not as it is minimised."""
    return run.metrics.get(run.objectives[index])


def _table(title: str) -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title, title_justify="left")


def _metrics_table(run: IterativeRun, previous: IterativeRun | None, best: IterativeRun) -> Table:
    table = _table("Metrics")
    table.add_column("metric", no_wrap=True)
    for head in ("value", "to previous", "to best"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in dict.fromkeys((*run.objectives, *(name for name in MAIN_METRICS if name in run.metrics))):
        value = run.metrics.get(name)
        since = None if previous is None else delta(value, previous.metrics.get(name))
        above = delta(value, best.metrics.get(name))
        table.add_row(name, number_text(value), _signed(since), _signed(above), arrow(name, since))
    return table


def delta(value: float | None, other: float | None) -> float | None:
    """How much more than the other; None where one is missing."""
    return None if value is None or other is None else value - other


def _signed(change: float | None) -> str:
    if change is None:
        return "-"
    return f"+{number_text(change)}" if change > 0.0 else number_text(change)


def arrow(metric: str, change: float | None) -> str:
    """Up or down, green where that is better, red where it is worse."""
    if not change:
        return ""
    better = change * (metric_weight(metric) or 1.0) < 0.0
    return f"[{'green' if better else 'red'}]{'▲' if change > 0.0 else '▼'} {'better' if better else 'worse'}[/]"


def _limits_table(limits: Sequence[LimitCheck]) -> Table:
    """Violations first, then what is nearest to one."""
    table = _table("Limits")
    table.add_column("constraint", no_wrap=True)
    for head in ("value", "distance"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for check in sorted(limits, key=lambda check: not check.violated):
        verdict = "[red]VIOL" if check.violated else "[green]OK"
        table.add_row(escape(check.requirement), number_text(check.value), number_text(check.distance), verdict)
    return table


def print_history(console: Console, runs: Sequence[IterativeRun]) -> None:
    """A row a run."""
    best = best_run(runs)
    table = _table("History")
    for head in ("run", "time"):
        table.add_column(head, no_wrap=True)
    for head in ("penalty", *best.objectives):
        table.add_column(head, justify="right")
    table.add_column("", no_wrap=True)
    front = pareto_front(runs)
    for run in runs:
        cells = [number_text(_metric(run, i)) for i in range(len(run.objectives))]
        marks = [word for word, holds in (("best", run is best), ("front", run in front)) if holds]
        table.add_row(str(run.number), _time(run), number_text(run.violation), *cells, ", ".join(marks))
    console.print(table)
