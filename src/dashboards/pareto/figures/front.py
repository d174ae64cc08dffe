"""The front itself: scatter in two or three dimensions, one metric's distribution, distance to the ideal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from dashboards.look import CHOSEN, MARKED, Look, colour_bar, dressed, empty
from optimization.front_table import ID

NOTHING = "no config passes the filter"


@dataclass(frozen=True, slots=True)
class Axes:
    """Columns of a scatter; with `z` it is spatial."""

    x: str
    y: str
    colour: str
    z: str | None = None

    @property
    def places(self) -> dict[str, str]:
        """Axis letter -> column."""
        return {"x": self.x, "y": self.y} | ({"z": self.z} if self.z else {})


def scatter(
    frame: pd.DataFrame, axes: Axes, look: Look, *, chosen: str | None = None, marked: Sequence[str] = ()
) -> go.Figure:
    """A point a row, coloured by a column; `marked` rows are ringed, the `chosen` one stands out.

    Every point carries its row's id, so that a click tells which it was.
    """
    if frame.empty:
        return empty(NOTHING, look)
    shade = {"color": frame[axes.colour], "colorscale": look.scale, "colorbar": colour_bar(axes.colour)}
    marker = shade | {"size": 4 if axes.z else 9}
    traces = [_points(frame, axes, marker | {"line": {"width": 0}}, "configs")]
    ring = {"color": MARKED, "symbol": "circle-open", "size": 7 if axes.z else 14, "line": {"width": 2}}
    traces.append(_points(frame[frame[ID].isin(list(marked))], axes, ring, "frontier"))
    edge = {"width": 1.5, "color": look.ink}
    star = {"color": CHOSEN, "symbol": "diamond", "size": 8 if axes.z else 15, "line": edge}
    traces.append(_points(frame[frame[ID] == chosen], axes, star, "selected"))
    fig = go.Figure([trace for trace in traces if len(trace.x)])
    if axes.z:
        ground = {"backgroundcolor": "rgba(0,0,0,0)", "gridcolor": look.grid, "color": look.soft}
        fig.update_scenes({f"{place}axis": ground | {"title": {"text": name}} for place, name in axes.places.items()})
        fig.update_scenes(camera_eye={"x": 1.55, "y": 1.55, "z": 0.9}, aspectmode="cube")
        return dressed(fig, look).update_layout(margin={"l": 0, "r": 0, "t": 24, "b": 8}, uirevision=str(axes))
    return dressed(fig, look, x=axes.x, y=axes.y)


def _points(frame: pd.DataFrame, axes: Axes, marker: Mapping[str, Any], name: str) -> Any:
    """One trace; hovering tells the id and the columns shown."""
    lines = [f"{column} = %{{{place}:.5~g}}" for place, column in axes.places.items()]
    hover = "<br>".join(["<b>%{customdata}</b>", *lines, f"{axes.colour} = %{{text}}", "<extra></extra>"])
    kind = go.Scatter3d if axes.z else go.Scatter
    return kind(
        **{place: frame[column] for place, column in axes.places.items()}, mode="markers", marker=dict(marker),
        customdata=frame[ID], text=[f"{value:.5g}" for value in frame[axes.colour]], name=name,
        hovertemplate=hover,
    )  # fmt: skip


def histogram(frame: pd.DataFrame, name: str, look: Look, value: float | None = None) -> go.Figure:
    """How a column is distributed; a line where the selected config is."""
    if frame.empty:
        return empty(NOTHING, look)
    fig = go.Figure(go.Histogram(x=frame[name], marker={"color": look.accent}, nbinsx=30, name=name))
    if value is not None and np.isfinite(value):
        fig.add_vline(x=value, line={"color": CHOSEN, "width": 2})
    return dressed(fig, look, x=name, y="configs").update_layout(bargap=0.06)


def nearness(
    names: Sequence[str], shares: npt.NDArray[np.float64], ideal: npt.NDArray[np.float64], look: Look
) -> go.Figure:
    """Where the closest member lies within each objective's range (0 best, 1 worst), and where the ideal does."""
    fig = go.Figure(go.Bar(x=shares, y=list(names), orientation="h", marker={"color": look.accent}, name="closest"))
    cross = {"symbol": "line-ns", "size": 18, "line": {"width": 3, "color": MARKED}}
    fig.add_trace(go.Scatter(x=ideal, y=list(names), mode="markers", marker=cross, name="ideal"))
    fig.update_yaxes(autorange="reversed")
    return dressed(fig, look, x="share of the objective's range: 0 best, 1 worst")
