"""`exposure.png`: wallet exposure of both sides and net, and how many positions are open."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from core.terms import PSIDES, Pside
from reporting.plots.style import (
    INK,
    SIDE_COLOURS,
    Floats,
    Heading,
    Moments,
    figure,
    held_until,
    labels,
    legend,
    moments,
    percentages,
    say,
    step_area,
    thinned,
)
from simulation.results import BacktestResult

# How many times the largest exposure a limit may be to be drawn.
_LIMIT_IN_SIGHT = 2.5
_SIGN: dict[Pside, float] = {"long": 1.0, "short": -1.0}


def exposure(result: BacktestResult, heading: Heading, limits: Mapping[Pside, float]) -> Figure:
    """Exposure after each fill, short below zero; `limits` are the total wallet exposure limits of the sides."""
    fig, (upper, lower) = figure(heading, (2.2, 1.0))
    fills = result.fills
    labels(upper, "Total wallet exposure after each fill", "position cost / balance")
    labels(lower, "Open positions", "positions")
    if fills.empty:
        say(upper, "nothing was traded")
        return fig
    times, end = fills["timestamp"].to_numpy(), moments(result.equities[-1:, 0])
    largest = float(fills[["twe_long", "twe_short"]].abs().to_numpy().max())
    counts = open_positions(fills)
    for pside in PSIDES:
        if fills["type"].str.endswith(pside).any():
            colour = SIDE_COLOURS[pside]
            step_area(upper, *_drawn(end, times, fills[f"twe_{pside}"].to_numpy()), colour, pside)
            step_area(lower, *_drawn(end, times, _SIGN[pside] * counts[pside]), colour, pside)
            _draw_limit(upper, pside, limits[pside], largest)
    net = _drawn(end, times, fills["twe_net"].to_numpy())
    upper.plot(*net, drawstyle="steps-post", color=INK, linewidth=1.1, label="net")
    percentages(upper)
    lower.yaxis.set_major_locator(MaxNLocator(integer=True))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):.0f}"))
    legend(upper)
    legend(lower)
    return fig


def open_positions(fills: pd.DataFrame) -> dict[Pside, Floats]:
    """Number of open positions of each side after each fill."""
    counts: dict[Pside, Floats] = {}
    for pside in PSIDES:
        size = fills["psize"].where(fills["type"].str.endswith(pside))
        before = size.dropna().groupby(fills["coin"]).shift(fill_value=0.0)
        change = (size.dropna() != 0.0).astype(float) - (before != 0.0).astype(float)
        counts[pside] = np.asarray(change.reindex(fills.index, fill_value=0.0).cumsum(), dtype=np.float64)
    return counts


def _drawn(end: Moments, times: Moments, values: Floats) -> tuple[Moments, Floats]:
    return thinned(*held_until(end, times, values))


def _draw_limit(ax: Axes, pside: Pside, limit: float, largest: float) -> None:
    """A limit far beyond what was used is only named: drawn, it would flatten everything else."""
    label = f"{pside} limit {100.0 * limit:,.4g} %"
    if limit <= _LIMIT_IN_SIGHT * largest:
        ax.axhline(_SIGN[pside] * limit, label=label, color=SIDE_COLOURS[pside], linewidth=1.6, linestyle="--")
    else:
        ax.plot([], [], label=f"{label} (off the scale)", color=SIDE_COLOURS[pside], linewidth=1.6, linestyle="--")
