"""Explorer: parameters, metrics, how they go together; the table of configs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, html

from dashboards.look import look_of
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.callbacks.overview import AXES, axes_of
from dashboards.pareto.figures.front import Axes, scatter
from dashboards.pareto.figures.parameters import correlations, distributions, parallel, spread
from dashboards.pareto.tables import members_data, metric_rows, table
from dashboards.pareto.view import SCORE, Page, Stored, parameter_bounds
from optimization.front_table import RANKS

MOST_METRICS, MOST_PARAMETERS = 6, 24
FIRST_METRICS = 10


class Explorer:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        app.callback(Output("explorer-front", "figure"), *STATE, *AXES)(self.front)
        app.callback(
            Output("parameter-metric", "figure"), *STATE,
            Input("parameter", "value"), Input("metric", "value"), Input("colour", "value"),
        )(self.parameter)  # fmt: skip
        names = ("metric-correlations", "parameter-correlations", "parallel", "distributions")
        app.callback([Output(name, "figure") for name in names], *STATE, Input("colour", "value"))(self.relations)
        app.callback(Output("members", "data"), Output("members", "columns"), *STATE)(self.members)
        app.callback(
            Output("selection-parameters", "children"), Output("selection-metrics", "children"), *STATE
        )(self.selection)  # fmt: skip

    def front(self, tab: str, view: Stored | None, selected: str | None, theme: str | None, *axes: str) -> go.Figure:
        shown = shown_on(self.page, "explorer", tab, view)
        chosen = axes_of(shown, *axes)
        return scatter(shown.frame, chosen, look_of(theme), chosen=selected, marked=shown.frontier)

    def parameter(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, *names: str
    ) -> go.Figure:
        shown = shown_on(self.page, "explorer", tab, view)
        known = [name if name in shown.everyone else SCORE for name in names]
        return scatter(shown.frame, Axes(*known), look_of(theme), chosen=selected, marked=shown.frontier)

    def relations(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, colour: str
    ) -> list[go.Figure]:
        shown = shown_on(self.page, "explorer", tab, view)
        frame, run, look = shown.frame, shown.run, look_of(theme)
        scoring = run.table.scoring
        parameters = spread(frame, run.table.parameters)[:MOST_PARAMETERS]
        shade = colour if colour in frame else SCORE
        bounds = parameter_bounds(next(iter(run.members.values())))
        return [
            correlations(frame, scoring[:MOST_METRICS], scoring[:MOST_METRICS], look),
            correlations(frame, parameters, scoring[:MOST_METRICS], look),
            parallel(frame, [*scoring, *parameters[:MOST_METRICS]], shade, look),
            distributions(frame, parameters, bounds, look, selected),
        ]

    def members(
        self, tab: str, view: Stored | None, _selected: str | None, _theme: str | None
    ) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        shown = shown_on(self.page, "explorer", tab, view)
        run = shown.run.table
        ranks = [name for name in RANKS if name in shown.frame]
        return members_data(shown.frame, [*run.scoring, *run.metrics[:FIRST_METRICS], *ranks, *run.varying_parameters])

    def selection(self, tab: str, view: Stored | None, selected: str | None, _theme: str | None) -> tuple[Any, Any]:
        shown = shown_on(self.page, "explorer", tab, view)
        member = shown.run.member(selected)
        if member is None or selected is None:
            nothing = html.P("No config is selected.", className="hint")
            return nothing, nothing
        sides = member.entry["bot"]
        names = sorted({key for side in sides.values() if isinstance(side, dict) for key in side})
        psides = [pside for pside in ("long", "short") if isinstance(sides.get(pside), dict)]
        rows = [[name, *(sides[pside].get(name) for pside in psides)] for name in names]
        metrics = [name for name in shown.run.table.metrics if name in member.values][:FIRST_METRICS]
        return (
            html.Div(table(("parameter", *psides), rows), className="tall"),
            table(("metric", "value", "place"), metric_rows(shown.run, selected, metrics)),
        )
