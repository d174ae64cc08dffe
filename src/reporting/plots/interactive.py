"""`interactive_plot.html`: candles of one coin with the fills of a run, to zoom into; one file that needs no network
(`optimizer_pareto_tools.md` 12.1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.files import write_text
from core.terms import PSIDES, Pside
from simulation.results import CandleCube

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FILE_NAME = "interactive_plot.html"
# A browser stays quick with that many candles; what is longer gets wider candles.
MOST_CANDLES = 6000
_WIDTHS_MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 720, 1440)

_UP, _DOWN = "#009E73", "#6F6F6F"
_SIDE_COLOURS: dict[Pside, str] = {"long": "#0072B2", "short": "#D55E00"}


def write_interactive_plot(path: Path, fills: pd.DataFrame, coin: str, candles: CandleCube, title: str = "") -> Path:
    """Write the page; a folder gets it under its usual name. Raises ValueError for a coin without candles."""
    file = path / FILE_NAME if path.is_dir() else path
    page = interactive_plot(fills, coin, candles, title).to_html(
        include_plotlyjs=True,
        full_html=True,
        div_id="plot",
        default_height="96vh",
        config={"scrollZoom": True, "displaylogo": False},
    )
    write_text(file, page)
    return file


def interactive_plot(fills: pd.DataFrame, coin: str, candles: CandleCube, title: str = "") -> Figure:
    """The page as a plotly figure: candles, and entries, profits and losses of each side as markers."""
    from plotly import graph_objects as go  # a second that few readers need

    if coin not in candles.coins:
        raise ValueError(f"no candles of {coin}; there are {', '.join(candles.coins)}")
    table = candlesticks(candles, coin)
    figure = go.Figure()
    figure.add_candlestick(
        x=table.index, open=table["open"], high=table["high"], low=table["low"], close=table["close"], name=coin,
        increasing={"line": {"color": _UP, "width": 1}}, decreasing={"line": {"color": _DOWN, "width": 1}},
    )  # fmt: skip
    for name, (chosen, marker) in marked_fills(fills[fills["coin"] == coin]).items():
        figure.add_scatter(
            x=chosen["timestamp"], y=chosen["price"], name=name, mode="markers", marker=marker,
            customdata=chosen[["type", "qty", "pnl"]].to_numpy(),
            hovertemplate="%{customdata[0]}<br>%{x}<br>price %{y}<br>qty %{customdata[1]}<br>pnl %{customdata[2]:.2f}",
        )  # fmt: skip
    figure.update_layout(
        title=title or f"{coin}: candles and fills", template="plotly_white", hovermode="closest",
        xaxis={"rangeslider": {"visible": True, "thickness": 0.05}}, yaxis={"fixedrange": False, "title": "price"},
        margin={"l": 70, "r": 30, "t": 90, "b": 40},
        legend={"orientation": "h", "y": 1.03, "x": 1.0, "xanchor": "right"},
    )  # fmt: skip
    return figure


def candlesticks(candles: CandleCube, coin: str, most: int = MOST_CANDLES) -> pd.DataFrame:
    """Open, high, low and close of a coin, at most `most` rows; a candle opens where the one before closed.

    Minutes without candles are left out.
    """
    high, low, close, _ = np.asarray(candles.hlcvs[:, candles.coins.index(coin)]).T
    index = pd.DatetimeIndex(candles.timestamps.astype("datetime64[ms]"))
    table = pd.DataFrame({"high": high, "low": low, "close": close}, index=index).dropna()
    table.insert(0, "open", table["close"].shift(fill_value=table["close"].iloc[0] if len(table) else np.nan))
    width = next((w for w in _WIDTHS_MINUTES if len(table) <= w * most), _WIDTHS_MINUTES[-1])
    if width == 1:
        return table
    rules = {"open": "first", "high": "max", "low": "min", "close": "last"}
    return table.resample(f"{width}min").agg(rules).dropna()


def marked_fills(fills: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    """The fills of each kind with their marker: entries, closes with profit, closes with loss, of each side."""
    is_entry, has_profit = fills["type"].str.startswith("entry"), fills["pnl"] >= 0.0
    kinds = {"entry": is_entry, "profit": ~is_entry & has_profit, "loss": ~is_entry & ~has_profit}
    symbols = {"entry": "circle", "profit": "diamond-open", "loss": "x"}
    marked = {}
    for pside in PSIDES:
        of_side = fills["type"].str.endswith(pside)
        for kind, mask in kinds.items():
            marker = {"symbol": symbols[kind], "color": _SIDE_COLOURS[pside], "size": 8, "line": {"width": 1.5}}
            marked[f"{pside} {kind}"] = (fills[of_side & mask], marker)
    return {name: pair for name, pair in marked.items() if len(pair[0])}
