"""The console summary of a backtest (`backtest_engine.md` 17.5, `candles.md` 20.6)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import example_a
from reporting.tables import RunFacts, print_summary
from simulation.results import backtest_result

FACTS = RunFacts(
    "sample", ("AAA", "BBB"), rows=130, engine_seconds=0.5, total_seconds=2.0, directory=Path("backtests/x")
)


def summary(analysis: dict[str, Any], data_note: str | None = None, *, fills: bool = True) -> str:
    booked, equities = (example_a.fills(), example_a.EQUITIES) if fills else (None, None)
    text = io.StringIO()
    print_summary(backtest_result(booked, equities, analysis, data_note=data_note), FACTS, Console(file=text))
    return text.getvalue()


def cells(text: str, name: str) -> list[str]:
    """The cells of the row that begins with a name."""
    (row,) = [line.split() for line in text.splitlines() if line.split()[:1] == [name]]
    return row[1:]


def test_facts_and_place() -> None:
    """Coins, period, fills, speed, the place of the files and what must be known of the data."""
    text = summary({}, "Synthetic data: exchange sample")
    for part in (
        "Synthetic data: exchange sample",
        "2: AAA, BBB",
        "2024-01-01 00:21 to 2024-01-01 02:08 UTC (0.1 days)",
        "23 (309.5 a day)",
        "1,002.62 to 1,017.94 USD",
        "0.50 s for 260 coin-minutes, 520 a second",
        "Results in backtests/x",
    ):
        assert part in text


def test_metrics_side_by_side() -> None:
    """USD beside BTC, the weighted form beside the plain one, a dash for null, no alias of a `_usd` metric."""
    text = summary(
        {
            "adg_usd": 0.001,
            "adg_btc": 0.002,
            "adg_w_usd": 0.003,
            "adg_w_btc": 0.004,
            "omega_ratio_usd": None,
            "gain": 5.0,
        }
        | {"gain_usd": 5.0, "gain_btc": 1.5, "adg_pnl": 0.0123456, "adg_pnl_w": -1e-9, "brand_new_metric": 7}
    )
    assert cells(text, "adg") == ["0.001", "0.002", "0.003", "0.004"]
    assert cells(text, "gain") == ["5", "1.5"]
    assert cells(text, "omega_ratio") == ["-"]
    assert cells(text, "adg_pnl") == ["0.012346", "-1.000e-09"]
    assert cells(text, "brand_new_metric") == ["7"]


def test_fills_by_type_and_coin() -> None:
    """Counts and profit after fees by kind of order and side, and by coin."""
    text = summary({})
    assert cells(text, "entry_initial_normal")[:2] == ["2", "2"]
    assert cells(text, "close_trailing")[0] == "2"
    assert cells(text, "AAA") == ["23", "5.39", "12.25", "-0.77", "16.86"]


@pytest.mark.parametrize("fills", [True, False])
def test_fits_eighty_columns(fills: bool) -> None:
    """Piped to a file the summary has no control characters and no line longer than 80, with all metrics."""
    engine = pytest.importorskip("passivbot_rust", reason="the Rust extension is not built: maturin develop --release")
    analysis = {
        f"{row[0]}{end}": -1234.56789
        for row in engine.metric_table()
        for end in (("_usd", "_btc") if row[1] else ("",))
    }
    text = summary(analysis, "note " * 30, fills=fills)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "…" not in text
    assert "Other metrics" not in text
