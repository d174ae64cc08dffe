"""Ideal orders to orders that can be sent: which, as limit or market, and never closing too much (`live.md` 12)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from exchanges.protocol import HeldPosition, Key, OrderKind, TargetOrder
from live.records import IdealOrder, price_distance

FLAT = HeldPosition()
EXCESS = 1e-12  # closes may exceed the position by so much

# part of a type's name -> an order as near to the market as this goes out as a market order, where those are allowed
NEAR_ENOUGH = (("grid", 0.0001), ("trailing", 0.001), ("auto_reduce", 0.001))


@dataclass(frozen=True, slots=True)
class TranslateRules:
    """`live.price_distance_threshold` (a fraction) and `live.market_orders_allowed`."""

    price_distance_threshold: float
    market_orders_allowed: bool


@dataclass(frozen=True, slots=True)
class Translation:
    """The orders of each symbol, nearest to the market first; the ideal ones that may not rest, and why; warnings."""

    orders: tuple[TargetOrder, ...]
    withheld: tuple[tuple[IdealOrder, str], ...]
    warnings: tuple[str, ...]


def translate(
    ideal: Sequence[IdealOrder],
    positions: Mapping[Key, HeldPosition],
    prices: Mapping[str, float],
    rules: TranslateRules,
) -> Translation:
    """The orders that should rest now, symbols sorted; `prices` are last prices.

    A symbol without a usable price gets no orders: nothing could be said about their distance.
    """
    orders: list[TargetOrder] = []
    withheld: list[tuple[IdealOrder, str]] = []
    warnings: list[str] = []
    for symbol, group in groupby(sorted(ideal, key=lambda order: order.symbol), key=lambda order: order.symbol):
        wanted, market = list(group), prices.get(symbol, math.nan)
        if not (math.isfinite(market) and market > 0.0):
            withheld += [(order, "no last price") for order in wanted]
            continue
        candidates, kept_back = _gated(wanted, positions, market, rules)
        withheld += kept_back
        targets = [_target(order, market, rules) for order in candidates]
        clamped, told = _clamp(targets, positions)
        orders += _trim(clamped, positions, market)
        warnings += told
    return Translation(tuple(orders), tuple(withheld), tuple(warnings))


def closest(orders: Iterable[TargetOrder], prices: Mapping[str, float], cap: int) -> list[TargetOrder]:
    """The orders that an exchange's cap on open orders leaves: the nearest ones over all symbols (section 21.4)."""
    return sorted(orders, key=lambda o: price_distance(o.side, o.price, prices.get(o.symbol, math.nan)))[:cap]


def _gated(
    wanted: Sequence[IdealOrder], positions: Mapping[Key, HeldPosition], market: float, rules: TranslateRules
) -> tuple[list[IdealOrder], list[tuple[IdealOrder, str]]]:
    """Rules 1 to 3 on one symbol: without empty orders, those too far away to matter yet, and duplicates."""
    any_partial = any("partial" in order.order_type for order in wanted)
    passed: dict[tuple[float, float, str], IdealOrder] = {}
    withheld = []
    for order in sorted(wanted, key=lambda o: price_distance(o.side, o.price, market)):
        if order.qty == 0.0:
            continue
        distance = price_distance(order.side, order.price, market)
        flat = positions.get(order.key, FLAT).size == 0.0
        if distance > rules.price_distance_threshold and _waits(order, any_partial, flat):
            withheld.append((order, f"{distance:.4%} from the market, beyond {rules.price_distance_threshold:.4%}"))
        else:
            passed.setdefault((abs(order.qty), order.price, order.order_type), order)
    return list(passed.values()), withheld


def _waits(order: IdealOrder, any_partial: bool, flat: bool) -> bool:
    """Whether an order rests only when the market is near: first entries, unstucking, and what follows those."""
    name = order.order_type
    return (any_partial and "entry" in name) or "initial" in name or "unstuck" in name or flat


def _target(order: IdealOrder, market: float, rules: TranslateRules) -> TargetOrder:
    return TargetOrder(
        symbol=order.symbol,
        side=order.side,
        pside=order.pside,
        qty=abs(order.qty),
        price=order.price,
        reduce_only=order.closes,
        order_type=order.order_type,
        kind=_kind(order, market) if rules.market_orders_allowed else "limit",
    )


def _kind(order: IdealOrder, market: float) -> OrderKind:
    distance = price_distance(order.side, order.price, market)
    near = any(part in order.order_type and distance < limit for part, limit in NEAR_ENOUGH)
    crosses = order.price >= market if order.side == "buy" else order.price <= market
    return "market" if near or crosses else "limit"


def _clamp(orders: Sequence[TargetOrder], positions: Mapping[Key, HeldPosition]) -> tuple[list[TargetOrder], list[str]]:
    """No close larger than its position; one that is left with nothing is dropped."""
    kept, warnings = [], []
    for order in orders:
        size = abs(positions.get(order.key, FLAT).size)
        qty = min(order.qty, size) if order.reduce_only else order.qty
        if qty < order.qty:
            what = f"{order.symbol} {order.pside}: {order.order_type} of {order.qty}"
            warnings.append(f"{what} exceeds the position of {size}; {f'reduced to {qty}' if qty else 'dropped'}")
        if qty > 0.0:
            kept.append(replace(order, qty=qty))
    return kept, warnings


def _trim(orders: Sequence[TargetOrder], positions: Mapping[Key, HeldPosition], market: float) -> list[TargetOrder]:
    """All closes of a position together no larger than it: the excess comes off the farthest ones."""
    quantities = [order.qty for order in orders]
    for key in dict.fromkeys(order.key for order in orders):
        closes = [i for i, order in enumerate(orders) if order.reduce_only and order.key == key]
        excess = sum(quantities[i] for i in closes) - abs(positions.get(key, FLAT).size)
        closes.sort(key=lambda i: price_distance(orders[i].side, orders[i].price, market), reverse=True)
        for i in closes if excess > EXCESS else ():
            cut = min(quantities[i], max(excess, 0.0))
            quantities[i], excess = round(quantities[i] - cut, 12), excess - cut
    return [replace(order, qty=qty) for order, qty in zip(orders, quantities, strict=True) if qty > 0.0]
