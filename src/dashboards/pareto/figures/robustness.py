"""How members hold up in scenarios and outside of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from dashboards.look import CHOSEN, MARKED, PALETTE, Look, colour_bar, dressed, empty
from dashboards.pareto.figures.front import NOTHING
from optimization.front_table import ID


def scenario_boxes(
    frame: pd.DataFrame, labels: Sequence[str], metric: str, look: Look, chosen: str | None = None
) -> go.Figure:
    """The metric over all rows in each scenario, and where the selected config is."""
    names = {label: f"{label}__{metric}" for label in labels if f"{label}__{metric}" in frame}
    if frame.empty or not names:
        return empty(NOTHING if names else f"{metric} has no values by scenario", look)
    style = {"marker": {"color": look.accent, "size": 4}, "line": {"width": 1.5}}
    fig = go.Figure([go.Box(y=frame[name], name=label, **style) for label, name in names.items()])
    row = frame[frame[ID] == chosen]
    if len(row):
        values = [row[name].iloc[0] for name in names.values()]
        marker = {"color": CHOSEN, "symbol": "diamond", "size": 11}
        fig.add_trace(go.Scatter(x=list(names), y=values, mode="markers", marker=marker, name="selected"))
    return dressed(fig, look, y=metric).update_layout(showlegend=False)


def worst_scenario(frame: pd.DataFrame, labels: Sequence[str], metric: str, direction: float, look: Look) -> go.Figure:
    """Each config's own value against that in its worst scenario; `direction` -1 maximises."""
    names = {f"{label}__{metric}": label for label in labels if f"{label}__{metric}" in frame}
    if frame.empty or not names:
        return empty(NOTHING if names else f"{metric} has no values by scenario", look)
    values = frame[list(names)].rename(columns=names).astype(float) * direction
    worst, which = values.max(axis=1) * direction, values.idxmax(axis=1)
    fig = go.Figure(_diagonal(frame[metric], worst, look))
    for i, label in enumerate(label for label in labels if (which == label).any()):
        rows = which == label
        marker = {"color": PALETTE[i % len(PALETTE)], "size": 8}
        points = {"x": frame[metric][rows], "y": worst[rows], "customdata": frame[ID][rows]}
        name = f"worst in {label}"
        fig.add_trace(go.Scatter(**points, mode="markers", name=name, marker=marker, hovertemplate=_HOVER))
    return dressed(fig, look, x=f"{metric} of the config", y=f"{metric} in its worst scenario")


_HOVER = "<b>%{customdata}</b><br>%{x:.5~g} → %{y:.5~g}<extra></extra>"


def _diagonal(x: pd.Series[float], y: pd.Series[float], look: Look) -> go.Scatter:
    """The line on which both are equal."""
    ends = [float(np.nanmin([x.min(), y.min()])), float(np.nanmax([x.max(), y.max()]))]
    line = {"color": look.soft, "dash": "dot", "width": 1}
    return go.Scatter(x=ends, y=ends, mode="lines", line=line, name="equal", hoverinfo="skip")


def in_and_out(frame: pd.DataFrame, window: str, metric: str, look: Look, chosen: str | None = None) -> go.Figure:
    """The metric within the search against that in a hold-out window."""
    name = f"holdout.{window}.{metric}"
    if frame.empty or name not in frame or metric not in frame:
        return empty(NOTHING if name in frame else f"{metric} was not measured in {window}", look)
    fig = go.Figure([_diagonal(frame[metric], frame[name], look), _cloud(frame, metric, name, look)])
    _mark(fig, frame, metric, name, chosen)
    return dressed(fig, look, x=f"{metric}, in-sample", y=f"{metric}, {window}")


def rank_change(frame: pd.DataFrame, look: Look, chosen: str | None = None) -> go.Figure:
    """Rank by distance to the ideal, within the search against outside of it."""
    if frame.empty or not {"rank_in", "rank_out"} <= set(frame):
        return empty("the hold-out has no ranks", look)
    fig = go.Figure([_diagonal(frame["rank_in"], frame["rank_out"], look), _cloud(frame, "rank_in", "rank_out", look)])
    _mark(fig, frame, "rank_in", "rank_out", chosen)
    return dressed(fig, look, x="rank in-sample (1 is closest to the ideal)", y="rank out-of-sample")


def _cloud(frame: pd.DataFrame, x: str, y: str, look: Look) -> go.Scatter:
    marker: dict[str, object] = {"color": look.accent, "size": 8, "opacity": 0.8}
    if "rank_in" in frame:
        marker |= {"color": frame["rank_in"], "colorscale": look.scale, "colorbar": colour_bar("rank in-sample")}
    points = {"x": frame[x], "y": frame[y], "customdata": frame[ID]}
    return go.Scatter(**points, mode="markers", marker=marker, name="configs", hovertemplate=_HOVER)


def _mark(fig: go.Figure, frame: pd.DataFrame, x: str, y: str, chosen: str | None) -> None:
    row = frame[frame[ID] == chosen]
    marker = {"color": CHOSEN, "symbol": "diamond", "size": 14}
    if len(row):
        fig.add_trace(go.Scatter(x=row[x], y=row[y], mode="markers", marker=marker, name="selected"))


def degradation(
    frame: pd.DataFrame, directions: Mapping[str, float], look: Look, chosen: str | None = None
) -> go.Figure:
    """Out-of-sample over in-sample of every objective: 1 holds; more is better for what is maximised."""
    names = {metric: f"degradation.{metric}" for metric in directions if f"degradation.{metric}" in frame}
    if frame.empty or not names:
        return empty(NOTHING if names else "no objective has a ratio", look)
    labels = {metric: f"{metric} {'↑' if directions[metric] < 0 else '↓'}" for metric in names}
    fig = go.Figure(
        [
            go.Box(x=frame[name], name=labels[metric], orientation="h", marker={"color": look.accent, "size": 4})
            for metric, name in names.items()
        ]
    )
    fig.add_vline(x=1.0, line={"color": MARKED, "width": 2, "dash": "dot"})
    row = frame[frame[ID] == chosen]
    if len(row):
        marker = {"color": CHOSEN, "symbol": "diamond", "size": 11}
        values = [row[name].iloc[0] for name in names.values()]
        fig.add_trace(go.Scatter(x=values, y=list(labels.values()), mode="markers", marker=marker, name="selected"))
    low, high = _most(frame[list(names.values())].to_numpy(dtype=np.float64))
    fig.update_yaxes(autorange="reversed").update_xaxes(range=[low - 0.05 * (high - low), high + 0.05 * (high - low)])
    return dressed(fig, look, x="out-of-sample / in-sample (↑ should not fall, ↓ should not rise)").update_layout(
        showlegend=False
    )


def _most(ratios: npt.NDArray[np.float64]) -> tuple[float, float]:
    """A range that holds most ratios and 1: a few are far out, where the inner value is near 0."""
    known = ratios[np.isfinite(ratios)]
    low, high = np.quantile(known, [0.02, 0.9]).tolist() if known.size else (1.0, 1.0)
    return min(0.5, low), max(1.5, high)
