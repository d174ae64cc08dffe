"""Which ideal orders are sent, as what, and how closes are trimmed (`live.md` 12, `orchestrator.md` 17.6)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from exchanges.protocol import HeldPosition
from live.planning.translate import TranslateRules, Translation, closest, translate
from live.records import IdealOrder

SYMBOL = "A/USDT:USDT"


def ideal(name: str, qty: float, price: float) -> IdealOrder:
    pside: Any = "short" if name.endswith("short") else "long"
    return IdealOrder(SYMBOL, pside, qty, price, name)


def translated(orders: list[IdealOrder], size: float = 0.0, price: float = 100.0, markets: bool = False) -> Translation:
    positions = {(SYMBOL, order.pside): HeldPosition(size, 100.0) for order in orders}
    return translate(orders, positions, {SYMBOL: price}, TranslateRules(0.002, markets))


def kept(orders: list[IdealOrder], size: float = 0.0) -> list[tuple[float, float]]:
    return [(order.qty, order.price) for order in translated(orders, size).orders]


FIRST, GRID, PARTIAL = "entry_initial_normal_long", "entry_grid_normal_long", "entry_initial_partial_long"


@pytest.mark.parametrize(
    ("size", "orders", "expected"),
    [
        (0.0, [(FIRST, 1.0, 99.81)], [99.81]),
        (0.0, [(FIRST, 1.0, 99.79)], []),
        (0.0, [(FIRST, 1.0, 99.8)], []),  # 0.0020000000000000018 away
        (0.0, [(GRID, 1.0, 95.0)], []),
        (3.0, [(GRID, 1.0, 95.0)], [95.0]),
        (3.0, [(GRID, 1.0, 95.0), (PARTIAL, 1.0, 99.9)], [99.9]),
        (3.0, [("close_grid_long", -1.0, 110.0)], [110.0]),
        (3.0, [("close_unstuck_long", -1.0, 110.0)], []),
        (0.0, [(FIRST, 2.02, 99.09), (GRID, 4.04, 96.11)], []),
        (0.0, [(FIRST, 2.02, 99.85), (GRID, 4.04, 96.11)], [99.85]),
        (6.0, [(PARTIAL, 0.5, 99.7), (GRID, 2.0, 97.0), ("close_grid_long", -6.0, 101.0)], [101.0]),
        (6.0, [("close_unstuck_long", -0.5, 100.5)], []),
        (3.0, [(GRID, 0.0, 95.0)], []),
        (3.0, [(GRID, 1.0, 95.0), (GRID, 1.0, 95.0), (GRID, 2.0, 95.0)], [95.0, 95.0]),
        (3.0, [(GRID, 1.0, 95.0), (GRID, 1.0, 97.0)], [97.0, 95.0]),
        (-3.0, [("entry_grid_normal_short", -1.0, 105.0), ("close_grid_short", 1.0, 99.0)], [99.0, 105.0]),
    ],
)
def test_gate(size: float, orders: list[tuple[str, float, float]], expected: list[float]) -> None:
    """Far from the market only what belongs to a position rests; nearest first; empty ones and duplicates vanish."""
    result = translated([ideal(*order) for order in orders], size)
    assert [order.price for order in result.orders] == expected
    assert all(order.kind == "limit" for order in result.orders)


def test_at_the_threshold() -> None:
    """The threshold itself is still near."""
    order = IdealOrder(SYMBOL, "long", 1.0, 75.0, FIRST)
    assert translate([order], {}, {SYMBOL: 100.0}, TranslateRules(0.25, False)).orders
    assert not translate([order], {}, {SYMBOL: 100.0}, TranslateRules(0.2499, False)).orders


def test_withheld_orders_are_told() -> None:
    """What may not rest comes back with the reason."""
    [(order, reason)] = translated([ideal(FIRST, 1.0, 99.0)]).withheld
    assert (order.price, reason) == (99.0, "1.0000% from the market, beyond 0.2000%")


@pytest.mark.parametrize(
    ("name", "qty", "price", "kind"),
    [
        (GRID, 1.0, 99.995, "market"),
        (GRID, 1.0, 99.98, "limit"),
        (GRID, 2.0, 98.0, "limit"),
        (FIRST, 2.02, 100.0, "market"),
        ("entry_trailing_normal_long", 1.0, 99.95, "market"),
        ("close_auto_reduce_twel_long", -1.0, 100.05, "market"),
        ("close_auto_reduce_twel_long", -1.0, 99.95, "market"),
        ("close_unstuck_long", -1.0, 100.02, "limit"),
        ("close_unstuck_long", -0.5, 100.0, "market"),
        ("close_panic_long", -1.0, 99.99, "market"),
        ("close_grid_long", -1.0, 100.005, "market"),
        ("close_grid_long", -1.0, 100.05, "limit"),
        ("close_trailing_long", -1.0, 100.05, "market"),
    ],
)
def test_market_orders(name: str, qty: float, price: float, kind: str) -> None:
    """Where they are allowed, what is near enough for its type or crosses goes out as a market order."""
    [order] = translated([ideal(name, qty, price)], 6.0, markets=True).orders
    assert (order.kind, order.qty, order.reduce_only) == (kind, abs(qty), "close" in name)
    [order] = translated([ideal(name, qty, price)], 6.0).orders
    assert order.kind == "limit"


@pytest.mark.parametrize(
    ("size", "closes", "expected"),
    [
        (7.0, [(5.0, 101.0), (4.0, 102.0), (3.0, 103.0)], [(5.0, 101.0), (2.0, 102.0)]),
        (6.0, [(4.0, 101.0), (3.0, 100.5)], [(3.0, 100.5), (3.0, 101.0)]),
        (0.7, [(0.5, 101.0), (0.5, 102.0)], [(0.5, 101.0), (0.2, 102.0)]),
        (2.0, [(5.0, 101.0)], [(2.0, 101.0)]),
        (0.0, [(5.0, 100.1)], []),
    ],
)
def test_trimming(size: float, closes: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    """Closes never exceed the position; the farthest ones give way; doing it twice changes nothing."""
    assert kept([ideal("close_grid_long", -qty, price) for qty, price in closes], size) == expected
    assert kept([ideal("close_grid_long", -qty, price) for qty, price in expected], size) == expected


def test_clamping_is_told() -> None:
    """A single close larger than its position is worth a warning."""
    assert translated([ideal("close_grid_long", -5.0, 101.0)], 2.0).warnings == (
        "A/USDT:USDT long: close_grid_long of 5.0 exceeds the position of 2.0; reduced to 2.0",
    )
    assert translated([ideal("close_grid_long", -5.0, 100.1)]).warnings[0].endswith("dropped")
    assert translated([ideal("close_grid_long", -2.0, 101.0)], 2.0).warnings == ()


@pytest.mark.parametrize("price", [math.nan, 0.0])
def test_no_price(price: float) -> None:
    """A symbol without a last price sends nothing, not even what would count as crossing."""
    result = translated([ideal(GRID, 1.0, 99.0)], 3.0, price, markets=True)
    assert (result.orders, result.withheld[0][1]) == ((), "no last price")


def test_cap() -> None:
    """A cap on open orders keeps the nearest ones over all symbols."""
    orders = [IdealOrder(s, "long", 1.0, p, GRID) for s, p in (("A", 90.0), ("B", 9.9), ("A", 98.0))]
    positions = {(s, "long"): HeldPosition(1.0, 1.0) for s in "AB"}
    prices = {"A": 100.0, "B": 10.0}
    result = translate(orders, positions, prices, TranslateRules(0.002, False))  # type: ignore[arg-type]
    assert [order.price for order in result.orders] == [98.0, 90.0, 9.9]
    assert [order.price for order in closest(result.orders, prices, 2)] == [9.9, 98.0]
