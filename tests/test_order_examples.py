"""The worked examples of `orders.md` 13: scalar helpers, entries, closes, enforcer, unstucking, gate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest

DEFAULT_BUNDLE = pbr.trailing_bundle_default_py()
NAMES = ("min_since_open", "max_since_min", "max_since_open", "min_since_max")
IDS = pbr.all_order_types_ids()

ENTRY_BASE: dict[str, float] = {
    "qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001, "min_cost": 5, "c_mult": 1, "balance": 1000,
    "entry_grid_double_down_factor": 1, "entry_grid_spacing_volatility_weight": 0, "entry_grid_spacing_we_weight": 0,
    "entry_grid_spacing_pct": 0.02, "entry_initial_ema_dist": 0, "entry_initial_qty_pct": 0.1,
    "entry_trailing_double_down_factor": 1, "entry_trailing_grid_ratio": 0, "entry_trailing_retracement_pct": 0.01,
    "entry_trailing_retracement_we_weight": 0, "entry_trailing_retracement_volatility_weight": 0,
    "entry_trailing_threshold_pct": 0.02, "entry_trailing_threshold_we_weight": 0,
    "entry_trailing_threshold_volatility_weight": 0, "wallet_exposure_limit": 0.5, "risk_we_excess_allowance_pct": 0,
    "position_size": 0, "position_price": 0, "entry_volatility_logrange_ema_1h": 0,
}  # fmt: skip
CLOSE_BASE: dict[str, float] = {
    "qty_step": 0.1, "price_step": 0.1, "min_qty": 0.1, "min_cost": 5, "c_mult": 1, "balance": 10000,
    "close_grid_markup_end": 0.01, "close_grid_markup_start": 0.005, "close_grid_qty_pct": 0.2,
    "close_trailing_grid_ratio": 0, "close_trailing_qty_pct": 0.3, "close_trailing_retracement_pct": 0.005,
    "close_trailing_threshold_pct": 0.01, "wallet_exposure_limit": 1, "risk_we_excess_allowance_pct": 0,
    "risk_wel_enforcer_threshold": 0, "position_price": 100,
}  # fmt: skip
FINE = {"qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001}
SPOT = (96.5, 98.0, 101.0, 96.5)


def entry_args(side: str, size: float, bundle: tuple[float, ...], change: dict[str, float]) -> dict[str, float]:
    band, touch = ("ema_bands_lower", "order_book_bid") if side == "long" else ("ema_bands_upper", "order_book_ask")
    change = dict(change)
    own = {band: change.pop("band", 100), touch: change.pop("touch", 100)}
    state = {"position_size": size, "position_price": 100 if size else 0}
    return ENTRY_BASE | state | own | dict(zip(NAMES, bundle, strict=True)) | change


def close_args(size: float, bundle: tuple[float, ...], change: dict[str, float]) -> dict[str, float]:
    change = dict(change)
    touch = "order_book_ask" if size > 0 else "order_book_bid"
    own = {"position_size": size, touch: change.pop("touch", 100)}
    return CLOSE_BASE | own | dict(zip(NAMES, bundle, strict=True)) | change


def short_type(order_id: int) -> str:
    """Order-type name without kind and side."""
    return IDS[order_id].split("_", 1)[1].rsplit("_", 1)[0]


def entries(side: str, size: float, change: dict[str, float], bundle: tuple[float, ...] = DEFAULT_BUNDLE) -> list[Any]:
    ladder = getattr(pbr, f"calc_entries_{side}_py")(**entry_args(side, size, bundle, change))
    return [(qty, price, short_type(kind)) for qty, price, kind in ladder]


def next_entry(side: str, size: float, change: dict[str, float], bundle: tuple[float, ...] = DEFAULT_BUNDLE) -> Any:
    qty, price, name = getattr(pbr, f"calc_next_entry_{side}_py")(**entry_args(side, size, bundle, change))
    return (qty, price, name if name == "empty" else name.split("_", 1)[1].rsplit("_", 1)[0])


def closes(size: float, change: dict[str, float], bundle: tuple[float, ...] = DEFAULT_BUNDLE) -> list[Any]:
    side = "long" if size > 0 else "short"
    ladder = getattr(pbr, f"calc_closes_{side}_py")(**close_args(size, bundle, change))
    return [(qty, price) for qty, price, _ in ladder]


EMPTY = (0.0, 0.0, "empty")


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (pbr.round_(2.5, 1), 3.0), (pbr.round_(-2.5, 1), -3.0), (pbr.round_(0.15, 0.1), 0.1),
        (pbr.round_dn(0.3, 0.1), 0.2), (pbr.round_dn(0.58, 0.01), 0.57), (pbr.round_up(0.07, 0.01), 0.08),
        (pbr.round_up(0.14, 0.01), 0.15), (pbr.round_up(1.1, 0.1), 1.1), (pbr.round_up(1.0000000001, 1), 2.0),
        (pbr.round_(1e-12, 3e-12), 0.0), (pbr.round_dynamic(123456, 3), 123000.0),
        (pbr.round_dynamic(0.00123456, 3), 0.00123), (pbr.round_dynamic_up(0.00123456, 3), 0.00124),
        (pbr.round_dynamic_dn(-987.654, 2), -990.0), (pbr.hysteresis(1020, 1000, 0.02), 1000.0),
        (pbr.hysteresis(1021, 1000, 0.02), 1021.0), (pbr.hysteresis(5, 0, 0.02), 5.0),
        (pbr.hysteresis(1001, 1000, -1), 1001.0), (pbr.cost_to_qty(-100, 50, 0.1), 20.0),
        (pbr.cost_to_qty(100, 0, 1), 0.0), (pbr.qty_to_cost(-2, 50, 0.1), 10.0),
        (pbr.calc_min_entry_qty_py(100, 1, 0.001, 0.001, 5), 0.05),
        (pbr.calc_min_entry_qty_py(3, 1, 0.1, 0.5, 10), 3.4), (pbr.calc_min_entry_qty_py(30000, 0.001, 1, 1, 5), 1.0),
        (pbr.calc_new_psize_pprice(2, 100, 1, 94, 0.1), (3.0, 97.99999999999999)),
        (pbr.calc_new_psize_pprice(-2, 100, -1, 106, 0.1), (-3.0, 101.99999999999999)),
        (pbr.calc_new_psize_pprice(2, 100, -2, 94, 0.1), (0.0, 0.0)),
        (pbr.calc_new_psize_pprice(2, math.nan, 1, 94, 0.1), (3.0, 31.333333333333332)),
        (pbr.calc_wallet_exposure(1, 1000, 100, 35), 3.5), (pbr.calc_wallet_exposure(1, 0, 100, 35), 0.0),
        (pbr.calc_wallet_exposure(0.1, 1000, -100, 35), 0.35), (pbr.calc_pnl_long(100, 110, -2, 1), 20.0),
        (pbr.calc_pnl_short(100, 110, 2, 1), -20.0), (pbr.calc_pnl_short(100, 90, 2, 0.1), 2.0),
        (pbr.calc_pprice_diff_int(0, 100, 95), 0.050000000000000044),
        (pbr.calc_price_diff_pside_int(1, 100, 95), -0.050000000000000044),
        (pbr.calc_pside_price_diff_int(0, 0, 95), 0.0),
        (pbr.calc_order_price_diff(" SELL ", 101, 100), 0.010000000000000009),
        (pbr.calc_order_price_diff("buy", math.nan, 100), 0.0), (pbr.calc_order_price_diff("buy", 100, 0), 0.0),
        (pbr.calc_auto_unstuck_allowance(10000, 0.03, 500, 500), 300.0),
        (pbr.calc_auto_unstuck_allowance(9800, 0.03, 500, 300), 99.99999999999982),
        (pbr.calc_auto_unstuck_allowance(9000, 0.03, 1500, 500), 0.0),
        (pbr.calc_diff(0, 0), 0.0), (pbr.calc_diff(1, 0), math.inf), (pbr.calc_diff(1, -2), 1.5),
    ],
)  # fmt: skip
def test_scalars(got: Any, want: Any) -> None:
    """S1-S12 and the small checks of the engine specification."""
    assert got == want


def test_trailing_bundle() -> None:
    """S13: the candle that makes a new extreme seeds its counter-extreme with its close."""
    candles = np.array([(101.0, 99, 100), (103, 100, 102), (102, 97, 98)])
    highs, lows, last = (np.ascontiguousarray(c) for c in candles.T)
    assert pbr.update_trailing_bundle_py(highs[:1], lows[:1], last[:1]) == (99, 100, 101, 100)
    assert pbr.update_trailing_bundle_py(highs[:2], lows[:2], last[:2]) == (99, 103, 103, 102)
    first_two = pbr.update_trailing_bundle_py(highs[:2], lows[:2], last[:2])
    assert pbr.update_trailing_bundle_py(highs[2:], lows[2:], last[2:], first_two) == (97, 98, 103, 97)
    with pytest.raises(ValueError, match="one length"):
        pbr.update_trailing_bundle_py(highs, lows[:1], last)


@pytest.mark.parametrize(
    ("side", "size", "change", "want"),
    [
        ("long", 0, {}, [(0.5, 100.0, "initial_normal"), (0.51, 98.0, "grid_normal"), (1.01, 97.01, "grid_normal"),
                         (2.02, 96.04, "grid_normal"), (1.136, 95.07, "grid_cropped")]),
        ("short", 0, {}, [(-0.5, 100.0, "initial_normal"), (-0.5, 102.0, "grid_normal"), (-1.0, 103.02, "grid_normal"),
                          (-2.844, 104.06, "grid_inflated")]),
        ("long", 0, {"entry_grid_double_down_factor": 2},
         [(0.5, 100.0, "initial_normal"), (1.0, 98.0, "grid_normal"), (3.641, 96.69, "grid_inflated")]),
        ("long", 0, {"entry_grid_double_down_factor": 0.5},
         [(0.5, 100.0, "initial_normal"), (0.51, 98.0, "grid_normal"), (0.515, 97.01, "grid_normal"),
          (0.762, 96.35, "grid_normal"), (1.144, 95.71, "grid_normal"), (1.758, 95.07, "grid_inflated")]),
        ("long", 0, {"entry_grid_double_down_factor": 0.3, "entry_grid_spacing_pct": 0},
         [(0.5, 100.0, "initial_normal")]),
        ("long", 0.2, {}, [(0.3, 100.0, "initial_partial"), (0.51, 98.0, "grid_normal"), (1.01, 97.01, "grid_normal"),
                           (2.02, 96.04, "grid_normal"), (1.136, 95.07, "grid_cropped")]),
    ],
)  # fmt: skip
def test_entry_ladders(side: str, size: float, change: dict[str, float], want: list[Any]) -> None:
    """X1, X2, X14-X17."""
    assert entries(side, size, change) == want


DDF_HALF = {"entry_grid_double_down_factor": 0.5}


@pytest.mark.parametrize(
    ("side", "size", "change", "want"),
    [
        ("long", 0, {"touch": 105, "entry_initial_ema_dist": 0.005}, (0.503, 99.5, "initial_normal")),
        ("long", 0, {"touch": 99.5, "entry_initial_ema_dist": -0.01}, (0.503, 99.5, "initial_normal")),
        ("short", 0, {"touch": 99, "entry_initial_ema_dist": 0.005}, (-0.498, 100.5, "initial_normal")),
        ("long", 0, {"risk_we_excess_allowance_pct": 0.2}, (0.6, 100.0, "initial_normal")),
        ("long", 0, {"balance": 50}, (0.05, 100.0, "initial_normal")),
        ("long", 0, {"c_mult": 0.001, "qty_step": 1, "min_qty": 1, "band": 60000, "touch": 60000},
         (1.0, 60000.0, "initial_normal")),
        ("long", 0.2, {}, (0.3, 100.0, "initial_partial")),
        ("long", 0.399, {}, (0.1, 100.0, "initial_partial")),
        ("long", 0.4, {}, (0.51, 98.0, "grid_normal")),
        ("long", 0, {"balance": 0}, EMPTY),
        ("long", 0, {"wallet_exposure_limit": 0}, EMPTY),
        ("long", 0, {"band": 0.01, "touch": 0.01}, EMPTY),
        ("long", 2, {"entry_grid_spacing_pct": 1.2}, EMPTY),
        ("long", 0, {"touch": 99.996, "band": 105}, (0.5, 99.996, "initial_normal")),
        ("long", 2, DDF_HALF | {"entry_grid_spacing_we_weight": 2}, (1.0, 96.39, "grid_normal")),
        ("long", 2, DDF_HALF | {"entry_volatility_logrange_ema_1h": 0.03, "entry_grid_spacing_volatility_weight": 40},
         (1.0, 95.6, "grid_normal")),
        ("long", 2, DDF_HALF | {"entry_grid_spacing_we_weight": 2, "entry_volatility_logrange_ema_1h": 0.03,
                                "entry_grid_spacing_volatility_weight": 40}, (1.0, 94.0, "grid_normal")),
        ("short", -2, DDF_HALF | {"entry_grid_spacing_we_weight": 2, "entry_volatility_logrange_ema_1h": 0.03,
                                  "entry_grid_spacing_volatility_weight": 40}, (-1.0, 106.0, "grid_normal")),
        ("long", 2, DDF_HALF | {"entry_grid_spacing_we_weight": -5}, (1.0, 100.0, "grid_normal")),
        ("long", 2, DDF_HALF | {"touch": 95}, (1.0, 95.0, "grid_normal")),
        ("long", 3, {}, (2.041, 98.0, "grid_cropped")),
        ("short", -3, {}, (-1.961, 102.0, "grid_cropped")),
        ("long", 2.4, {}, (2.653, 98.0, "grid_inflated")),
        ("long", 2.5, {"entry_grid_double_down_factor": 0.9}, (2.551, 98.0, "grid_inflated")),
        ("long", 5.0, {}, EMPTY),
        ("long", 4.995, {}, EMPTY),
        ("long", 4.994, {}, (0.052, 98.0, "grid_cropped")),
    ],
)  # fmt: skip
def test_next_entry(side: str, size: float, change: dict[str, float], want: Any) -> None:
    """X3-X13."""
    assert next_entry(side, size, change) == want


def test_ladder_quantises_where_the_single_order_does_not() -> None:
    """X8: with an off-step touch the first ladder order lies on the step."""
    assert entries("long", 0, {"touch": 99.996, "band": 105})[0][:2] == (0.5, 100.0)


TRAILING = {"entry_trailing_grid_ratio": 1}
NOT_YET = (0.0, 0.0, "trailing_normal")


@pytest.mark.parametrize(
    ("side", "size", "bundle", "change", "want"),
    [
        ("long", 1, SPOT, {"touch": 98}, (1.0, 98.0, "trailing_normal")),
        ("long", 1, SPOT, {"touch": 99.5}, (1.0, 99.0, "trailing_normal")),
        ("long", 1, (97.5, 98, 101, 97.5), {"touch": 98}, NOT_YET),
        ("long", 1, (98, 99.5, 101, 98), {"touch": 98}, NOT_YET),
        ("long", 1, DEFAULT_BUNDLE, {"touch": 98}, NOT_YET),
        ("long", 1, (96, 96.96, 101, 96), {"touch": 98}, NOT_YET),
        ("long", 1, (96, 96.97, 101, 96), {"touch": 98}, (1.0, 98.0, "trailing_normal")),
        ("long", 1, DEFAULT_BUNDLE, {"entry_trailing_retracement_pct": 0}, (1.0, 98.0, "trailing_normal")),
        ("long", 1, SPOT, {"touch": 98, "entry_trailing_threshold_pct": 0}, (1.0, 98.0, "trailing_normal")),
        ("long", 1, SPOT, {"entry_trailing_threshold_pct": 0, "entry_trailing_retracement_pct": 0}, NOT_YET),
        ("long", 2, DEFAULT_BUNDLE,
         {"entry_trailing_retracement_pct": 0, "entry_trailing_double_down_factor": 0.5,
          "entry_trailing_threshold_we_weight": 1.5, "entry_trailing_threshold_volatility_weight": 10,
          "entry_volatility_logrange_ema_1h": 0.03}, (1.0, 96.2, "trailing_normal")),
        ("long", 4, SPOT, {"touch": 98}, (1.02, 98.0, "trailing_cropped")),
        ("short", -1, (99, 103, 104, 102), {"touch": 102}, (-1.0, 102.0, "trailing_normal")),
    ],
)  # fmt: skip
def test_trailing_entries(side: str, size: float, bundle: Any, change: dict[str, float], want: Any) -> None:
    """X18-X25."""
    assert next_entry(side, size, TRAILING | change, bundle) == want


@pytest.mark.parametrize(
    ("size", "ratio", "change", "bundle", "want"),
    [
        (1, 0.3, {"touch": 98}, SPOT,
         [(0.526, 98.0, "trailing_cropped"), (1.526, 97.32, "grid_normal"), (2.075, 96.34, "grid_cropped")]),
        (1.6, 0.3, {"touch": 98}, SPOT, [(1.6, 98.0, "grid_normal"), (1.888, 97.02, "grid_cropped")]),
        (2, -0.3, {"touch": 98} | DDF_HALF, DEFAULT_BUNDLE,
         [(1.0, 98.0, "grid_normal"), (0.57, 97.34, "grid_cropped")]),
    ],
)  # fmt: skip
def test_combined_entries(size: float, ratio: float, change: dict[str, float], bundle: Any, want: list[Any]) -> None:
    """X26-X28."""
    assert entries("long", size, change | {"entry_trailing_grid_ratio": ratio}, bundle) == want


def test_combined_single_entry() -> None:
    """X29: beyond the grid's share a trailing order follows."""
    change = {"touch": 98, "entry_trailing_grid_ratio": -0.3}
    assert next_entry("long", 3.5, change, SPOT) == (1.531, 98.0, "trailing_cropped")


BACKWARDS = {"close_grid_markup_start": 0.01, "close_grid_markup_end": 0.005}
FULL_LONG = [(-20.0, p) for p in (100.6, 100.7, 100.8, 100.9, 101.0)]
SPOT_CLOSE = (99.5, 101.0, 102.0, 101.2)
ALL_TRAILING = FINE | {"close_trailing_grid_ratio": 1}


@pytest.mark.parametrize(
    ("size", "change", "bundle", "want"),
    [
        (55, BACKWARDS, DEFAULT_BUNDLE, [(-20.0, 100.8), (-20.0, 100.9), (-15.0, 101.0)]),
        (55, {}, DEFAULT_BUNDLE, [(-15.0, 100.6), (-20.0, 100.7), (-20.0, 100.8)]),
        (100, {}, DEFAULT_BUNDLE, FULL_LONG),
        (100, BACKWARDS, DEFAULT_BUNDLE, [(-20.0, p) for p in (100.5, 100.6, 100.7, 100.8, 100.9)]),
        (130, {}, DEFAULT_BUNDLE, [(-50.0, 100.5), *FULL_LONG[:4]]),
        (130, BACKWARDS, DEFAULT_BUNDLE, [(-50.0, 100.5), *FULL_LONG[:4]]),
        (-55, BACKWARDS, DEFAULT_BUNDLE, [(20.0, 99.2), (20.0, 99.1), (15.0, 99.0)]),
        (-130, {}, DEFAULT_BUNDLE, [(50.0, 99.5), (20.0, 99.4), (40.0, 99.2), (20.0, 99.0)]),
        (55, {"close_grid_markup_end": 0.005}, DEFAULT_BUNDLE, [(-55.0, 100.5)]),
        (55, {"close_grid_qty_pct": 1}, DEFAULT_BUNDLE, [(-55.0, 100.5)]),
        (55, {"close_grid_qty_pct": -0.5}, DEFAULT_BUNDLE, [(-55.0, 100.5)]),
        (55, {"close_grid_qty_pct": 0}, DEFAULT_BUNDLE, [(-15.0, 100.6), (-20.0, 100.7), (-20.0, 100.8)]),
        (100, {"touch": 100.75}, DEFAULT_BUNDLE, [(-60.0, 100.8), (-20.0, 100.9), (-20.0, 101.0)]),
        (100, {"touch": 103}, DEFAULT_BUNDLE, [(-100.0, 103.0)]),
        (20.5, {"min_qty": 1}, DEFAULT_BUNDLE, [(-20.5, 100.7)]),
        (0.4, {"min_qty": 1}, DEFAULT_BUNDLE, [(-0.4, 100.6)]),
        (100, {"close_grid_markup_end": 0.008, "close_grid_qty_pct": 0.05}, DEFAULT_BUNDLE,
         [(-33.2, 100.6), (-33.4, 100.7), (-33.4, 100.8)]),
        (55, ALL_TRAILING | {"touch": 101.2}, SPOT_CLOSE, [(-30.0, 101.2)]),
        (55, ALL_TRAILING | {"touch": 100.2}, SPOT_CLOSE, [(-30.0, 100.51)]),
        (55, ALL_TRAILING | {"touch": 101.2}, (99.5, 101.0, 102.0, 101.5), []),
        (55, ALL_TRAILING | {"touch": 100.5, "close_trailing_retracement_pct": 0}, SPOT_CLOSE, [(-30.0, 101.0)]),
        (55, ALL_TRAILING | {"touch": 101.2, "close_trailing_threshold_pct": 0}, SPOT_CLOSE, [(-30.0, 101.2)]),
        (55, ALL_TRAILING | {"close_trailing_threshold_pct": 0, "close_trailing_retracement_pct": 0}, SPOT_CLOSE, []),
        (20, ALL_TRAILING | {"touch": 101.2}, SPOT_CLOSE, [(-20.0, 101.2)]),
        (-55, ALL_TRAILING | {"touch": 97.9}, (97.0, 98.0, 100.5, 99.0), [(30.0, 97.9)]),
        (30, FINE | {"close_trailing_grid_ratio": 0.4, "touch": 101.2}, SPOT_CLOSE, [(-30.0, 101.2)]),
        (60, {"close_trailing_grid_ratio": 0.4}, SPOT_CLOSE, [(-0.1, 100.6), (-20.0, 100.7)]),
        (50, {"close_trailing_grid_ratio": -0.4}, SPOT_CLOSE, [(-10.0, 100.6), (-20.0, 100.7), (-20.0, 100.8)]),
        (80, {"close_trailing_grid_ratio": -0.4, "touch": 101.2}, SPOT_CLOSE, [(-80.0, 101.2)]),
        (80, {"close_trailing_grid_ratio": -0.4}, DEFAULT_BUNDLE, []),
    ],
)  # fmt: skip
def test_closes(size: float, change: dict[str, float], bundle: Any, want: list[Any]) -> None:
    """X30-X32."""
    assert closes(size, change, bundle) == want


ENFORCED = FINE | {"wallet_exposure_limit": 0.5, "risk_wel_enforcer_threshold": 1, "close_grid_qty_pct": 1}


@pytest.mark.parametrize(
    ("size", "change", "want"),
    [
        (52, {}, [(-2.001, 100.0), (-49.999, 100.5)]),
        (52, {"touch": 101}, [(-52.0, 101.0)]),
        (50, {}, [(-50.0, 100.5)]),
        (52, {"risk_we_excess_allowance_pct": 0.2}, [(-52.0, 100.5)]),
    ],
)
def test_position_enforcer_in_the_ladder(size: float, change: dict[str, float], want: list[Any]) -> None:
    """X33, X34: the enforcer comes first and may be swallowed by a merge."""
    assert closes(size, ENFORCED | change) == want


@pytest.mark.parametrize(
    ("size", "change", "want"),
    [
        (52, {"touch": 95}, (-2.001, 95.0)),
        (52, {"touch": 95, "risk_wel_enforcer_threshold": 0.9}, (-7.001, 95.0)),
        (-52, {"touch": 105}, (2.001, 105.0)),
        (50.01, {"touch": 95}, (-0.053, 95.0)),
    ],
)
def test_position_enforcer(size: float, change: dict[str, float], want: Any) -> None:
    """X33, X35: the smallest reduction strictly below the limit, at the touch, not below the minimum order."""
    side = "long" if size > 0 else "short"
    got = getattr(pbr, f"calc_next_close_{side}_py")(**close_args(size, DEFAULT_BUNDLE, ENFORCED | change))
    assert got == (*want, f"close_auto_reduce_wel_{side}")


def twel_position(idx: int, size: float, price: float, market: float, limit: float) -> dict[str, float]:
    steps = {"qty_step": 0.1, "price_step": 0.1, "min_qty": 0.1, "min_cost": 0.0, "c_mult": 1.0}
    return steps | {
        "idx": idx,
        "position_size": size,
        "position_price": price,
        "market_price": market,
        "base_wallet_exposure_limit": limit,
    }


TWO_SIXTY = [(6, 100, 110, 0.2), (4, 100, 95, 0.2)]


@pytest.mark.parametrize(
    ("side", "threshold", "limit", "positions", "skip", "want"),
    [
        ("long", 1, 0.9, [(8, 50, 50, 0.4), (12, 50, 49, 0.4)], None, [(1, -2.0, 48.9)]),
        ("long", 1, 0.8, TWO_SIXTY, None, [(0, -2.0, 109.9)]),
        ("long", 1, 0.8, TWO_SIXTY, 0, [(1, -2.0, 94.9)]),
        ("short", 1, 0.8, [(-6, 100, 90, 0.2), (-4, 100, 105, 0.2)], None, [(0, 2.0, 90.1)]),
        ("long", 1, 0.5, [(3, 100, 98, 0.2), (3, 100, 95, 0.2), (2, 100, 90, 0.2)], None,
         [(0, -1.0, 97.9), (1, -1.0, 94.9)]),
        ("long", 1, 1.19, [(12, 100, 100, 0.2)], None, [(0, -0.1, 99.9)]),
        ("long", 0.5, 1, [(2.4, 100, 100, 0.25)] * 4, None, []),
        ("long", 0, 1, TWO_SIXTY, None, []),
    ],
)  # fmt: skip
def test_side_enforcer(
    side: str, threshold: float, limit: float, positions: list[Any], skip: int | None, want: list[Any]
) -> None:
    """X36-X40."""
    listed = [twel_position(i, *p) for i, p in enumerate(positions)]
    got = pbr.calc_twel_enforcer_orders_py(side, threshold, limit, len(listed), 1000, listed, skip)
    assert [o[:3] for o in got] == want
    assert all(IDS[o[3]] == f"close_auto_reduce_twel_{side}" for o in got)


UNSTUCK: dict[str, Any] = {
    "idx": 0, "side": "long", "position_size": 2, "position_price": 100, "wallet_exposure_limit": 0.5,
    "risk_we_excess_allowance_pct": 0, "unstuck_threshold": 0.3, "unstuck_close_pct": 0.1, "unstuck_ema_dist": 0,
    "ema_band_upper": 90, "ema_band_lower": 90, "current_price": 95, "price_step": 0.01, "qty_step": 0.01,
    "min_qty": 0.01, "min_cost": 5, "c_mult": 1,
}  # fmt: skip
SHORT = {"side": "short", "position_size": -2}


@pytest.mark.parametrize(
    ("positions", "allowances", "want"),
    [
        ([{}], (100, 0), (0, 0, -0.52, 95.0, 9)),
        ([{}], (1, 0), (0, 0, -0.19, 95.0, 9)),
        ([{}], (0.01, 0), (0, 0, -0.06, 95.0, 9)),
        ([{"position_size": 1.5}], (100, 0), None),
        ([{"unstuck_ema_dist": 0.06}], (100, 0), None),
        ([{}, {"idx": 1, "current_price": 97}, SHORT | {"idx": 2, "current_price": 101, "ema_band_lower": 105}],
         (100, 100), (2, 1, 0.49, 101.0, 20)),
        ([{"current_price": 105}], (0.01, 0), (0, 0, -0.47, 105.0, 9)),
        ([SHORT | {"current_price": 104, "ema_band_lower": 110}], (0, 100), (0, 1, 0.48, 104.0, 20)),
        ([], (100, 100), None),
    ],
)  # fmt: skip
def test_unstucking(positions: list[dict[str, Any]], allowances: tuple[float, float], want: Any) -> None:
    """X41-X44."""
    assert pbr.calc_unstucking_close_py(1000, *allowances, [UNSTUCK | p for p in positions]) == want


def test_public_gate() -> None:
    """X45: the farthest entries give way; the last one removed comes back shortened."""
    market = {"qty_step": 0.01, "min_qty": 0.01, "min_cost": 5.0, "c_mult": 1.0, "order_type_id": 4}
    rows = [(0, 2.0, 99.0, 100.0), (0, 3.0, 97.0, 100.0), (1, 1.0, 50.0, 51.0)]
    offered = [market | dict(zip(("idx", "qty", "price", "market_price"), row, strict=True)) for row in rows]
    held = [{"idx": 0, "position_size": 6.0, "position_price": 100.0, "c_mult": 1.0}]
    got = pbr.gate_entries_by_twel_py("long", 1000, 1, held, offered)
    assert got == [(0, 2.0, 99.0, 4), (0, 1.56, 97.0, 4), (1, 1.0, 50.0, 4)]
    assert [o[1] for o in pbr.gate_entries_by_twel_py("long", 1000, 1.5, held, offered)] == [2.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pbr.calc_unstucking_close_py(1, 1, 1, [{}]), "^position missing 'idx'"),
        (lambda: pbr.calc_twel_enforcer_orders_py("long", 1, 1, 1, 1, [{}]), "twel enforcer position missing 'idx'"),
        (lambda: pbr.calc_twel_enforcer_orders_py("up", 1, 1, 1, 1, []), "side must be either 'long' or 'short'"),
        (lambda: pbr.gate_entries_by_twel_py("buy", 1, 1, [], []), "side must be either 'long' or 'short'"),
        (lambda: pbr.order_type_id_to_snake(26), "unknown order type id"),
        (lambda: pbr.order_type_snake_to_id("nothing"), "unknown order type name"),
        (lambda: pbr.calc_pprice_diff_int(2, 1, 1), "pside must be 0"),
        (lambda: pbr.calc_order_price_diff("long", 1, 1), "side must be 'buy' or 'sell'"),
        (lambda: next_entry("long", 0, {"qty_step": 0}), "qty_step must be > 0"),
        (lambda: next_entry("long", 0, {"balance": math.nan}), "balance must be finite"),
    ],
)
def test_refusals(call: Any, text: str) -> None:
    """Bad input is a ValueError that says which value."""
    with pytest.raises(ValueError, match=text):
        call()


def test_coin_selection_helper() -> None:
    """Without a forager all enabled coins in input order; with one the ranking; a missing key is a KeyError."""
    scores = [(5, 1), (4, 4), (3, 3), (2, 2), (1, 9)]
    features = [
        {"index": i, "enabled": True, "volume_score": v, "volatility_score": r} for i, (v, r) in enumerate(scores)
    ]
    assert pbr.select_coin_indices_py(features, 2, 0.2, 0.25, True) == [2, 3]
    features[1]["enabled"] = False
    assert pbr.select_coin_indices_py(features, 2, 0.2, 0.25, False) == [0, 2, 3, 4]
    with pytest.raises(KeyError):
        pbr.select_coin_indices_py([{"index": 0}], 1, 0, 0, True)


def test_order_type_tables_agree() -> None:
    """Ids and names are one-to-one and survive the round trip."""
    assert len(IDS) == 27
    assert IDS[65535] == "empty"
    assert all(pbr.get_order_id_type_from_string(name) == i for i, name in IDS.items())
    assert pbr.order_type_id_to_snake(4) == "entry_grid_normal_long"
