"""The summary of a suite on the console: main metrics by scenario, and what they aggregate to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from config.aggregate import aggregate_mode
from reporting.tables import number_text

MAIN_METRICS = (
    "gain_usd", "adg_usd", "mdg_usd", "drawdown_worst_usd", "expected_shortfall_1pct_usd", "sharpe_ratio_usd",
    "sortino_ratio_usd", "loss_profit_ratio", "peak_recovery_hours_equity_usd", "position_held_hours_max",
    "positions_held_per_day", "volume_pct_per_day_avg", "total_wallet_exposure_max",
)  # fmt: skip
WIDE = 400


def print_suite(
    summary: Mapping[str, Any], directory: Path, aggregate: Mapping[str, Any], console: Console | None = None
) -> None:
    """A row a metric, a column a scenario; all metrics stand in the summary file."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)  # numbers in a file must not be cut
    labels = summary["suite_metrics"]["scenario_labels"]
    metrics = summary["suite_metrics"]["metrics"]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=f"Suite {summary['suite_id']}")
    table.add_column("metric", no_wrap=True)
    for label in labels:
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("aggregated", justify="right", style="bold", no_wrap=True)
    table.add_column("by", style="dim", no_wrap=True)
    wanted = [name for name in MAIN_METRICS if name in metrics]
    for name in [*wanted, *sorted(set(aggregate) & set(metrics) - set(wanted))]:
        means = metrics[name]["scenarios"]
        table.add_row(
            name,
            *(number_text(means.get(label)) for label in labels),
            number_text(metrics[name]["aggregated"]),
            aggregate_mode(name, aggregate),
        )
    table.add_section()
    seconds = [summary["per_scenario"][label]["elapsed_seconds"] for label in labels]
    table.add_row("seconds", *(f"{value:.2f}" for value in seconds), f"{sum(seconds):.2f}", "sum")
    console.print(table)
    console.print(f"all metrics: {directory / 'suite_summary.json'}", soft_wrap=True)
