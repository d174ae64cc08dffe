"""Pieces that the layout is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

# Nothing of plotly's goes to a server of theirs, and no logo leads there.
GRAPH_CONFIG: Any = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def field(text: str, control: Any) -> html.Div:
    """A control with its name above."""
    return html.Div([html.Span(text, className="name"), control], className="field")


def section(title: str, children: Sequence[Any], *, is_open: bool = False) -> html.Details:
    """A part of the sidebar that folds."""
    return html.Details([html.Summary(title), html.Div(list(children), className="body")], open=is_open)


def choice(identity: str | dict[str, Any], *, multi: bool = False, clearable: bool = False) -> dcc.Dropdown:
    """A dropdown whose options are filled in later."""
    return dcc.Dropdown(id=identity, options=[], multi=multi, clearable=clearable, maxHeight=360)


def card(title: str, *children: Any, wide: bool = False, hint: str = "") -> html.Section:
    """A titled panel."""
    head = [html.H2(title), *([html.P(hint, className="hint")] if hint else [])]
    return html.Section([html.Header(head), *children], className="card wide" if wide else "card")


def graph(identity: str, height: int | None = 380) -> dcc.Graph:
    """A figure; None: the figure says how high it is."""
    style = {} if height is None else {"height": f"{height}px"}
    blank = {"layout": {"xaxis": {"visible": False}, "yaxis": {"visible": False}, "paper_bgcolor": "rgba(0,0,0,0)",
                        "plot_bgcolor": "rgba(0,0,0,0)"}}  # fmt: skip
    return dcc.Graph(id=identity, figure=blank, config=GRAPH_CONFIG, style=style)


def graph_card(title: str, identity: str, *, height: int | None = 380, wide: bool = False, hint: str = "") -> Any:
    return card(title, graph(identity, height), wide=wide, hint=hint)


def number(identity: str | dict[str, Any], value: float = 0.0) -> dcc.Input:
    """A field for a number that counts once it is left or Enter is pressed."""
    return dcc.Input(id=identity, type="number", value=value, step="any", debounce=True, className="number")


def button(text: str, identity: str, *, main: bool = False) -> html.Button:
    return html.Button(text, id=identity, className="main" if main else "", type="button")
