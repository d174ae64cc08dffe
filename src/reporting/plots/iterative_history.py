"""Two metrics of iterative runs against each other; colour is the run's number, the best of each session is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reporting.plots.style import GREY, INK, PALE, Heading

DPI = 150
_MARKERS = "osD^vP*X"


@dataclass(frozen=True, slots=True)
class Point:
    """A run in the plane of two metrics."""

    session: str
    run: int
    x: float
    y: float
    is_best: bool


def iterative_history(points: Sequence[Point], axes: tuple[str, str], heading: Heading) -> Figure:
    """`axes` are the names of the two metrics. Sessions differ by their markers."""
    fig = Figure(figsize=(11.0, 7.5), dpi=DPI, facecolor="white", layout="constrained")
    ax = fig.subplots()
    sessions = list(dict.fromkeys(point.session for point in points))
    runs = [point.run for point in points]
    for i, session in enumerate(sessions):
        of_session = [point for point in points if point.session == session]
        drawn = ax.scatter(
            [point.x for point in of_session],
            [point.y for point in of_session],
            c=[point.run for point in of_session],
            vmin=min(runs),
            vmax=max(*runs, min(runs) + 1),
            cmap="viridis",
            marker=_MARKERS[i % len(_MARKERS)],
            s=60,
            label=session,
        )
    fig.colorbar(drawn, ax=ax, label="run", ticks=MaxNLocator(integer=True))
    for point in points:
        if point.is_best:
            ax.scatter([point.x], [point.y], s=220, facecolors="none", edgecolors=INK, linewidths=1.4)
            ax.annotate(f"best: run {point.run}", (point.x, point.y), xytext=(9, 9), textcoords="offset points")
    ax.set_title(heading.title, loc="left", fontweight="bold", color=INK)
    ax.set_title(heading.note or "", loc="right", color=INK, backgroundcolor="#FFF3D6")
    ax.set_xlabel(axes[0])
    ax.set_ylabel(axes[1])
    ax.grid(visible=True, color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    if len(sessions) > 1:
        ax.legend(frameon=False, labelcolor=GREY)
    return fig
