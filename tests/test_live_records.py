"""Distance of an order, sides and closing derived from names (`live.md` 1, 12, 13)."""

from __future__ import annotations

import math

import pytest

from exchanges.protocol import OpenOrder, TargetOrder
from live.records import IdealOrder, is_within, price_distance


@pytest.mark.parametrize(
    ("side", "price", "market", "distance"),
    [
        ("buy", 98.0, 100.0, 0.020000000000000018),
        ("sell", 99.0, 100.0, -0.010000000000000009),
        (" SELL ", 99.0, 100.0, -0.010000000000000009),
        ("buy", 99.8, 100.0, 0.0020000000000000018),
        ("buy", math.nan, 100.0, 0.0),
        ("sell", 99.0, math.inf, 0.0),
        ("sell", 99.0, 0.0, 0.0),
    ],
)
def test_distance(side: str, price: float, market: float, distance: float) -> None:
    """Positive away from the market, negative beyond it, 0 where it cannot be said."""
    assert price_distance(side, price, market) == distance


def test_other_side() -> None:
    """A word that is no side is refused."""
    with pytest.raises(ValueError, match="side must be"):
        price_distance("long", 1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "pside", "side", "closes"),
    [
        ("entry_grid_normal_long", "long", "buy", False),
        ("close_grid_long", "long", "sell", True),
        ("entry_initial_normal_short", "short", "sell", False),
        ("close_panic_short", "short", "buy", True),
    ],
)
def test_side_of_a_type(name: str, pside: str, side: str, closes: bool) -> None:
    """Long entries and short closes buy, the others sell; an open order closes if its side says so."""
    ideal = IdealOrder("A", pside, 1.0, 2.0, name)  # type: ignore[arg-type]
    assert (ideal.side, ideal.closes) == (side, closes)
    assert OpenOrder("1", "A", side, pside, 1.0, 2.0).reduce_only is closes  # type: ignore[arg-type]


def test_within() -> None:
    """Differences are fractions of the new order; the limits themselves are within."""
    new = TargetOrder("A", "buy", "long", 1.0, 100.0, False, "entry_grid_normal_long")
    old = OpenOrder("1", "A", "buy", "long", 0.99, 99.5)
    assert is_within(new, old, price=0.005, qty=0.0101)
    assert not is_within(new, old, price=0.0049, qty=0.0101)
    assert not is_within(new, old, price=0.0051, qty=0.0099)
    assert not is_within(new, OpenOrder("1", "A", "buy", "short", 1.0, 100.0), price=1.0, qty=1.0)
