"""All fills that are known, each trade once (`live.md` 17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from live.fills.positions import with_positions
from live.fills.record import FillEvent, in_time_order

TradeKey: TypeAlias = tuple[str, str]
"""Symbol and trade id: exchanges number trades per symbol."""


class KnownOrder(NamedTuple):
    """What was found out about the order of a fill, so that it need not be asked for again."""

    client_order_id: str
    pb_order_type: str


KnownOrders: TypeAlias = Mapping[TradeKey, KnownOrder]


class FillBook:
    """Events by trade. `add` and `annotate` say which days (`YYYY-MM-DD`) have changed."""

    def __init__(self, c_mult: Callable[[str], float]) -> None:
        self._c_mult = c_mult
        self._by_trade: dict[TradeKey, FillEvent] = {}
        self._sorted: tuple[FillEvent, ...] | None = ()
        self._annotated = True

    @property
    def events(self) -> tuple[FillEvent, ...]:
        """Every event once, ascending in time."""
        if self._sorted is None:
            unique = {id(event): event for event in self._by_trade.values()}
            self._sorted = tuple(sorted(unique.values(), key=in_time_order))
        return self._sorted

    def known_orders(self) -> dict[TradeKey, KnownOrder]:
        """Client id and order type of each trade whose client id is known."""
        return {
            key: KnownOrder(event.client_order_id, event.pb_order_type)
            for key, event in self._by_trade.items()
            if event.client_order_id
        }

    def add(self, events: Iterable[FillEvent]) -> tuple[list[FillEvent], set[str]]:
        """Take events in; a known one is replaced unless the newcomer is older or only part of it.

        Returns those that hold a trade unknown so far, and the days that have changed.
        """
        new, days = [], set[str]()
        for event in events:
            if not self._is_worse(event):
                is_new = any(part not in self._by_trade for part in event.parts)
                changed = self._put(event)
                days |= changed
                new += [event] if is_new else []
        return new, days

    def annotate(self) -> set[str]:
        """Recompute every position if events have come; the days with another value than before."""
        if self._annotated:
            return set()
        before = self.events
        after = with_positions(before, self._c_mult)
        for event in after:
            self._by_trade.update(dict.fromkeys(event.parts, event))
        self._sorted, self._annotated = tuple(after), True
        return {new.day for old, new in zip(before, after, strict=True) if new != old}

    def annotated(self, events: Iterable[FillEvent]) -> list[FillEvent]:
        """The given events as the book holds them now, each once."""
        found = {id(held): held for held in (self._by_trade[event.parts[0]] for event in events)}
        return list(found.values())

    def _replaced_by(self, event: FillEvent) -> list[FillEvent]:
        met = (self._by_trade[part] for part in event.parts if part in self._by_trade)
        return list({id(old): old for old in met}.values())

    def _is_worse(self, event: FillEvent) -> bool:
        """Older than what is known, or a part of it (the rest of a coalesced event was on another page)."""
        parts = set(event.parts)
        return any(event.timestamp < old.timestamp or parts < set(old.parts) for old in self._replaced_by(event))

    def _put(self, event: FillEvent) -> set[str]:
        met = self._replaced_by(event)
        if met:
            old = met[0]
            event = replace(event, psize=old.psize, pprice=old.pprice)
            if old.client_order_id and not event.client_order_id:
                event = replace(event, client_order_id=old.client_order_id, pb_order_type=old.pb_order_type)
            if event == old:
                return set()
        for old in met:
            for part in old.parts:
                del self._by_trade[part]
        self._by_trade.update(dict.fromkeys(event.parts, event))
        self._sorted, self._annotated = None, False
        return {event.day, *(old.day for old in met)}
