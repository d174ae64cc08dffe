"""Tables and expanded metrics of results (`backtest_engine.md` 17.3, 17.4, 19.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import example_a
from simulation.results import (
    FILL_COLUMNS,
    backtest_result,
    expand_analysis,
    process_forager_fills,
    sample_minutes,
)

CONFIG = {"bot": {"long": {"total_wallet_exposure_limit": 2.0}, "short": {"total_wallet_exposure_limit": 0.0}}}
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def test_example_a_appendix_and_table() -> None:
    """The fills of worked example A give its ratios by side and its hourly table, to the printed digit."""
    fills, appendix, table = process_forager_fills(example_a.fills(), ["AAA"], None, example_a.EQUITIES, 60)
    assert appendix == {
        "loss_profit_ratio_long": 0.15831336553306127,
        "loss_profit_ratio_short": 0.0,
        "pnl_ratio_long_short": 0.30536762821458646,
    }
    assert table.to_csv(date_format=TIME_FORMAT) == example_a.BALANCE_AND_EQUITY_CSV
    assert set(table.dtypes) == {np.dtype("float32")}
    assert [*fills] == [*FILL_COLUMNS, "minute", "btc_total_balance"]
    assert str(fills["timestamp"].dtype) == "datetime64[ns]"
    assert fills["index"].dtype == np.int64
    assert fills["timestamp"].iloc[0] == pd.Timestamp("2024-01-01 00:22")
    assert fills["btc_total_balance"].iloc[0] == 1002.7280099899999 / 40220.0


def test_divider_of_one_keeps_every_minute() -> None:
    """Without resampling a fill minute and an equity minute are a row each; gaps take the value before, or after."""
    *_, table = process_forager_fills(example_a.fills(), [], None, example_a.EQUITIES, 1)
    minutes = {22, 34, 48, 49, 55, 57, 61, 79, 83, 86, 89, 109, 112, 113, 114, 117, 121, 122, 127, 128} | {21, 59, 119}
    assert list(table.index) == [pd.Timestamp("2024-01-01") + pd.Timedelta(minutes=m) for m in sorted(minutes)]
    assert not table.isna().any().any()
    assert table["usd_cash_wallet"].iloc[0] == np.float32(499.978)


def test_bins_start_at_midnight() -> None:
    """Bins of seven hours count from midnight of the first day, whatever the time of the first row."""
    equities = np.array([[example_a.START_MS + 60_000 * m, 1.0 * m, 0.0] for m in (500, 800, 900)])
    *_, table = process_forager_fills(None, [], None, equities, 420)
    assert [f"{t:%H:%M}" for t in table.index] == ["07:00", "14:00"]
    assert list(table["usd_total_equity"]) == [800.0, 900.0]


def test_run_without_fills() -> None:
    """No fills: empty tables with all columns, ratios without a meaning are null in the analysis."""
    fills, appendix, table = process_forager_fills(None, [], None, None)
    assert (len(fills), len(fills.columns), len(table)) == (0, 20, 0)
    assert appendix["pnl_ratio_long_short"] == 0.0
    analysis = backtest_result(None, example_a.EQUITIES, {"adg_usd": 0.0}).analysis
    assert analysis == {
        "loss_profit_ratio_long": 1.0, "loss_profit_ratio_short": 1.0, "pnl_ratio_long_short": None, "adg_usd": 0.0,
    }  # fmt: skip


def test_ratio_without_profit_is_null() -> None:
    """A zero denominator gives null; keys already there are kept; numbers become plain ones; text stays."""
    fills = example_a.fills()[[0, 12]]  # one entry and one losing close
    result = backtest_result(
        fills,
        None,
        {"pnl_ratio_long_short": 7.0, "gain_usd": np.float64(2.0), "omega_ratio_usd": np.inf},
        data_note="not real",
    )
    assert result.analysis["loss_profit_ratio_long"] is None
    assert result.analysis["pnl_ratio_long_short"] == 7.0
    assert type(result.analysis["gain_usd"]) is float
    assert result.analysis["omega_ratio_usd"] is None
    assert result.data_note == result.analysis["data_note"] == "not real"


def test_no_btc_price_no_btc_balance() -> None:
    """`btc_total_balance` is NaN (an empty cell) where the BTC price is not above zero."""
    fills = example_a.fills()
    fills[0, 8] = 0.0
    assert np.isnan(backtest_result(fills, None, {}).fills["btc_total_balance"].iloc[0])


@pytest.mark.parametrize(
    ("divider", "minutes"), [(60, 60), ("15", 15), (2.5, 2), (0, 1), (-3, 1), (None, 60), ("x", 60), (float("nan"), 60)]
)
def test_sample_minutes(divider: Any, minutes: int) -> None:
    """The divider is rounded, at least 1, and 60 for what is no number."""
    assert sample_minutes(divider) == minutes


def test_expanded_names() -> None:
    """Currency metrics get both suffixes, shared ones take USD, then BTC, and are left out without a value."""
    usd = {
        "adg": 0.02,
        "mdg": None,
        "gain": 3.0,
        "loss_profit_ratio": None,
        "adg_pnl": 0.1,
        "volume_pct_per_day_avg": None,
    }
    btc = {**usd, "adg": 0.01, "loss_profit_ratio": 0.5}
    expanded = expand_analysis(usd, btc, None, None, CONFIG)
    assert (expanded["adg_usd"], expanded["adg_btc"]) == (0.02, 0.01)
    assert (expanded["mdg_usd"], expanded["mdg_btc"]) == (None, None)
    assert (expanded["adg_per_exposure_long_usd"], expanded["adg_per_exposure_long_btc"]) == (0.01, 0.005)
    assert (expanded["gain_per_exposure_short_usd"], expanded["mdg_per_exposure_long_usd"]) == (0.0, None)
    assert (expanded["loss_profit_ratio"], expanded["adg_pnl"]) == (0.5, 0.1)
    assert "volume_pct_per_day_avg" not in expanded
    assert "adg" not in expanded


def test_expanded_names_of_the_engine() -> None:
    """The engine's 53 metrics become 102 keys, and every currency metric of its table is one here."""
    engine = pytest.importorskip("passivbot_rust", reason="the Rust extension is not built: maturin develop --release")
    rows = engine.metric_table()
    values = {row[0]: 1.0 for row in rows}
    expanded = expand_analysis(values, values, None, None, CONFIG)
    assert len(values) == 53
    assert len(expanded) == 102
    assert {row[0] for row in rows if row[1]} == {row[0] for row in rows if f"{row[0]}_btc" in expanded}
