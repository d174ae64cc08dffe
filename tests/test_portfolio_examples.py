"""The worked examples of `orders.md` 13 that need the whole planner: gate, panic, trimming, look-ahead (X46-X53)."""

from __future__ import annotations

from typing import Any

import pytest

from test_planner_examples import base, change, plan

MARKET = {"qty_step": 0.01, "price_step": 0.01, "min_qty": 0.0, "min_cost": 0.0, "c_mult": 1.0}
Order = tuple[float, float, str]


def request_of(coins: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A request with one long position or none in each coin; `bp` are its parameters, `GL` the side's."""
    request = base(len(coins))
    change(request, "GL.n_positions", len(coins))
    for path, value in changes.items():
        change(request, path.replace("__", "."), value)
    for i, coin in enumerate(coins):
        price = coin["price"]
        change(request, f"s{i}.order_book", {"bid": price, "ask": coin.get("ask", price)})
        change(request, f"s{i}.exchange", MARKET | coin.get("market", {}))
        band = coin.get("band", price)
        change(request, f"s{i}.emas.m1.close", [[10.0, band], [20.0, band], [40.0, band]])
        change(
            request,
            f"s{i}.{coin.get('pside', 'long')}.position",
            dict(zip(("size", "price"), coin["held"], strict=True)),
        )
        for key, value in coin.get("bp", {}).items():
            change(request, f"s{i}.long.bp.{key}", value)
        for path, value in coin.get("paths", {}).items():
            change(request, f"s{i}.{path}", value)
    return request


def orders_of(request: dict[str, Any], idx: int, word: str) -> list[Order]:
    """(qty, price, kind) of a coin's entries or closes, in the order of the response."""
    found = [o for o in plan(request)["orders"] if o["symbol_idx"] == idx and o["order_type"].startswith(word)]
    return [(o["qty"], o["price"], o["order_type"].removeprefix(word + "_").rsplit("_", 1)[0]) for o in found]


GRID = {
    "wallet_exposure_limit": 0.9, "entry_initial_qty_pct": 0.05, "entry_initial_ema_dist": 0.0,
    "entry_grid_spacing_pct": 0.02,
}  # fmt: skip


def two_longs(total: float) -> dict[str, Any]:
    coins = [
        {"price": 100.0, "held": (6.0, 100.0), "bp": GRID | {"entry_grid_double_down_factor": 0.3}},
        {"price": 50.0, "held": (0.0, 0.0), "bp": GRID | {"entry_grid_double_down_factor": 1.0}},
    ]
    return request_of(coins, GL__total_wallet_exposure_limit=total)


def test_gate_shortens_the_last_entry_that_was_removed() -> None:
    """X46: the ladder of the flat coin ends with what still fits; its type stays."""
    assert [o[:2] for o in orders_of(two_longs(5.0), 1, "entry")] == [
        (0.9, 50.0), (0.92, 49.0), (1.82, 48.5), (3.64, 48.01), (7.28, 47.53), (4.27, 47.05),
    ]  # fmt: skip
    request = two_longs(1.0)
    assert [o[:2] for o in orders_of(request, 0, "entry")] == [(1.8, 98.0), (1.27, 97.54)]
    assert orders_of(request, 1, "entry") == [
        (0.9, 50.0, "initial_normal"), (0.92, 49.0, "grid_normal"), (0.19, 48.5, "grid_normal"),
    ]  # fmt: skip


def test_gate_near_the_limit() -> None:
    """X47: only the nearest entry, shortened; at the limit none."""
    assert orders_of(two_longs(0.62), 0, "entry") == []
    assert [o[:2] for o in orders_of(two_longs(0.62), 1, "entry")] == [(0.39, 50.0)]
    assert orders_of(two_longs(0.6), 0, "entry") + orders_of(two_longs(0.6), 1, "entry") == []


@pytest.mark.parametrize(
    ("pside", "size", "want"),
    [("long", 2.0, (-2.0, 100.08999999999999, "panic")), ("short", -2.0, (2.0, 100.01, "panic"))],
)
def test_panic_is_not_rounded(pside: str, size: float, want: Order) -> None:
    """X48."""
    coin = {"price": 100.0, "ask": 100.1, "held": (size, 100.0), "pside": pside, "paths": {f"{pside}.mode": "panic"}}
    request = request_of([coin], GS__n_positions=1, GS__total_wallet_exposure_limit=1.0)
    assert orders_of(request, 0, "close") == [want]


UNSTUCK = {
    "wallet_exposure_limit": 0.5, "unstuck_threshold": 0.3, "unstuck_close_pct": 0.1, "unstuck_ema_dist": 0.0,
    "unstuck_loss_allowance_pct": 0.01,
}  # fmt: skip
WHOLE = {"close_grid_qty_pct": 1.0, "close_grid_markup_start": 0.01, "close_grid_markup_end": 0.01}


def test_closes_are_trimmed_to_the_position() -> None:
    """X49: the unstuck close comes on top, so the take-profit gives way."""
    coin = {"price": 95.0, "band": 90.0, "held": (5.0, 100.0), "bp": UNSTUCK | WHOLE}
    request = request_of([coin], global__unstuck_allowance_long=100.0)
    assert orders_of(request, 0, "close") == [(-0.52, 95.0, "unstuck"), (-4.48, 101.0, "grid")]


def test_dust_is_dropped_and_absorbed() -> None:
    """X50: what trimming leaves of the farthest close is too small, so the one before takes it along."""
    grid = {"close_grid_qty_pct": 0.4, "close_grid_markup_start": 0.03, "close_grid_markup_end": 0.01}
    coin = {
        "price": 95.0, "band": 90.0, "held": (4.55, 100.0), "bp": UNSTUCK | grid,
        "market": {"min_qty": 0.01, "min_cost": 5.0},
    }  # fmt: skip
    calm = request_of([coin])
    assert [o[:2] for o in orders_of(calm, 0, "close")] == [(-2.0, 101.18), (-2.0, 101.98), (-0.55, 102.78)]
    request = request_of([coin], global__unstuck_allowance_long=100.0)
    assert [o[:2] for o in orders_of(request, 0, "close")] == [(-0.52, 95.0), (-2.0, 101.18), (-2.03, 101.98)]


def test_side_enforcer_beside_a_take_profit() -> None:
    """X51."""
    coin = {"price": 95.0, "held": (6.0, 100.0), "bp": WHOLE | {"wallet_exposure_limit": 0.3}}
    request = request_of([coin], GL__total_wallet_exposure_limit=0.5, GL__risk_twel_enforcer_threshold=1.0)
    assert orders_of(request, 0, "close") == [(-1.0, 94.95, "auto_reduce_twel"), (-5.0, 101.0, "grid")]


@pytest.mark.parametrize(
    ("low", "tradable", "whole"), [(100.0, True, False), (99.99, True, True), (99.0, False, False)]
)
def test_look_ahead_expands_entries(low: float, tradable: bool, whole: bool) -> None:
    """X52: strictly through the price, in a tradable candle."""
    candle = {"low": low, "high": 101.0, "tradable": tradable}
    coin = {"price": 100.0, "held": (0.0, 0.0), "bp": GRID, "paths": {"next_candle": candle}}
    found = orders_of(request_of([coin]), 0, "entry")
    assert found[0][2] == "initial_normal"
    assert (len(found) > 1) == whole


FORWARDS = [(-15.0, 100.6), (-20.0, 100.7), (-20.0, 100.8)]


@pytest.mark.parametrize(("high", "want"), [(100.75, [(-20.0, 100.8)]), (100.85, FORWARDS), (None, FORWARDS)])
def test_look_ahead_of_a_forwards_grid(high: float | None, want: list[Any]) -> None:
    """X53: the single close of a forwards grid is its farthest slice."""
    candle = None if high is None else {"low": 99.5, "high": high, "tradable": True}
    bp = {
        "wallet_exposure_limit": 1.0, "close_grid_qty_pct": 0.2, "close_grid_markup_start": 0.005,
        "close_grid_markup_end": 0.01,
    }  # fmt: skip
    market = {"qty_step": 0.1, "price_step": 0.1, "min_qty": 0.1, "min_cost": 5.0}
    coin = {"price": 100.0, "held": (55.0, 100.0), "bp": bp, "market": market, "paths": {"next_candle": candle}}
    request = request_of([coin])
    request["balance"] = 10_000.0
    assert [o[:2] for o in orders_of(request, 0, "close")] == want
