"""The tabs: where figures and tables stand."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards.pareto.tables import members_table
from dashboards.parts import button, card, choice, field, graph_card
from optimization.ideal import MODES

FIRST = "overview"


def tabs() -> dcc.Tabs:
    return dcc.Tabs(
        [
            _tab("Overview", FIRST, _overview()),
            _tab("Explorer", "explorer", _explorer()),
            _tab("Closest to ideal", "ideal", _ideal()),
            _tab("Scenarios", "robustness", _scenarios()),
            _tab("Hold-out", "holdout", _holdout()),
            _tab("Compare", "compare", _compare()),
            _tab("Export", "export", _export()),
        ],
        id="tabs", value=FIRST, className="tabs", parent_className="tabs-parent", content_className="tab-content",
        mobile_breakpoint=0,
    )  # fmt: skip


def _tab(title: str, value: str, children: list[Any]) -> dcc.Tab:
    return dcc.Tab(
        html.Div(children, className="grid"),
        label=title,
        value=value,
        className="tab",
        selected_className="tab-selected",
    )


def _overview() -> list[Any]:
    return [
        html.Div(id="counts", className="counts wide"),
        html.Div(
            [
                graph_card("Front", "front", height=470, hint="Click a point to select its config."),
                card("Selected config", html.Div(id="selection")),
            ],
            className="split wide",
        ),
        graph_card("Distribution of the x axis", "histogram", height=280),
        graph_card("By scenario", "overview-scenarios", height=280),
    ]


def _explorer() -> list[Any]:
    return [
        graph_card("Front", "explorer-front", height=400),
        graph_card("Parameter against metric", "parameter-metric", height=400),
        graph_card("Correlations of the objectives", "metric-correlations", height=None),
        graph_card("Parameters against objectives", "parameter-correlations", height=None),
        graph_card("Parallel coordinates", "parallel", height=400, wide=True, hint="Drag along an axis to brush."),
        graph_card(
            "Distributions of parameters", "distributions", height=None, wide=True,
            hint="Of those that vary most, over the search range: values heaped at an end ask for a wider bound.",
        ),
        card("Configs that pass", members_table("members"), wide=True, hint="Click a row to select its config."),
        card("Parameters of the selection", html.Div(id="selection-parameters")),
        card("Metrics of the selection", html.Div(id="selection-metrics")),
    ]  # fmt: skip


def _ideal() -> list[Any]:
    controls = html.Div(
        [
            field("Ideal point", dcc.Dropdown(list(MODES), "weighted", id="mode", clearable=False)),
            html.Div(id="ideal-weights", className="weights"),
        ],
        className="controls",
    )
    hint = "Weighted: the share of an objective's range that the ideal gives away; 0 asks for the best."
    return [
        card("Aim", controls, wide=True, hint=hint),
        card("Closest member", html.Div(id="closest"), button("Select it", "choose-closest", main=True)),
        graph_card("Where it lies", "nearness", height=300),
        card("Nearest members", html.Div(id="nearest"), wide=True),
        card("Highest weighted scores", html.Div(id="scores"), wide=True, hint="Weights are in the sidebar."),
    ]


def _scenarios() -> list[Any]:
    return [
        graph_card("Each scenario", "scenario-boxes", hint="Metric and scenarios are chosen in the sidebar."),
        graph_card("Worst scenario", "worst-scenario", hint="On the dotted line a config is as good as in its worst."),
        card("Selected config by scenario", html.Div(id="scenario-table"), wide=True),
    ]


def _holdout() -> list[Any]:
    pickers = [field("Window", choice("window")), field("Metric", choice("holdout-metric"))]
    return [
        card("Outside of the search", html.Div(pickers, className="controls"), html.Div(id="holdout-note"), wide=True),
        graph_card("In-sample against out-of-sample", "in-out"),
        graph_card("Ranks", "ranks"),
        graph_card("Degradation", "degradation", height=320, wide=True),
        card("Best out-of-sample", html.Div(id="holdout-table"), wide=True),
    ]


def _compare() -> list[Any]:
    pickers = html.Div(
        [
            field("Configs (up to five)", choice("compared", multi=True, clearable=True)),
            button("Add the selected config", "add-selected"),
            field("Backtest", choice("backtest", clearable=True)),
        ],
        className="controls",
    )
    return [
        card("Which", pickers, wide=True),
        graph_card("Objectives", "radar", height=440, hint="Scaled over all members; the better, the farther out."),
        card("Metrics", html.Div(id="compare-metrics", className="tall")),
        card("Differing parameters", html.Div(id="compare-parameters"), wide=True),
    ]


def _export() -> list[Any]:
    what = dcc.RadioItems(
        [{"label": "parameters only", "value": "bot"}, {"label": "complete config", "value": "complete"}],
        "bot", id="what", inline=True,
    )  # fmt: skip
    preview = html.Div(
        [dcc.Clipboard(id="copy", title="copy", className="copy"), html.Pre(id="preview")], className="preview"
    )
    name = dcc.Input(id="save-name", type="text", placeholder="name.json", className="path")
    save = html.Div(
        [name, button("Save", "save", main=True), html.Div(id="saved", role="status", className="hint")],
        className="save",
    )
    return [
        card("Config", html.Div(id="export-name", className="hint"), what, preview, wide=True),
        card(
            "Download", button("Download", "download-button"), dcc.Download(id="download"), hint="What is shown above."
        ),
        card("Save", save, hint="The complete config, ready for backtest.py and main.py."),
    ]
