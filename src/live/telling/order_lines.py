"""Orders in log lines, `[order]` (`live.md` 22)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exchanges.protocol import OpenOrder
from live.orders.order_ids import order_type_of
from live.records import Change, Order, OrderT

MOST_ORDERS = 4


def order_text(order: Order) -> str:
    """`buy long 0.22@100 entry_initial_normal_long`."""
    if isinstance(order, OpenOrder):
        kind, market = order_type_of(order.custom_id), ""
    else:
        kind, market = order.order_type, " (market)" if order.kind == "market" else ""
    return f"{order.side} {order.pside} {order.qty:.10g}@{order.price:.10g} {kind}{market}"


def change_text(change: Change[OrderT]) -> str:
    """The order with why it changes: `... [replace reason=price Δp=0.02%]`."""
    parts: list[str] = [change.context]
    if change.reason:
        parts.append(f"reason={change.reason}")
    if change.price_pct:
        parts.append(f"Δp={change.price_pct:g}%")
    if change.qty_pct:
        parts.append(f"Δq={change.qty_pct:g}%")
    return f"{order_text(change.order)} [{' '.join(parts)}]"


def summary_lines(verb: str, changes: Sequence[Change[OrderT]]) -> dict[str, str]:
    """`{symbol: line}` of what is posted or cancelled: the first orders, how many more, and the reasons."""
    lines = {}
    for symbol in dict.fromkeys(change.order.symbol for change in changes):
        group = [change for change in changes if change.order.symbol == symbol]
        shown = "; ".join(change_text(change) for change in group[:MOST_ORDERS])
        more = f" +{len(group) - MOST_ORDERS} more" if len(group) > MOST_ORDERS else ""
        reasons = Counter(change.reason or change.context for change in group)
        told = ",".join(f"{reason}:{count}" for reason, count in reasons.items())
        lines[symbol] = f"[order] {verb} {symbol}: {shown}{more} reasons={told}"
    return lines
