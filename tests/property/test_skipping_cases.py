"""Situations in which it is easy to skip too much, made to happen: each run must show what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_cases import EngineCase, both_ways, example_a

INDEX, COIN, PSIZE, PPRICE, TYPE = 0, 2, 11, 12, 13
ROWS = 1500
SIDES = ("long", "short")
QUICK: dict[str, float] = {
    "close_grid_markup_end": 0.003,
    "close_grid_markup_start": 0.005,
    "close_grid_qty_pct": 0.5,
    "entry_grid_spacing_pct": 0.006,
    "entry_initial_ema_dist": -0.005,
    "entry_initial_qty_pct": 0.2,
    "total_wallet_exposure_limit": 1.0,
}


def engine_case(
    hlcvs: NDArray[np.float64], params: dict[str, Any], run: dict[str, Any] | None = None, short: bool = False
) -> EngineCase:
    """All coins alike, with the rules and other parameters of example A, in USD alone; the short side on demand."""
    template, coins = example_a(), hlcvs.shape[1]
    sides = {side: basic | QUICK | params for side, basic in template.bot_params[0].items()}
    if not short:
        sides["short"] |= {"n_positions": 0, "total_wallet_exposure_limit": 0.0}
    plain = {
        "btc_collateral_cap": 0.0,
        "coins": [f"C{i}" for i in range(coins)],
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [len(hlcvs) - 1] * coins,
        "warmup_minutes": [20] * coins,
    }
    btc = np.full(len(hlcvs), 30_000.0)
    return EngineCase(hlcvs, btc, [sides] * coins, template.exchange_params * coins, template.run | plain | (run or {}))


def fills_either_way(case: EngineCase) -> list[list[Any]]:
    """The fills, once they are known to be the same with and without skipping."""
    plain, skipping = both_ways(case)
    assert skipping == plain
    return plain[0]


def swinging_market(seed: int, coins: int, volatility: float = 0.002) -> NDArray[np.float64]:
    """Walks that are pulled back to 100, on ticks of 0.01, so that every position is closed in the end."""
    rng = np.random.default_rng(seed)
    logs = np.zeros((ROWS, coins))
    for row, step in enumerate(rng.normal(0, volatility, (ROWS - 1, coins)), start=1):
        logs[row] = 0.98 * logs[row - 1] + step
    spread = np.abs(rng.normal(0, volatility / 2, (2, ROWS, coins)))
    before = np.concatenate([logs[:1], logs[:-1]])
    columns = (np.maximum(logs, before) + spread[0], np.minimum(logs, before) - spread[1], logs)
    prices = [np.round(100 * np.exp(column), 2) for column in columns]
    return np.stack([*prices, rng.uniform(1, 1000, (ROWS, coins))], axis=-1)


def still_market(period: int, rows: int = ROWS) -> NDArray[np.float64]:
    """One coin that stands still at 100 but for a dip, a rise and a return in each period."""
    close = np.full(rows, 100.0)
    low, high = close.copy(), close.copy()
    for start in range(30, rows - period, period):
        moves = {7: 98.4, 8: 99.2, 15: 100.6, 16: 101.5, 17: 101.0}
        for minute, price in moves.items():
            close[start + minute] = price
        low[start + 7], high[start + 16] = 98.0, 102.0
    low, high = np.minimum(low, close), np.maximum(high, close)
    return np.stack([high, low, close, np.full(rows, 50.0)], axis=-1)[:, None, :]


@pytest.mark.parametrize("trailing", [0.0, 1.0, -0.4])
@pytest.mark.parametrize("period", [23, 37, 60])
def test_the_same_position_again(period: int, trailing: float) -> None:
    """A position is opened again with the same size at the same price after the market stood still."""
    params = {
        "close_trailing_grid_ratio": trailing,
        "close_trailing_retracement_pct": 0.001,
        "close_trailing_threshold_pct": 0.003,
        "entry_initial_ema_dist": 0.003,
        "entry_trailing_grid_ratio": trailing,
        "entry_trailing_threshold_pct": 0.004,
        "entry_trailing_retracement_pct": 0.002,
        "total_wallet_exposure_limit": 0.05,
    }
    fills = fills_either_way(engine_case(still_market(period), params, {"maker_fee": 0.0}, short=True))
    opened = [(row[PSIZE], row[PPRICE]) for row in fills if "initial" in row[TYPE]]
    assert len(opened) > len(set(opened)) + 5


@pytest.mark.parametrize(("mode", "slots"), [("normal", 1), ("normal", 2), (None, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_data_of_a_coin_end_while_it_is_open(seed: int, mode: str | None, slots: int) -> None:
    """C0 falls until it is delisted with a position on it, which keeps a slot for good."""
    hlcvs = swinging_market(seed, 3)
    hlcvs[600:641, 0, :3] *= np.linspace(1.0, 0.9, 41)[:, None]
    run = {"last_valid_indices": [640, ROWS - 1, ROWS - 1], "forced_modes": [{"long": mode, "short": mode}, {}, {}]}
    fills = fills_either_way(engine_case(hlcvs, {"n_positions": slots}, run, short=True))
    last = {side: [row for row in fills if row[COIN] == "C0" and row[TYPE].endswith(side)][-1] for side in SIDES}
    assert last["long"][PSIZE] != 0
    assert slots == 1 or any(row[INDEX] > 700 for row in fills)


@pytest.mark.parametrize(("mode", "slots"), [("normal", 2), ("normal", 3), ("tp_only", 1), ("graceful_stop", 2)])
@pytest.mark.parametrize("seed", range(3))
def test_a_forced_coin_becomes_flat(seed: int, mode: str, slots: int) -> None:
    """Whenever C1 is closed, its slot stays its own if it is forced to trade; one forced to close never takes one."""
    forced = [{}, {"long": mode}, {"short": mode}, {}]
    run = {"first_valid_indices": [0, 0, 0, 500], "forced_modes": forced}
    fills = fills_either_way(engine_case(swinging_market(seed, 4), {"n_positions": slots}, run, short=True))
    closed = {side: {row[COIN] for row in fills if row[PSIZE] == 0 and row[TYPE].endswith(side)} for side in SIDES}
    assert ("C1" in closed["long"], "C2" in closed["short"]) == (mode == "normal",) * 2
    assert len(closed["long"]) >= 2
    assert len(closed["short"]) >= 2


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("span", [2.0, 15.0])
def test_ranks_change_within_the_hour(span: float, slots: int) -> None:
    """Volumes of six coins change places every 17 minutes, so that other coins are traded enough."""
    coins = 6
    hlcvs = swinging_market(slots, coins)
    turn = (np.arange(ROWS)[:, None] // 17 + np.arange(coins)) % coins
    hlcvs[:, :, 3] = 100.0 * 3.0**turn
    params = {
        "filter_volatility_drop_pct": 0.25,
        "filter_volatility_ema_span": span,
        "filter_volume_drop_pct": 0.5,
        "filter_volume_ema_span": span,
        "n_positions": slots,
    }
    fills = fills_either_way(engine_case(hlcvs, params, short=True))
    opened = [row for row in fills if "initial" in row[TYPE]]
    minutes = {row[INDEX] % 60 for row in opened}
    assert {row[COIN] for row in opened} == {f"C{i}" for i in range(coins)}
    assert len(minutes) > 10


@pytest.mark.parametrize("drop", [(0.5, 0.0), (0.0, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize("slots", [1, 2])
def test_coins_of_equal_rank(slots: int, drop: tuple[float, float]) -> None:
    """Scores of a single minute, which is often without trades or without movement: ties are decided by coin."""
    hlcvs, rng = swinging_market(slots, 6), np.random.default_rng(7)
    hlcvs[:, :, 3] *= rng.random((ROWS, 6)) < 0.4
    still = rng.random((ROWS, 6)) < 0.6
    hlcvs[:, :, 0:2] = np.where(still[:, :, None], hlcvs[:, :, 2:3], hlcvs[:, :, 0:2])
    params = {
        "filter_volatility_drop_pct": drop[1],
        "filter_volatility_ema_span": 1.0,
        "filter_volume_drop_pct": drop[0],
        "filter_volume_ema_span": 1.0,
        "n_positions": slots,
    }
    fills = fills_either_way(engine_case(hlcvs, params, short=True))
    assert {row[COIN] for row in fills} >= {"C0", "C1", "C2"}
    assert len(fills) > 100


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_the_minimum_cost_takes_part_in_the_contest(seed: int, slots: int) -> None:
    """Coins whose first order is too small do not compete; ladders are longer than the side has room for."""
    hlcvs = swinging_market(seed, 5, volatility=0.003)
    params = {
        "entry_grid_double_down_factor": 0.3,
        "entry_grid_spacing_pct": 0.0004,
        "entry_initial_qty_pct": 0.05,
        "filter_volume_drop_pct": 0.3,
        "n_positions": slots,
        "risk_we_excess_allowance_pct": 0.6,
    }
    case = engine_case(hlcvs, params, {"filter_by_min_effective_cost": True}, short=True)
    rules = case.exchange_params[0]
    size = 50 * 1.6 / slots
    exchange = [rules | {"min_cost": size * share} for share in (0.2, 0.999, 1.0, 1.001, 5.0)]
    fills = fills_either_way(replace(case, exchange_params=exchange))
    assert {row[COIN] for row in fills} >= {"C0", "C1"}
    assert "C4" not in {row[COIN] for row in fills}


@pytest.mark.parametrize("ratio", [1.0, -0.5, 0.5])
@pytest.mark.parametrize("retracement", [0.0, 0.001])
def test_trailing_orders_fire_while_others_fill(retracement: float, ratio: float) -> None:
    """Trailing orders of four coins fire, at once or later, while fills of the others make all be looked at anew."""
    params = {
        "close_trailing_grid_ratio": ratio,
        "close_trailing_qty_pct": 0.3,
        "close_trailing_retracement_pct": retracement,
        "close_trailing_threshold_pct": 0.003,
        "entry_trailing_double_down_factor": 0.4,
        "entry_trailing_grid_ratio": ratio,
        "entry_trailing_retracement_pct": retracement,
        "entry_trailing_threshold_pct": 0.003,
        "n_positions": 4,
    }
    fills = fills_either_way(engine_case(swinging_market(1, 4), params, short=True))
    kinds = [row[TYPE].rsplit("_", 1)[0] for row in fills]
    assert kinds.count("entry_trailing_normal") >= 10
    assert kinds.count("close_trailing") >= 20


@pytest.mark.parametrize("seed", range(6))
def test_positions_at_their_enforcer(seed: int) -> None:
    """With a low threshold and a coarse step the enforcer brings positions to its threshold again and again."""
    params = {
        "n_positions": 2,
        "risk_we_excess_allowance_pct": 0.5,
        "risk_wel_enforcer_threshold": 0.5 + 0.1 * (seed % 3),
        "unstuck_loss_allowance_pct": 0.0,
    }
    case = engine_case(swinging_market(seed, 2, volatility=0.004), params, {"starting_balance": 700}, short=True)
    fills = fills_either_way(case)
    assert sum("auto_reduce_wel" in row[TYPE] for row in fills) >= 20


@pytest.mark.parametrize("start", [0.001, 0.05])
@pytest.mark.parametrize(("weight", "spacing", "first"), [(30.0, 0.003, 0.05), (-1.98, 0.5, 0.495), (-1.8, 0.05, 0.4)])
def test_levels_depend_on_the_balance(start: float, weight: float, spacing: float, first: float) -> None:
    """Grids so steep that levels at a balance a thousandth away are several ticks off, nearer or farther."""
    params = {
        "close_grid_markup_end": 0.051 - start,
        "close_grid_markup_start": start,
        "close_grid_qty_pct": 0.1,
        "entry_grid_double_down_factor": 0.2,
        "entry_grid_spacing_pct": spacing,
        "entry_grid_spacing_we_weight": weight,
        "entry_initial_qty_pct": first,
        "n_positions": 4,
        "unstuck_loss_allowance_pct": 0.0,
    }
    case = engine_case(swinging_market(3, 4, volatility=0.004), params, short=True)
    fills = fills_either_way(replace(case, exchange_params=[case.exchange_params[0] | {"price_step": 0.001}] * 4))
    kinds = [row[TYPE].rsplit("_", 1)[0] for row in fills]
    assert kinds.count("close_grid") >= 10
    assert sum("entry_grid" in kind for kind in kinds) >= 10


@pytest.mark.parametrize("seed", range(4))
def test_prices_rounded_beyond_their_step(seed: int) -> None:
    """Orders have ten decimals, whatever the step: at prices of a millionth they may rest nearer than their level."""
    hlcvs = swinging_market(seed, 3)
    hlcvs[:, :, :3] = np.round(hlcvs[:, :, :3] * 1e-8, 13)
    params = {"n_positions": 3, "total_wallet_exposure_limit": 3.0, "wallet_exposure_limit": 0.3}
    case = engine_case(hlcvs, params, {"starting_balance": 10.0}, short=True)
    rules = {"qty_step": 1.0, "price_step": 1e-12, "min_qty": 1.0, "min_cost": 0.0, "c_mult": 1.0}
    fills = fills_either_way(replace(case, exchange_params=[rules] * 3))
    assert len(fills) > 100


def test_emas_that_overshoot() -> None:
    """An hourly span of half an hour has a weight above 1: the EMA may turn negative, which the planner refuses."""
    params = {"entry_volatility_ema_span_hours": 0.5, "entry_grid_spacing_volatility_weight": 5.0}
    hlcvs = swinging_market(1, 2)
    calm = hlcvs[600:, :, 2:3] * np.ones(3)
    hlcvs[600:, :, :3] = calm[:1] + 0.01 * np.round(calm - calm[:1])
    plain, skipping = both_ways(engine_case(hlcvs, params | {"n_positions": 2}, short=True))
    assert skipping == plain
    assert isinstance(plain, str)
    assert "volatility" in plain
