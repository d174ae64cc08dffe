"""The whole page."""

from __future__ import annotations

from dash import dcc, html

from dashboards.pareto.layout.sidebar import sidebar
from dashboards.pareto.layout.tabs import tabs


def page() -> html.Div:
    head = html.Header(
        [
            html.H1("Pareto front"),
            html.Span(id="run-note", className="note"),
            html.Button("reload", id="reload", title="look for new runs", type="button"),
            html.Button("light / dark", id="theme-button", type="button"),
        ],
        className="top",
    )
    stores = [dcc.Store(id="view"), dcc.Store(id="selected"), dcc.Store(id="theme", storage_type="local")]
    notice = html.Div(id="notice", role="alert", className="notice", hidden=True)
    body = html.Div([sidebar(), html.Main([notice, tabs()])], className="columns")
    return html.Div([*stores, html.Div(id="theme-sink", hidden=True), head, body], className="page")
