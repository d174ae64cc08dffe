"""Which figures a backtest gets, and the words above them. A new figure is a module of its own and a line here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.terms import Pside
from reporting.plots.balance import balance_and_equity
from reporting.plots.coin_fills import Candles, coin_fills
from reporting.plots.drawdown import drawdown
from reporting.plots.exposure import exposure
from reporting.plots.style import Heading, moments, save
from simulation.results import BacktestResult
from simulation.results import CandleCube as CandleCube  # its older home

_log = logging.getLogger(__name__)

# Candles shown before a coin's first and after its last fill, as a share of the time between them, and at least.
_MARGIN_SHARE, _MARGIN_ROWS = 0.02, 30
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """What the figures are about besides the result: dataset name, coins, exposure limit of each side."""

    exchange: str
    coins: tuple[str, ...]
    limits: dict[Pside, float]


_RUN_FIGURES: dict[str, tuple[str, Callable[[BacktestResult, Heading, Subject], Figure]]] = {
    "balance_and_equity.png": ("Balance and equity", lambda r, h, s: balance_and_equity(r, h)),
    "balance_and_equity_logy.png": (
        "Balance and equity, logarithmic scale",
        lambda r, h, s: balance_and_equity(r, h, log_scale=True),
    ),
    "drawdown.png": ("Drawdown", lambda r, h, s: drawdown(r, h)),
    "exposure.png": ("Exposure", lambda r, h, s: exposure(r, h, s.limits)),
}


def write_run_figures(folder: Path, result: BacktestResult, subject: Subject) -> None:
    """The figures of the whole run. Raises OSError when the disk refuses."""
    subtitle = run_subtitle(result, subject)
    for name, (title, draw) in _RUN_FIGURES.items():
        save(draw(result, Heading(title, subtitle, result.data_note), subject), folder / name)


def write_coin_figures(folder: Path, result: BacktestResult, subject: Subject, candles: CandleCube) -> None:
    """One figure for each coin with fills. One that cannot be drawn is logged; raises OSError when the disk refuses."""
    folder.mkdir()
    for coin, fills in result.fills.groupby("coin"):
        heading = Heading(f"{coin}: price and fills", coin_subtitle(fills, subject), result.data_note)
        try:
            figure = coin_fills(fills, candles_around(fills, str(coin), candles), heading)
        except Exception:  # noqa: BLE001 - a picture that fails may not cost the run its results
            _log.exception("fills plot of %s failed", coin)
            continue
        save(figure, folder / f"{str(coin).replace('/', '_')}.png")


def candles_around(fills: pd.DataFrame, coin: str, candles: CandleCube) -> Candles:
    """The coin's candles from shortly before its first fill to shortly after its last, or to the end of the data if a
    position stays open.
    """
    first, last = int(fills["index"].iloc[0]), int(fills["index"].iloc[-1])
    margin = max(_MARGIN_ROWS, int(_MARGIN_SHARE * (last - first)))
    sides = fills.groupby(fills["type"].str.endswith("long"))["psize"].last()
    rows = slice(max(0, first - margin), None if (sides != 0.0).any() else last + margin + 1)
    high, low, close = candles.hlcvs[rows, candles.coins.index(coin), :3].T
    return Candles(moments(candles.timestamps[rows]), high, low, close)


def run_subtitle(result: BacktestResult, subject: Subject) -> str:
    """Dataset, coins, period and what everyone asks for first: growth and worst drawdown."""
    names = ", ".join(subject.coins[:_MOST_NAMES])
    more = len(subject.coins) - _MOST_NAMES
    parts = [subject.exchange, f"{names} and {more} more" if more > 0 else names]
    if len(result.equities):
        first, last = result.equities[0, 1], result.equities[-1, 1]
        parts.append(_period(moments(result.equities[[0, -1], 0])))
        parts.append(f"equity {first:,.2f} to {last:,.2f} USD")
    drawdown_worst = result.analysis.get("drawdown_worst_usd")
    parts.append("" if drawdown_worst is None else f"worst drawdown {100.0 * drawdown_worst:.2f} %")
    return "  ·  ".join(part for part in parts if part)


def coin_subtitle(fills: pd.DataFrame, subject: Subject) -> str:
    """Dataset, period, number of fills and what they earned."""
    net = float((fills["pnl"] + fills["fee_paid"]).sum())
    period = _period(fills["timestamp"].iloc[[0, -1]].to_numpy())
    return f"{subject.exchange}  ·  {period}  ·  {len(fills):,} fills  ·  realised {net:+,.2f} USD after fees"


def _period(ends: Any) -> str:
    first, last = np.datetime_as_string(ends, unit="D")
    return f"{first} to {last}"
