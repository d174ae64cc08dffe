"""Which cancels and creates of a cycle are sent, and what is remembered of them (`live.md` 14)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from exchanges.protocol import OpenOrder, TargetOrder
from live.records import Order, Withheld, is_within

MEMORY_MS = 15_000
LEAST_BALANCE = 1.0
# Orders as near as this are the same one, wanted again: a fraction of the new order's price and quantity.
SAME_PRICE, SAME_QTY = 0.002, 0.01


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that was posted or cancelled, and when."""

    order: Order
    at_ms: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a create must not collide with.

    `cancels` are all orders that this cycle wants gone, sent or not; `posted` the orders sent earlier;
    `changed_symbols` those whose open orders are not known any more.
    """

    balance: float
    cancels: Sequence[OpenOrder]
    posted: Sequence[Sent]
    changed_symbols: Collection[str]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Creates:
    """The orders to post now, and those that have to wait."""

    chosen: tuple[TargetOrder, ...]
    withheld: tuple[Withheld[TargetOrder], ...]


def select_cancels(cancels: Sequence[OpenOrder], cap: int) -> tuple[OpenOrder, ...]:
    """At most `cap` of them; when there are more, those that close come first."""
    if len(cancels) > cap:
        cancels = sorted(cancels, key=lambda order: not order.reduce_only)
    return tuple(cancels[:cap])


def select_creates(creates: Sequence[TargetOrder], around: Surroundings, cap: int) -> Creates:
    """At most `cap` of those that nothing speaks against, in their order."""
    chosen: list[TargetOrder] = []
    withheld: list[Withheld[TargetOrder]] = []
    for order in creates:
        reason = _objection(order, around)
        if reason is None and len(chosen) >= cap:
            reason = f"the cap of {cap} creations in a cycle"
        if reason is None:
            chosen.append(order)
        else:
            withheld.append(Withheld(order, reason))
    return Creates(tuple(chosen), tuple(withheld))


def _objection(order: TargetOrder, around: Surroundings) -> str | None:
    if around.balance < LEAST_BALANCE:
        return f"the balance of {around.balance} is too low to trade, {LEAST_BALANCE} is the least"
    if any(_same(order, old) for old in around.cancels):
        return "a similar order is being cancelled; the next cycle decides"
    times = [sent.at_ms for sent in recent(around.posted, around.now_ms) if _same(order, sent.order)]
    if times:
        remaining = (max(times) + MEMORY_MS - around.now_ms) / 1000
        return f"a similar order was posted just now; {remaining:.1f} s remain"
    if order.symbol in around.changed_symbols:
        return "the open orders of the symbol have to be read again"
    return None


def _same(new: TargetOrder, old: Order) -> bool:
    return is_within(new, old, price=SAME_PRICE, qty=SAME_QTY)


def recent(memory: Iterable[Sent], now_ms: int) -> tuple[Sent, ...]:
    """What was sent during the last 15 s."""
    return tuple(sent for sent in memory if now_ms - sent.at_ms < MEMORY_MS)


def remember(memory: Iterable[Sent], orders: Iterable[Order], now_ms: int) -> tuple[Sent, ...]:
    """The memory with `orders` added and what is older than 15 s dropped.

    Orders are added when they are sent, and once more when their outcome turns out to be unknown.
    """
    return (*recent(memory, now_ms), *(Sent(order, now_ms) for order in orders))


def unconfirmed_symbols(sent: Sequence[Order], confirmed: Sequence[bool]) -> frozenset[str]:
    """Symbols whose open orders must be read again before anything is posted there; all, if answers are missing."""
    if len(sent) != len(confirmed):
        return frozenset(order.symbol for order in sent)
    return frozenset(order.symbol for order, done in zip(sent, confirmed, strict=True) if not done)
