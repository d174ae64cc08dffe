"""The table of balance and equity for random runs (`backtest_engine.md` 17.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.results import BALANCE_COLUMNS, FILL_COLUMNS, process_forager_fills

START_MS = 1_704_067_200_000
MINUTE = 60_000


@st.composite
def runs(draw: st.DrawFn) -> tuple[Any, Any, int]:
    """Fills on ascending minutes, equity of consecutive minutes, a divider."""
    first = draw(st.integers(0, 3000))
    length = draw(st.integers(1, 400))
    minutes = sorted(draw(st.lists(st.integers(first, first + length), max_size=20)))
    fills = np.empty((len(minutes), len(FILL_COLUMNS)), dtype=object)
    for row, minute in zip(fills, minutes, strict=True):
        row[:] = 1.0
        row[0], row[1], row[2], row[13] = minute, START_MS + minute * MINUTE, "A", "close_grid_long"
        row[5] = row[7] = draw(st.floats(-1e6, 1e6))
    at = np.arange(first, first + length)
    equities = np.column_stack([START_MS + at * MINUTE, 100.0 + np.sin(at), np.cos(at)])
    return fills, equities, draw(st.sampled_from([1, 15, 60, 1440]))


@settings(max_examples=60, deadline=None)
@given(runs())
def test_table_holds_the_last_values(run: tuple[Any, Any, int]) -> None:
    """Every row holds the last equity of its bin and the balance after the last fill up to there,
    before any fill that of the first bin with fills; no gaps."""
    fills, equities, divider = run
    *_, table = process_forager_fills(fills, ["A"], None, equities, divider)
    assert list(table) == list(BALANCE_COLUMNS)
    assert table.index.is_monotonic_increasing
    assert table.index.is_unique
    assert not table[["usd_total_equity", "btc_total_equity"]].isna().any().any()
    assert len(fills) == 0 or not table.isna().any().any()
    stamps = equities[:, 0].astype("int64")
    for label, usd, balance in zip(table.index, table["usd_total_equity"], table["usd_total_balance"], strict=True):
        assert (label - pd.Timestamp("2024-01-01")) % pd.Timedelta(minutes=divider) == pd.Timedelta(0)
        end = label.value // 1_000_000 + divider * MINUTE
        upto = stamps < end
        expected = equities[upto, 1][-1] if upto.any() else equities[0, 1]
        assert usd == np.float32(round(expected, 4))
        if len(fills):
            at = fills[:, 1].astype("int64")
            first_bin = at // (divider * MINUTE) == at[0] // (divider * MINUTE)
            booked = (at < end) if (at < end).any() else first_bin
            assert balance == np.float32(np.round(fills[booked, 5][-1], 4))
