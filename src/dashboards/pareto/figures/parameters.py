"""Parameters and how they go with metrics: scatter, correlations, parallel lines, distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.look import CHOSEN, DIVERGING, Look, colour_bar, dressed, empty
from dashboards.pareto.figures.front import NOTHING
from optimization.front_table import ID

COLUMNS = 4


def short_parameter(name: str) -> str:
    """`bot.long.n_positions` as `long n_positions`; other columns as they are."""
    return name.removeprefix("bot.").replace(".", " ", 1) if name.startswith("bot.") else name


def correlations(frame: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], look: Look) -> go.Figure:
    """Pearson's r of every row column with every column; blank for constant ones."""
    if len(frame) < 3 or not rows or not columns:
        return empty("correlations need at least three configs", look)
    varying = frame[list(dict.fromkeys([*rows, *columns]))].astype(float)
    varying = varying.loc[:, varying.nunique() > 1]
    table = varying.corr().reindex(index=list(rows), columns=list(columns))
    text = table.map(lambda r: "" if math.isnan(r) else f"{r:.2f}")
    heat = go.Heatmap(
        z=table, x=list(columns), y=[short_parameter(name) for name in rows], zmin=-1, zmax=1, colorscale=DIVERGING,
        text=text, texttemplate="%{text}", textfont={"size": 11}, colorbar=colour_bar("r"), xgap=2, ygap=2,
    )  # fmt: skip
    fig = go.Figure(heat)
    fig.update_yaxes(autorange="reversed").update_xaxes(tickangle=-25)
    return dressed(fig, look, height=max(300, 90 + 24 * len(rows)))


def parallel(frame: pd.DataFrame, columns: Sequence[str], colour: str, look: Look) -> go.Figure:
    """A line a config from column to column; dragging along an axis brushes."""
    if frame.empty or not columns:
        return empty(NOTHING, look)
    line = {"color": frame[colour], "colorscale": look.scale, "colorbar": colour_bar(colour)}
    dimensions = [{"label": short_parameter(name), "values": frame[name], "tickformat": ".4~g"} for name in columns]
    fig = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelangle=-14, labelfont={"size": 11}))
    return dressed(fig, look, height=400).update_layout(margin={"l": 70, "r": 40, "t": 90, "b": 24})


def distributions(
    frame: pd.DataFrame, names: Sequence[str], bounds: Mapping[str, tuple[float, float]], look: Look, chosen: str | None
) -> go.Figure:
    """A small histogram a parameter over its whole search range: values heaped at an end ask for wider bounds."""
    if frame.empty or not names:
        return empty("the configs that pass do not differ in any parameter", look)
    rows = -(-len(names) // COLUMNS)
    fig = make_subplots(
        rows, COLUMNS, subplot_titles=[short_parameter(name) for name in names],
        vertical_spacing=min(0.5 / rows, 0.3), horizontal_spacing=0.05,
    )  # fmt: skip
    picked = frame[frame[ID] == chosen]
    shapes, axes = [], {}
    for i, name in enumerate(names):
        row, column = divmod(i, COLUMNS)
        low, high = _range(frame[name], bounds.get(name))
        bins = {"start": low, "end": high, "size": (high - low) / 20 or 1.0}
        bars = go.Histogram(x=frame[name], xbins=bins, marker={"color": look.accent}, showlegend=False)
        fig.add_trace(bars, row=row + 1, col=column + 1)
        number = str(i + 1) if i else ""
        axes[f"xaxis{number}"] = {"range": _widened(low, high), "nticks": 4}
        place = {"type": "line", "xref": f"x{number}", "yref": f"y{number} domain", "y0": 0, "y1": 1}
        shapes += [place | {"x0": value, "x1": value, "line": {"color": CHOSEN, "width": 2}} for value in picked[name]]
    fig.update_layout(axes, shapes=shapes)
    fig.update_annotations(font_size=11)
    return dressed(fig, look, height=60 + 150 * rows).update_layout(bargap=0.05, margin={"t": 36, "b": 28})


def _range(values: pd.Series[float], bound: tuple[float, float] | None) -> tuple[float, float]:
    """The search range; wider where values of another search lie outside."""
    ends = [float(values.min()), float(values.max()), *(bound or ())]
    return min(ends), max(ends)


def _widened(low: float, high: float) -> list[float]:
    room = 0.04 * (high - low) or 0.5
    return [low - room, high + room]


def spread(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns in which the rows differ, the widest relative spread first."""
    values = frame[list(names)].astype(float)
    scale = values.abs().max().replace(0.0, np.nan)
    width = ((values.max() - values.min()) / scale).fillna(0.0)
    return [str(name) for name in width[width > 0.0].sort_values(ascending=False, kind="stable").index]
