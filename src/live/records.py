"""What a live cycle decides, as frozen records, and the distance of an order (`live.md` 1).

IdealOrder      what the planner wants; `exchanges.protocol.TargetOrder` is the same as an order that can be sent
OrderDiff       what has to change
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from core.terms import Mode, Pside, Side
from exchanges.protocol import Key, OpenOrder, TargetOrder

Modes: TypeAlias = dict[Key, Mode]
Context = Literal["new", "replace", "retire"]
Reason = Literal["price", "qty", "price+qty", "adjustment"]


@dataclass(frozen=True, slots=True)
class IdealOrder:
    """An order as the planner gives it: `qty` is signed, `order_type` one of the crate's names."""

    symbol: str
    pside: Pside
    qty: float
    price: float
    order_type: str

    @property
    def key(self) -> Key:
        return self.symbol, self.pside

    @property
    def closes(self) -> bool:
        return "close" in self.order_type

    @property
    def side(self) -> Side:
        return "buy" if (self.pside == "long") != self.closes else "sell"


Order: TypeAlias = OpenOrder | TargetOrder
OrderT = TypeVar("OrderT", OpenOrder, TargetOrder)


@dataclass(frozen=True, slots=True)
class Change(Generic[OrderT]):
    """An order to cancel or to create, and why, for the log; the differences are percent of the old order's values."""

    order: OrderT
    context: Context
    reason: Reason | None = None
    price_pct: float = 0.0
    qty_pct: float = 0.0


@dataclass(frozen=True, slots=True)
class SymbolCounts:
    """Changes of one symbol: all of them, and those that the tolerance left over."""

    symbol: str
    cancels: int
    creates: int
    skipped: int


@dataclass(frozen=True, slots=True)
class OrderDiff:
    """What turns the open orders into the wanted ones, nearest to the market first; `counts` is of changed symbols."""

    to_cancel: tuple[Change[OpenOrder], ...] = ()
    to_create: tuple[Change[TargetOrder], ...] = ()
    counts: tuple[SymbolCounts, ...] = ()

    @property
    def skipped(self) -> int:
        """Pairs that the tolerance took out."""
        return sum(count.skipped for count in self.counts)


@dataclass(frozen=True, slots=True)
class Withheld(Generic[OrderT]):
    """An order that is not sent now, and why."""

    order: OrderT
    reason: str


def is_within(new: TargetOrder, old: Order, *, price: float, qty: float) -> bool:
    """Whether two orders of a symbol and side differ by at most these fractions of the new one's price and quantity."""
    return (
        (new.symbol, new.side, new.pside) == (old.symbol, old.side, old.pside)
        and abs(new.price - old.price) / new.price <= price
        and abs(new.qty - old.qty) / new.qty <= qty
    )


def price_distance(side: str, price: float, market: float) -> float:
    """Distance of an order from the market as a fraction, positive away from it (`diff` of section 1).

    0 if a number is not finite or `market` is not positive. ValueError: `side` is neither buy nor sell.
    """
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    return passivbot_rust.calc_order_price_diff(side, price, market)
