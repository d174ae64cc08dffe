"""What the engine returns, made ready for files and tables (`backtest_engine.md` 17.3, 17.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from config.objectives import CURRENCY_METRICS
from core.terms import PSIDES

Floats = npt.NDArray[np.float64]
Fills = npt.NDArray[np.object_]
Analysis = dict[str, Any]

FILL_COLUMNS = (
    "index", "timestamp", "coin", "pnl", "fee_paid", "usd_total_balance", "btc_cash_wallet", "usd_cash_wallet",
    "btc_price", "qty", "price", "psize", "pprice", "type", "wallet_exposure", "twe_long", "twe_short", "twe_net",
)  # fmt: skip
_TYPES = {"index": np.int64, "timestamp": np.int64, "coin": object, "type": object}
BALANCE_COLUMNS = (
    "usd_cash_wallet", "usd_total_balance", "usd_total_equity",
    "btc_cash_wallet", "btc_total_balance", "btc_total_equity",
)  # fmt: skip
_OF_FILLS = ("usd_cash_wallet", "usd_total_balance", "btc_cash_wallet", "btc_total_balance")
PER_EXPOSURE_METRICS = ("adg", "adg_w", "mdg", "mdg_w", "gain")
DEFAULT_DIVIDER = 60


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """One finished backtest.

    fills               one row a fill: the columns of `backtest_engine.md` 14.1, `minute`, `btc_total_balance`
    equities            float64 [m, 3], one row a tracked minute: ms, USD equity, BTC equity
    balance_and_equity  `BALANCE_COLUMNS`, float32, indexed by time, one row a sampling interval
    analysis            expanded metrics; None where a metric has no finite value; text in `data_note`
    """

    fills: pd.DataFrame
    equities: Floats
    balance_and_equity: pd.DataFrame
    analysis: Analysis

    @property
    def data_note(self) -> str | None:
        """What must be said of the data wherever the result is shown, e.g. that they are synthetic."""
        note = self.analysis.get("data_note")
        return note if isinstance(note, str) else None


@dataclass(frozen=True, slots=True)
class CandleCube:
    """The candles of a run: `hlcvs` float64 [T, N, 4], `timestamps` int64 [T] in ms, names of the N columns."""

    hlcvs: Floats
    timestamps: npt.NDArray[np.int64]
    coins: tuple[str, ...]


def backtest_result(
    fills: Fills | None,
    equities: Floats | None,
    analysis: Mapping[str, Any],
    *,
    divider: Any = DEFAULT_DIVIDER,
    data_note: str | None = None,
) -> BacktestResult:
    """Tables and complete metrics of a run.

    `fills` and `equities` as the engine returns them, `analysis` from `expand_analysis`; `divider` is
    `backtest.balance_sample_divider`.
    """
    table = fills_table(fills)
    samples = np.empty((0, 3)) if equities is None else np.asarray(equities, dtype=np.float64).reshape(-1, 3)
    complete = {key: finite_or_none(value) for key, value in {**pside_ratios(table), **analysis}.items()}
    if data_note:
        complete["data_note"] = data_note
    return BacktestResult(table, samples, balance_table(table, samples, sample_minutes(divider)), complete)


def finite_or_none(value: Any) -> Any:
    """None for a number that is not finite, a Python float for one of numpy; anything else unchanged."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def sample_minutes(divider: Any) -> int:
    """`balance_sample_divider` as whole minutes, at least 1; 60 for what is not a number (17.5)."""
    try:
        return max(1, round(float(divider)))
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_DIVIDER


def expand_analysis(
    analysis_usd: Mapping[str, float | None],
    analysis_btc: Mapping[str, float | None],
    fills: Fills | None,
    equities_array: Floats | None,
    config: Mapping[str, Any],
) -> Analysis:
    """The engine's two dictionaries as one: metrics per currency get `_usd` and `_btc`, the shared ones no suffix.

    Adds the metrics per unit of exposure limit. `fills` and `equities_array` are part of the call's fixed form only.
    """
    usd, btc = _with_per_exposure(analysis_usd, config), _with_per_exposure(analysis_btc, config)
    expanded: Analysis = {}
    for name, value in usd.items():
        if name in CURRENCY_METRICS:
            for suffix, values in (("_usd", usd), ("_btc", btc)):
                expanded[name if suffix in name else name + suffix] = values.get(name)
        else:
            shared = btc.get(name) if value is None else value
            if shared is not None:
                expanded[name] = shared
    return expanded


def _with_per_exposure(analysis: Mapping[str, float | None], config: Mapping[str, Any]) -> dict[str, float | None]:
    expanded = dict(analysis)
    for pside in PSIDES:
        limit = float(config["bot"][pside]["total_wallet_exposure_limit"])
        for name in PER_EXPOSURE_METRICS:
            value = analysis.get(name)
            per_exposure = None if value is None else value / limit if limit > 0.0 else 0.0
            expanded[f"{name}_per_exposure_{pside}"] = per_exposure
    return expanded


def process_forager_fills(
    fills: Fills | None,
    coins: Sequence[str],
    hlcvs: Floats | None,
    equities_array: Floats | None,
    balance_sample_divider: int = DEFAULT_DIVIDER,
) -> tuple[pd.DataFrame, dict[str, float], pd.DataFrame]:
    """`(fills_df, appendix, balance_and_equity)` (17.4). `coins` and `hlcvs` are part of the call's fixed form only.

    The appendix holds `pside_ratios`, with 0 for the long share of no fills at all.
    """
    result = backtest_result(fills, equities_array, {}, divider=balance_sample_divider)
    appendix = pside_ratios(result.fills)
    if result.fills.empty:
        appendix["pnl_ratio_long_short"] = 0.0
    return result.fills, appendix, result.balance_and_equity


def fills_table(fills: Fills | None) -> pd.DataFrame:
    """The engine's fills as a table, `timestamp` datetime64[ns], with `minute` and `btc_total_balance`."""
    rows = np.empty((0, len(FILL_COLUMNS)), dtype=object) if fills is None else np.asarray(fills, dtype=object)
    rows = rows.reshape(-1, len(FILL_COLUMNS))
    columns = {name: rows[:, i].astype(_TYPES.get(name, np.float64)) for i, name in enumerate(FILL_COLUMNS)}
    columns["timestamp"] = _moments(columns["timestamp"])
    table = pd.DataFrame(columns).astype({"coin": "str", "type": "str"})
    price = table["btc_price"].to_numpy()
    table["minute"] = table["index"]
    table["btc_total_balance"] = table["usd_total_balance"] / np.where(price > 0.0, price, np.nan)
    return table


def _moments(ms: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    return ms.astype("datetime64[ms]").astype("datetime64[ns]")


def pside_ratios(fills: pd.DataFrame) -> dict[str, float]:
    """Loss over profit of each side and the long share of the profit; a ratio without denominator is not finite."""
    pnl, ratios = {}, {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for pside in PSIDES:
            of_side = fills.loc[fills["type"].str.contains(pside), "pnl"]
            profit, loss = np.float64(of_side[of_side > 0.0].sum()), np.float64(of_side[of_side < 0.0].sum())
            pnl[pside] = profit + loss
            ratios[f"loss_profit_ratio_{pside}"] = float(abs(loss / profit)) if len(of_side) else 1.0
        ratios["pnl_ratio_long_short"] = float(pnl["long"] / (pnl["long"] + pnl["short"]))
    return ratios


def balance_table(fills: pd.DataFrame, equities: Floats, divider: int) -> pd.DataFrame:
    """Wallets, balance and equity every `divider` minutes (17.4); float32, rounded to four decimals.

    Balances are those after the last fill of an interval; before any fill those of the first interval with one.
    """
    buckets = fills["timestamp"].dt.floor(f"{divider}min")
    of_fills = fills.loc[~buckets.duplicated(keep="last"), list(_OF_FILLS)]
    of_fills.index = pd.DatetimeIndex(buckets[of_fills.index])
    of_equity = pd.DataFrame(
        {"usd_total_equity": equities[:, 1], "btc_total_equity": equities[:, 2]},
        index=pd.DatetimeIndex(_moments(equities[:, 0])),
    )
    joined = of_fills.join(of_equity, how="outer").sort_index()
    table: pd.DataFrame = joined.loc[~joined.index.duplicated(), list(BALANCE_COLUMNS)].ffill().bfill()
    if divider > 1 and len(table):
        table = table.resample(f"{divider}min").last().dropna(how="all").ffill().bfill()
    rounded: pd.DataFrame = table.rename_axis(None).round(4).astype(np.float32)
    return rounded
