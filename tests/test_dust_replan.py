"""Entries below the venue's minimum: whether they rest depends on all others, so none of those may be left out.

Such dust arises where prices are off the venue's price step: a ladder sizes its first order at the touch and rounds the
price afterwards. The entry gate does not count dust. It stays only if there are other entries and all of them fit
(`orders.md` 10.4).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine_cases import EngineCase, both_ways, example_a, random_market

ROWS, DIP = 60, 40
COIN, QTY, PRICE, TYPE = 2, 9, 10, 13
DUSTY = {"qty_step": 1e-5, "price_step": 0.1, "min_qty": 1e-5, "min_cost": 5.0, "c_mult": 1.0}
GRID = {
    "close_grid_markup_end": 0.05,
    "close_grid_markup_start": 0.05,
    "entry_grid_double_down_factor": 1.0,
    "entry_grid_spacing_pct": 0.005,
    "entry_grid_spacing_volatility_weight": 0.0,
    "entry_grid_spacing_we_weight": 0.0,
    "entry_initial_qty_pct": 0.001,
    "entry_trailing_grid_ratio": 0.0,
    "n_positions": 2,
    "total_wallet_exposure_limit": 1.0,
    "unstuck_loss_allowance_pct": 0.0,
}
NEAR, FAR = -0.05, 0.3


def two_coins(other_first: float, allowance: float) -> EngineCase:
    """A first order of C0 at 100.04 and a ladder of C1 at 100 or far away, and one dip that reaches both.

    The order of C0 is 0.04999, which is 5 / 100.04 in steps; the ladder rounds its price to 100.0, which needs 0.05.
    """
    prices = np.array([100.04, 100.0])
    hlcvs = np.repeat(np.stack([prices, prices, prices, [100.0, 100.0]], axis=-1)[None], ROWS, axis=0)
    hlcvs[DIP, :, 1] = 99.0
    template = example_a()
    off = template.bot_params[0]["short"] | {"n_positions": 0, "total_wallet_exposure_limit": 0.0}
    common = template.bot_params[0]["long"] | GRID | {"risk_we_excess_allowance_pct": allowance}
    lone = common | {"entry_initial_ema_dist": NEAR, "entry_trailing_grid_ratio": 1.0}
    ladder = common | {"entry_initial_ema_dist": other_first}
    bot = [{"long": side, "short": off} for side in (lone, ladder)]
    run = template.run | {
        "btc_collateral_cap": 0.0,
        "coins": ["C0", "C1"],
        "first_valid_indices": [0, 0],
        "last_valid_indices": [ROWS - 1] * 2,
        "warmup_minutes": [20] * 2,
    }
    return EngineCase(hlcvs, np.full(ROWS, 30_000.0), bot, [DUSTY] * 2, run)


def test_dust_rests_beside_an_entry_that_nothing_reaches() -> None:
    """The dip fills the dust of C0 because C1 has an entry, too, far from the market: C1 must be planned."""
    plain, skipping = both_ways(two_coins(FAR, allowance=0.0))
    assert skipping == plain
    assert [(row[COIN], row[QTY], row[PRICE]) for row in plain[0]] == [("C0", 0.04999, 100.0)]


def test_dust_goes_where_whole_ladders_do_not_fit() -> None:
    """The dip fills C1, whose ladder as a whole is too much for the side: its far orders, too, must be planned."""
    plain, skipping = both_ways(two_coins(NEAR, allowance=2.0))
    assert skipping == plain
    assert {row[COIN] for row in plain[0]} == {"C1"}


def test_dust_stays_where_whole_ladders_fit() -> None:
    """The counterpart: with room for the ladder of C1, the dip fills the dust as well."""
    plain, skipping = both_ways(two_coins(NEAR, allowance=0.0))
    assert skipping == plain
    assert {row[COIN] for row in plain[0]} == {"C0", "C1"}


def test_the_smallest_order_is_cheaper_after_rounding() -> None:
    """At 99.96 the smallest order costs 5.001, at 100.0, where the ladder has it, 5.0; the room is between the two."""
    case = two_coins(FAR, allowance=0.0)
    long = case.bot_params[0]["long"] | {"n_positions": 1, "total_wallet_exposure_limit": 0.0050005}
    lone = [case.bot_params[0] | {"long": long}]
    hlcvs = np.ascontiguousarray(case.hlcvs[:, :1])
    hlcvs[:, 0, :3] = 99.96
    hlcvs[DIP, 0, 1] = 99.0
    run = case.run | {"coins": ["C0"], "first_valid_indices": [0], "last_valid_indices": [ROWS - 1]}
    run["warmup_minutes"] = [20]
    plain, skipping = both_ways(EngineCase(hlcvs, case.btc_usd, lone, [DUSTY], run))
    assert [(row[QTY], row[PRICE]) for row in plain[0]] == [(0.05, 100.0)]
    assert skipping == plain


def test_dust_needs_no_room() -> None:
    """The side has room for 2, the dust costs 4.999 and passes unexamined, because the entry of C1 costs 1 and fits."""
    case = two_coins(FAR, allowance=0.0)
    limit = {"total_wallet_exposure_limit": 0.002}
    bot = [params | {"long": params["long"] | limit} for params in case.bot_params]
    plain, skipping = both_ways(replace(case, bot_params=bot, exchange_params=[DUSTY, DUSTY | {"min_cost": 1.0}]))
    assert [(row[COIN], row[QTY], row[PRICE]) for row in plain[0]] == [("C0", 0.04999, 100.0)]
    assert skipping == plain


@pytest.mark.parametrize("seed", range(3))
def test_prices_off_the_step(seed: int) -> None:
    """Random markets with ticks finer than the price step and orders as small as the venue takes, long and short."""
    rows, coins = 900, 3
    template = example_a()
    quick: dict[str, Any] = {
        "close_grid_markup_end": 0.002,
        "close_grid_markup_start": 0.004,
        "close_trailing_grid_ratio": 0.0,
        "entry_initial_ema_dist": -0.01,
        "risk_we_excess_allowance_pct": 0.3,
        "n_positions": 2 + seed % 2,
    }
    bot = {side: params | GRID | quick for side, params in template.bot_params[0].items()}
    run = template.run | {
        "coins": [f"C{i}" for i in range(coins)],
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [rows - 1] * coins,
        "starting_balance": 200.0,
        "warmup_minutes": [20] * coins,
    }
    market = random_market(seed, rows, coins)
    plain, skipping = both_ways(EngineCase(market, np.full(rows, 30_000.0), [bot] * coins, [DUSTY] * coins, run))
    assert skipping == plain
    assert any(abs(row[QTY] * row[PRICE]) < DUSTY["min_cost"] for row in plain[0] if "entry" in row[TYPE])
