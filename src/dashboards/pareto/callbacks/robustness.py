"""Scenarios and hold-out: how members hold up elsewhere."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input, Output, html

from dashboards.look import empty, look_of
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.figures.robustness import degradation, in_and_out, rank_change, scenario_boxes, worst_scenario
from dashboards.pareto.tables import label, table
from dashboards.pareto.view import Page, Stored
from optimization.front_table import ID, direction

TOP = 15
NO_SCENARIOS = "this run has no scenarios: it was optimised without a suite"
NO_HOLDOUT = "this front has not been validated outside of the search"


class Robustness:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        scenario = (Input("scenario-metric", "value"), Input("scenarios", "value"))
        app.callback(
            Output("scenario-boxes", "figure"), Output("worst-scenario", "figure"),
            Output("scenario-table", "children"), *STATE, *scenario,
        )(self.scenarios)  # fmt: skip
        app.callback(
            Output("in-out", "figure"), Output("ranks", "figure"), Output("degradation", "figure"),
            *STATE, Input("window", "value"), Input("holdout-metric", "value"),
        )(self.holdout)  # fmt: skip
        app.callback(Output("holdout-note", "children"), Output("holdout-table", "children"), *STATE)(self.ranking)

    def scenarios(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, metric: str | None,
        labels: list[str] | None,
    ) -> tuple[go.Figure, go.Figure, Any]:  # fmt: skip
        shown = shown_on(self.page, "robustness", tab, view)
        look, labels = look_of(theme), labels or []
        if not metric:
            return empty(NO_SCENARIOS, look), empty(NO_SCENARIOS, look), html.P(NO_SCENARIOS, className="hint")
        figures = (
            scenario_boxes(shown.frame, labels, metric, look, selected),
            worst_scenario(shown.frame, labels, metric, direction(metric), look),
        )
        member = shown.run.member(selected)
        if member is None:
            return *figures, html.P("No config is selected.", className="hint")
        rows = [
            [name, member.values.get(name), *(member.scenarios.get(name, {}).get(label) for label in labels)]
            for name in dict.fromkeys([*shown.run.table.metrics[:TOP], metric])
        ]
        return *figures, table(("metric", "aggregated", *labels), rows)

    def holdout(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, window: str | None,
        metric: str | None,
    ) -> tuple[go.Figure, go.Figure, go.Figure]:  # fmt: skip
        shown = shown_on(self.page, "holdout", tab, view)
        look, frame = look_of(theme), shown.frame
        if not window or not metric:
            return empty(NO_HOLDOUT, look), empty(NO_HOLDOUT, look), empty(NO_HOLDOUT, look)
        directions = {name: direction(name) for name in shown.run.table.scoring}
        return (
            in_and_out(frame, window, metric, look, selected),
            rank_change(frame, look, selected),
            degradation(frame, directions, look, selected),
        )

    def ranking(self, tab: str, view: Stored | None, selected: str | None, _theme: str | None) -> tuple[Any, Any]:
        """The members that do best outside of the search; without a hold-out, how to get one."""
        shown = shown_on(self.page, "holdout", tab, view)
        if "rank_out" not in shown.frame:
            command = f"./passivbot tool pareto_validate {shown.run.folder}"
            return html.P([f"{NO_HOLDOUT}. Validate it with ", html.Code(command)], className="hint"), None
        ratios = [name for name in shown.frame if str(name).startswith("degradation.")]
        best = shown.frame.sort_values("rank_out", kind="stable").head(TOP)
        rows = [
            [label(row[ID]), row["rank_out"], row["rank_in"], *(row[name] for name in ratios)]
            for row in best.to_dict("records")
        ]
        heads = ["config", "rank out", "rank in", *(str(name).removeprefix("degradation.") for name in ratios)]
        names = list(best[ID])
        chosen = names.index(selected) if selected in names else None
        known = shown.run.rank_correlation
        words = "" if known is None else f"Rank correlation between in-sample and out-of-sample: {known:.2f}. "
        note = f"{words}Ratios are out-of-sample over in-sample."
        return html.P(note, className="hint"), table(heads, rows, chosen)
