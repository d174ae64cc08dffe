"""Fill the candle cache for a config and show what came of it: `./passivbot tool download [CONFIG] [options]`."""

from __future__ import annotations

import _src_path

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.log import setup as setup_logging
from core.program import run_program

if TYPE_CHECKING:
    from runs.download import DownloadReport

MOST_SPANS = 3


def main(argv: Sequence[str]) -> int:
    from config.cli import debug_level, parse_command_line, update_config_with_args
    from config.load import load_config
    from config.normalize import format_config
    from config.programs import DOWNLOAD
    from core.clock import SystemClock

    given = parse_command_line(DOWNLOAD, argv)
    if given.help_text is not None:
        sys.stdout.write(given.help_text + "\n")
        return 0
    clock = SystemClock()
    setup_logging(debug_level(given.options, None)[0])
    config = load_config(given.config_path, clock=clock)
    config = format_config(update_config_with_args(config, given.values, clock), clock=clock)
    setup_logging(debug_level(given.options, config["logging"]["level"])[0])
    return fill(config, given.options)


def fill(config: dict[str, Any], options: Mapping[str, Any]) -> int:
    """Download and show; 1 if something could not be fetched."""
    from runs.download import download

    report = download(config, options)
    show(report)
    return 1 if report.failed else 0


def show(report: DownloadReport) -> None:
    """A row a market: how many minutes came, what is missing, how often somebody was asked."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from runs.download import span_text

    console = Console()
    if not console.is_terminal:
        console.width = 200
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title="Candles on disk")
    for head in ("coin", "exchange", "from", "to"):
        table.add_column(head, no_wrap=True)
    for head in ("minutes", "new", "missing", "archive files", "REST calls"):
        table.add_column(head, justify="right", no_wrap=True)
    for market in sorted(report.markets, key=lambda market: (market.coin, market.exchange)):
        ends = ("", "") if market.first_ts is None else span_text((market.first_ts, market.last_ts or 0)).split(" to ")
        new = market.rows - market.rows_before
        counts = (market.rows, new, market.missing_minutes, market.from_archive, market.from_rest)
        table.add_row(market.coin, market.exchange, ends[0], ends[-1], *(f"{count:,}" for count in counts))
    console.print(table)
    for market in report.markets:
        if market.missing:
            shown = "; ".join(map(span_text, market.missing[:MOST_SPANS]))
            more = len(market.missing) - MOST_SPANS
            console.print(
                f"{market.coin} on {market.exchange} lacks {market.missing_minutes:,} minutes: {shown}"
                + (f"; and {more} more" if more > 0 else ""),
                soft_wrap=True,
            )
    for coin, reason in report.left_out.items():
        console.print(f"{coin} takes no part: {reason}", soft_wrap=True)
    for market in report.markets:
        if market.error:
            console.print(f"{market.coin} on {market.exchange} FAILED: {market.error}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
