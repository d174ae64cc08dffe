"""Tables made of the fills of a run: exposure, holding times, profit by coin (`optimizer_pareto_tools.md` 12.2).

`fills` is always `BacktestResult.fills`, one row a fill.
"""

from __future__ import annotations

import pandas as pd

from core.clock import HOUR_MS
from core.terms import PSIDES


def with_side(fills: pd.DataFrame) -> pd.DataFrame:
    """The fills with the column `pside`."""
    long, short = PSIDES
    return fills.assign(pside=fills["type"].str.endswith(long).map({True: long, False: short}))


def with_exposure(fills: pd.DataFrame) -> pd.DataFrame:
    """The fills with `we`, the wallet exposure of the position after the fill, and `twe`, the sum over all positions.

    Short positions count negative.
    """
    table = with_side(fills)
    table["we"] = table["psize"] * table["pprice"] / table["usd_total_balance"]
    changes = table.groupby(["coin", "pside"])["we"].diff().fillna(table["we"])
    table["twe"] = changes.cumsum()
    return table


def holding_times(fills: pd.DataFrame) -> pd.DataFrame:
    """One row a position, oldest first: coin, pside, opened, closed (NaT while it is open), hours, fills, profit.

    `hours` of an open position last until the last fill of the run; `profit` is after fees.
    """
    table = with_side(fills)
    table["profit"] = table["pnl"] + table["fee_paid"]
    side = [table["coin"], table["pside"]]
    is_first = table["psize"].eq(0.0).groupby(side).shift(fill_value=True)
    table["position"] = is_first.groupby(side).cumsum()
    groups = table.groupby(["coin", "pside", "position"])
    positions = groups.agg(
        opened=("timestamp", "first"), closed=("timestamp", "last"), fills=("type", "size"), profit=("profit", "sum")
    )
    is_open = groups["psize"].last() != 0.0
    until = positions["closed"].mask(is_open, fills["timestamp"].max())
    hours = (until - positions["opened"]).dt.total_seconds() * 1000.0 / HOUR_MS
    positions["closed"] = positions["closed"].mask(is_open)
    positions.insert(2, "hours", hours)
    return positions.reset_index().drop(columns="position").sort_values("opened", ignore_index=True)


def profit_by_coin(fills: pd.DataFrame) -> pd.DataFrame:
    """Number of fills, pnl of each side, fees and profit after them of every coin, best first."""
    table = with_side(fills)
    columns = {pside: table["pnl"].where(table["pside"] == pside, 0.0) for pside in PSIDES}
    table = table.assign(fills=1, **columns, fees=table["fee_paid"], profit=table["pnl"] + table["fee_paid"])
    return (
        table[["coin", "fills", *PSIDES, "fees", "profit"]].groupby("coin").sum().sort_values("profit", ascending=False)
    )
