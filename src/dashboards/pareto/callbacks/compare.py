"""Compare: up to five configs and a backtest side by side."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from dashboards.look import look_of
from dashboards.pareto.callbacks.active import STATE, shown_on
from dashboards.pareto.figures.comparison import radar
from dashboards.pareto.runs import Backtest, backtests_below, read_backtest
from dashboards.pareto.tables import differing, label, table
from dashboards.pareto.view import Page, Stored
from optimization.front_table import direction
from optimization.members import Member

MOST = 5


class Compare:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        app.callback(
            Output("compared", "value", allow_duplicate=True), Input("add-selected", "n_clicks"),
            State("compared", "value"), State("selected", "data"), prevent_initial_call=True,
        )(self.add)  # fmt: skip
        app.callback(Output("backtest", "options"), Input("tabs", "value"))(self.backtests)
        app.callback(
            Output("radar", "figure"), Output("compare-metrics", "children"), Output("compare-parameters", "children"),
            *STATE, Input("compared", "value"), Input("backtest", "value"),
        )(self.compare)  # fmt: skip

    def add(self, _clicks: int | None, names: list[str] | None, selected: str | None) -> list[str]:
        """The selected config joins; the sixth pushes out the first."""
        if not selected:
            raise PreventUpdate
        return [*(name for name in names or [] if name != selected), selected][-MOST:]

    def backtests(self, tab: str) -> list[str]:
        if tab != "compare":
            raise PreventUpdate
        return backtests_below(self.page.backtests)[::-1]

    def compare(
        self, tab: str, view: Stored | None, selected: str | None, theme: str | None, names: list[str] | None,
        backtest: str | None,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        shown = shown_on(self.page, "compare", tab, view)
        wanted = (names or ([selected] if selected else []))[:MOST]
        members = {label(name): found for name in wanted if (found := shown.run.member(name)) is not None}
        other = read_backtest(self.page.backtests, backtest) if backtest else None
        columns = {name: dict(member.values) for name, member in members.items()}
        columns |= {f"backtest {other.name}": dict(other.metrics)} if other else {}
        scoring = [name for name in shown.run.table.scoring if name in shown.run.table.metrics]
        figure = radar(
            shown.run.table.frame, {name: pd.Series(values) for name, values in columns.items()}, scoring,
            {name: direction(name) for name in scoring}, look_of(theme),
        )  # fmt: skip
        rows = [[name, *(values.get(name) for values in columns.values())] for name in shown.run.table.metrics]
        return figure, table(("metric", *columns), rows), _parameters(members, other)


def _parameters(members: dict[str, Member], other: Backtest | None) -> Any:
    """The parameters that are not the same in all."""
    rows = differing(list(members.values()), other)
    heads = ["parameter", *members, *([f"backtest {other.name}"] if other and other.bot else [])]
    if len(heads) < 3:
        return html.P("Choose at least two configs, or a config and a backtest.", className="hint")
    return table(heads, rows) if rows else html.P("All parameters are the same.", className="hint")
