"""Limits and smallest orders, counted by the crate for engine and live bot alike (`additions.md` 3, `live.md` 5.4)."""

from __future__ import annotations

import math

import passivbot_rust
import pytest


@pytest.mark.parametrize(
    ("total", "slots", "tradable", "held", "limit"),
    [
        (1.5, 4, 4, 0, 0.375), (1.5, 4, 3, 0, 0.5), (1.5, 2, 4, 3, 0.5), (1.0, 2, 2, 3, 1.0 / 3.0),
        (1.5, 4, 0, 0, 0.0), (1.5, 0, 4, 0, 0.0), (1.5, 0, 4, 2, 0.75), (0.0, 4, 4, 1, 0.0), (1.5, 2, 4, 1, 0.75),
    ],
)  # fmt: skip
def test_shared_limit(total: float, slots: int, tradable: int, held: int, limit: float) -> None:
    """The total by slots, by coins where there are fewer, by positions where there are more; nothing is rounded."""
    assert passivbot_rust.shared_exposure_limit(total, slots, tradable, held) == limit


@pytest.mark.parametrize(
    ("min_qty", "min_cost", "price", "c_mult", "cost"),
    [(0.1, 5.0, 10.0, 2.0, 5.0), (0.1, 5.0, 100.0, 2.0, 20.0), (1.0, 5.0, 5.0, 1.0, 5.0), (0.0, 0.0, 100.0, 1.0, 0.0)],
)
def test_effective_min_cost(min_qty: float, min_cost: float, price: float, c_mult: float, cost: float) -> None:
    """The cost of the smallest quantity, in contracts, at least the smallest cost."""
    assert passivbot_rust.calc_effective_min_cost(min_qty, min_cost, price, c_mult) == cost


@pytest.mark.parametrize(
    ("balance", "limit", "excess", "initial", "min_cost", "enough"),
    [
        (1000.0, 0.5, 0.0, 0.01, 5.0, True), (999.9, 0.5, 0.0, 0.01, 5.0, False), (1000.0, 0.25, 1.0, 0.01, 5.0, True),
        (1000.0, 0.5, -0.5, 0.01, 5.0, True), (1000.0, 0.5, 0.0, 0.01, 5.01, False), (0.0, 0.5, 0.0, 0.01, 5.0, False),
        (1000.0, 0.0, 0.0, 0.01, 5.0, False), (1000.0, 0.5, 0.0, 0.01, 0.0, False),
        (math.nan, 0.5, 0.0, 0.01, 5.0, False),
    ],
)  # fmt: skip
def test_first_entry(
    balance: float, limit: float, excess: float, initial: float, min_cost: float, enough: bool
) -> None:
    """Balance x limit x share of the first entry: equality is enough, an allowance adds, nothing usable never is."""
    assert passivbot_rust.initial_entry_is_large_enough(balance, limit, excess, initial, min_cost) is enough
