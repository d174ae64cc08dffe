"""The figures of a result (`config_cli_suite.md` 16, `optimizer_pareto_tools.md` 12.1, `candles.md` 20.6)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import example_a
from reporting.plots.balance import balance_and_equity
from reporting.plots.catalogue import Subject, candles_around, run_subtitle
from reporting.plots.coin_fills import coin_fills
from reporting.plots.drawdown import below_peak, drawdown
from reporting.plots.exposure import exposure, open_positions
from reporting.plots.style import Heading, moments, save, thinned
from simulation.results import BacktestResult, CandleCube, backtest_result

HEADING = Heading("Title", "subtitle", "Synthetic data")
LIMITS = {"long": 1.0, "short": 0.5}


def result() -> BacktestResult:
    return backtest_result(example_a.fills(), example_a.EQUITIES, {"gain_usd": 1.02, "drawdown_worst_usd": 0.019})


def legend(figure: Figure, panel: int) -> list[str]:
    drawn = figure.axes[panel].get_legend()
    assert drawn is not None
    return [text.get_text() for text in drawn.get_texts()]


def test_balance_and_equity(tmp_path: Path) -> None:
    """21 x 13 inches, USD over BTC, three lines in each; the warning about the data stands above them."""
    figure = balance_and_equity(result(), HEADING)
    assert [ax.get_ylabel() for ax in figure.axes] == ["USD", "BTC"]
    assert legend(figure, 0) == ["equity (end 1,017.94)", "balance (end 1,020.38)", "cash wallet (end 510.12)"]
    assert {"Title", "subtitle", "Synthetic data"} <= {text.get_text() for text in figure.texts}
    save(figure, tmp_path / "a.png")
    assert struct.unpack(">II", (tmp_path / "a.png").read_bytes()[16:24]) == (2100, 1300)
    save(balance_and_equity(result(), HEADING), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_logarithmic_scale_blanks_what_is_not_positive() -> None:
    """On the logarithmic scale values of zero or less are gaps; a panel without any positive value says so."""
    equities = np.array([[example_a.START_MS + 60_000 * i, usd, -1.0] for i, usd in enumerate((5.0, 0.0, -2.0, 3.0))])
    figure = balance_and_equity(backtest_result(None, equities, {}), HEADING, log_scale=True)
    assert figure.axes[0].get_yscale() == "log"
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [5.0, np.nan, np.nan, 3.0])
    assert "no positive values" in {text.get_text() for text in figure.axes[1].texts}


def test_empty_wallet_is_named_not_drawn() -> None:
    """A wallet that is always empty would flatten the other lines: the legend names it, nothing is drawn."""
    fills = example_a.fills()
    fills[:, 6] = 0.0
    figure = balance_and_equity(backtest_result(fills, example_a.EQUITIES, {}), HEADING)
    assert legend(figure, 1)[2] == "cash wallet (empty)"
    assert figure.axes[1].get_ylim()[0] > 0.02


def test_drawdown() -> None:
    """Depth below the running peak, the worst named with its date; also below zero and when equity never falls."""
    np.testing.assert_array_equal(below_peak(np.array([100.0, 110.0, 99.0, 121.0, 60.5])), [0.0, 0.0, -0.1, 0.0, -0.5])
    equities = np.array(
        [[example_a.START_MS + 60_000 * i, usd, 1.0] for i, usd in enumerate((100.0, 50.0, 100.0, 90.0))]
    )
    figure = drawdown(backtest_result(None, equities, {}), HEADING)
    (note,) = [text.get_text() for text in figure.axes[0].texts]
    assert note == "worst -50.00 % on 2024-01-01 00:01, recovered 0.0 days after the peak"
    assert [text.get_text() for text in figure.axes[1].texts] == ["equity never fell"]


def test_exposure() -> None:
    """Both sides, their limits and the net; a far limit is only named."""
    figure = exposure(result(), HEADING, LIMITS)
    assert legend(figure, 0) == ["long", "long limit 100 %", "short", "short limit 50 %", "net"]
    assert "long limit 900 % (off the scale)" in legend(exposure(result(), HEADING, {"long": 9.0, "short": 0.5}), 0)


def test_open_positions() -> None:
    """A position counts from its first fill to the one that closes it, each side for itself."""
    counts = open_positions(result().fills)
    assert counts["long"].tolist() == [1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    assert counts["short"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_coin_fills() -> None:
    """Price, exposure, profit; the legend counts the fills of every kind and side."""
    rows = 200
    cube = np.full((rows, 1, 4), 100.0)
    cube[150:] = np.nan
    candles = CandleCube(cube, example_a.START_MS + 60_000 * np.arange(rows), ("AAA",))
    fills = result().fills
    figure = coin_fills(fills, candles_around(fills, "AAA", candles), HEADING)
    by_column = legend(figure, 0)
    assert by_column[2::2] == [
        "long: position price", "initial entry (2)", "grid entry (6)", "grid close (3)", "unstuck (4)",
    ]  # fmt: skip
    assert by_column[3::2] == [
        "short: position price", "initial entry (2)", "grid entry (2)", "trailing entry (2)", "trailing close (2)",
    ]  # fmt: skip


def test_candles_of_the_plot() -> None:
    """From shortly before the first fill to shortly after the last, to the end of the data with a position open."""
    candles = CandleCube(np.ones((500, 1, 4)), example_a.START_MS + 60_000 * np.arange(500), ("AAA",))
    fills = result().fills
    assert len(candles_around(fills, "AAA", candles).times) == 500
    closed = fills.iloc[:3]
    assert closed["psize"].iloc[-1] == 0.0
    assert len(candles_around(closed, "AAA", candles).times) == 48 + 30 + 1


def test_subtitle() -> None:
    """Dataset, coins, period, growth and worst drawdown; what is missing is left out."""
    subject = Subject("sample", tuple("ABCDEFGHIJ"), LIMITS)
    assert run_subtitle(result(), subject).split("  ·  ") == [
        "sample", "A, B, C, D, E, F, G, H and 2 more", "2024-01-01 to 2024-01-01",
        "equity 1,002.62 to 1,017.94 USD", "worst drawdown 1.90 %",
    ]  # fmt: skip
    assert run_subtitle(backtest_result(None, None, {}), Subject("x", (), LIMITS)) == "x"


@pytest.mark.parametrize("length", [1, 2, 10, 3799, 3801, 50_000])
def test_thinning_keeps_extremes(length: int) -> None:
    """A thinned line keeps both ends and every pixel column's lowest and highest value, in order."""
    values = np.random.default_rng(length).normal(size=length).cumsum()
    times, kept = thinned(moments(np.arange(length)), values)
    assert len(kept) <= 3802
    assert (kept[0], kept[-1], kept.min(), kept.max()) == (values[0], values[-1], values.min(), values.max())
    assert (np.diff(times.astype(int)) > 0).all()
    np.testing.assert_array_equal(values[times.astype(int)], kept)
