"""`run_backtest_columns`: the fills of `run_backtest` as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import passivbot_rust as pbr
import pytest

from engine_cases import EngineCase, example_a, example_b
from simulation.results import FILL_COLUMNS

RENAMED = {"coin": "coin_index", "type": "order_type_id"}


def boxed_like(columns: dict[str, Any], coins: list[str]) -> list[list[Any]]:
    """Columns as the rows of the object array."""
    frame = pd.DataFrame(columns)
    frame["coin_index"] = [coins[at] for at in columns["coin_index"]]
    frame["order_type_id"] = [pbr.order_type_id_to_snake(int(id_)) for id_ in columns["order_type_id"]]
    return [list(row) for row in frame.itertuples(index=False, name=None)]


@pytest.mark.parametrize("case", [example_a(), example_b()], ids=["A", "B"])
def test_columns_equal_the_objects(case: EngineCase) -> None:
    """Same fills to the last bit, same equity and metrics, column by column in the same order."""
    fills, equities, usd, btc = pbr.run_backtest(*case.args)
    columns, equities_too, usd_too, btc_too = pbr.run_backtest_columns(*case.args)
    assert fills is not None
    assert list(columns) == [RENAMED.get(name, name) for name in FILL_COLUMNS]
    assert boxed_like(columns, case.run["coins"]) == fills.tolist()
    assert equities is not None
    assert equities_too.tobytes() == equities.tobytes()
    assert (usd_too, btc_too) == (usd, btc)


def test_types() -> None:
    """Whole numbers are integers, all else is float64; every column owns its memory."""
    columns, _, _, _ = pbr.run_backtest_columns(*example_a().args)
    whole = {"index": np.uint32, "timestamp": np.int64, "coin_index": np.uint32, "order_type_id": np.uint16}
    assert {name: column.dtype.type for name, column in columns.items() if column.dtype != np.float64} == whole
    columns["pnl"][0] = 1.0


def test_without_fills_and_with_metrics_only() -> None:
    """No fill gives empty columns; `metrics_only` does not take the columns away."""
    case = example_a()
    args = [*case.args[:4], case.run | {"requested_start_timestamp_ms": case.run["first_timestamp_ms"] + 10**9}]
    columns, _, _, _ = pbr.run_backtest_columns(*args)
    assert {len(column) for column in columns.values()} == {0}
    full = pbr.run_backtest_columns(*case.args)
    asked = pbr.run_backtest_columns(*case.args[:4], case.run | {"metrics_only": True})
    assert asked[0]["price"].tolist() == full[0]["price"].tolist()
    assert asked[1].tobytes() == full[1].tobytes()


def test_refusals() -> None:
    """Wrong shapes are refused as by `run_backtest`."""
    hlcvs, btc_usd, *rest = example_a().args
    with pytest.raises(ValueError, match="btc_usd has 129 rows, hlcvs 130"):
        pbr.run_backtest_columns(hlcvs, btc_usd[:-1], *rest)
    with pytest.raises(ValueError, match="4 fields a candle, got 3"):
        pbr.run_backtest_columns(np.ascontiguousarray(hlcvs[:, :, :3]), btc_usd, *rest)
