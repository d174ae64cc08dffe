"""The look that all figures share: size, colours for colour-blind readers, headings, grids, dates, saving.

Figures are drawn with matplotlib's objects, never through pyplot: no window, no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from core.terms import Pside

SIZE_INCHES = (21.0, 13.0)
DPI = 100
# More points than a panel has pixel columns add nothing but time.
PIXEL_COLUMNS = 1900

# Okabe and Ito's palette: distinct for every common colour blindness, and in grey.
BLUE, VERMILION, GREEN, AMBER = "#0072B2", "#D55E00", "#009E73", "#E69F00"
INK, GREY, PALE = "#222222", "#6F6F6F", "#D9D9D9"
SIDE_COLOURS: dict[Pside, str] = {"long": BLUE, "short": VERMILION}

_TITLE, _SUBTITLE, _LABEL, _TICK, _SMALL = 25, 16, 16, 14, 12

Floats = npt.NDArray[np.float64]
Moments = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Heading:
    """The words above a figure; `note` warns of what must not be overlooked, e.g. synthetic data."""

    title: str
    subtitle: str = ""
    note: str | None = None


def figure(heading: Heading, heights: Sequence[float] = (1.0, 1.0), *, top: float = 0.87) -> tuple[Figure, list[Axes]]:
    """A figure of panels one above the other that share the time axis, headed and with a light grid."""
    fig = Figure(figsize=SIZE_INCHES, dpi=DPI, facecolor="white")
    margins = {"left": 0.075, "right": 0.985, "top": top, "bottom": 0.055, "hspace": 0.20}
    panels = fig.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": list(heights), **margins}
    )
    fig.text(0.015, 0.962, heading.title, fontsize=_TITLE, fontweight="bold", color=INK, va="center")
    fig.text(0.015, 0.925, heading.subtitle, fontsize=_SUBTITLE, color=GREY, va="center")
    if heading.note:
        box = {"facecolor": "#FFF3D6", "edgecolor": AMBER, "boxstyle": "round,pad=0.4"}
        fig.text(0.985, 0.962, heading.note, fontsize=_SUBTITLE, color=INK, ha="right", va="center", bbox=box)
    axes = [ax for row in panels for ax in row]
    for ax in axes:
        _dress(ax)
    return fig, axes


def _dress(ax: Axes) -> None:
    ax.grid(visible=True, color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=_TICK, color=GREY, labelcolor=INK)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    _dates(ax)
    ax.margins(x=0.01)
    plain_numbers(ax)


def _dates(ax: Axes) -> None:
    """Ticks at round dates; each names day and month, the corner names what they all share."""
    locator = AutoDateLocator(minticks=5, maxticks=12)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator,
        formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "", "%Y", "%Y", "%d %b %Y", "%d %b %Y"],
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.get_offset_text().set_fontsize(_TICK)


def plain_numbers(ax: Axes) -> None:
    """Vertical ticks as 12,500 rather than 1.25e4."""
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def percentages(ax: Axes) -> None:
    """Vertical ticks of fractions as percentages."""
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:,.6g} %"))


def logarithmic(ax: Axes, lowest: float, highest: float) -> None:
    """A logarithmic vertical axis with readable ticks also where it spans less than a decade."""
    ax.set_yscale("log")
    narrow = highest < 12.0 * lowest
    ax.yaxis.set_major_locator(AutoLocator() if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    plain_numbers(ax)


def labels(ax: Axes, panel: str, unit: str) -> None:
    """Name and unit of a panel."""
    ax.set_title(panel, loc="left", fontsize=_LABEL, fontweight="bold", color=INK, pad=9)
    ax.set_ylabel(unit, fontsize=_LABEL, color=INK)


def legend(ax: Axes, *rows: Sequence[Artist]) -> None:
    """The legend, above the panel, where it hides no data; without `rows`, one row of what has a label."""
    filled = [list(row) for row in rows if row] or [list(ax.get_legend_handles_labels()[0])]
    columns = max(map(len, filled))
    blank = Line2D([], [], linestyle="none", label=" ")
    padded = [row + [blank] * (columns - len(row)) for row in filled]
    by_column = [row[i] for i in range(columns) for row in padded]  # the order in which legends are filled
    ax.legend(
        handles=by_column,
        ncols=columns,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.7,
        handletextpad=0.5,
        frameon=False,
        fontsize=_TICK if columns <= 7 else _SMALL,
    )


def held_until(end: Moments, times: Moments, values: Floats) -> tuple[Moments, Floats]:
    """A stepped line whose last value goes on to `end` (an array of one moment)."""
    return np.concatenate([times, end.astype(times.dtype)]), np.concatenate([values, values[-1:]])


def step_area(ax: Axes, times: Moments, values: Floats, colour: str, label: str = "") -> None:
    """A stepped line that keeps each value until the next, filled down to zero; no label, no legend."""
    name = label or "_nolegend_"
    ax.fill_between(times, values, 0.0, step="post", color=colour, alpha=0.35, linewidth=0.0, label=name)
    ax.plot(times, values, drawstyle="steps-post", color=colour, linewidth=0.9)


def say(ax: Axes, text: str) -> None:
    """Words in the middle of a panel that has nothing to show."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=_SUBTITLE, color=GREY)


def thinned(times: Moments, values: Floats, columns: int = PIXEL_COLUMNS) -> tuple[Moments, Floats]:
    """A line's points reduced to the lowest and the highest of each pixel column; times ascending, no NaN."""
    step = -(-len(values) // columns)
    if step <= 2:
        return times, values
    starts = np.arange(0, len(values), step)
    padded = np.pad(values, (0, len(starts) * step - len(values)), mode="edge").reshape(-1, step)
    extremes = np.concatenate([starts + padded.argmin(axis=1), starts + padded.argmax(axis=1), [0, len(values) - 1]])
    kept = np.unique(np.minimum(extremes, len(values) - 1))
    return times[kept], values[kept]


def moments(ms: npt.NDArray[Any]) -> Moments:
    """Milliseconds since 1970 as dates."""
    return ms.astype("int64").astype("datetime64[ms]")


def save(fig: Figure, path: Path) -> None:
    """Write a PNG; equal figures give equal files. Raises OSError when the disk refuses."""
    fig.align_ylabels()
    fig.savefig(path, dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
