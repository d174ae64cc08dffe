"""`drawdown.png`: how far equity lies below its running peak, minute by minute, in USD over BTC."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.plots.style import (
    BLUE,
    INK,
    VERMILION,
    Floats,
    Heading,
    Moments,
    figure,
    labels,
    moments,
    percentages,
    say,
    thinned,
)
from simulation.results import BacktestResult

_TINY = 1e-12


def drawdown(result: BacktestResult, heading: Heading) -> Figure:
    """Two panels; the deepest point is marked, and the time from its peak to the recovery shaded."""
    fig, axes = figure(heading)
    times = moments(result.equities[:, 0])
    for ax, unit, equity in zip(axes, ("USD", "BTC"), result.equities[:, 1:].T, strict=True):
        labels(ax, f"Drawdown of equity in {unit}", "below the peak so far")
        if equity.size and np.isfinite(equity).all():
            _panel(ax, times, equity)
        else:
            say(ax, "no equity")
    return fig


def below_peak(equity: Floats) -> Floats:
    """Relative distance below the running peak, zero or negative (`backtest_engine.md` 15.4, DD)."""
    peak = np.maximum(np.maximum.accumulate(equity), _TINY)
    return (equity - peak) / peak


def _panel(ax: Axes, times: Moments, equity: Floats) -> None:
    depth = below_peak(equity)
    shown_times, shown = thinned(times, depth)
    ax.fill_between(shown_times, shown, 0.0, color=BLUE, alpha=0.25, linewidth=0.0)
    ax.plot(shown_times, shown, color=BLUE, linewidth=1.0)
    percentages(ax)
    lowest = float(depth.min())
    if lowest < 0.0:
        ax.set_ylim(1.18 * lowest, -0.04 * lowest)
        _mark_worst(ax, times, depth)
    else:
        ax.set_ylim(-0.01, 0.001)
        say(ax, "equity never fell")


def _mark_worst(ax: Axes, times: Moments, depth: Floats) -> None:
    """Dot and words at the deepest point, in the free space below it; shade from its peak to the recovery."""
    worst = int(depth.argmin())
    at_peak = np.flatnonzero(depth == 0.0)
    before, after = at_peak[at_peak < worst], at_peak[at_peak > worst]
    start, end = int(before[-1]) if before.size else 0, int(after[0]) if after.size else len(depth) - 1
    days = (times[end] - times[start]) / np.timedelta64(1, "D")
    ending = f"recovered {days:,.1f} days after the peak" if after.size else f"not recovered {days:,.1f} days later"
    when = np.datetime_as_string(times[worst], unit="m").replace("T", " ")
    place = worst / len(depth)
    ax.axvspan(times[start], times[end], color=VERMILION, alpha=0.08, linewidth=0.0)
    ax.plot(times[worst], depth[worst], marker="o", markersize=9, color=VERMILION, zorder=4)
    ax.annotate(
        f"worst {100.0 * depth[worst]:.2f} % on {when}, {ending}",
        (times[worst], depth[worst]),
        xytext=(0, -12),
        textcoords="offset points",
        ha="left" if place < 0.2 else "right" if place > 0.8 else "center",
        va="top",
        fontsize=15,
        color=INK,
    )
