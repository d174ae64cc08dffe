"""Questions about known fills: those of a time, a coin, a side; what they earned and cost, by day or by coin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.terms import Pside
from live.fills.record import FillEvent


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which fills: from `start_ms` to `end_ms`, both inclusive; None is no bound, no symbols are all."""

    start_ms: int | None = None
    end_ms: int | None = None
    symbols: Collection[str] = ()
    pside: Pside | None = None

    def __contains__(self, event: FillEvent) -> bool:
        return (
            (self.start_ms is None or event.timestamp >= self.start_ms)
            and (self.end_ms is None or event.timestamp <= self.end_ms)
            and (not self.symbols or event.symbol in self.symbols)
            and self.pside in (None, event.position_side)
        )


@dataclass(frozen=True, slots=True)
class Total:
    """What some fills came to; `fees` by currency, with the sign the exchange delivered."""

    name: str
    fills: int
    pnl: float
    fees: Mapping[str, float]


def total(name: str, events: Sequence[FillEvent]) -> Total:
    """The sum of all the events."""
    return Total(name, len(events), sum(event.pnl for event in events), fees_of(events))


def totals(events: Iterable[FillEvent], name_of: Callable[[FillEvent], str]) -> list[Total]:
    """A sum for each name that the events have (their day, coin, order type, ...), by name."""
    groups: dict[str, list[FillEvent]] = {}
    for event in events:
        groups.setdefault(name_of(event), []).append(event)
    return [total(name, group) for name, group in sorted(groups.items())]


def fees_of(events: Iterable[FillEvent]) -> dict[str, float]:
    """Paid fees by currency."""
    sums: dict[str, float] = {}
    for event in events:
        for fee in event.fees if isinstance(event.fees, list) else [event.fees] if event.fees else []:
            currency = str(fee.get("currency") or "?")
            sums[currency] = sums.get(currency, 0.0) + float(fee.get("cost") or 0.0)
    return sums
