"""The account as one reading of the exchange shows it, and when such a reading is not believed (`live.md` 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchanges.protocol import HeldPosition, Key, OpenOrder
from live.fills.record import FillEvent
from live.records import Order

DUST = 1e-9  # of a fill: sums of quantities are not exact
MANY = 20  # vanished or new orders at once are not looked into one by one


@dataclass(frozen=True, slots=True)
class AccountState:
    """`balance` is as accepted, `fetched_balance` as read; positions that are flat are not in it."""

    ts_ms: int
    balance: float
    fetched_balance: float
    positions: Mapping[Key, HeldPosition] = field(default_factory=dict)
    open_orders: Sequence[OpenOrder] = ()

    def with_orders(self) -> frozenset[str]:
        """Symbols with open orders."""
        return frozenset(order.symbol for order in self.open_orders)

    def held_symbols(self) -> frozenset[str]:
        return frozenset(symbol for symbol, _ in self.positions)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a reading says that nothing explains: positions that are gone without a fill, a balance of nothing."""

    vanished: frozenset[Key] = frozenset()
    no_balance: bool = False

    def __bool__(self) -> bool:
        return bool(self.vanished) or self.no_balance

    def __str__(self) -> str:
        parts = [f"no position {symbol} {pside} any more, but no fill closed it" for symbol, pside in self.vanished]
        parts += ["a balance of 0"] if self.no_balance else []
        return "; ".join(sorted(parts))


def sizes_by_fills(events: Iterable[FillEvent]) -> dict[Key, float]:
    """The size that the newest fill of each position left, by events ascending in time; less than dust is 0."""
    return {
        (event.symbol, "short" if event.position_side == "short" else "long"): (
            0.0 if event.psize <= DUST * abs(event.qty) else event.psize
        )
        for event in events
    }


def doubts_of(state: AccountState, before: AccountState | None, sizes: Mapping[Key, float]) -> Doubts:
    """What of a new reading is believed only when the next one says it again (`additions.md` 14).

    `sizes` are those of `sizes_by_fills`; a first reading is compared with them alone.
    """
    expected = before.positions if before else sizes
    vanished = frozenset(key for key in expected if key not in state.positions and sizes.get(key) != 0.0)
    had_something = before.fetched_balance > 0.0 if before else bool(state.positions)
    return Doubts(vanished, state.fetched_balance == 0.0 and had_something)


def vanished_orders(
    before: Collection[OpenOrder], now: Collection[OpenOrder], cancelled: Collection[Order]
) -> list[OpenOrder]:
    """Orders that are gone although nobody here cancelled them lately: possibly filled (5.2)."""
    ids = {order.id for order in now}
    ours = {_identity(order) for order in cancelled}
    return [order for order in before if order.id not in ids and _identity(order) not in ours]


def worth_a_look(gone: Collection[OpenOrder], new: Collection[OpenOrder]) -> bool:
    """Whether positions have to be read again: something is gone, and it is not everything that changed."""
    return 0 < len(gone) <= MANY and len(new) <= MANY


def _identity(order: Order) -> tuple[str, str, str, float, float]:
    return order.symbol, order.side, order.pside, order.price, order.qty
