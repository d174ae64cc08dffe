"""The sidebar at work: a run fills it, its settings make the view, clicks select a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, State, ctx, html, no_update

from dashboards.pareto.runs import Run
from dashboards.pareto.tables import label
from dashboards.pareto.view import (
    SLIDER_STEPS,
    SLIDERS,
    WEIGHTS,
    Choice,
    Page,
    closest,
    columns,
    make_view,
    range_lines,
)
from dashboards.parts import field, number
from optimization.front_table import ID, PRESETS, filter_lines, presets

CLICKED = ("front", "explorer-front", "parameter-metric", "worst-scenario", "in-out", "ranks")


class Controls:
    def __init__(self, page: Page) -> None:
        self.page = page

    def register(self, app: Dash) -> None:
        app.callback(
            Output("run", "options"), Output("run", "value"), Input("reload", "n_clicks"), State("run", "value")
        )(self.list_runs)
        app.callback(_run_outputs(), Input("run", "value"), prevent_initial_call=True)(self.fill)
        app.callback(
            [Output("view", "data"), Output("passing", "children"), Output("filter-note", "children")],
            _settings(), prevent_initial_call=True,
        )(self.view)  # fmt: skip
        app.callback(
            Output("filter", "value", allow_duplicate=True),
            *(Output(f"range-{i}", "value", allow_duplicate=True) for i in range(SLIDERS)),
            *(Input(f"preset-{name}", "n_clicks") for name in (*PRESETS, "limits")), Input("clear", "n_clicks"),
            State("run", "value"), prevent_initial_call=True,
        )(self.preset)  # fmt: skip
        app.callback(
            Output("selected", "data", allow_duplicate=True),
            *(Input(name, "clickData") for name in CLICKED), prevent_initial_call=True,
        )(self.select)  # fmt: skip
        app.callback(
            Output("selected", "data", allow_duplicate=True), Input("members", "active_cell"), prevent_initial_call=True
        )(self.select_row)

    def list_runs(self, _clicks: int | None, current: str | None) -> tuple[list[str], Any]:
        names = self.page.runs.names()
        return names, current if current in names else names[-1] if names else None

    def fill(self, name: str) -> dict[str, Any]:
        """Everything that depends on the run: options, and what is chosen first."""
        run = self.page.runs.get(name)
        table = run.table
        options = first_choices(run)
        weights = [
            field(metric, number({"type": "ideal-weight", "index": i})) for i, metric in enumerate(table.scoring)
        ]
        return {
            "options": {key: value[0] for key, value in options.items()},
            "values": {key: value[1] for key, value in options.items()},
            "filter": table.filter,
            "ideal_weights": weights,
            "selected": closest(run),
            "note": run_note(run),
            "no_notice": True,
            "ranges": [[0, SLIDER_STEPS]] * SLIDERS,
            "range_names": [*table.scoring[:SLIDERS], *[""] * (SLIDERS - len(table.scoring))],
            "range_rows": _rows_for(table.scoring, SLIDERS),
            "weight_names": [*table.scoring[:WEIGHTS], *[""] * (WEIGHTS - len(table.scoring))],
            "weight_rows": _rows_for(table.scoring, WEIGHTS),
        }

    def view(
        self, name: str | None, text: str | None, ranges: Sequence[Any], weights: Sequence[Any], boxes: Sequence[str],
        metrics: Sequence[str] | None,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        """The members that pass, and how many."""
        if name is None:
            return no_update, "no run", no_update
        run = self.page.runs.get(name)
        scoring = run.table.scoring
        choice = Choice(
            filter_text=text or "",
            ranges=dict(zip(scoring, ranges, strict=False)),
            weights={m: float(w or 0.0) for m, w in zip(scoring, weights, strict=False)},
            frontier_metrics=[m for m in metrics or () if m in run.table.frame],
            only_frontier="only" in boxes,
        )
        view = make_view(run, choice)
        total, count = len(run.table.frame), len(view.passing)
        ignored = len([line for line in (text or "").splitlines() if line.strip()])
        ignored -= len(filter_lines(run.table.frame, text or ""))
        notes = [html.Div(line) for line in range_lines(run.table.frame, choice.ranges)]
        notes += [html.Div(f"{ignored} line{'s' if ignored > 1 else ''} not understood")] if ignored else []
        shown = view.stored() | ({} if "highlight" in boxes else {"frontier": []})
        return shown, f"{count} / {total} pass ({100 * count / total:.0f}%)", notes

    def preset(self, *clicks_and_run: Any) -> tuple[Any, ...]:
        """A ready filter text; the sliders go back to their ends."""
        wanted = str(ctx.triggered_id).removeprefix("preset-")
        table = self.page.runs.get(clicks_and_run[-1]).table
        texts = presets(table.frame) | {"limits": table.filter, "clear": ""}
        return texts[wanted], *[[0, SLIDER_STEPS]] * SLIDERS

    def select(self, *_clicks: Any) -> Any:
        """The member whose point was clicked."""
        clicked = ctx.triggered[0]["value"] or {}
        found = [point["customdata"] for point in clicked.get("points", ()) if point.get("customdata")]
        return (found[0] if isinstance(found[0], str) else found[0][0]) if found else no_update

    def select_row(self, cell: dict[str, Any] | None) -> Any:
        """The member whose row was clicked."""
        return cell["row_id"] if cell and cell.get("row_id") else no_update


def run_note(run: Run) -> list[Any]:
    """Where the run is, and whether its data are synthetic."""
    note = next(iter(run.members.values())).data_note
    return [str(run.folder), *([html.Span(note, className="badge")] if note else [])]


def first_choices(run: Run) -> dict[str, tuple[Sequence[Any], Any]]:
    """Options and first value of every dropdown that depends on the run."""
    table = run.table
    axes = columns(run)
    x, y, colour = [*table.scoring[:3], *[axes[0]] * 3][:3]
    by_scenario = [m for m in table.metrics if any(f"{label}__{m}" in table.frame for label in table.scenarios)]
    measured = [m for m in table.metrics if any(f"holdout.{w}.{m}" in table.frame for w in table.windows)]
    return {
        "x": (axes, x),
        "y": (axes, y),
        "z": (axes, colour),
        "colour": (axes, colour),
        "frontier-metrics": (axes, table.scoring[:3]),
        "scenario-metric": (by_scenario, _first(by_scenario)),
        "scenarios": (table.scenarios, table.scenarios),
        "parameter": (table.parameters, _first([*table.varying_parameters, *table.parameters])),
        "metric": (axes, x),
        "window": (table.windows, _first(table.windows)),
        "holdout-metric": (measured, _first(measured)),
        "compared": ([{"label": label(name), "value": name} for name in table.frame[ID]], []),
    }


def _first(names: Sequence[str]) -> str | None:
    return next(iter(names), None)


def _settings() -> dict[str, Any]:
    """What `view` depends on, by the names of its parameters."""
    return {
        "name": Input("run", "value"),
        "text": Input("filter", "value"),
        "ranges": [Input(f"range-{i}", "value") for i in range(SLIDERS)],
        "weights": [Input(f"weight-{i}", "value") for i in range(WEIGHTS)],
        "boxes": Input("frontier", "value"),
        "metrics": Input("frontier-metrics", "value"),
    }


def _run_outputs() -> dict[str, Any]:
    """Where `fill` writes, by the keys it returns."""
    dropdowns = (
        "x", "y", "z", "colour", "frontier-metrics", "scenario-metric", "scenarios", "parameter", "metric", "window",
        "holdout-metric", "compared",
    )  # fmt: skip
    return {
        "options": {name: Output(name, "options") for name in dropdowns},
        "values": {name: Output(name, "value") for name in dropdowns},
        "filter": Output("filter", "value"),
        "ideal_weights": Output("ideal-weights", "children"),
        "selected": Output("selected", "data"),
        "note": Output("run-note", "children"),
        "no_notice": Output("notice", "hidden"),
        "ranges": [Output(f"range-{i}", "value") for i in range(SLIDERS)],
        "range_rows": [Output(f"range-row-{i}", "hidden") for i in range(SLIDERS)],
        "range_names": [Output(f"range-name-{i}", "children") for i in range(SLIDERS)],
        "weight_names": [Output(f"weight-name-{i}", "children") for i in range(WEIGHTS)],
        "weight_rows": [Output(f"weight-row-{i}", "hidden") for i in range(WEIGHTS)],
    }


def _rows_for(metrics: Sequence[str], count: int) -> list[bool]:
    """Whether each of `count` rows is hidden: there is one a metric."""
    return [i >= len(metrics) for i in range(count)]
