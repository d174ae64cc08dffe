"""Figures of the dashboard: what they hold, for full and for empty tables (optimizer_pareto_tools.md 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards.look import DARK, LIGHT, look_of
from dashboards.pareto.figures.comparison import radar
from dashboards.pareto.figures.front import Axes, histogram, nearness, scatter
from dashboards.pareto.figures.parameters import correlations, distributions, parallel, spread
from dashboards.pareto.figures.robustness import degradation, in_and_out, rank_change, scenario_boxes, worst_scenario
from dashboards.pareto.runs import Run, Runs
from front_examples import HOLDOUT_LABEL, SCORING, write_run
from optimization.front_table import ID

XY = Axes("adg_pnl", "drawdown_worst_usd", "loss_profit_ratio")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A suite with hold-out."""
    root = tmp_path_factory.mktemp("runs")
    return Runs(root).get(write_run(root, count=12, suite=True, holdout=True).name)


@pytest.fixture(scope="module")
def frame(run: Run) -> pd.DataFrame:
    return run.table.frame.assign(score=0.5)


def texts(figure: Any) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_scatter_marks_frontier_and_selection(frame: pd.DataFrame) -> None:
    """Every point knows its row; the selection and the frontier are traces of their own."""
    ids = frame[ID].tolist()
    figure = scatter(frame, XY, LIGHT, chosen=ids[3], marked=ids[:2])
    assert [trace.name for trace in figure.data] == ["configs", "frontier", "selected"]
    assert list(figure.data[0].customdata) == ids
    assert list(figure.data[0].marker.color) == frame["loss_profit_ratio"].tolist()
    assert list(figure.data[1].customdata) == ids[:2]
    assert list(figure.data[2].x) == [frame["adg_pnl"][3]]
    assert figure.layout.xaxis.title.text == "adg_pnl"
    assert [trace.name for trace in scatter(frame, XY, LIGHT, chosen="gone").data] == ["configs"]


def test_spatial_scatter(frame: pd.DataFrame) -> None:
    """With a third axis the scatter is spatial."""
    figure = scatter(frame, Axes(*SCORING[:2], "score", z=SCORING[2]), DARK)
    assert figure.data[0].type == "scatter3d"
    assert list(figure.data[0].z) == frame[SCORING[2]].tolist()
    assert figure.layout.scene.zaxis.title.text == SCORING[2]


def test_histogram_and_nearness(frame: pd.DataFrame) -> None:
    """A line where the selection is; bars as shares of each objective's range."""
    figure = histogram(frame, "adg_pnl", LIGHT, 0.001)
    assert figure.layout.shapes[0].x0 == 0.001
    assert not histogram(frame, "adg_pnl", LIGHT, float("nan")).layout.shapes
    bars = nearness(["a", "b"], np.array([0.2, 0.7]), np.array([0.0, 0.1]), LIGHT)
    assert list(bars.data[0].x) == [0.2, 0.7]
    assert list(bars.data[1].x) == [0.0, 0.1]


def test_correlations_of_columns() -> None:
    """Pearson's r; a constant column is blank; three rows are the least."""
    table = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 2, 1], "c": [7.0] * 3, "bot.long.x": [1.0, 2, 4]})
    figure = correlations(table, ["a", "bot.long.x", "c"], ["a", "b"], LIGHT)
    z = np.array(figure.data[0].z, dtype=float)
    assert z[0] == pytest.approx([1.0, -1.0])
    assert np.isnan(z[2]).all()
    assert list(figure.data[0].y) == ["a", "long x", "c"]
    assert list(figure.data[0].text[2]) == ["", ""]
    assert "at least three" in texts(correlations(table[:2], ["a"], ["b"], LIGHT))[0]


def test_parallel_and_distributions(frame: pd.DataFrame, run: Run) -> None:
    """An axis a column; a small histogram a parameter over its search range, wider where values lie outside."""
    names = run.table.varying_parameters
    figure = parallel(frame, [*SCORING, *names], "score", LIGHT)
    assert [d.label for d in figure.data[0].dimensions][:4] == [*SCORING, names[0].replace("bot.long.", "long ")]
    bounds = {"bot.long.n_positions": (1.0, 40.0), "bot.long.ema_span_0": (500.0, 500.0)}
    picked = frame[ID][0]
    small = distributions(frame, ["bot.long.n_positions", "bot.long.ema_span_0"], bounds, LIGHT, picked)
    assert small.data[0].xbins.to_plotly_json() == {"start": 1.0, "end": 40.0, "size": 39 / 20}
    spans = frame["bot.long.ema_span_0"]
    assert (small.data[1].xbins.start, small.data[1].xbins.end) == (500.0, spans.max())
    assert [shape.x0 for shape in small.layout.shapes] == [frame["bot.long.n_positions"][0], spans[0]]


def test_spread_orders_by_relative_width() -> None:
    """The widest first; constant columns are left out."""
    table = pd.DataFrame({"a": [10.0, 11], "b": [1.0, 3], "c": [5.0, 5], "d": [0.0, 0]})
    assert spread(table, list("abcd")) == ["b", "a"]


def test_scenarios(frame: pd.DataFrame, run: Run) -> None:
    """A box a scenario, the selection on top; the worst scenario by the metric's direction."""
    labels = run.table.scenarios
    figure = scenario_boxes(frame, labels, "adg_pnl", LIGHT, frame[ID][2])
    assert [trace.name for trace in figure.data] == [*labels, "selected"]
    assert list(figure.data[-1].y) == [frame[f"{label}__adg_pnl"][2] for label in labels]
    gain, risk = (worst_scenario(frame, labels, name, sign, LIGHT) for name, sign in (("adg_pnl", -1), (SCORING[1], 1)))
    assert [trace.name for trace in gain.data] == ["equal", "worst in calm"]
    assert list(gain.data[1].y) == pytest.approx((0.75 * frame["adg_pnl"]).tolist())
    assert [trace.name for trace in risk.data] == ["equal", "worst in base"]
    assert list(risk.data[1].y) == frame[SCORING[1]].tolist()


def test_holdout(frame: pd.DataFrame) -> None:
    """In-sample against out-of-sample, ranks, ratios; 1 is marked."""
    column = f"holdout.{HOLDOUT_LABEL}.adg_pnl"
    figure = in_and_out(frame, HOLDOUT_LABEL, "adg_pnl", LIGHT, frame[ID][1])
    assert list(figure.data[1].y) == frame[column].tolist()
    assert list(figure.data[2].y) == [frame[column][1]]
    assert list(rank_change(frame, LIGHT).data[1].x) == frame["rank_in"].tolist()
    ratios = degradation(frame, {"adg_pnl": -1.0, "drawdown_worst_usd": 1.0, "other": 1.0}, LIGHT, frame[ID][0])
    assert [trace.name for trace in ratios.data] == ["adg_pnl ↑", "drawdown_worst_usd ↓", "selected"]
    assert ratios.layout.shapes[0].x0 == 1.0
    far = frame.assign(**{"degradation.adg_pnl": [1e9, *[0.9] * 11]})
    assert degradation(far, {"adg_pnl": -1.0}, LIGHT).layout.xaxis.range[1] < 2.0
    gaps = frame.assign(**{"degradation.adg_pnl": float("nan")})
    assert degradation(gaps, {"adg_pnl": -1.0}, LIGHT).layout.xaxis.range[1] > 1.0


def test_radar() -> None:
    """0 is the worst member, 1 the best, whatever the direction; values outside are cut; three spokes at least."""
    everyone = pd.DataFrame({"a": [0.0, 10], "b": [0.0, 10], "c": [1.0, 3]})
    directions = {"a": -1.0, "b": 1.0, "c": -1.0}
    figure = radar(everyone, {"one": pd.Series({"a": 10.0, "b": 10, "c": 9})}, list("abc"), directions, LIGHT)
    assert list(figure.data[0].r) == [1.0, 0.0, 1.0, 1.0]
    assert texts(radar(everyone, {"one": everyone.loc[0]}, list("ab"), directions, LIGHT)) == [
        "a radar needs 3 metrics"
    ]
    assert texts(radar(everyone, {}, list("abc"), directions, LIGHT)) == ["choose configs to compare"]


def test_nothing_to_show(frame: pd.DataFrame) -> None:
    """No rows, no scenarios, no hold-out: words in place of a figure."""
    none = frame[:0]
    figures = [
        scatter(none, XY, LIGHT), histogram(none, "adg_pnl", LIGHT), parallel(none, SCORING, "score", LIGHT),
        distributions(none, ["bot.long.n_positions"], {}, LIGHT, None), scenario_boxes(frame, ["x"], "adg_pnl", LIGHT),
        scenario_boxes(none, ["base"], "adg_pnl", LIGHT), worst_scenario(none, ["base"], "adg_pnl", -1, LIGHT),
        in_and_out(frame, "x", "adg_pnl", LIGHT), in_and_out(none, HOLDOUT_LABEL, "adg_pnl", LIGHT),
        rank_change(frame[[ID]], LIGHT), degradation(none, {"adg_pnl": -1.0}, LIGHT), degradation(frame, {}, LIGHT),
    ]  # fmt: skip
    assert all(not figure.data and len(texts(figure)) == 1 for figure in figures)


def test_looks() -> None:
    """Dark only when asked for; grounds are the page's."""
    assert look_of("dark") is DARK
    assert look_of(None) is look_of("light") is LIGHT
    assert scatter(pd.DataFrame(), XY, DARK).layout.paper_bgcolor == "rgba(0,0,0,0)"
