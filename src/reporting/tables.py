"""The summary of a backtest on the console: facts of the run, metrics by subject, fills by type and by coin.

Fits 80 columns; plain text when the output is no terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from config.objectives import CURRENCY_METRICS
from core.clock import DAY_MS
from core.dates import ts_to_date
from core.terms import PSIDES
from reporting.fill_tables import profit_by_coin
from simulation.results import Analysis, BacktestResult

WIDTH = 80
_CURRENCY_GROUPS: dict[str, tuple[str, ...]] = {
    "Returns": ("gain", "adg", "mdg"),
    "Returns per unit of exposure limit": tuple(
        f"{name}_per_exposure_{pside}" for pside in PSIDES for name in ("gain", "adg", "mdg")
    ),
    "Risk": (
        "drawdown_worst", "drawdown_worst_mean_1pct", "expected_shortfall_1pct", "peak_recovery_hours_equity",
        "equity_balance_diff_neg_max", "equity_balance_diff_neg_mean",
        "equity_balance_diff_pos_max", "equity_balance_diff_pos_mean",
    ),
    "Return over risk": ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "sterling_ratio", "omega_ratio"),
    "Shape of equity": ("equity_choppiness", "equity_jerkiness", "exponential_fit_error"),
}  # fmt: skip
_SHARED_GROUPS: dict[str, tuple[str, ...]] = {
    "Realised profit": (
        "adg_pnl", "mdg_pnl", "sharpe_ratio_pnl", "sortino_ratio_pnl", "loss_profit_ratio", "loss_profit_ratio_long",
        "loss_profit_ratio_short", "pnl_ratio_long_short", "peak_recovery_hours_pnl",
    ),
    "Positions": (
        "positions_held_per_day", "position_held_hours_mean", "position_held_hours_median", "position_held_hours_max",
        "position_unchanged_hours_max", "volume_pct_per_day_avg",
    ),
    "Exposure": (
        "total_wallet_exposure_max", "total_wallet_exposure_mean", "total_wallet_exposure_median",
        "entry_initial_balance_pct_long", "entry_initial_balance_pct_short",
    ),
}  # fmt: skip
# A list of coins longer than this is cut on the console.
_MOST_COINS = 20


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run: dataset, coins, number of candle rows, seconds in the engine and in all, where the files are."""

    exchange: str
    coins: Sequence[str]
    rows: int
    engine_seconds: float
    total_seconds: float
    directory: Path | None


def print_summary(result: BacktestResult, facts: RunFacts, console: Console | None = None) -> None:
    """Print the summary to `console`, by default standard output."""
    console = console or Console()
    width = min(WIDTH, console.width) if not console.is_terminal else console.width
    for part in _parts(result, facts):
        console.print(part, width=min(width, 100))


def _parts(result: BacktestResult, facts: RunFacts) -> Iterator[RenderableType]:
    if result.data_note:
        yield Panel(Text(result.data_note, style="bold"), border_style="yellow", title="Note", title_align="left")
    yield _titled("Backtest", _facts_table(result, facts))
    yield Text("\nrecent: mean of ten tails of the run (_w); profit: pnl after fees, in USD", style="dim")
    shown: set[str] = set()
    currencies = _currencies(result.analysis)
    if len(currencies) == 1:
        yield Text("without BTC collateral the metrics in BTC are those in USD", style="dim")
        shown.update(key for key in result.analysis if key.endswith("_btc"))
    for title, names in _CURRENCY_GROUPS.items():
        yield from _group(title, names, result.analysis, currencies, shown)
    for title, names in _SHARED_GROUPS.items():
        yield from _group(title, names, result.analysis, ("",), shown)
    rest = _other_metrics(result.analysis, shown)
    yield from _group("Other metrics", rest, result.analysis, ("",), shown)
    if len(result.fills):
        yield _titled("Fills by type", _fills_by_type(result.fills))
        yield _titled("Fills by coin", _fills_by_coin(result.fills))
    if facts.directory is not None:
        yield Text.assemble("\nResults in ", (str(facts.directory), "bold"), overflow="fold")


def _currencies(analysis: Analysis) -> tuple[str, ...]:
    """Suffixes of the currencies worth showing: one where both say the same, as they do without BTC collateral."""
    in_usd = {key.removesuffix("_usd"): value for key, value in analysis.items() if key.endswith("_usd")}
    in_btc = {key.removesuffix("_btc"): value for key, value in analysis.items() if key.endswith("_btc")}
    return ("_usd",) if in_usd == in_btc else ("_usd", "_btc")


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _titled(title: str, table: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold cyan"), Padding(table, (0, 0, 0, 1)))


def _facts_table(result: BacktestResult, facts: RunFacts) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _fact_lines(result, facts):
        table.add_row(label, text)
    return table


def _fact_lines(result: BacktestResult, facts: RunFacts) -> Iterator[tuple[str, str]]:
    yield "exchange", facts.exchange
    named = ", ".join(facts.coins[:_MOST_COINS])
    more = len(facts.coins) - _MOST_COINS
    yield "coins", f"{len(facts.coins)}: {named}" + (f" and {more} more" if more > 0 else "")
    if len(result.equities):
        first, last = int(result.equities[0, 0]), int(result.equities[-1, 0])
        days = (last - first) / DAY_MS
        yield "period", f"{_minute(first)} to {_minute(last)} UTC ({days:,.1f} days)"
        per_day = f" ({len(result.fills) / days:,.1f} a day)" if days > 0 else ""
        yield "fills", f"{len(result.fills):,}{per_day}"
        yield "equity", f"{result.equities[0, 1]:,.2f} to {result.equities[-1, 1]:,.2f} USD"
    else:
        yield "fills", "none: no minute of the data could be traded"
    coin_minutes = facts.rows * len(facts.coins)
    speed = f", {coin_minutes / facts.engine_seconds:,.0f} a second" if facts.engine_seconds > 0 else ""
    yield "engine", f"{facts.engine_seconds:,.2f} s for {coin_minutes:,} coin-minutes{speed}"
    yield "elapsed", f"{facts.total_seconds:,.2f} s in all"


def _minute(ms: int) -> str:
    return ts_to_date(ms)[:16].replace("T", " ")


def _group(
    title: str, names: Sequence[str], analysis: Analysis, suffixes: Sequence[str], shown: set[str]
) -> Iterator[RenderableType]:
    """The metrics of one subject: a column a currency, then the same weighted towards recent results if any has it."""
    rows = [(name, _weighted_name(name)) for name in names if any(name + suffix in analysis for suffix in suffixes)]
    if not rows:
        return
    weighted = any(w + suffix in analysis for _, w in rows for suffix in suffixes)
    table = _table()
    table.add_column("metric", no_wrap=True, min_width=28)
    heads = [suffix[1:].upper() or "value" for suffix in suffixes]
    for head in [*heads, *(f"{head} recent" for head in heads if weighted)]:
        table.add_column(head, justify="right", no_wrap=True, min_width=10)
    for plain, recent in rows:
        keys = [name + suffix for name in ((plain, recent) if weighted else (plain,)) for suffix in suffixes]
        shown.update(keys)
        table.add_row(plain, *(number_text(analysis[key]) if key in analysis else "" for key in keys))
    yield _titled(title, table)


def _weighted_name(name: str) -> str:
    base, mark, pside = name.partition("_per_exposure_")
    return f"{base}_w{mark}{pside}"


def _other_metrics(analysis: Analysis, shown: set[str]) -> list[str]:
    """Numbers without a group, so that a new metric is seen; a bare name beside its `_usd` twin is an alias."""
    return [
        name
        for name, value in sorted(analysis.items())
        if name not in shown
        and not isinstance(value, str)
        and not (name in CURRENCY_METRICS and f"{name}_usd" in analysis)
    ]


def number_text(value: Any) -> str:
    """Five significant digits; a dash where the metric has no finite value."""
    if value is None:
        return "-"
    size = abs(float(value))
    return (
        f"{value:.3e}" if size and (size < 1e-4 or size >= 1e7) else f"{value:,.5g}" if size < 1e4 else f"{value:,.0f}"
    )


def _fills_by_type(fills: pd.DataFrame) -> Table:
    """Number of fills and profit after fees of each kind of order, long and short side by side."""
    kinds = fills["type"].str.replace(r"_(long|short)$", "", regex=True)
    table = _table()
    table.add_column("type", no_wrap=True, min_width=26)
    for head in ("long", "short", "long profit", "short profit"):
        table.add_column(head, justify="right", no_wrap=True, min_width=10)
    net = fills["pnl"] + fills["fee_paid"]
    of_side = {pside: fills["type"].str.endswith(pside) for pside in PSIDES}
    for kind in sorted(set(kinds), key=lambda kind: (not kind.startswith("entry"), kind)):
        masks = [of_side[pside] & (kinds == kind) for pside in PSIDES]
        counts = [f"{mask.sum():,}" if mask.any() else "" for mask in masks]
        table.add_row(kind, *counts, *(f"{net[mask].sum():,.2f}" if mask.any() else "" for mask in masks))
    table.add_section()
    sums = [f"{mask.sum():,}" for mask in of_side.values()] + [f"{net[mask].sum():,.2f}" for mask in of_side.values()]
    table.add_row("all", *sums, style="bold")
    return table


def _fills_by_coin(fills: pd.DataFrame) -> Table:
    """Number of fills, profit of both sides and fees of each coin, best first."""
    table = _table()
    table.add_column("coin", no_wrap=True, min_width=12)
    for head in ("fills", "long pnl", "short pnl", "fees", "profit"):
        table.add_column(head, justify="right", no_wrap=True, min_width=10)
    sums = profit_by_coin(fills)
    for coin, row in sums.iterrows():
        table.add_row(str(coin), *_coin_cells(row))
    table.add_section()
    table.add_row("all", *_coin_cells(sums.sum()), style="bold")
    return table


def _coin_cells(row: pd.Series[Any]) -> list[str]:
    return [f"{row['fills']:,.0f}", *(f"{row[name]:,.2f}" for name in (*PSIDES, "fees", "profit"))]
