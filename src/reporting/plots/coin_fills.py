"""`fills_plots/{COIN}.png`: a coin's price with its fills and position prices, exposure and profit below.

Colour tells the side, shape the kind of order, filled means entry and hollow close; nothing rests on colour alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.terms import PSIDES, Pside
from reporting.plots.style import (
    GREY,
    PALE,
    PIXEL_COLUMNS,
    SIDE_COLOURS,
    Floats,
    Heading,
    Moments,
    figure,
    held_until,
    labels,
    legend,
    percentages,
    step_area,
)


class Candles(NamedTuple):
    """Consecutive candles of one coin: opening times and high, low, close; NaN where there are none."""

    times: Moments
    high: Floats
    low: Floats
    close: Floats


class _Kind(NamedTuple):
    """Fills drawn alike: how their order types begin, the legend's word, the markers of a buy and of a sale."""

    prefix: str
    label: str
    buy: str
    sell: str

    @property
    def is_entry(self) -> bool:
        return self.prefix.startswith("entry")

    def marker(self, pside: Pside) -> str:
        return self.buy if self.is_entry == (pside == "long") else self.sell


_KINDS = (
    _Kind("entry_initial", "initial entry", "o", "o"),
    _Kind("entry_grid", "grid entry", "^", "v"),
    _Kind("entry_trailing", "trailing entry", "D", "D"),
    _Kind("close_grid", "grid close", "^", "v"),
    _Kind("close_trailing", "trailing close", "D", "D"),
    _Kind("close_unstuck", "unstuck", "X", "X"),
    _Kind("close_auto_reduce", "auto reduce", "s", "s"),
    _Kind("close_panic", "panic", "*", "*"),
)
_LINE_STYLES: dict[Pside, Literal["-", "--"]] = {"long": "-", "short": "--"}


def coin_fills(fills: pd.DataFrame, candles: Candles, heading: Heading) -> Figure:
    """`fills` are those of the coin, at least one; `candles` cover them."""
    fig, (price, exposure, profit) = figure(heading, (4.6, 1.2, 1.2), top=0.845)
    labels(price, "", "price")
    labels(exposure, "Wallet exposure of the position", "of balance")
    labels(profit, "Realised profit after fees, cumulative", "USD")
    percentages(exposure)
    for ax in (exposure, profit):
        ax.axhline(0.0, color=GREY, linewidth=0.8)
    _draw_price(price, candles)
    for pside in PSIDES:
        of_side = fills[fills["type"].str.endswith(pside)]
        if len(of_side):
            _draw_markers(price, of_side, pside)
            times, end, colour = of_side["timestamp"].to_numpy(), candles.times[-1:], SIDE_COLOURS[pside]
            held = of_side["pprice"].where(of_side["psize"] != 0.0).to_numpy()
            net = (of_side["pnl"] + of_side["fee_paid"]).cumsum().to_numpy()
            step_area(exposure, *held_until(end, times, of_side["wallet_exposure"].to_numpy()), colour)
            for ax, values in ((price, held), (profit, net)):
                (line,) = ax.plot(
                    *held_until(end, times, values), drawstyle="steps-post", linestyle=_LINE_STYLES[pside]
                )
                line.set(color=colour, linewidth=1.6, alpha=0.85, zorder=3)
    legend(price, *_legend_rows(fills))
    return fig


def _draw_price(ax: Axes, candles: Candles) -> None:
    """The range between low and high as a band, the close as a line; one value a pixel column."""
    step = -(-len(candles.times) // PIXEL_COLUMNS)
    starts = np.arange(0, len(candles.times), step)
    low, high = np.fmin.reduceat(candles.low, starts), np.fmax.reduceat(candles.high, starts)
    ends = np.minimum(starts + step, len(candles.times)) - 1
    ax.fill_between(candles.times[starts], low, high, color=PALE, linewidth=0.0, zorder=1)
    ax.plot(candles.times[ends], candles.close[ends], color=GREY, linewidth=0.9, zorder=2)


def _draw_markers(ax: Axes, fills: pd.DataFrame, pside: Pside) -> None:
    """Smaller where there are many; closes lie on top, because they are hollow."""
    colour, area = SIDE_COLOURS[pside], float(np.clip(60_000.0 / len(fills), 22.0, 110.0))
    for kind in _KINDS:
        of_kind = fills[fills["type"].str.startswith(kind.prefix)]
        ax.scatter(
            of_kind["timestamp"].to_numpy(),
            of_kind["price"].to_numpy(),
            s=area,
            marker=kind.marker(pside),
            facecolor=colour if kind.is_entry else "white",
            edgecolor="white" if kind.is_entry else colour,
            linewidth=0.5 if kind.is_entry else 1.4,
            zorder=5 if kind.is_entry else 6,
        )


def _legend_rows(fills: pd.DataFrame) -> list[list[Line2D]]:
    """A row for each side that traded: its position price, then the kinds of its fills with their numbers."""
    rows: list[list[Line2D]] = []
    for pside in PSIDES:
        types = fills.loc[fills["type"].str.endswith(pside), "type"]
        counts = [(kind, int(types.str.startswith(kind.prefix).sum())) for kind in _KINDS]
        if handles := [_handle(kind, pside, count) for kind, count in counts if count]:
            line = Line2D([], [], color=SIDE_COLOURS[pside], linestyle=_LINE_STYLES[pside])
            line.set_label(f"{pside}: position price")
            rows.append([line, *handles])
    firsts = [
        Line2D([], [], color=GREY, label="close, low to high"),
        Line2D([], [], linestyle="none", label=" "),
    ]
    return [[first, *row] for first, row in zip(firsts, rows, strict=False)]


def _handle(kind: _Kind, pside: Pside, count: int) -> Line2D:
    colour = SIDE_COLOURS[pside]
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=kind.marker(pside),
        markersize=10,
        markerfacecolor=colour if kind.is_entry else "white",
        markeredgecolor=colour,
        markeredgewidth=1.6,
        label=f"{kind.label} ({count:,})",
    )
