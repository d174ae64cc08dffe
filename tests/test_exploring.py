"""Tables, figures and stored results for notebooks (`optimizer_pareto_tools.md` 12.1, 12.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import backtest
import example_a
from core.clock import ManualClock
from core.errors import DataError
from reporting.files import post_process
from reporting.fill_tables import holding_times, profit_by_coin, with_exposure
from reporting.plots import exploring
from reporting.plots.interactive import FILE_NAME, candlesticks, interactive_plot, marked_fills, write_interactive_plot
from reporting.plots.style import Heading
from runs.stored_results import compare_metrics, load_result, newest_result
from simulation.results import CandleCube, backtest_result

RESULT = backtest_result(example_a.fills(), example_a.EQUITIES, {"gain_usd": 1.02})
HEADING = Heading("Title", "subtitle", "Synthetic data")


def candles() -> CandleCube:
    """Two hours of one coin, rising; one minute is missing."""
    closes = 100.0 + np.arange(130) / 10
    hlcvs = np.stack([closes + 1, closes - 1, closes, np.ones(130)], axis=1)[:, None, :]
    hlcvs[5] = np.nan
    return CandleCube(hlcvs, example_a.START_MS + 60_000 * np.arange(130), ("AAA",))


def test_exposure_of_positions() -> None:
    """`we = psize * pprice / usd_total_balance` is the engine's own; `twe` sums the changes of all positions."""
    table = with_exposure(RESULT.fills)
    np.testing.assert_allclose(table["we"], RESULT.fills["wallet_exposure"], rtol=1e-12)
    at_89 = table[table["minute"] == 89].iloc[0]
    assert at_89["twe"] == pytest.approx(0.9876540371961183 - 0.49542437850323184)


def test_holding_times() -> None:
    """A position lasts from the fill that opens it to the one that empties it; an open one has no end."""
    table = holding_times(RESULT.fills)
    minutes = [(time - pd.Timestamp("2024-01-01")).total_seconds() / 60 for time in table["opened"]]
    assert minutes == [22.0, 49.0, 79.0, 117.0]
    assert list(table["pside"]) == ["long", "short", "long", "short"]
    assert list(table["fills"]) == [3, 6, 12, 2]
    assert list(table["hours"] * 60) == pytest.approx([26.0, 63.0, 48.0, 11.0])
    assert list(table["closed"].isna()) == [False, False, False, True]
    assert table["profit"].sum() == pytest.approx((RESULT.fills["pnl"] + RESULT.fills["fee_paid"]).sum())


def test_tables_of_no_fills() -> None:
    empty = backtest_result(None, None, {}).fills
    assert len(with_exposure(empty)) == len(holding_times(empty)) == len(profit_by_coin(empty)) == 0


@pytest.mark.parametrize(("logy", "names"), [(True, 2), (False, 1)])
def test_balance_figures(logy: bool, names: int) -> None:
    """By name; fast draws every stride-th row of the table."""
    table = RESULT.balance_and_equity
    figures = exploring.create_forager_balance_figures(table, fast=True, stride=2, logy=logy)
    assert list(figures) == ["balance_and_equity", "balance_and_equity_logy"][:names]
    drawn = figures["balance_and_equity"].axes[0].lines[0]
    assert len(np.asarray(drawn.get_xdata())) == -(-len(table) // 2)


def test_fills_of_a_side() -> None:
    """One side of one coin; a coin without such fills is named."""
    figure = exploring.plot_fills_long(RESULT.fills, "AAA", candles())
    legend = figure.axes[0].get_legend()
    assert legend is not None
    words = {text.get_text() for text in legend.get_texts()}
    assert any("long" in word for word in words)
    assert not any("short" in word for word in words)
    assert exploring.plot_fills_short(RESULT.fills, "AAA", candles()).axes
    with pytest.raises(ValueError, match="BBB has no long fills"):
        exploring.plot_fills_long(RESULT.fills, "BBB", candles())


def test_cumulative_profit() -> None:
    """Long and short add up to both."""
    figure = exploring.plot_pnl_cumulative(RESULT.fills, HEADING)
    ends = {line.get_label(): float(np.asarray(line.get_ydata())[-1]) for line in figure.axes[0].lines}
    assert ends["long"] + ends["short"] == pytest.approx(ends["both"])
    bars = exploring.plot_pnl_by_coin(RESULT.fills, HEADING).axes[0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["AAA"]


def test_stuck_periods() -> None:
    """From a peak to the first row that reaches it again, or to the end; the longest first."""
    equity = np.array([5.0, 4.0, 5.0, 6.0, 5.0, 4.0, 5.0, 6.5, 6.0, 6.0])
    assert exploring.stuck_periods(equity) == [(3, 7), (0, 2), (7, 9)]
    assert exploring.stuck_periods(np.arange(4.0)) == []
    assert exploring.plot_stuck_periods(RESULT.equities, HEADING).axes


def test_other_figures() -> None:
    """Two series, runs relative to their start, two metrics of a front with marked members."""
    table = RESULT.balance_and_equity
    two = exploring.plot_two_series(table["usd_total_equity"], table["usd_total_balance"], HEADING)
    assert [ax.get_title(loc="left") for ax in two.axes] == ["usd_total_equity", "usd_total_balance"]
    compared = exploring.plot_compared({"a": table["usd_total_equity"], "b": 2 * table["usd_total_equity"]}, HEADING)
    first, second = (np.asarray(line.get_ydata()) for line in compared.axes[0].lines[:2])
    np.testing.assert_allclose(first, second)
    front = pd.DataFrame({"adg_usd": [1.0, 2.0], "drawdown_worst_usd": [0.1, 0.2]})
    ax = exploring.plot_metric_scatter(front, "adg_usd", "drawdown_worst_usd", HEADING, marked=[1]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("adg_usd", "drawdown_worst_usd")
    assert [text.get_text() for text in ax.texts] == ["1"]


def test_candlesticks() -> None:
    """A candle opens where the one before closed; missing minutes are left out; many become wider ones."""
    table = candlesticks(candles(), "AAA")
    assert len(table) == 129
    assert table["open"].iloc[1] == table["close"].iloc[0]
    wide = candlesticks(candles(), "AAA", most=10)
    assert len(wide) == 9  # quarters of an hour
    assert (wide["open"].iloc[1], wide["close"].iloc[0]) == (101.4, 101.4)
    assert (wide["high"].iloc[0], wide["low"].iloc[0]) == (102.4, 99.0)


def test_interactive_page(tmp_path: Path) -> None:
    """Entries, profits and losses of each side; one file that asks nothing of the network, the same every time."""
    names = set(marked_fills(RESULT.fills))
    assert names == {"long entry", "long profit", "long loss", "short entry", "short profit"}
    figure = interactive_plot(RESULT.fills, "AAA", candles(), "Synthetic data")
    assert {trace.name for trace in figure.data} == {"AAA", *names}
    first = write_interactive_plot(tmp_path, RESULT.fills, "AAA", candles())
    assert first == tmp_path / FILE_NAME
    page = first.read_text(encoding="utf-8")
    assert "<script src=" not in page
    second = write_interactive_plot(tmp_path / "b.html", RESULT.fills, "AAA", candles())
    assert second.read_text(encoding="utf-8") == page
    with pytest.raises(ValueError, match="no candles of BBB; there are AAA"):
        interactive_plot(RESULT.fills, "BBB", candles())


def stored(root: Path) -> Path:
    config = {"bot": {pside: {"total_wallet_exposure_limit": 1.0} for pside in ("long", "short")}}
    return post_process(RESULT, config, root / "sample", "sample", clock=ManualClock(example_a.START_MS))


def test_stored_result(tmp_path: Path) -> None:
    """A directory read back has the tables it was written from; the newest one is found; an incomplete one is named."""
    assert newest_result(tmp_path) is None
    folder = stored(tmp_path)
    assert newest_result(tmp_path) == folder
    result = load_result(folder)
    assert result.analysis["gain_usd"] == 1.02
    pd.testing.assert_series_equal(result.fills["qty"], RESULT.fills["qty"])
    assert len(holding_times(result.fills)) == 4
    assert list(result.balance_and_equity.columns) == list(RESULT.balance_and_equity.columns)
    assert result.balance_and_equity.index[0] == RESULT.balance_and_equity.index[0]
    (folder / "fills.csv").unlink()
    with pytest.raises(DataError, match=r"no complete result.*fills\.csv"):
        load_result(folder)


def test_compared_metrics() -> None:
    """Side by side without texts; two get a difference, more do not."""
    table = compare_metrics({"a": {"x": 1.0, "note": "text", "y": None}, "b": {"x": 3.0}})
    assert list(table.columns) == ["a", "b", "difference"]
    assert table.loc["x"].to_list() == [1.0, 3.0, 2.0]
    assert list(table.index) == ["x", "y"]
    assert list(compare_metrics({"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1}}).columns) == ["a", "b", "c"]


def test_public_names() -> None:
    """What notebooks import from `backtest` is there."""
    names = (
        "prepare_hlcvs_mss build_backtest_payload execute_backtest subset_backtest_payload process_forager_fills "
        "create_forager_balance_figures plot_fills_long run_backtest write_interactive_plot CandleCube"
    )
    assert all(callable(getattr(backtest, name)) for name in names.split())
