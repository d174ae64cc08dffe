"""Fills for the terminal and for files: tables, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from live.fills.queries import Total, total, totals
from live.fills.record import FillEvent, dump_fill
from live.orders.order_ids import UNKNOWN
from markets.symbols import symbol_to_coin

if TYPE_CHECKING:
    from rich.table import Table

MOST_ROWS = 100
WIDTH = 200  # of what goes to a file or to another program
_RAW = "raw"


def coin_of(symbol: str) -> str:
    """The coin that a symbol or another name of it means."""
    return symbol_to_coin(symbol)


BY: Mapping[str, Callable[[FillEvent], str]] = {
    "day": lambda event: event.day,
    "coin": lambda event: coin_of(event.symbol),
    "order type": lambda event: event.pb_order_type or UNKNOWN,
}


def as_csv(events: Iterable[FillEvent]) -> str:
    """A row a fill, without the exchange's own records."""
    rows = [{**_plain(event), "fees": json.dumps(event.fees)} for event in events]
    text = io.StringIO()
    names = [name for name in FillEvent.__slots__ if name != _RAW]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(account: str, events: Sequence[FillEvent]) -> str:
    """`{account, total, by: {day, coin, order type}, fills}`; a sum is `{name, fills, pnl, fees}`."""
    content = {
        "account": account,
        "total": _sum(total("total", events)),
        "by": {what: [_sum(group) for group in totals(events, name_of)] for what, name_of in BY.items()},
        "fills": [_plain(event) for event in events],
    }
    return json.dumps(content, indent=2) + "\n"


def _plain(event: FillEvent) -> dict[str, Any]:
    return {name: value for name, value in dump_fill(event).items() if name != _RAW}


def _sum(group: Total) -> dict[str, Any]:
    return {"name": group.name, "fills": group.fills, "pnl": group.pnl, "fees": dict(group.fees)}


def print_tables(events: Sequence[FillEvent], *, with_fills: bool) -> None:
    """The newest fills, and sums by day, coin and order type."""
    from rich.console import Console  # for programs that show something

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    if with_fills:
        left_out = len(events) - MOST_ROWS
        console.print(_fill_table(events[-MOST_ROWS:]))
        if left_out > 0:
            console.print(f"and {left_out:,} older ones (--csv and --json have all)")
    for what, name_of in BY.items():
        console.print(_sum_table(what, totals(events, name_of), total("total", events)))


def _fill_table(events: Iterable[FillEvent]) -> Table:
    table = _table("Fills", ("time (UTC)", "coin", "side", "order type"), ("qty", "price", "pnl", "fees", "position"))
    for event in events:
        table.add_row(
            event.datetime[:19], coin_of(event.symbol), event.position_side, event.pb_order_type or UNKNOWN,
            f"{event.qty:+.8g}", f"{event.price:.8g}", f"{event.pnl:+.4f}" if event.closes or event.pnl else "",
            _fees(total("", [event]).fees), f"{event.psize:.8g} @ {event.pprice:.8g}" if event.psize else "flat",
        )  # fmt: skip
    return table


def _sum_table(what: str, groups: Iterable[Total], whole: Total) -> Table:
    table = _table(f"By {what}", (what,), ("fills", "pnl", "fees"))
    for group in groups:
        table.add_row(*_sum_row(group))
    table.add_section()
    table.add_row(*_sum_row(whole), style="bold")
    return table


def _sum_row(group: Total) -> tuple[str, str, str, str]:
    return group.name, f"{group.fills:,}", f"{group.pnl:+,.4f}", _fees(group.fees)


def _fees(fees: Mapping[str, float]) -> str:
    return ", ".join(f"{cost:,.4f} {currency}" for currency, cost in sorted(fees.items()))


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD  # as above
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title, title_justify="left")
    for head in left:
        table.add_column(head, no_wrap=True)
    for head in right:
        table.add_column(head, justify="right", no_wrap=True)
    return table
