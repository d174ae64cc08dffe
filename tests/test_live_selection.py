"""Which cancels and creates are sent (`live.md` 14)."""

from __future__ import annotations

from typing import Any

import pytest

from exchanges.protocol import OpenOrder, TargetOrder
from live.orders.selection import (
    Sent,
    Surroundings,
    recent,
    remember,
    select_cancels,
    select_creates,
    unconfirmed_symbols,
)


def rests(price: float, qty: float = 1.0, side: Any = "buy", symbol: str = "A") -> OpenOrder:
    return OpenOrder(f"{price}", symbol, side, "long", qty, price)


def wants(price: float, qty: float = 1.0, side: Any = "buy", symbol: str = "A") -> TargetOrder:
    return TargetOrder(symbol, side, "long", qty, price, side == "sell", "entry_grid_normal_long")


def around(**changes: Any) -> Surroundings:
    plain: dict[str, Any] = {"balance": 1000.0, "cancels": (), "posted": (), "changed_symbols": (), "now_ms": 100_000}
    return Surroundings(**(plain | changes))


def test_cancels() -> None:
    """Up to the cap the order stays; beyond it those that close go first."""
    orders = [rests(99.0), rests(98.0), rests(102.0, side="sell"), rests(103.0, side="sell")]
    assert [order.price for order in select_cancels(orders, 4)] == [99.0, 98.0, 102.0, 103.0]
    assert [order.price for order in select_cancels(orders, 3)] == [102.0, 103.0, 99.0]
    assert select_cancels(orders, 0) == ()


def test_creates_up_to_the_cap() -> None:
    """The cap holds for the account; orders that have to wait do not use it up."""
    orders = [wants(99.0), wants(98.0, symbol="B"), wants(97.0), wants(96.0)]
    result = select_creates(orders, around(changed_symbols={"B"}), 2)
    assert [order.price for order in result.chosen] == [99.0, 97.0]
    assert [(w.order.price, w.reason) for w in result.withheld] == [
        (98.0, "the open orders of the symbol have to be read again"),
        (96.0, "the cap of 2 creations in a cycle"),
    ]


@pytest.mark.parametrize(("balance", "n"), [(0.99, 0), (1.0, 1), (1e-12, 0)])
def test_balance(balance: float, n: int) -> None:
    """Below a balance of one nothing is posted."""
    assert len(select_creates([wants(99.0)], around(balance=balance), 3).chosen) == n


@pytest.mark.parametrize(
    ("old", "free"),
    [
        (rests(99.81), False),
        (rests(99.79), True),
        (rests(100.0, 0.991), False),
        (rests(100.0, 0.989), True),
        (rests(100.0, side="sell"), True),
        (rests(100.0, symbol="B"), True),
    ],
)
def test_similar_orders(old: OpenOrder, free: bool) -> None:
    """Within 0.2 % in price and 1 % in quantity an order waits for one that is being cancelled or was just posted."""
    for similar in (around(cancels=[old]), around(posted=[Sent(old, 90_000)])):
        assert bool(select_creates([wants(100.0)], similar, 3).chosen) is free


@pytest.mark.parametrize(("age_ms", "free"), [(0, False), (14_999, False), (15_000, True)])
def test_memory(age_ms: int, free: bool) -> None:
    """What was sent is remembered for 15 s."""
    posted = remember((), [wants(100.0)], 100_000 - age_ms)
    assert bool(select_creates([wants(100.0)], around(posted=posted), 3).chosen) is free
    assert bool(recent(posted, 100_000)) is not free


def test_remaining_delay_is_told() -> None:
    """Of several similar orders the newest counts."""
    posted = [Sent(wants(100.0), 88_000), Sent(wants(100.1), 95_500)]
    [withheld] = select_creates([wants(100.0)], around(posted=posted), 3).withheld
    assert withheld.reason == "a similar order was posted just now; 10.5 s remain"


def test_memory_does_not_grow() -> None:
    """Remembering drops what is too old; an unknown outcome starts the 15 s anew."""
    memory = remember((), [wants(1.0)], 0)
    memory = remember(memory, [wants(1.0), wants(2.0)], 10_000)
    assert [sent.at_ms for sent in remember(memory, [], 15_000)] == [10_000, 10_000]


def test_unconfirmed() -> None:
    """A symbol with an unconfirmed request is read again; a missing answer casts doubt on all."""
    sent = [rests(1.0), rests(1.0, symbol="B")]
    assert unconfirmed_symbols(sent, [True, False]) == {"B"}
    assert unconfirmed_symbols(sent, [True]) == {"A", "B"}
    assert unconfirmed_symbols(sent, [True, True]) == frozenset()
