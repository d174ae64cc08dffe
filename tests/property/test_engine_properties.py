"""What must hold for any input: rounding, ladders, exposure limits, determinism, the mirror of long and short."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_cases import EngineCase, example_a, random_market
from test_order_examples import CLOSE_BASE, ENTRY_BASE, NAMES
from test_planner_examples import base, change

STEPS = st.sampled_from([1e-5, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0])
PRICES = st.floats(0.01, 100_000)


@given(x=st.floats(-1e6, 1e6), step=STEPS)
def test_rounding_brackets_and_is_idempotent(x: float, step: float) -> None:
    """Down <= x <= up, at most a step apart; the nearest multiple is one of both; rounding again changes nothing."""
    down, near, up = pbr.round_dn(x, step), pbr.round_(x, step), pbr.round_up(x, step)
    slack = 1e-9 * max(1.0, abs(x))
    assert down <= x + slack
    assert x <= up + slack
    assert up - down <= step * (1 + 1e-9) + slack
    assert near in (down, up) or math.isclose(near, x, abs_tol=step)
    assert pbr.round_(near, step) == near


@given(x=st.floats(1e-9, 1e9), digits=st.integers(1, 8))
def test_dynamic_rounding_brackets(x: float, digits: int) -> None:
    """Down <= nearest <= up, within one unit of the last digit."""
    down, near, up = (f(x, digits) for f in (pbr.round_dynamic_dn, pbr.round_dynamic, pbr.round_dynamic_up))
    assert down <= near <= up
    unit = 10.0 ** (math.floor(math.log10(x)) - digits + 1)
    assert up - down <= unit * (1 + 1e-9) + 1e-10


fractions = st.floats(0.0005, 0.1)
entry_params = st.fixed_dictionaries(
    {
        "entry_grid_double_down_factor": st.floats(0.1, 3),
        "entry_grid_spacing_pct": st.floats(0.001, 0.12),
        "entry_grid_spacing_we_weight": st.floats(0, 20),
        "entry_initial_ema_dist": st.floats(-0.1, 0.01),
        "entry_initial_qty_pct": st.floats(0.004, 0.3),
        "entry_trailing_grid_ratio": st.floats(-1, 1),
        "wallet_exposure_limit": st.floats(0.05, 3),
        "risk_we_excess_allowance_pct": st.floats(-0.5, 1),
        "balance": st.floats(50, 100_000),
    }
)


def entry_kwargs(side: str, params: dict[str, float], price: float, size: float, pprice: float) -> dict[str, float]:
    band, touch = ("ema_bands_lower", "order_book_bid") if side == "long" else ("ema_bands_upper", "order_book_ask")
    bundle = dict(zip(NAMES, pbr.trailing_bundle_default_py(), strict=True))
    return ENTRY_BASE | bundle | params | {band: price, touch: price, "position_size": size, "position_price": pprice}


@given(side=st.sampled_from(["long", "short"]), params=entry_params, price=PRICES, fill=st.floats(0, 0.99))
def test_entry_ladder_stays_within_its_limit(side: str, params: dict[str, float], price: float, fill: float) -> None:
    """A filled ladder overshoots the effective limit by at most 1 % and one minimum order; prices move away."""
    sign = 1 if side == "long" else -1
    wel = params["wallet_exposure_limit"]
    limit = wel * (1 + max(0.0, params["risk_we_excess_allowance_pct"]))
    size = pbr.round_dn(fill * limit * params["balance"] / price, 0.001)
    ladder = getattr(pbr, f"calc_entries_{side}_py")(**entry_kwargs(side, params, price, sign * size, price))
    held, pprice, last = size, price if size else 0.0, None
    for qty, order_price, _ in ladder:
        assert sign * qty > 0
        assert last is None or sign * order_price < sign * last
        last = order_price
        before = pbr.calc_wallet_exposure(1, params["balance"], held, pprice)
        held, pprice = pbr.calc_new_psize_pprice(held, pprice, abs(qty), order_price, 0.001)
        exposure = pbr.calc_wallet_exposure(1, params["balance"], held, pprice)
        minimum = (pbr.calc_min_entry_qty_py(order_price, 1, 0.001, 0.001, 5) + 0.001) * order_price / params["balance"]
        assert exposure <= max(limit * 1.01, before) + minimum + 1e-9


close_params = st.fixed_dictionaries(
    {
        "close_grid_markup_start": st.floats(0.0005, 0.05),
        "close_grid_markup_end": st.floats(0.0005, 0.05),
        "close_grid_qty_pct": st.floats(0.01, 1.2),
        "close_trailing_grid_ratio": st.floats(-1, 1),
        "risk_wel_enforcer_threshold": st.sampled_from([0.0, 0.5, 0.9, 1.0]),
        "wallet_exposure_limit": st.floats(0.1, 3),
        "balance": st.floats(50, 100_000),
    }
)


@given(
    side=st.sampled_from(["long", "short"]), params=close_params, ticks=st.integers(1, 5000), drift=st.floats(0.8, 1.2)
)
def test_close_ladder_never_exceeds_the_position(side: str, params: dict[str, float], ticks: int, drift: float) -> None:
    """Closes have the right sign, lie away from the market and add up to no more than the position."""
    sign = 1 if side == "long" else -1
    size, touch = sign * pbr.round_(ticks * 0.1, 0.1), "order_book_ask" if side == "long" else "order_book_bid"
    market = 100 * drift
    bundle = dict(zip(NAMES, pbr.trailing_bundle_default_py(), strict=True))
    kwargs = CLOSE_BASE | bundle | params | {"position_size": size, touch: market}
    ladder = getattr(pbr, f"calc_closes_{side}_py")(**kwargs)
    assert all(sign * qty < 0 for qty, _, _ in ladder)
    assert abs(sum(qty for qty, _, _ in ladder)) <= abs(size) + 1e-6
    assert all(sign * price >= sign * pbr.round_(market, 0.1) - 1e-9 for _, price, _ in ladder)
    if ladder and params["close_trailing_grid_ratio"] == 0:
        assert sum(qty for qty, _, _ in ladder) == pytest.approx(-size)


@given(spacing=st.integers(1, 1000), ddf=st.floats(0.2, 2), size=st.floats(0.01, 5))
def test_re_entries_mirror(spacing: int, ddf: float, size: float) -> None:
    """A short re-enters as far above its price as a long below, with the opposite quantity."""
    params = {"entry_grid_spacing_pct": spacing / 10_000, "entry_grid_double_down_factor": ddf, "balance": 1e6}
    params |= {"entry_initial_qty_pct": 1e-9, "min_cost": 0, "wallet_exposure_limit": 2}
    size = pbr.round_(size, 0.001)
    long = pbr.calc_next_entry_long_py(**entry_kwargs("long", params, 100, size, 100))
    short = pbr.calc_next_entry_short_py(**entry_kwargs("short", params, 100, -size, 100))
    assert long[0] == -short[0]
    assert 100 - long[1] == pytest.approx(short[1] - 100, abs=0.0101)
    assert long[2].replace("long", "short") == short[2]


@given(start=st.integers(5, 300), end=st.integers(5, 300), pct=st.floats(0.05, 0.9), size=st.integers(1, 900))
def test_grid_closes_mirror(start: int, end: int, pct: float, size: int) -> None:
    """The farthest close of a short lies as far below its price as that of a long above."""
    params = {"close_grid_markup_start": start / 10_000, "close_grid_markup_end": end / 10_000, "min_cost": 0}
    params |= {"close_grid_qty_pct": pct, "price_step": 0.01}
    bundle = dict(zip(NAMES, pbr.trailing_bundle_default_py(), strict=True))
    args = CLOSE_BASE | bundle | params
    long = pbr.calc_next_close_long_py(**args, position_size=size / 10, order_book_ask=100)
    short = pbr.calc_next_close_short_py(**args, position_size=-size / 10, order_book_bid=100)
    assert long[1] - 100 == pytest.approx(100 - short[1], abs=0.0101)
    rungs = abs(end - start)
    # rounding moves both ends by up to a step, and the number of rungs decides the smallest slice of the full size, 100
    slack = size / 10 if rungs == 0 else 0.2 + 1e-9 + 100 * (1 / max(1, rungs - 2) - 1 / (rungs + 2))
    assert long[0] == pytest.approx(-short[0], abs=slack)
    assert long[2].replace("long", "short") == short[2]


@given(
    limit=st.floats(0.05, 2),
    sizes=st.lists(st.floats(0, 12), min_size=1, max_size=5),
    wel=st.floats(0.05, 2),
    drift=st.floats(0.9, 1.1),
)
def test_planned_entries_stay_below_the_side_limit(limit: float, sizes: list[float], wel: float, drift: float) -> None:
    """If every planned entry fills, the side stays below its limit, unless it was above before: then there is none."""
    request = base(len(sizes))
    change(request, "GL.n_positions", len(sizes))
    change(request, "GL.total_wallet_exposure_limit", limit)
    change(request, "s*.long.bp.wallet_exposure_limit", wel)
    held: dict[int, tuple[float, float]] = {}
    for i, size in enumerate(sizes):
        held[i] = (pbr.round_(size, 0.01), pbr.round_(100 * drift, 0.01))
        change(request, f"s{i}.long.position", {"size": held[i][0], "price": held[i][1] if held[i][0] else 0.0})
    orders = json.loads(pbr.calc_ideal_orders_orchestrator(json.dumps(request)))["orders"]
    exposure = sum(pbr.calc_wallet_exposure(1, 1000, *position) for position in held.values())
    entries = [o for o in orders if o["order_type"].startswith("entry")]
    if exposure >= limit:
        assert entries == []
    for o in entries:
        held[o["symbol_idx"]] = pbr.calc_new_psize_pprice(*held[o["symbol_idx"]], o["qty"], o["price"], 0.01)
    exposure = sum(pbr.calc_wallet_exposure(1, 1000, *position) for position in held.values())
    assert not entries or exposure < limit + 1e-9
    for i, size in enumerate(sizes):
        closed = -sum(o["qty"] for o in orders if o["symbol_idx"] == i and o["qty"] < 0)
        assert closed <= pbr.round_(size, 0.01) + 1e-9


params_for_runs = st.fixed_dictionaries(
    {
        "close_trailing_grid_ratio": st.sampled_from([-1.0, -0.4, 0.0, 0.5, 1.0]),
        "entry_trailing_grid_ratio": st.sampled_from([-1.0, -0.4, 0.0, 0.5, 1.0]),
        "entry_initial_ema_dist": st.floats(-0.02, 0.01),
        "entry_initial_qty_pct": st.floats(0.01, 0.3),
        "entry_grid_spacing_pct": st.floats(0.002, 0.03),
        "n_positions": st.integers(0, 3),
        "total_wallet_exposure_limit": st.floats(0, 2),
        "filter_volume_drop_pct": st.floats(0, 1),
        "unstuck_loss_allowance_pct": st.floats(0, 0.05),
    }
)


def random_case(seed: int, coins: int, long: dict[str, Any], short: dict[str, Any]) -> EngineCase:
    template = example_a()
    rows = 700
    bot = {"long": template.bot_params[0]["long"] | long, "short": template.bot_params[0]["short"] | short}
    run = template.run | {
        "coins": [f"C{i}" for i in range(coins)],
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [rows - 1] * coins,
        "warmup_minutes": [20] * coins,
        "btc_collateral_cap": 0.5 * (seed % 3),
    }
    btc = 30_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.001, rows)))
    market = random_market(seed, rows, coins)
    return EngineCase(market, btc, [bot] * coins, template.exchange_params * coins, run)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), coins=st.integers(1, 4), long=params_for_runs, short=params_for_runs)
def test_runs_are_deterministic_and_consistent(seed: int, coins: int, long: Any, short: Any) -> None:
    """The same input gives the same run in any memory order and entry point; the books add up after every fill."""
    case = random_case(seed, coins, long, short)
    fills, equity, usd, btc = pbr.run_backtest(*case.args)
    hlcvs = np.asfortranarray(case.hlcvs)
    again = pbr.run_backtest(hlcvs, case.btc_usd, case.bot_params, case.exchange_params, case.run)
    assert fills.tolist() == again[0].tolist()
    assert (equity == again[1]).all()
    assert (usd, btc) == again[2:]
    sizes: dict[tuple[str, bool], float] = {}
    for row in fills.tolist():
        coin, qty, price, psize, kind = row[2], row[9], row[10], row[11], row[13]
        key = (coin, kind.endswith("long"))
        assert psize == pytest.approx(sizes.get(key, 0.0) + qty, abs=1e-6)
        assert (psize >= 0) == kind.endswith("long") or psize == 0
        sizes[key] = psize
        high, low, _, _ = case.hlcvs[row[0], int(coin[1:])]
        assert low < price if qty > 0 else high > price
        if kind.startswith("entry"):
            side, total = ("long", row[15]) if kind.endswith("long") else ("short", -row[16])
            limit = case.bot_params[0][side]["total_wallet_exposure_limit"]
            assert total <= limit * 1.03 + 1.5 * price * 0.001 / row[5] + 2.0 / row[5]
