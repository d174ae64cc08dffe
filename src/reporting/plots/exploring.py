"""Figures for looking into a result by hand, in notebooks (`optimizer_pareto_tools.md` 12.1, 12.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from core.terms import Pside
from reporting.fill_tables import profit_by_coin, with_side
from reporting.plots.balance import balance_and_equity
from reporting.plots.catalogue import candles_around
from reporting.plots.coin_fills import coin_fills
from reporting.plots.drawdown import below_peak
from reporting.plots.style import (
    AMBER,
    BLUE,
    DPI,
    GREEN,
    GREY,
    INK,
    PALE,
    SIDE_COLOURS,
    VERMILION,
    Floats,
    Heading,
    figure,
    labels,
    legend,
    thinned,
)
from simulation.results import BacktestResult, CandleCube

_MOST_STUCK = 5


def create_forager_balance_figures(
    bal_eq: pd.DataFrame, fast: bool = True, stride: int = 10, logy: bool = True, title: str = "Balance and equity"
) -> dict[str, Figure]:
    """The figures of a balance table of `process_forager_fills` by name; with `logy` also the logarithmic one.

    `fast` draws every `stride`-th row only.
    """
    table = bal_eq.iloc[:: max(1, stride)] if fast else bal_eq
    ms = table.index.to_numpy().astype("datetime64[ms]").astype(np.float64)
    equities = np.column_stack([ms, table[["usd_total_equity", "btc_total_equity"]].to_numpy(np.float64)])
    result = BacktestResult(pd.DataFrame(), equities, table, {})
    figures = {"balance_and_equity": balance_and_equity(result, Heading(title))}
    if logy:
        heading = Heading(f"{title}, logarithmic scale")
        figures["balance_and_equity_logy"] = balance_and_equity(result, heading, log_scale=True)
    return figures


def plot_fills(fills: pd.DataFrame, coin: str, candles: CandleCube, pside: Pside) -> Figure:
    """Price of a coin, the fills of one side and the price of its position. Raises ValueError without such fills."""
    of_side = fills[(fills["coin"] == coin) & fills["type"].str.endswith(pside)]
    if of_side.empty:
        raise ValueError(f"{coin} has no {pside} fills")
    heading = Heading(f"{coin}: price and {pside} fills", f"{len(of_side):,} fills")
    return coin_fills(of_side, candles_around(of_side, coin, candles), heading)


def plot_fills_long(fills: pd.DataFrame, coin: str, candles: CandleCube) -> Figure:
    """`plot_fills` of the long side."""
    return plot_fills(fills, coin, candles, "long")


def plot_fills_short(fills: pd.DataFrame, coin: str, candles: CandleCube) -> Figure:
    """`plot_fills` of the short side."""
    return plot_fills(fills, coin, candles, "short")


def plot_two_series(first: pd.Series[Any], second: pd.Series[Any], heading: Heading) -> Figure:
    """Two series over time, one above the other, named by their `name`."""
    fig, axes = figure(heading)
    for ax, series, colour in zip(axes, (first, second), (BLUE, VERMILION), strict=True):
        labels(ax, str(series.name), "")
        ax.plot(*thinned(series.index.to_numpy(), series.to_numpy(np.float64)), color=colour, linewidth=1.2)
    return fig


def plot_pnl_cumulative(fills: pd.DataFrame, heading: Heading) -> Figure:
    """Realised profit after fees, added up: long, short and both."""
    fig, (ax,) = figure(heading, (1.0,))
    labels(ax, "Realised profit after fees, cumulative", "USD")
    table = with_side(fills)
    net = table["pnl"] + table["fee_paid"]
    for pside, colour in SIDE_COLOURS.items():
        mask = table["pside"] == pside
        if mask.any():
            total = net[mask].cumsum()
            ax.plot(table["timestamp"][mask], total, drawstyle="steps-post", color=colour, label=pside, linewidth=1.4)
    ax.plot(table["timestamp"], net.cumsum(), drawstyle="steps-post", color=INK, label="both", linewidth=2.0)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    legend(ax)
    return fig


def plot_pnl_by_coin(fills: pd.DataFrame, heading: Heading) -> Figure:
    """Profit after fees of every coin as bars, best first."""
    profit = profit_by_coin(fills)["profit"][::-1]
    fig, ax = _plain(heading, (9.0, 1.2 + 0.3 * len(profit)))
    ax.barh(profit.index.astype(str), profit, color=np.where(profit >= 0.0, GREEN, VERMILION))
    ax.axvline(0.0, color=GREY, linewidth=0.8)
    ax.set_xlabel("USD after fees")
    return fig


def plot_stuck_periods(equities: Floats, heading: Heading) -> Figure:
    """Equity in USD of `BacktestResult.equities`; the longest times below an earlier peak are shaded."""
    fig, (ax,) = figure(heading, (1.0,))
    labels(ax, f"Equity, and the {_MOST_STUCK} longest times below an earlier peak", "USD")
    times, equity = equities[:, 0].astype("int64").astype("datetime64[ms]"), equities[:, 1]
    for start, end in stuck_periods(equity)[:_MOST_STUCK]:
        days = (times[end] - times[start]) / np.timedelta64(1, "D")
        ax.axvspan(times[start], times[end], color=AMBER, alpha=0.25, linewidth=0.0)
        ax.text(
            times[start], 0.99, f" {days:,.1f} d", transform=ax.get_xaxis_transform(), va="top", color=INK, fontsize=13
        )
    ax.plot(*thinned(times, equity), color=BLUE, linewidth=1.3)
    return fig


def stuck_periods(equity: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Rows (peak, first row at or above it again or the last one) of the times below a peak, longest first."""
    at_peak = np.flatnonzero(below_peak(equity) == 0.0)
    ends = np.append(at_peak[1:], len(equity) - 1)
    periods = [(int(start), int(end)) for start, end in zip(at_peak, ends, strict=True) if end > start + 1]
    return sorted(periods, key=lambda period: (period[0] - period[1], period[0]))


def plot_metric_scatter(frame: pd.DataFrame, x: str, y: str, heading: Heading, marked: Sequence[int] = ()) -> Figure:
    """Two columns of a front's table against each other; rows (by position) can be marked with their number."""
    fig, ax = _plain(heading, (9.0, 6.5))
    ax.scatter(frame[x], frame[y], color=BLUE, s=40, alpha=0.8)
    for row in marked:
        point = (float(frame[x].iloc[row]), float(frame[y].iloc[row]))
        ax.scatter(*point, s=190, facecolors="none", edgecolors=VERMILION, linewidths=1.6)
        ax.annotate(str(row), point, xytext=(8, 8), textcoords="offset points")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    return fig


def plot_compared(curves: Mapping[str, pd.Series[Any]], heading: Heading) -> Figure:
    """Several series over time in one panel, each divided by its first value."""
    fig, (ax,) = figure(heading, (1.0,))
    labels(ax, "Relative to the start", "x start")
    for name, series in curves.items():
        values = series.to_numpy(np.float64)
        ax.plot(*thinned(series.index.to_numpy(), values / values[0]), label=name, linewidth=1.4)
    ax.axhline(1.0, color=GREY, linewidth=0.8)
    legend(ax)
    return fig


def _plain(heading: Heading, size: tuple[float, float]) -> tuple[Figure, Any]:
    """A small figure whose horizontal axis is no time."""
    fig = Figure(figsize=size, dpi=DPI, facecolor="white", layout="constrained")
    ax = fig.subplots()
    words = [heading.title, *(part for part in (heading.subtitle, heading.note) if part)]
    ax.set_title("  ·  ".join(words), loc="left", color=INK, fontweight="bold")
    ax.grid(visible=True, color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
    return fig, ax
