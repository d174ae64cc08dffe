"""The layout of the page."""

from __future__ import annotations

from typing import Any

from dash import dash_table, dcc, html

from dashboards.fills.view import COLUMNS
from dashboards.parts import button, choice, field, graph_card

SPANS = (7, 14, 30, 60, 90)
ALL = 0


def page(days: int) -> html.Div:
    """`days`: how many are shown at first; 0 are all."""
    head = html.Header(
        [
            html.H1("Fills"),
            html.Span(id="note", className="note"),
            html.Button("reload", id="reload", title="read the files again", type="button"),
            html.Button("light / dark", id="theme-button", type="button"),
        ],
        className="top",
    )
    stores = [dcc.Store(id="theme", storage_type="local"), dcc.Download(id="download")]
    notice = html.Div(id="notice", role="alert", className="notice", hidden=True)
    tabs = dcc.Tabs(
        id="tabs", value="overview", parent_className="all-tabs", className="tabs", content_className="tab-content",
        children=[
            _tab("Overview", _overview()), _tab("Coin", _coin()), _tab("Fills", _fills()), _tab("Health", _health()),
        ],
    )  # fmt: skip
    main = html.Main([notice, html.Div(id="tiles", className="counts"), tabs])
    return html.Div([*stores, head, html.Div([_sidebar(days), main], className="columns")], className="page")


def _tab(name: str, content: Any) -> dcc.Tab:
    return dcc.Tab(content, label=name, value=name.lower(), className="tab", selected_className="tab-selected")


def _sidebar(days: int) -> html.Aside:
    numbers = sorted({*SPANS, *([days] if days else [])})
    spans = [*({"label": str(number), "value": number} for number in numbers), {"label": "all", "value": ALL}]
    sides = [{"label": word, "value": word} for word in ("both", "long", "short")]
    return html.Aside(
        [
            field("accounts", choice("accounts", multi=True)),
            field("last days", dcc.RadioItems(id="span", options=spans, value=days, inline=True)),
            field("from", dcc.Input(id="first-day", type="text", placeholder="2025-01-31", debounce=True)),
            field("to", dcc.Input(id="last-day", type="text", placeholder="today", debounce=True)),
            field("coins", choice("coins", multi=True)),
            field("position side", dcc.RadioItems(id="pside", options=sides, value="both", inline=True)),
            html.Div([button("CSV", "csv"), button("JSON", "json")], className="buttons"),
            html.P("Times are UTC. Profit is net or gross of fees as the exchange states it.", className="hint"),
        ]
    )


def _overview() -> html.Div:
    return html.Div(
        [
            graph_card("Profit", "cumulative", height=360, wide=True),
            graph_card("Profit by day", "by-day", height=300),
            graph_card("Fees by day", "fees", height=300),
            graph_card("Profit by coin", "by-coin", height=None),
            graph_card("Profit by order type", "by-type", height=None),
        ],
        className="grid",
    )


def _coin() -> html.Div:
    hint = "of the first coin chosen at the left; without a choice, of the one that was traded most"
    return html.Div(
        [
            graph_card("Trades", "trades", height=420, wide=True, hint=hint),
            graph_card("Position size", "positions", height=320, wide=True),
        ],
        className="grid",
    )


def _fills() -> Any:
    cell = {"fontFamily": "inherit", "fontSize": "12px", "padding": "4px 8px", "backgroundColor": "transparent"}
    return dash_table.DataTable(  # type: ignore[attr-defined]
        id="fills", columns=[{"name": name, "id": name, "type": kind} for name, kind in COLUMNS.items()],
        sort_action="native", filter_action="native", page_size=25, style_as_list_view=True,
        style_table={"overflowX": "auto"}, filter_options={"case": "insensitive"},
        style_cell=cell | {"color": "var(--ink)", "border": "1px solid var(--line)", "whiteSpace": "nowrap"},
        style_header={"fontWeight": "600", "color": "var(--soft)"}, style_filter={"color": "var(--ink)"},
        style_cell_conditional=[{"if": {"column_type": "text"}, "textAlign": "left"}],
    )  # fmt: skip


def _health() -> html.Section:
    return html.Section(html.Div(id="health", className="scroll"), className="card")
