"""Overview: counts, the front, the selected config."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, html

from dashboards.look import empty, look_of
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.figures.front import Axes, histogram, scatter
from dashboards.pareto.figures.robustness import scenario_boxes
from dashboards.pareto.tables import label, metric_rows, table
from dashboards.pareto.view import SCORE, Page, Shown, Stored
from optimization.front_table import ID

AXES = tuple(Input(name, "value") for name in ("x", "y", "z", "colour", "dimensions"))


def axes_of(shown: Shown, x: str, y: str, z: str, colour: str, dimensions: str) -> Axes:
    """The axes chosen; a column that the run lacks (the choice is of the run before) is replaced by the score."""
    known = [name if name in shown.everyone else SCORE for name in (x, y, colour, z)]
    return Axes(known[0], known[1], known[2], known[3] if dimensions == "3D" else None)


class Overview:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        app.callback(Output("front", "figure"), *STATE, *AXES)(self.front)
        app.callback(Output("counts", "children"), Output("selection", "children"), *STATE)(self.texts)
        app.callback(Output("histogram", "figure"), *STATE, Input("x", "value"))(self.histogram)
        app.callback(
            Output("overview-scenarios", "figure"), *STATE,
            Input("scenario-metric", "value"), Input("scenarios", "value"),
        )(self.scenarios)  # fmt: skip

    def front(self, tab: str, view: Stored | None, selected: str | None, theme: str | None, *axes: str) -> go.Figure:
        shown = shown_on(self.page, "overview", tab, view)
        chosen = axes_of(shown, *axes)
        return scatter(shown.frame, chosen, look_of(theme), chosen=selected, marked=shown.frontier)

    def texts(
        self, tab: str, view: Stored | None, selected: str | None, _theme: str | None
    ) -> tuple[list[html.Div], list[Any]]:
        shown = shown_on(self.page, "overview", tab, view)
        run = shown.run.table
        counts = {
            "configs": len(run.frame), "pass": len(shown.frame), "feasible": int((run.frame["violation"] <= 0).sum()),
            "parameters": f"{len(run.varying_parameters)} of {len(run.parameters)} vary", "metrics": len(run.metrics),
            "scenarios": len(run.scenarios), "hold-out windows": len(run.windows),
        }  # fmt: skip
        tiles = [html.Div([html.Strong(str(value)), html.Span(name)]) for name, value in counts.items()]
        return tiles, selection(shown, selected)

    def histogram(self, tab: str, view: Stored | None, selected: str | None, theme: str | None, name: str) -> go.Figure:
        shown = shown_on(self.page, "overview", tab, view)
        name = name if name in shown.everyone else SCORE
        value = shown.everyone.loc[shown.everyone[ID] == selected, name]
        return histogram(shown.frame, name, look_of(theme), float(value.iloc[0]) if len(value) else None)

    def scenarios(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, metric: str | None,
        labels: list[str] | None,
    ) -> go.Figure:  # fmt: skip
        shown = shown_on(self.page, "overview", tab, view)
        if not metric:
            return empty("this run has no scenarios", look_of(theme))
        return scenario_boxes(shown.frame, labels or [], metric, look_of(theme), selected)


def selection(shown: Shown, selected: str | None) -> list[Any]:
    """The selected config in short: its objectives and other metrics, and its places among all."""
    member = shown.run.member(selected)
    if member is None or selected is None:
        return [html.P("Click a point to select a config.", className="hint")]
    passes = bool((shown.frame[ID] == selected).any())
    known = [name for name in shown.run.table.metrics if name in member.values]
    rows = metric_rows(shown.run, selected, known[:14])
    states = [f"violation {member.violation:g}", *([] if passes else ["does not pass the filter"])]
    return [
        html.P([html.Code(label(selected)), " · ", ", ".join(states)], className="hint"),
        table(("metric", "value", "place"), rows),
    ]
