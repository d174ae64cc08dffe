"""Closest to ideal: where to aim, who is near it, who scores highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import ALL, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from dashboards.look import empty, look_of
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.figures.front import NOTHING, nearness
from dashboards.pareto.tables import label, table
from dashboards.pareto.view import SCORE, Page, Shown, Stored
from optimization.front_table import ID, direction
from optimization.ideal import distances, ideal_point, scaled

TOP = 10


class Ideal:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        app.callback(
            Output("closest", "children"), Output("nearness", "figure"), Output("nearest", "children"),
            Output("choose-closest", "value"), *STATE, Input("mode", "value"),
            Input({"type": "ideal-weight", "index": ALL}, "value"),
        )(self.aim)  # fmt: skip
        app.callback(Output("scores", "children"), *STATE)(self.scores)
        app.callback(
            Output("selected", "data", allow_duplicate=True), Input("choose-closest", "n_clicks"),
            State("choose-closest", "value"), prevent_initial_call=True,
        )(self.choose)  # fmt: skip

    def aim(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, mode: str,
        weights: Sequence[float | None],
    ) -> tuple[Any, Any, Any, str]:  # fmt: skip
        shown = shown_on(self.page, "ideal", tab, view)
        frame, scoring, look = shown.frame, shown.run.table.scoring, look_of(theme)
        if frame.empty:
            return html.P(NOTHING, className="hint"), empty(NOTHING, look), None, ""
        points = frame.filter(regex=r"^objective_w_\d+$").to_numpy(dtype=np.float64)
        given = [float(weight or 0.0) for weight in weights]
        ideal = ideal_point(points, mode, given if len(given) == len(scoring) else (0.0,))
        distance = distances(points, ideal)
        order = np.argsort(distance, kind="stable")
        best = str(frame[ID].iloc[order[0]])
        rows = [[name, _unsigned(value, name), frame[name].iloc[order[0]]]
                for name, value in zip(scoring, ideal, strict=True)]  # fmt: skip
        text = [
            html.P([html.Code(label(best)), f" · normalized distance {distance[order[0]]:.5f}"], className="hint"),
            table(("objective", "ideal", "closest"), rows),
        ]
        figure = nearness(scoring, scaled(points[order[0]], points), scaled(ideal, points), look)
        found = frame.iloc[order[:TOP]].assign(distance=distance[order[:TOP]])
        return text, figure, _ranking(found, "distance", scoring, selected), best

    def scores(self, tab: str, view: Stored | None, selected: str | None, _theme: str | None) -> Any:
        shown: Shown = shown_on(self.page, "ideal", tab, view)
        found = shown.frame.sort_values(SCORE, ascending=False, kind="stable").head(TOP)
        return _ranking(found, SCORE, shown.run.table.scoring, selected)

    def choose(self, _clicks: int | None, name: str | None) -> str:
        """Select the closest member."""
        if not name:
            raise PreventUpdate
        return name


def _unsigned(value: float, name: str) -> float:
    """An objective as its metric: what is maximised is stored with the other sign."""
    return value * direction(name) if not name.startswith("objective_") else value


def _ranking(found: Any, by: str, scoring: Sequence[str], selected: str | None) -> Any:
    rows = [[label(row[ID]), row[by], *(row[name] for name in scoring)] for row in found.to_dict("records")]
    names = list(found[ID])
    return table(("config", by, *scoring), rows, names.index(selected) if selected in names else None)
