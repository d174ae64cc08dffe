"""A whole comparison: both sides, and a table of what came out."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from config.load import load_config
from core.clock import SystemClock
from core.dates import date_to_ts, ts_to_date
from core.progress import Progress
from core.terms import PSIDES
from exchange_sim.sources import directory_market, sample_market
from runs.parity.backtest_side import backtest_trades
from runs.parity.live_side import live_run
from runs.parity.span import Span, parity_span
from runs.parity.trades import Comparison, Trade, compare

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """`data`: sample (with a seed), or a directory of candle files with the settings of its coins."""

    data: str = "sample"
    settings: Path | None = None
    seed: int = 0


def span_of(config: str, coins: list[str] | None, choice: MarketChoice, start: str, days: float) -> Span:
    """The span of a config file, with other coins if there are any. Raises ConfigError, DataError."""
    start_ms = date_to_ts(start)
    if choice.data == "sample":
        market = sample_market(choice.seed)
    else:
        market = directory_market(Path(choice.data), choice.settings, SystemClock())
    loaded = load_config(config, clock=SystemClock())
    if coins is not None:
        loaded["live"]["approved_coins"] = {pside: list(coins) for pside in PSIDES}
    return parity_span(loaded, market, start_ms, days)


async def compare_live(span: Span, protocol: str, cache_dir: Path, restarts: Collection[int] = ()) -> Comparison:
    """Run both sides. Raises what either raises."""
    backtest = backtest_trades(span)
    started = time.monotonic()
    with Progress("live bot") as bar:
        live = await live_run(
            span, protocol, cache_dir, restarts=restarts, progress=lambda done: bar("minutes", done + 1, span.minutes)
        )
    seconds = time.monotonic() - started
    logger.info("live: %d minutes in %.1f s, %.1f ms a cycle", span.minutes, seconds, 1000.0 * seconds / span.minutes)
    steps = {item.market.coin: (item.market.price_step, item.market.qty_step) for item in span.items}
    return compare(backtest, live.trades, steps)


def print_comparison(span: Span, found: Comparison, shown: int) -> None:
    """The figures, then the first differences."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    summary = Table(
        title=f"{span.market.note}, {ts_to_date(span.planned_ms)}, {span.minutes} minutes", title_justify="left"
    )
    for column in ("", "fills"):
        summary.add_column(column, justify="left" if not column else "right")
    rows = [("backtest", found.n_backtest), ("live", found.n_live), ("equal to the last bit", found.equal)]
    for name, count in [*rows, *sorted(found.by_cause.items())]:
        summary.add_row(name, f"{count:,}")
    console.print(summary)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.kinds.items()))
    console.print(f"equal by kind: {kinds or 'none'}")
    if not found.differences:
        console.print("[green]the same fills in the same minutes[/green]")
        return
    table = Table(title=f"first {min(shown, len(found.differences))} differences", title_justify="left")
    for column in ("minute", "coin", "backtest", "live", "cause"):
        table.add_column(column)
    for difference in found.differences[:shown]:
        trade = difference.trade
        table.add_row(
            ts_to_date(trade.ts), trade.coin, _text(difference.backtest), _text(difference.live), difference.cause
        )
    console.print(table)


def _text(trade: Trade | None) -> str:
    return "-" if trade is None else f"{trade.order_type} {trade.qty!r} @ {trade.price!r}"
