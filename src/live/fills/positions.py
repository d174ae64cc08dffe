"""The position after each fill: size and average price (`live.md` 17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from live.fills.record import FillEvent

DUST = 1e-12
SIZE_DIGITS = 12


def with_positions(events: Iterable[FillEvent], c_mult: Callable[[str], float]) -> list[FillEvent]:
    """The events (ascending in time) with `psize` and `pprice` counted from the first one on.

    `c_mult` gives the contract size of a symbol. A position that is older than the first event counts from zero.
    """
    held: dict[tuple[str, str], tuple[float, float]] = {}
    annotated = []
    for event in events:
        key = (event.symbol, event.position_side)
        size, price = held[key] = _after(*held.get(key, (0.0, 0.0)), event, abs(event.qty) * c_mult(event.symbol))
        annotated.append(replace(event, psize=round(size, SIZE_DIGITS), pprice=price))
    return annotated


def _after(size: float, price: float, event: FillEvent, amount: float) -> tuple[float, float]:
    if not event.closes:
        average = event.price if size <= 0.0 else (size * price + amount * event.price) / (size + amount)
        size, price = size + amount, average
    else:
        size = max(0.0, size - amount)
    return (size, price) if size > DUST else (0.0, 0.0)
