"""The sidebar: run, axes, ranges, filter, frontier, weights, scenarios, parameter against metric."""

from __future__ import annotations

from dash import dcc, html

from dashboards.pareto.view import SLIDER_STEPS, SLIDERS, WEIGHTS
from dashboards.parts import button, choice, field, number, section
from optimization.front_table import PRESETS


def sidebar() -> html.Aside:
    return html.Aside([_run(), _axes(), _filter(), _ranges(), _frontier(), _weights(), _scenario(), _parameter()])


def _run() -> html.Div:
    return html.Div([field("Run", choice("run")), html.Div(id="passing", className="passing")], className="run")


def _axes() -> html.Details:
    dimensions = dcc.RadioItems(["2D", "3D"], "2D", id="dimensions", inline=True)
    axes = [field(name, choice(identity)) for name, identity in (("x", "x"), ("y", "y"), ("z", "z"))]
    return section("Axes", [dimensions, *axes, field("Colour", choice("colour"))], is_open=True)


def _filter() -> html.Details:
    presets = [button(name, f"preset-{name}") for name in (*PRESETS, "limits")]
    text = dcc.Textarea(id="filter", value="", spellCheck=False, rows=4, placeholder="adg_pnl >= 0.001")
    rows = [html.Div([*presets, button("clear", "clear")], className="buttons"), text]
    return section("Filter", [*rows, html.Div(id="filter-note", className="hint")], is_open=True)


def _ranges() -> html.Details:
    sliders = [
        html.Div(
            [
                html.Div(id=f"range-name-{i}", className="name"),
                dcc.RangeSlider(
                    0, SLIDER_STEPS, step=1, value=[0, SLIDER_STEPS], marks=None, id=f"range-{i}",
                    allow_direct_input=False,
                ),
            ],
            id=f"range-row-{i}",
        )
        for i in range(SLIDERS)
    ]  # fmt: skip
    return section("Ranges", sliders)


def _frontier() -> html.Details:
    switches = [{"label": "show only", "value": "only"}, {"label": "highlight", "value": "highlight"}]
    boxes = dcc.Checklist(switches, [], id="frontier", inline=True)
    return section("Frontier", [boxes, field("Metrics", choice("frontier-metrics", multi=True, clearable=True))])


def _weights() -> html.Details:
    rows = [
        html.Div([html.Span(id=f"weight-name-{i}", className="name"), number(f"weight-{i}", 1.0)], id=f"weight-row-{i}",
                 className="pair")
        for i in range(WEIGHTS)
    ]  # fmt: skip
    hint = html.P("The score is the weighted mean of metrics scaled from 0 (worst) to 1 (best).", className="hint")
    return section("Weights of the score", [hint, *rows])


def _scenario() -> html.Details:
    pickers = [
        field("Metric", choice("scenario-metric")),
        field("Scenarios", choice("scenarios", multi=True, clearable=True)),
    ]
    return section("Scenarios", pickers)


def _parameter() -> html.Details:
    return section(
        "Parameter against metric", [field("Parameter", choice("parameter")), field("Metric", choice("metric"))]
    )
