"""`balance_and_equity.png` and its logarithmic twin: cash, balance and equity in USD over the same in BTC."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.plots.style import (
    AMBER,
    BLUE,
    GREEN,
    Floats,
    Heading,
    Moments,
    figure,
    labels,
    legend,
    logarithmic,
    moments,
    say,
    thinned,
)
from simulation.results import BacktestResult


class _Line(NamedTuple):
    """One line of a panel."""

    name: str
    times: Moments
    values: Floats
    colour: str
    width: float
    style: Literal["-", "--"] = "-"


def balance_and_equity(result: BacktestResult, heading: Heading, *, log_scale: bool = False) -> Figure:
    """Equity is drawn from every minute, wallet and balance from the sampled table.

    On a logarithmic scale values that are not positive are blank.
    """
    fig, axes = figure(heading)
    minutes = moments(result.equities[:, 0])
    for column, (ax, currency) in enumerate(zip(axes, ("usd", "btc"), strict=True), start=1):
        table = result.balance_and_equity.filter(like=currency).astype(np.float64)
        times = table.index.to_numpy()
        lines = (
            _Line("equity", minutes, result.equities[:, column], BLUE, 1.3),
            _Line("balance", times, table[f"{currency}_total_balance"].to_numpy(), AMBER, 2.4),
            _Line("cash wallet", times, table[f"{currency}_cash_wallet"].to_numpy(), GREEN, 1.8, "--"),
        )
        labels(ax, f"Account in {currency.upper()}", currency.upper())
        shown = np.concatenate(
            [_draw(ax, line, "{:,.2f}" if currency == "usd" else "{:,.5f}", log_scale) for line in lines]
        )
        if not shown.size:
            say(ax, "no positive values" if log_scale else "nothing was traded")
            continue
        if log_scale:
            logarithmic(ax, float(shown.min()), float(shown.max()))
        legend(ax)
    return fig


def _draw(ax: Axes, line: _Line, number: str, log_scale: bool) -> Floats:
    """Draw a line and return the values that can be seen; an empty wallet is only named, to spare the scale."""
    finite = np.isfinite(line.values)
    if not finite.any():
        return np.empty(0)
    visible = finite & (line.values > 0.0) if log_scale else finite
    label = f"{line.name} (end {number.format(line.values[finite][-1])})"
    if not line.values[finite].any():
        visible = np.zeros_like(finite)
        label = f"{line.name} (empty)"
    times, values = line.times, np.where(visible, line.values, np.nan)
    if visible.all():
        times, values = thinned(times, values)
    ax.plot(times, values, label=label, color=line.colour, linewidth=line.width, linestyle=line.style)
    return values[np.isfinite(values)]
