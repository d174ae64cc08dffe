"""Skipping where a side has little room left: when entries may be passed over because the gate turns them away."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine_cases import EngineCase, both_ways, example_a

COIN, QTY, PRICE, TYPE = 2, 9, 10, 13
ROWS, HOUR = 240, 60
FAR = 0.3
CALM: dict[str, float] = {
    "close_grid_markup_end": 0.5,
    "close_grid_markup_start": 0.5,
    "close_trailing_grid_ratio": 0.0,
    "entry_grid_spacing_pct": 0.5,
    "entry_grid_spacing_volatility_weight": 0.0,
    "entry_grid_spacing_we_weight": 0.0,
    "entry_initial_ema_dist": -0.05,
    "entry_trailing_grid_ratio": 0.0,
    "risk_twel_enforcer_threshold": -1.0,
    "risk_wel_enforcer_threshold": 0.0,
    "unstuck_loss_allowance_pct": 0.0,
}
RULES = {"qty_step": 1e-5, "price_step": 0.01, "min_qty": 1e-5, "min_cost": 1.0, "c_mult": 1.0}
Lows = dict[int, float]


def long_only(lows: list[Lows], params: list[dict[str, Any]], rules: list[dict[str, Any]], **shared: Any) -> EngineCase:
    """Coins that stand still at 100 but for the given lows; each with parameters and rules of its own."""
    coins = len(lows)
    hlcvs = np.full((ROWS, coins, 4), 100.0)
    for coin, own in enumerate(lows):
        for row, low in own.items():
            hlcvs[row, coin, 1] = low
    template = example_a()
    off = template.bot_params[0]["short"] | {"n_positions": 0, "total_wallet_exposure_limit": 0.0}
    common = template.bot_params[0]["long"] | CALM | shared
    run = template.run | {
        "btc_collateral_cap": 0.0,
        "coins": [f"C{i}" for i in range(coins)],
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [ROWS - 1] * coins,
        "warmup_minutes": [20] * coins,
    }
    bot = [{"long": common | own, "short": off} for own in params]
    return EngineCase(hlcvs, np.full(ROWS, 30_000.0), bot, [RULES | own for own in rules], run)


def test_an_enlarged_order_may_be_dust() -> None:
    """C0 holds 40 of 79.6; its re-entry at 40 takes the rest, 39.6, which is below the minimum of 40.

    C1 has filled its limit, so that the side has room for 6. Dust passes unexamined beside the entry of C2, which fits.
    """
    params = [
        {"entry_initial_qty_pct": 0.5, "entry_grid_spacing_pct": 1.206, "entry_grid_spacing_we_weight": -1.0},
        {"entry_initial_qty_pct": 1.0},
        {"entry_initial_qty_pct": 0.001, "entry_initial_ema_dist": FAR},
    ]
    lows: list[Lows] = [{40: 99.9, 90: 30.0}, {40: 99.9}, {}]
    case = long_only(
        lows,
        params,
        [{"min_cost": 40.0}, {}, {}],
        n_positions=3,
        total_wallet_exposure_limit=3 * 0.0796 / 1.9,
        risk_we_excess_allowance_pct=0.9,
        entry_grid_double_down_factor=2.4,
    )
    plain, skipping = both_ways(case)
    assert skipping == plain
    (last,) = [row for row in plain[0] if "inflated" in row[TYPE]]
    assert last[COIN] == "C0"
    assert abs(last[QTY] * last[PRICE]) < 40


def test_room_comes_back_within_an_hour() -> None:
    """C1 had room for its smallest order at 90; at 100, from the next hour on, it has none until C0 sells a part."""
    lows: list[Lows] = [{40: 99.9}, {2 * HOUR + 40: 99.5}]
    params = [
        {"entry_initial_qty_pct": 1.0, "close_grid_markup_start": 0.012, "close_grid_markup_end": 0.01},
        {"entry_initial_qty_pct": 0.001},
    ]
    case = long_only(
        lows,
        params,
        [{}, {"min_qty": 1.0, "qty_step": 1.0}],
        n_positions=2,
        total_wallet_exposure_limit=0.4,
        risk_we_excess_allowance_pct=0.525,
        close_grid_qty_pct=0.3,
    )
    case.hlcvs[: 2 * HOUR, 1, :3] = 90.0
    case.hlcvs[2 * HOUR + 20, 0, 0] = 101.05
    plain, skipping = both_ways(case)
    assert skipping == plain
    assert [(row[COIN], "close" in row[TYPE]) for row in plain[0]] == [("C0", False), ("C0", True), ("C1", False)]
