"""What holds for any orders of a cycle (`live.md` 12-14)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder
from live.orders.selection import SAME_PRICE, SAME_QTY, Sent, Surroundings, select_cancels, select_creates
from live.planning.reconcile import reconcile
from live.planning.translate import TranslateRules, translate
from live.records import IdealOrder, is_within

SYMBOLS = ("A", "B")
PSIDES: tuple[Any, ...] = ("long", "short")
MODES: Any = {(symbol, pside): "normal" for symbol in SYMBOLS for pside in PSIDES}
PRICES = {"A": 100.0, "B": 98.5}
TYPES = (
    "entry_initial_normal", "entry_initial_partial", "entry_grid_normal", "close_grid", "close_unstuck", "close_panic",
)  # fmt: skip

symbols, psides, sides = st.sampled_from(SYMBOLS), st.sampled_from(PSIDES), st.sampled_from(("buy", "sell"))
quantities = st.integers(1, 40).map(lambda n: n / 10)
levels = st.integers(950, 1050).map(lambda n: n / 10)
targets = st.lists(
    st.builds(TargetOrder, symbols, sides, psides, quantities, levels, st.booleans(), st.just("x")), max_size=8
)
open_orders = st.lists(
    st.builds(OpenOrder, st.uuids().map(str), symbols, sides, psides, quantities, levels), max_size=8
)  # fmt: skip
ideals = st.lists(
    st.builds(
        lambda symbol, pside, qty, price, name: IdealOrder(symbol, pside, qty, price, f"{name}_{pside}"),
        symbols, psides, quantities, levels, st.sampled_from(TYPES),
    ),
    max_size=10,
)  # fmt: skip


def resting(target: TargetOrder, number: int) -> OpenOrder:
    return OpenOrder(str(number), target.symbol, target.side, target.pside, target.qty, target.price)


def identities(orders: list[Any]) -> list[tuple[Any, ...]]:
    return sorted((o.symbol, o.side, o.pside, o.qty, o.price) for o in orders)


@given(targets)
def test_nothing_to_do(wanted: list[TargetOrder]) -> None:
    """Orders that rest as wanted are not touched."""
    diff = reconcile(wanted, [resting(order, i) for i, order in enumerate(wanted)], MODES, PRICES, 0.0)
    assert not diff.to_cancel
    assert not diff.to_create


@given(targets, open_orders)
def test_a_diff_leads_to_the_target(wanted: list[TargetOrder], actual: list[OpenOrder]) -> None:
    """Cancelling and creating what the difference says leaves exactly the wanted orders."""
    diff = reconcile(wanted, actual, MODES, PRICES, 0.0)
    gone = {change.order.id for change in diff.to_cancel}
    assert len(gone) == len(diff.to_cancel)
    after: list[Any] = [order for order in actual if order.id not in gone]
    assert identities(after + [change.order for change in diff.to_create]) == identities(wanted)


@given(targets, open_orders, st.floats(0.0, 0.05))
def test_tolerance_only_drops_pairs(wanted: list[TargetOrder], actual: list[OpenOrder], tolerance: float) -> None:
    """With a tolerance as many cancels as creates fall away, and nothing is added."""
    exact, loose = (reconcile(wanted, actual, MODES, PRICES, t) for t in (0.0, tolerance))
    assert len(exact.to_cancel) - len(loose.to_cancel) == len(exact.to_create) - len(loose.to_create) == loose.skipped
    assert set(loose.to_cancel) <= set(exact.to_cancel)


@given(targets, open_orders, targets, st.integers(0, 4), st.integers(0, 4))
def test_selection(
    wanted: list[TargetOrder], stale: list[OpenOrder], posted: list[TargetOrder], cancels: int, creates: int
) -> None:
    """Never more than the caps, and no create that conflicts with a cancel or a recent order."""
    around = Surroundings(1000.0, stale, [Sent(order, 0) for order in posted], {"B"}, 10_000)
    chosen = select_creates(wanted, around, creates)
    assert len(select_cancels(stale, cancels)) == min(cancels, len(stale))
    assert len(chosen.chosen) <= creates
    assert len(chosen.chosen) + len(chosen.withheld) == len(wanted)
    for order in chosen.chosen:
        assert order.symbol != "B"
        assert not any(is_within(order, old, price=SAME_PRICE, qty=SAME_QTY) for old in (*stale, *posted))


@given(ideals, st.lists(st.integers(0, 60).map(lambda n: n / 10), min_size=4, max_size=4), st.booleans())
def test_closes_fit_the_position(ideal: list[IdealOrder], sizes: list[float], markets: bool) -> None:
    """Closes of a position never add up to more than it; every order has a quantity."""
    positions = {
        key: HeldPosition(size if key[1] == "long" else -size, 100.0) for key, size in zip(MODES, sizes, strict=True)
    }
    orders = translate(ideal, positions, PRICES, TranslateRules(0.002, markets)).orders
    assert all(order.qty > 0.0 for order in orders)
    for key, position in positions.items():
        closing = sum(order.qty for order in orders if order.reduce_only and order.key == key)
        assert closing <= abs(position.size) + 1e-11
