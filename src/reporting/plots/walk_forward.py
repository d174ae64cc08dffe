"""`walk_forward.png`: each objective of the chosen members, where they were searched and in the window after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.plots.style import BLUE, GREY, INK, PALE, VERMILION, Heading, figure

_BOX = {"left": 0.06, "right": 0.985, "top": 0.86, "bottom": 0.09, "hspace": 0.35, "wspace": 0.2}
_PAIR = ((-0.2, "inside", BLUE, "searched window"), (0.2, "outside", VERMILION, "next window"))


def walk_forward_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """`rows` are those of `walk_forward.json`: a panel an objective, a pair of bars a fold."""
    names = list(rows[0]["inside"])
    heading = Heading("Walk-forward", f"{len(rows)} searches, each looked at in the window after its own")
    fig, (blank,) = figure(heading, (1.0,))
    blank.remove()
    width = min(3, len(names))
    panels = fig.subplots(math.ceil(len(names) / width), width, squeeze=False, gridspec_kw=_BOX)
    for ax, name in zip(panels.flat, names, strict=False):
        _bars(ax, name, rows)
    for ax in list(panels.flat)[len(names) :]:
        ax.remove()
    handles, texts = panels.flat[0].get_legend_handles_labels()
    fig.legend(handles, texts, loc="upper right", bbox_to_anchor=(0.985, 0.945), ncols=2, frameon=False, fontsize=16)
    return fig


def _bars(ax: Axes, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    at = np.arange(len(rows))
    for shift, key, colour, label in (
        (-0.2, "inside", BLUE, "searched window"),
        (0.2, "outside", VERMILION, "next window"),
    ):
        values = [math.nan if row[key][name] is None else row[key][name] for row in rows]
        ax.bar(at + shift, values, width=0.38, color=colour, label=label)
    ax.set_title(name, fontsize=16, color=INK, loc="left")
    ax.set_xticks(at, [row["next"].partition("T")[0].partition("..")[0] for row in rows], fontsize=12, color=INK)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    ax.grid(visible=True, axis="y", color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=12, color=GREY)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
