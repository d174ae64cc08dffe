"""Fills of one order at one moment become one event (`live.md` 17.3), on exchanges that split them finely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from live.fills.record import JOINT, Fees, FillEvent, in_time_order


def coalesce(events: Iterable[FillEvent]) -> list[FillEvent]:
    """One event for each time, symbol, type, side and position side, ascending in time.

    Quantities, pnl and fees per currency are summed, the price is weighted by quantity, ids are joined by `+`.
    """
    groups: dict[tuple[object, ...], list[FillEvent]] = {}
    for event in sorted(events, key=in_time_order):
        key = (event.timestamp, event.symbol, event.pb_order_type, event.side, event.position_side)
        groups.setdefault(key, []).append(event)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _joined(group: Sequence[FillEvent]) -> FillEvent:
    qty = sum(event.qty for event in group)
    return replace(
        group[0],
        id=JOINT.join(event.id for event in group),
        qty=qty,
        price=sum(event.qty * event.price for event in group) / qty if qty else group[0].price,
        pnl=sum(event.pnl for event in group),
        fees=_summed([event.fees for event in group]),
        client_order_id=next((event.client_order_id for event in group if event.client_order_id), ""),
        raw=[payload for event in group for payload in event.raw],
    )


def _summed(fees: Iterable[Fees]) -> Fees:
    """One entry a currency; a single one stands alone, none is null."""
    by_currency: dict[Any, dict[str, Any]] = {}
    for fee in fees:
        for entry in fee if isinstance(fee, list) else [fee] if fee else []:
            currency = entry.get("currency")
            before = by_currency.get(currency, {"currency": currency, "cost": 0.0})
            by_currency[currency] = before | {"cost": before["cost"] + float(entry.get("cost") or 0.0)}
    summed = list(by_currency.values())
    return summed[0] if len(summed) == 1 else summed or None
