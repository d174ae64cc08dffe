"""Which coins may be opened, and how many (`live.md` 5.4, 6, 7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from live.choice import eligibility
from live.choice.eligibility import SlotRules
from markets.market import market_of

ALL = frozenset("ABCD")
VOLUMES = {"A": 4.0, "B": 3.0, "C": 2.0, "D": 1.0}
VOLATILITIES = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0}


def rules(**changes: Any) -> SlotRules:
    plain: dict[str, Any] = {
        "total_limit": 1.5, "n_positions": 2, "forced": False, "volume_drop_pct": 0.0, "volatility_drop_pct": 0.0,
    }  # fmt: skip
    return SlotRules(**(plain | changes))


@pytest.mark.parametrize(
    ("approved", "ignored", "changes", "all_if_empty", "result"),
    [
        ("AB", "", {}, True, "AB"),
        ("AB", "B", {}, True, "A"),
        ("", "B", {}, True, "ACD"),
        ("", "B", {}, False, ""),
        ("AX", "", {}, True, "A"),
        ("AB", "", {"total_limit": 0.0}, True, ""),
        ("", "", {"n_positions": 0}, True, ""),
    ],
)
def test_approved(approved: str, ignored: str, changes: Any, all_if_empty: bool, result: str) -> None:
    """Eligible and approved but not ignored; an empty list may mean all; a side that is off approves none."""
    found = eligibility.approved_symbols(approved, ignored, ALL, rules(**changes), empty_means_all=all_if_empty)
    assert found == set(result)


@pytest.mark.parametrize(
    ("changes", "n_approved", "slots", "forager"),
    [
        ({"n_positions": 4}, 4, 4, False),
        ({}, 4, 2, True),
        ({"n_positions": 4}, 3, 3, False),
        ({"forced": True}, 4, 2, False),
        ({"total_limit": 0.0}, 4, 2, False),
        ({"n_positions": 0}, 4, 0, False),
        ({}, 0, 0, False),
    ],
)
def test_slots(changes: Any, n_approved: int, slots: int, forager: bool) -> None:
    """Coins compete where there are more of them than slots."""
    assert eligibility.max_positions(rules(**changes), n_approved) == slots
    assert eligibility.is_forager(rules(**changes), n_approved) is forager


def test_exposure_limit() -> None:
    """A coin's own limit wins, else the crate shares the total among slots or held positions."""

    assert eligibility.exposure_limit(rules(), 4, 0, 0.3) == 0.3
    assert eligibility.exposure_limit(rules(), 4, 0, 0.0) == 0.0
    assert eligibility.exposure_limit(rules(n_positions=4), 4, 0, None) == 0.375
    assert eligibility.exposure_limit(rules(), 4, 3, None) == 0.5
    assert eligibility.exposure_limit(rules(n_positions=4), 3, 1, None) == 0.5


@pytest.mark.parametrize(("price", "cost"), [(10.0, 5.0), (100.0, 20.0)])
def test_effective_min_cost(price: float, cost: float) -> None:
    """The minimum quantity's cost at the last price, at least the minimum cost."""
    entry = {
        "symbol": "X/USDT:USDT", "base": "X", "contractSize": 2.0, "maker": 0.0, "taker": 0.0,
        "precision": {"amount": 0.1, "price": 0.1}, "limits": {"amount": {"min": 0.1}, "cost": {"min": 5.0}},
    }  # fmt: skip
    assert eligibility.effective_min_cost(market_of(entry, "binance"), price) == cost


@pytest.mark.parametrize(
    ("limit", "excess", "fits"), [(0.5, 0.0, True), (0.4999, 0.0, False), (0.25, 1.0, True), (0.5, -0.5, True)]
)
def test_first_entry_is_large_enough(limit: float, excess: float, fits: bool) -> None:
    """Equality passes; an allowance only adds."""
    params = {"risk_we_excess_allowance_pct": excess, "entry_initial_qty_pct": 0.01}
    assert eligibility.initial_entry_fits(1000.0, limit, params, 5.0) is fits


@pytest.mark.parametrize(
    ("changes", "fitting", "volumes", "result"),
    [
        ({"n_positions": 4}, "ABCD", VOLUMES, "ABCD"),
        ({"n_positions": 4}, "DB", VOLUMES, "BD"),
        ({"volume_drop_pct": 0.5}, "ABCD", VOLUMES, "BA"),
        ({"volume_drop_pct": 0.5}, "ABCD", None, "BA"),
        ({}, "ABCD", None, "DC"),
        ({}, "ABC", None, "CB"),
        ({}, "", None, ""),
        ({"forced": True}, "ABCD", VOLUMES, ""),
        ({"volume_drop_pct": 0.5}, "ABCD", {}, "BA"),
    ],
)
def test_ideal_coins(changes: Any, fitting: str, volumes: Any, result: str) -> None:
    """All that fit, sorted, if there are slots enough; else those of much volume, the most volatile first."""
    assert eligibility.ideal_coins(ALL, fitting, rules(**changes), volumes, VOLATILITIES) == list(result)
