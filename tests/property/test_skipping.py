"""Skipping a planning pass that nothing can fill changes no fill, no equity and no metric (`backtest_engine.md` 18)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine_cases import FIRST_MS_A, EngineCase, both_ways, example_a, example_b, random_market

RATIOS = st.sampled_from([-1.0, -0.7, -0.3, 0.0, 0.2, 0.6, 1.0])
side_params = st.fixed_dictionaries(
    {
        "close_grid_markup_start": st.floats(0.0005, 0.02),
        "close_grid_markup_end": st.floats(0.0005, 0.02),
        "close_grid_qty_pct": st.sampled_from([0.05, 0.2, 0.5, 1.0, -1.0]),
        "close_trailing_grid_ratio": RATIOS,
        "close_trailing_threshold_pct": st.sampled_from([-0.01, 0.0, 0.002, 0.01]),
        "close_trailing_retracement_pct": st.sampled_from([0.0, 0.001, 0.005]),
        "ema_span_0": st.floats(1, 200),
        "ema_span_1": st.floats(1, 200),
        "entry_grid_double_down_factor": st.floats(0.2, 2.5),
        "entry_grid_spacing_pct": st.floats(0.001, 0.03),
        "entry_grid_spacing_we_weight": st.sampled_from([-2.0, 0.0, 1.0, 6.0]),
        "entry_grid_spacing_volatility_weight": st.sampled_from([0.0, 5.0, 50.0]),
        "entry_initial_ema_dist": st.one_of(st.floats(-0.03, 0.001), st.floats(-0.03, 0.02)),
        "entry_initial_qty_pct": st.floats(0.003, 0.4),
        "entry_trailing_grid_ratio": RATIOS,
        "entry_trailing_threshold_pct": st.sampled_from([-0.01, 0.0, 0.003, 0.02]),
        "entry_trailing_retracement_pct": st.sampled_from([0.0, 0.001, 0.004]),
        "entry_trailing_threshold_we_weight": st.sampled_from([0.0, 3.0]),
        "entry_trailing_retracement_volatility_weight": st.sampled_from([0.0, 20.0]),
        "entry_volatility_ema_span_hours": st.sampled_from([0.0, 1.0, 2.0, 10.0] * 4 + [0.5]),
        "filter_volume_drop_pct": st.sampled_from([0.0, 0.3, 0.5, 0.9]),
        "filter_volume_ema_span": st.sampled_from([3.0, 10.0, 120.0, 1.0]),
        "filter_volatility_drop_pct": st.sampled_from([0.0, 0.0, 0.3, 0.5]),
        "filter_volatility_ema_span": st.sampled_from([3.0, 10.0, 120.0, 1.0]),
        "n_positions": st.sampled_from([1, 2, 3, 1, 2, 5, 0]),
        "total_wallet_exposure_limit": st.sampled_from([1.0, 2.5, 0.3, 1.0, 2.5, 0.3, 0.0]),
        "risk_we_excess_allowance_pct": st.sampled_from([0.0, 0.3, 1.2]),
        "risk_wel_enforcer_threshold": st.sampled_from([0.0, 0.3, 0.7, 0.9, 1.0]),
        "risk_twel_enforcer_threshold": st.sampled_from([-1.0, 0.0, 0.8, 0.95]),
        "unstuck_close_pct": st.sampled_from([0.0, 0.02, 0.1]),
        "unstuck_threshold": st.sampled_from([0.0, 0.3, 0.8]),
        "unstuck_ema_dist": st.floats(-0.03, 0.01),
        "unstuck_loss_allowance_pct": st.sampled_from([0.0, 0.002, 0.05]),
    }
)
run_params = st.fixed_dictionaries(
    {
        "btc_collateral_cap": st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.3]),
        "btc_collateral_ltv_cap": st.sampled_from([None, 0.4]),
        "filter_by_min_effective_cost": st.sampled_from([False, False, False, True]),
        "hedge_mode": st.booleans(),
        "starting_balance": st.sampled_from([1000.0, 300.0, 60.0, 3000.0, 50_000.0]),
        "maker_fee": st.sampled_from([-0.0001, 0.0, 0.0002]),
    }
)
MODES = [None, None, None, None, "normal", "normal", "graceful_stop", "tp_only", "manual", "panic"]
modes = st.fixed_dictionaries({"long": st.sampled_from(MODES), "short": st.sampled_from(MODES)})
exchanges = st.fixed_dictionaries(
    {
        "price_step": st.sampled_from([0.01, 0.1, 0.5, 1.0]),
        "qty_step": st.sampled_from([0.001, 0.001, 0.05, 0.3, 1.0]),
        "min_cost": st.sampled_from([1.0, 0.0, 5.0, 1.0, 40.0]),
        "c_mult": st.sampled_from([1.0, 1.0, 0.1]),
    }
)
markets = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1_000_000),
        "coins": st.sampled_from([1, 2, 3, 4, 6, 9]),
        "volatility": st.sampled_from([0.002, 0.0005, 0.002, 0.01]),
        "stillness": st.sampled_from([0.0, 0.3, 0.9]),
        "offset": st.sampled_from([0, 1, 17, 59]),
        "ticks_a_step": st.sampled_from([1, 1, 1, 7]),
    }
)
ODD = st.tuples(st.integers(100, 599), st.integers(0, 2), st.sampled_from([np.nan, 0.0, -1.0]))


def stepped_market(market: dict[str, Any], rows: int, step: float) -> NDArray[np.float64]:
    """Random walks around 100 on coarse ticks, still at times; volumes whose order changes now and then."""
    rng, coins = np.random.default_rng(market["seed"]), market["coins"]
    moving = np.ones((rows, coins), dtype=bool)
    if market["stillness"] > 0:
        stretches = rng.random((1 + rows // 6, coins)) >= market["stillness"]
        moving = stretches.repeat(6, axis=0)[:rows]
    close = 100 * np.exp(np.cumsum(rng.normal(0, market["volatility"], (rows, coins)) * moving, axis=0))
    before = np.concatenate([close[:1], close[:-1]])
    spread = np.abs(rng.normal(0, market["volatility"] / 2, (2, rows, coins))) * moving
    high, low = np.maximum(close, before) * (1 + spread[0]), np.minimum(close, before) * (1 - spread[1])
    prices = [np.round(np.round(x / step) * step, 10) for x in (high, low, close)]
    regimes = np.exp(rng.normal(0, 1, (1 + rows // 150, coins))).repeat(150, axis=0)[rng.integers(0, 150) :]
    volume = rng.uniform(1, 3, (rows, coins)) * np.resize(regimes, (rows, coins)) * (moving | (rng.random(coins) < 0.7))
    return np.stack([*prices, volume], axis=-1)


def lifetimes(market: dict[str, Any], rows: int) -> dict[str, Any]:
    """Coins, some of which are listed late or delisted early, and the time of the first row."""
    rng, coins = np.random.default_rng(market["seed"] + 1), market["coins"]
    return {
        "coins": [f"C{i}" for i in range(coins)],
        "first_timestamp_ms": FIRST_MS_A + 60_000 * market["offset"],
        "first_valid_indices": [int(rng.integers(0, 400)) if rng.random() < 0.3 else 0 for _ in range(coins)],
        "last_valid_indices": [int(rng.integers(500, 780)) if rng.random() < 0.2 else rows - 1 for _ in range(coins)],
        "warmup_minutes": [20] * coins,
    }


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    market=markets,
    exchange=exchanges,
    sides=st.tuples(side_params, side_params),
    override=st.one_of(st.none(), side_params),
    run=run_params,
    forced=st.one_of(st.none(), st.none(), st.lists(modes, min_size=9, max_size=9)),
    odd=st.one_of(*[st.just([])] * 4, st.lists(ODD, max_size=1)),
)
def test_skipping_changes_nothing(
    market: Any, exchange: Any, sides: Any, override: Any, run: Any, forced: Any, odd: Any
) -> None:
    """Random markets, parameters, overrides, modes, late listings, delistings and odd candles."""
    rows, coins = 2200, market["coins"]
    template = example_a()
    hlcvs = stepped_market(market, rows, exchange["price_step"] / market["ticks_a_step"])
    for row, field, value in odd:
        hlcvs[row, 0, field] = value
    plain = {
        "long": template.bot_params[0]["long"] | sides[0],
        "short": template.bot_params[0]["short"] | sides[1],
    }
    bot = [plain if i != 1 or override is None else plain | {"long": plain["long"] | override} for i in range(coins)]
    params = template.run | run | lifetimes(market, rows)
    if forced is not None:
        params["forced_modes"] = forced[:coins]
    btc = 30_000 * np.exp(np.cumsum(np.random.default_rng(market["seed"]).normal(0, 0.001, rows)))
    rules = exchange | {"min_qty": exchange["qty_step"]}
    plain_path, skipping = both_ways(EngineCase(hlcvs, btc, bot, [rules] * coins, params))
    assert skipping == plain_path


@pytest.mark.parametrize("case", [example_a(), example_b()], ids=["A", "B"])
def test_examples_either_way(case: EngineCase) -> None:
    """The worked runs of the specification."""
    plain_path, skipping = both_ways(case)
    assert skipping == plain_path


@pytest.mark.parametrize("seed", range(12))
def test_slots_taken_without_trading(seed: int) -> None:
    """As many slots as coins, but one is held by a coin that is forced to trade before it is listed."""
    rows, coins = 1500, 3
    template = example_a()
    sides = {side: params | {"n_positions": 3} for side, params in template.bot_params[0].items()}
    run = template.run | {
        "coins": ["C0", "C1", "C2"],
        "first_valid_indices": [0, 1000, 0],
        "last_valid_indices": [rows - 1] * coins,
        "warmup_minutes": [20] * coins,
        "forced_modes": [{}, {"long": "normal", "short": "normal"}, {}],
    }
    btc = np.full(rows, 30_000.0)
    market = random_market(seed, rows, coins)
    plain_path, skipping = both_ways(EngineCase(market, btc, [sides] * coins, template.exchange_params * coins, run))
    assert skipping == plain_path
    assert len(plain_path[0]) > 20
