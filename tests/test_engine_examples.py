"""The worked runs A and B of `backtest_engine.md` 19 and 20, to the last bit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest

from engine_cases import FIRST_MS_A, VECTORS, EngineCase, example_a, example_b

TWE_COLUMNS = 17


def run(case: EngineCase) -> tuple[Any, Any, Any, Any]:
    return pbr.run_backtest(*case.args)


def check_metrics(got: dict[str, float | None], want: dict[str, float | None]) -> None:
    assert list(got) == [row[0] for row in pbr.metric_table()]
    assert got.keys() == want.keys()
    for name, value in want.items():
        if value is None:
            assert got[name] is None, name
        else:
            assert got[name] == pytest.approx(value, rel=1e-12, abs=1e-15), name


def test_example_a_fills() -> None:
    """Every fill of example A has the stated numbers."""
    fills, _, _, _ = run(example_a())
    assert [list(row)[:TWE_COLUMNS] for row in fills] == VECTORS["fills_a"]
    assert all(row[17] == row[15] + row[16] for row in fills)


def test_example_a_equity() -> None:
    """The equity samples of example A are the stated ones, on consecutive minutes."""
    _, equity, _, _ = run(example_a())
    want = {
        21: (1002.625, 0.024934717731907485),
        22: (1002.5540899899999, 0.02492675509671805),
        48: (1007.585644432, 0.024890949714229248),
        60: (1005.6552120380001, 0.024769832808817737),
        128: (1017.9401714170826, 0.025271603063979214),
    }
    assert equity.shape == (108, 3)
    assert (equity[:, 0] == FIRST_MS_A + 60_000 * np.arange(21, 129)).all()
    assert {k: tuple(equity[k - 21, 1:]) for k in want} == want
    assert equity[:, 1].sum() == pytest.approx(108576.85328688893, rel=1e-14)
    assert equity[:, 2].sum() == pytest.approx(2.6825554656488824, rel=1e-14)


def test_example_b_fills() -> None:
    """Number, kinds and the outer fills of example B; a delisted position stays to the end."""
    fills, equity, _, _ = run(example_b())
    rows = [list(row) for row in fills]
    assert len(rows) == 254
    assert rows[:3] + rows[-2:] == VECTORS["fills_b_first_three_last_two"]
    assert Counter(row[13] for row in rows) == {
        "entry_grid_cropped_long": 50,
        "close_unstuck_long": 31,
        "entry_grid_normal_long": 26,
        "close_grid_long": 26,
        "close_auto_reduce_wel_long": 25,
        "entry_trailing_cropped_short": 21,
        "entry_initial_normal_long": 18,
        "close_trailing_short": 15,
        "close_auto_reduce_twel_short": 10,
        "entry_initial_normal_short": 8,
        "entry_grid_cropped_short": 7,
        "entry_trailing_normal_short": 7,
        "close_auto_reduce_twel_long": 6,
        "entry_grid_inflated_long": 4,
    }
    assert sum(row[0] for row in rows) == 915663
    assert sum(row[4] for row in rows) == pytest.approx(-24.256477144, rel=1e-12)
    assert sum(row[3] for row in rows) == pytest.approx(216.7839599999981, rel=1e-12)
    assert equity.shape == (7299, 3)
    assert tuple(equity[0]) == (1704081420000, 4900.0, 0.10208333333333333)
    assert tuple(equity[-1]) == (1704519300000, 4951.115587593336, 0.11007371248540099)
    by_row = {6050: 4322.581860016289, 6051: 5012.031753392553}
    first_row = 7498 - len(equity) + 1
    assert {k: equity[k - first_row, 1] for k in by_row} == by_row


@pytest.mark.parametrize(("name", "case"), [("A", example_a()), ("B", example_b())], ids=["A", "B"])
def test_example_metrics(name: str, case: EngineCase) -> None:
    """All 53 metrics in both currencies."""
    _, _, usd, btc = run(case)
    check_metrics(usd, VECTORS["metrics"][f"{name} usd"])
    check_metrics(btc, VECTORS["metrics"][f"{name} btc"])
