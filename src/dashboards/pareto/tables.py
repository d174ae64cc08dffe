"""Tables of the page: small ones as plain HTML, the large one to sort and filter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from dash import dash_table, html

from dashboards.pareto.runs import Backtest, Run
from dashboards.pareto.view import SCORE
from optimization.front_table import ID, direction
from optimization.members import Member
from optimization.space import round_significant

DIGITS = 5


def shown(value: Any) -> str:
    """A number with five digits, a dash for none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "–" if math.isnan(value) else f"{value:,.{DIGITS}g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return "–" if value is None else str(value)


def label(name: str) -> str:
    """A member's short name, from its file name."""
    return name.removesuffix(".json").rpartition("_")[2][:12]


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], chosen: int | None = None) -> html.Div:
    """A plain table; the first column names the row, the others hold numbers. Wide ones scroll."""
    body = [
        html.Tr(
            [html.Th(str(row[0]), scope="row"), *(html.Td(shown(value)) for value in row[1:])],
            className="chosen" if i == chosen else "",
        )
        for i, row in enumerate(rows)
    ]
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in heads]))
    return html.Div(html.Table([head, html.Tbody(body)], className="plain"), className="scroll")


def metric_rows(run: Run, name: str, metrics: Sequence[str]) -> list[list[Any]]:
    """Metric, value, place among all members (1 is best) of one member."""
    frame = run.table.frame
    row = frame[frame[ID] == name]
    rows = []
    for metric in metrics:
        places = (frame[metric] * direction(metric)).rank(method="min")
        rows.append([metric, row[metric].iloc[0], places[row.index[0]]])
    return rows


def members_table(identity: str) -> Any:
    """An empty table to sort, to filter and to click; `members_data` fills it."""
    cell = {"fontFamily": "inherit", "fontSize": "12px", "padding": "4px 8px", "backgroundColor": "transparent"}
    return dash_table.DataTable(  # type: ignore[attr-defined]
        id=identity, sort_action="native", filter_action="native", page_size=12, style_as_list_view=True,
        style_table={"overflowX": "auto"}, filter_options={"case": "insensitive"},
        style_cell=cell | {"color": "var(--ink)", "border": "1px solid var(--line)", "whiteSpace": "nowrap"},
        style_header={"fontWeight": "600", "color": "var(--soft)"},
        style_filter={"color": "var(--ink)"},
    )  # fmt: skip


def members_data(frame: pd.DataFrame, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rows and columns of `members_table`; a row's id is its file name."""
    present = [name for name in dict.fromkeys([*names, SCORE]) if name in frame]
    rows = [
        {"id": row[ID], "config": label(row[ID]), **{name: _rounded(row[name]) for name in present}}
        for row in frame.to_dict("records")
    ]
    columns = [{"name": "config", "id": "config", "type": "text"}]
    return rows, columns + [{"name": name, "id": name, "type": "numeric"} for name in present]


def _rounded(value: Any) -> float | None:
    """Five digits; None, which JSON has, for a gap."""
    number = float(value)
    return round_significant(number, DIGITS) if math.isfinite(number) else None


def differing(members: Sequence[Member], backtest: Backtest | None) -> list[list[Any]]:
    """Parameters in which the members (and a backtest) differ: name, then a value each."""
    bots: list[Mapping[str, Mapping[str, Any]]] = [member.entry["bot"] for member in members]
    bots += [backtest.bot] if backtest and backtest.bot else []
    if not bots:
        return []
    names = [(pside, key) for pside, side in bots[0].items() for key in side]
    rows = [[f"{pside} {key}", *(bot.get(pside, {}).get(key) for bot in bots)] for pside, key in names]
    return [row for row in rows if any(value != row[1] for value in row[2:])]
