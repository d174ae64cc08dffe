"""The difference between the orders that rest and those that should (`live.md` 13)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from exchanges.protocol import Key, OpenOrder, TargetOrder
from live.records import Change, Modes, Order, OrderDiff, OrderT, Reason, SymbolCounts, is_within, price_distance

SUMMARY_SYMBOLS = 6


def reconcile(
    targets: Sequence[TargetOrder],
    actual: Sequence[OpenOrder],
    modes: Modes,
    prices: Mapping[str, float],
    tolerance: float,
) -> OrderDiff:
    """What to cancel and create, over the symbols of `modes`; `tolerance` is `live.order_match_tolerance_pct`.

    Orders of sides in mode manual are left alone, in tp_only those that do not close. Sorted by the distance to the
    last price, nearest first; an unknown price counts as no distance.
    """
    cancels: list[Change[OpenOrder]] = []
    creates: list[Change[TargetOrder]] = []
    counts = []
    for symbol in sorted({symbol for symbol, _ in modes}):
        stale, missing = _unmatched(_of(symbol, targets), _of(symbol, actual))
        stale, missing = _touchable(stale, modes), _touchable(missing, modes)
        noted = _annotated(stale, missing)
        kept = _beyond_tolerance(*noted, tolerance)
        cancels += kept[0]
        creates += kept[1]
        if stale or missing:
            counts.append(SymbolCounts(symbol, len(stale), len(missing), len(missing) - len(kept[1])))
    return OrderDiff(
        tuple(sorted(cancels, key=_distance(prices))), tuple(sorted(creates, key=_distance(prices))), tuple(counts)
    )


def plan_summary(diff: OrderDiff) -> str:
    """One line for the log: changes before and after the tolerance, in all and of the first changed symbols."""
    counts = diff.counts
    cancels, creates = sum(c.cancels for c in counts), sum(c.creates for c in counts)
    parts = [
        f"order plan summary: cancel {cancels}->{cancels - diff.skipped}",
        f"create {creates}->{creates - diff.skipped}",
        f"skipped={diff.skipped}",
    ]
    details = [
        f"{c.symbol}:c{c.cancels}->{c.cancels - c.skipped} cr{c.creates}->{c.creates - c.skipped} skip{c.skipped}"
        for c in counts[:SUMMARY_SYMBOLS]
    ]
    if details:
        parts.append(f"details: {' | '.join(details)}")
    return " | ".join(parts)


def _of(symbol: str, orders: Sequence[OrderT]) -> list[OrderT]:
    return [order for order in orders if order.symbol == symbol]


def _unmatched(
    targets: Sequence[TargetOrder], actual: Sequence[OpenOrder]
) -> tuple[list[OpenOrder], list[TargetOrder]]:
    """What is left on both sides when each wanted order has used up the first open one equal to it."""
    stale, missing = list(actual), []
    for target in targets:
        match = next((order for order in stale if _identity(order) == _identity(target)), None)
        if match is None:
            missing.append(target)
        else:
            stale.remove(match)
    return stale, missing


def _identity(order: Order) -> tuple[str, str, str, float, float]:
    return order.symbol, order.side, order.pside, order.qty, order.price


def _touchable(orders: Sequence[OrderT], modes: Modes) -> list[OrderT]:
    def touches(key: Key, reduce_only: bool) -> bool:
        mode = modes[key]
        return mode != "manual" and (mode != "tp_only" or reduce_only)

    return [order for order in orders if touches(order.key, order.reduce_only)]


def _annotated(
    stale: Sequence[OpenOrder], missing: Sequence[TargetOrder]
) -> tuple[list[Change[OpenOrder]], list[Change[TargetOrder]]]:
    """Each stale order with the missing one of its side that is nearest in price; for the log only."""
    creates = {i: Change(order, "new") for i, order in enumerate(missing)}
    unpaired = dict(enumerate(missing))
    cancels = []
    for old in stale:
        partners = [i for i, new in unpaired.items() if (new.side, new.pside) == (old.side, old.pside)]
        if not partners:
            cancels.append(Change(old, "retire"))
            continue
        nearest = min(partners, key=lambda i: abs(missing[i].price - old.price))
        new = unpaired.pop(nearest)
        price_pct, qty_pct = _percent(old.price, new.price), _percent(old.qty, new.qty)
        reason = _reason(price_pct, qty_pct)
        cancels.append(Change(old, "replace", reason, price_pct, qty_pct))
        creates[nearest] = Change(new, "replace", reason, price_pct, qty_pct)
    return cancels, list(creates.values())


def _percent(old: float, new: float) -> float:
    return round((new - old) / old * 100.0, 4) if old else 0.0


def _reason(price_pct: float, qty_pct: float) -> Reason:
    if price_pct and qty_pct:
        return "price+qty"
    if price_pct:
        return "price"
    return "qty" if qty_pct else "adjustment"


def _beyond_tolerance(
    cancels: Sequence[Change[OpenOrder]], creates: Sequence[Change[TargetOrder]], tolerance: float
) -> tuple[list[Change[OpenOrder]], list[Change[TargetOrder]]]:
    """Without the pairs that are nearly the same: there the open order stays."""
    kept, unused = [], list(cancels)
    for create in creates:
        near = (old for old in unused if is_within(create.order, old.order, price=tolerance, qty=tolerance))
        match = next(near, None)
        if match is None:
            kept.append(create)
        else:
            unused.remove(match)
    return unused, kept


def _distance(prices: Mapping[str, float]) -> Callable[[Change[OpenOrder] | Change[TargetOrder]], float]:
    def of(change: Change[OpenOrder] | Change[TargetOrder]) -> float:
        order = change.order
        return price_distance(order.side, order.price, prices.get(order.symbol, math.nan))

    return of
