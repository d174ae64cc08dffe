"""Matching open orders with wanted ones (`live.md` 13)."""

from __future__ import annotations

from typing import Any

import pytest

from exchanges.protocol import OpenOrder, TargetOrder
from live.planning.reconcile import plan_summary, reconcile
from live.records import Mode, OrderDiff

A: Any = "A/USDT:USDT"


def rests(qty: float, price: float, side: Any = "buy", pside: Any = "long", symbol: str = A) -> OpenOrder:
    return OpenOrder(f"{symbol}{side}{qty}@{price}", symbol, side, pside, qty, price)


def wants(qty: float, price: float, side: Any = "buy", pside: Any = "long", symbol: str = A) -> TargetOrder:
    closes = (pside, side) in (("long", "sell"), ("short", "buy"))
    return TargetOrder(
        symbol, side, pside, qty, price, closes, "close_grid_long" if closes else "entry_grid_normal_long"
    )


def differ(
    targets: list[TargetOrder], actual: list[OpenOrder], mode: Mode = "normal", tolerance: float = 0.0002
) -> OrderDiff:
    symbols = {order.symbol for order in (*targets, *actual)}
    modes: Any = {(symbol, pside): mode for symbol in symbols for pside in ("long", "short")}
    return reconcile(targets, actual, modes, {A: 100.0, "B": 10.0}, tolerance)


def prices(diff: OrderDiff) -> tuple[list[float], list[float]]:
    return [c.order.price for c in diff.to_cancel], [c.order.price for c in diff.to_create]


@pytest.mark.parametrize(
    ("open_order", "wanted", "tolerance", "changed"),
    [
        ((1.0, 100.0), (1.0, 100.0), 0.0, False),
        ((1.0, 100.0), (1.0, 100.01), 0.0002, False),
        ((1.0, 100.0), (1.0, 100.03), 0.0002, True),
        ((1.0, 100.0), (1.0, 100.01), 0.0, True),
        ((1.0, 100.0), (1.0001, 100.0), 0.0002, False),
        ((1.0, 100.0), (1.0003, 100.0), 0.0002, True),
    ],
)
def test_tolerance(open_order: Any, wanted: Any, tolerance: float, changed: bool) -> None:
    """An open order stays if it is nearly the wanted one."""
    diff = differ([wants(*wanted)], [rests(*open_order)], tolerance=tolerance)
    assert (len(diff.to_cancel), len(diff.to_create)) == (changed, changed)
    assert diff.skipped == (not changed and open_order != wanted)


def test_exact_match() -> None:
    """Each wanted order uses up one equal open one; symbol, both sides, quantity and price count, nothing else."""
    diff = differ([wants(1.0, 95.0)] * 3, [rests(1.0, 95.0)] * 2, tolerance=0.0)
    assert prices(diff) == ([], [95.0])
    assert prices(differ([wants(1.0, 95.0)], [rests(1.0, 95.0)] * 2)) == ([95.0], [])
    others = [rests(1.0, 95.0, "sell"), rests(1.0, 95.0, "buy", "short"), rests(1.0, 95.0, symbol="B")]
    assert len(differ([wants(1.0, 95.0)], others).to_cancel) == 3


def test_nothing_wanted_or_open() -> None:
    """Without wanted orders all are cancelled, without open ones all are created, nearest to the market first."""
    assert prices(differ([], [rests(1.0, 90.0), rests(1.0, 99.0)])) == ([99.0, 90.0], [])
    assert prices(differ([wants(1.0, 90.0), wants(1.0, 101.0, "sell")], [])) == ([], [101.0, 90.0])


def test_symbols_are_sorted_together() -> None:
    """The order is by distance over all symbols; an unknown price counts as none."""
    wanted = [wants(1.0, 90.0), wants(1.0, 9.9, symbol="B"), wants(1.0, 5.0, symbol="C")]
    assert prices(differ(wanted, []))[1] == [5.0, 9.9, 90.0]


@pytest.mark.parametrize(
    ("mode", "cancels", "creates"),
    [
        ("normal", [102.0, 95.0], [103.0, 94.0]),
        ("graceful_stop", [102.0, 95.0], [103.0, 94.0]),
        ("panic", [102.0, 95.0], [103.0, 94.0]),
        ("tp_only", [102.0], [103.0]),
        ("manual", [], []),
    ],
)
def test_modes(mode: Any, cancels: list[float], creates: list[float]) -> None:
    """Manual touches nothing, tp_only only closes."""
    wanted = [wants(1.0, 94.0), wants(1.0, 103.0, "sell")]
    assert prices(differ(wanted, [rests(1.0, 95.0), rests(1.0, 102.0, "sell")], mode)) == (cancels, creates)


def test_annotations() -> None:
    """A cancel goes with the nearest create of its side, the first of a tie; differences are percent of the old."""
    wanted = [wants(1.0, 94.0), wants(1.0, 96.0), wants(2.0, 101.0, "sell"), wants(2.0, 105.0, "sell", "short")]
    diff = differ(wanted, [rests(1.0, 95.0), rests(1.0, 100.0, "sell"), rests(1.0, 50.0), rests(1.0, 40.0)])
    said = {c.order.price: (c.context, c.reason, c.price_pct, c.qty_pct) for c in (*diff.to_cancel, *diff.to_create)}
    assert said == {
        95.0: ("replace", "price", -1.0526, 0.0),
        94.0: ("replace", "price", -1.0526, 0.0),
        50.0: ("replace", "price", 92.0, 0.0),
        96.0: ("replace", "price", 92.0, 0.0),
        40.0: ("retire", None, 0.0, 0.0),
        100.0: ("replace", "price+qty", 1.0, 100.0),
        101.0: ("replace", "price+qty", 1.0, 100.0),
        105.0: ("new", None, 0.0, 0.0),
    }


@pytest.mark.parametrize(("qty", "reason"), [(1.5, "qty"), (1.0 + 1e-9, "adjustment")])
def test_reasons(qty: float, reason: str) -> None:
    """A changed quantity, or a change too small to be seen in four decimals."""
    assert differ([wants(qty, 95.0)], [rests(1.0, 95.0)], tolerance=0.0).to_create[0].reason == reason


def test_summary() -> None:
    """The counts before and after the tolerance, of the first six changed symbols."""
    diff = differ([wants(1.0, 95.01), wants(1.0, 90.0), wants(1.0, 9.0, symbol="B")], [rests(1.0, 95.0)])
    assert plan_summary(diff) == (
        "order plan summary: cancel 1->0 | create 3->2 | skipped=1 | "
        "details: A/USDT:USDT:c1->0 cr2->1 skip1 | B:c0->0 cr1->1 skip0"
    )
    assert plan_summary(OrderDiff()) == "order plan summary: cancel 0->0 | create 0->0 | skipped=0"
    many = differ([wants(1.0, 9.0, symbol=f"S{i}") for i in range(8)], [])
    assert plan_summary(many).count("skip0") == 6
