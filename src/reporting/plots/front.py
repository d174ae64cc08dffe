"""A Pareto front in one picture: interactive with plotly, as PNG with matplotlib (`optimizer_pareto_tools.md` 7).

One objective is drawn in ascending order, two and three as a scatter, more as parallel lines over their correlations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from core.files import replacing
from reporting.plots.style import AMBER, BLUE, GREY, INK, PALE, VERMILION, Heading, figure

Floats = npt.NDArray[np.float64]

MOST_LINES = 200
_BOX = (0.075, 0.08, 0.86, 0.78)
_SCALE = "Viridis"


@dataclass(frozen=True, slots=True)
class FrontPicture:
    """A front as arrays: n members, m objectives (all minimised).

    points     f64[n, m]
    axes       what each column is called
    labels     what each member is called
    distance   f64[n], to the ideal
    ideal      f64[m]
    """

    points: Floats
    axes: Sequence[str]
    labels: Sequence[str]
    distance: Floats
    ideal: Floats

    @property
    def closest(self) -> int:
        return int(np.argmin(self.distance))

    def nearest(self, count: int) -> npt.NDArray[np.intp]:
        """The members nearest the ideal, nearest first."""
        return np.argsort(self.distance, kind="stable")[:count]


def correlations(points: Floats) -> Floats:
    """Pearson's r of every two columns, f64[m, m]; 0 for a constant column, 1 on the diagonal."""
    centred = points - points.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0.0)
    r = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(r, 1.0)
    return np.asarray(r)


# --- interactive -------------------------------------------------------------------------------------------------


def interactive(picture: FrontPicture, heading: Heading) -> Any:
    """The front as a plotly figure."""
    import plotly.graph_objects as go  # heavy, and not every caller wants it

    count = picture.points.shape[1]
    fig = _lines(picture) if count > 3 else go.Figure([_cloud(picture), *_marks(picture)])
    if count == 3:
        fig.update_scenes({f"{axis}axis_title": name for axis, name in zip("xyz", picture.axes, strict=True)})
    elif count < 3:
        names = ("rank", *picture.axes) if count == 1 else picture.axes
        fig.update_layout(xaxis_title=names[0], yaxis_title=names[1])
    words = ", ".join(filter(None, (heading.subtitle, heading.note)))
    fig.update_layout(
        template="simple_white", title={"text": heading.title, "subtitle": {"text": words}},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"}, margin={"t": 110},
    )  # fmt: skip
    return fig


def _flat(points: Floats) -> dict[str, Floats]:
    """Columns as x, y, z; a single one is y, in the order of its values."""
    if points.shape[1] == 1:
        rank = np.argsort(np.argsort(points[:, 0], kind="stable")).astype(np.float64) + 1.0
        return {"x": rank, "y": points[:, 0]}
    return dict(zip("xyz", points.T, strict=False))


def _trace(**kwargs: Any) -> Any:
    import plotly.graph_objects as go  # heavy

    return go.Scatter3d(**kwargs) if "z" in kwargs else go.Scatter(**kwargs)


def _cloud(picture: FrontPicture) -> Any:
    marker = {"color": picture.distance, "colorscale": _SCALE, "size": 7, "colorbar": {"title": "distance to ideal"}}
    return _trace(**_flat(picture.points), mode="markers", marker=marker, text=list(picture.labels), name="members")


def _marks(picture: FrontPicture) -> list[Any]:
    """The closest member and, where it has a place, the ideal."""
    coordinates = _flat(picture.points)
    best = {axis: [values[picture.closest]] for axis, values in coordinates.items()}
    closest = _trace(
        **best, mode="markers", name="closest to ideal", text=[picture.labels[picture.closest]],
        marker={"symbol": "diamond", "size": 12, "color": VERMILION},
    )  # fmt: skip
    if picture.points.shape[1] == 1:
        return [closest]
    ideal = {axis: [value] for axis, value in zip("xyz", picture.ideal, strict=False)}
    return [
        closest,
        _trace(**ideal, mode="markers", name="ideal", marker={"symbol": "cross", "size": 12, "color": AMBER}),
    ]


def _lines(picture: FrontPicture) -> Any:
    import plotly.graph_objects as go  # heavy
    from plotly.subplots import make_subplots

    chosen = picture.nearest(MOST_LINES)
    fig = make_subplots(rows=2, cols=1, specs=[[{"type": "domain"}], [{"type": "xy"}]], vertical_spacing=0.12)
    dimensions = [{"label": name, "values": picture.points[chosen, i]} for i, name in enumerate(picture.axes)]
    bar = {"title": "distance", "len": 0.45, "y": 0.78}
    line = {"color": picture.distance[chosen], "colorscale": _SCALE, "colorbar": bar}
    fig.add_trace(go.Parcoords(dimensions=dimensions, line=line, labelangle=-12), row=1, col=1)
    r = correlations(picture.points)
    heat = go.Heatmap(
        z=r, x=list(picture.axes), y=list(picture.axes), zmin=-1, zmax=1, colorscale="RdBu", texttemplate="%{z:.2f}",
        colorbar={"title": "r", "len": 0.45, "y": 0.22},
    )  # fmt: skip
    fig.add_trace(heat, row=2, col=1)
    fig.update_yaxes(autorange="reversed", row=2, col=1)
    return fig.update_layout(height=1100)


def save_interactive(fig: Any, path: Path) -> None:
    """Write a page that needs nothing from outside."""
    with replacing(path) as tmp:
        fig.write_html(tmp, include_plotlyjs=True)


# --- PNG ---------------------------------------------------------------------------------------------------------


def static(picture: FrontPicture, heading: Heading) -> Figure:
    """The front as a matplotlib figure."""
    fig, (blank,) = figure(heading, (1.0,))
    blank.remove()  # its horizontal axis is time
    count = picture.points.shape[1]
    if count > 3:
        _static_lines(fig, picture)
    elif count == 3:
        _static_cloud(fig, fig.add_axes((0.02, 0.02, 0.94, 0.88), projection="3d"), picture)
    else:
        _static_cloud(fig, fig.add_axes(_BOX), picture)
    return fig


def _static_cloud(fig: Figure, ax: Any, picture: FrontPicture) -> None:
    """Two or three dimensions: flat and spatial axes take the same calls."""
    coordinates = _flat(picture.points)
    order = list(coordinates)
    drawn = ax.scatter(*coordinates.values(), c=picture.distance, s=60)
    best = [coordinates[axis][picture.closest] for axis in order]
    ax.scatter(*best, s=220, color=VERMILION, marker="D", label="closest to ideal")
    if picture.points.shape[1] > 1:
        ax.scatter(*picture.ideal, s=260, color=AMBER, marker="P", label="ideal")
    names = ("rank", *picture.axes) if picture.points.shape[1] == 1 else tuple(picture.axes)
    for axis, name in zip(order, names, strict=True):
        getattr(ax, f"set_{axis}label")(name, fontsize=16, color=INK, labelpad=12)
    ax.tick_params(labelsize=13)
    ax.grid(visible=True, color=PALE)
    ax.legend(fontsize=14, frameon=False)
    fig.colorbar(drawn, ax=ax, fraction=0.03, pad=0.03).set_label("distance to ideal", fontsize=14)


def _static_lines(fig: Figure, picture: FrontPicture) -> None:
    """Members from column to column, each column from its lowest to its highest; below, the correlations."""
    top, bottom = fig.add_axes((0.06, 0.57, 0.88, 0.29)), fig.add_axes((0.2, 0.11, 0.62, 0.34))
    low, width = picture.points.min(axis=0), np.ptp(picture.points, axis=0)
    shares = np.divide(picture.points - low, width, out=np.zeros_like(picture.points), where=width > 0.0)
    columns = np.arange(len(picture.axes))
    for i in picture.nearest(MOST_LINES)[:0:-1]:
        top.plot(columns, shares[i], color=BLUE, alpha=0.25, linewidth=1.0)
    top.plot(columns, shares[picture.closest], color=VERMILION, linewidth=3.0, label="closest to ideal")
    ranges = [_range_text(name, values) for name, values in zip(picture.axes, picture.points.T, strict=True)]
    top.set_xticks(columns, ranges, fontsize=12)
    top.set_yticks([0.0, 1.0], ["best", "worst"], fontsize=13)
    top.grid(visible=True, axis="x", color=GREY)
    top.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=14)
    r = correlations(picture.points)
    shown = bottom.imshow(r, vmin=-1.0, vmax=1.0, cmap="RdBu", aspect="auto")
    bottom.set_xticks(columns, picture.axes, rotation=12, ha="right", fontsize=13)
    bottom.set_yticks(columns, picture.axes, fontsize=13)
    for (row, column), value in np.ndenumerate(r):
        bottom.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if abs(value) > 0.6 else INK)
    bottom.set_title("Correlations", loc="left", fontsize=16, fontweight="bold")
    fig.colorbar(shown, ax=bottom)


def _range_text(name: str, values: Floats) -> str:
    return f"{name}\n{values.min():.4g} … {values.max():.4g}"
