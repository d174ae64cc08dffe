"""Sends what has to change: cancels first, then new orders (`live.md` 14).

A write that ends without an answer is ambiguous: nothing takes its place before the account has been read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from config.live_settings import OrderSettings
from core.clock import HOUR_MS, MINUTE_MS, Clock
from exchanges.failures import Failure, failure_of, is_ambiguous
from exchanges.protocol import Exchange, OpenOrder, TargetOrder
from live.orders.order_ids import OrderFacts, OrderIds
from live.orders.refusals import Refusals
from live.orders.selection import (
    Sent,
    Surroundings,
    recent,
    remember,
    select_cancels,
    select_creates,
    unconfirmed_symbols,
)
from live.records import OrderDiff, Withheld

logger = logging.getLogger(__name__)

IDS_KEPT_MS = HOUR_MS

OrderT = TypeVar("OrderT", OpenOrder, TargetOrder)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Failed:
    """A write that was refused or got no answer."""

    order: OpenOrder | TargetOrder
    failure: Failure
    error: Exception


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a cycle's changes."""

    cancelled: tuple[OpenOrder, ...] = ()
    created: tuple[TargetOrder, ...] = ()
    failed: tuple[Failed, ...] = ()
    withheld: tuple[Withheld[TargetOrder], ...] = ()
    n_wanted: int = 0

    @property
    def acted(self) -> bool:
        """Whether there was anything to do; the next cycle should come soon then."""
        return self.n_wanted > 0


@dataclass(frozen=True, slots=True)
class Context:
    """What a cycle knows when it sends: the accepted balance, and the open orders as they were read."""

    balance: float
    open_orders: Sequence[OpenOrder]


@dataclass
class Executor:
    """The one place that writes. `may_write` is asked before every single request; `sent_ids` are the client ids of
    this process with the time they were used, `confirmed_ids` those that the exchange took."""

    exchange: Exchange
    ids: OrderIds
    settings: OrderSettings
    clock: Clock
    may_write: Callable[[], bool] = lambda: True
    posted: tuple[Sent, ...] = ()
    cancelled: tuple[Sent, ...] = ()
    sent_ids: dict[str, int] = field(default_factory=dict)
    confirmed_ids: set[str] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def recent_cancels(self) -> list[OpenOrder | TargetOrder]:
        """Orders cancelled here in the last 15 s."""
        return [sent.order for sent in recent(self.cancelled, self.clock.now_ms())]

    def forget_recent(self) -> None:
        """As if 15 s had passed, for runs in which the clock stands still during a minute."""
        self.posted = self.cancelled = ()

    async def execute(self, diff: OrderDiff, context: Context) -> Report:
        """Carry out a cycle's changes, as many as the caps allow."""
        cancels = [change.order for change in diff.to_cancel]
        creates = [change.order for change in diff.to_create]
        capabilities = self.exchange.capabilities
        chosen = select_cancels(cancels, _cap(self.settings.max_cancels, capabilities.max_cancels))
        done, failed = await self._cancel(chosen)
        changed = unconfirmed_symbols(chosen, [order in done for order in chosen])
        around = Surroundings(context.balance, cancels, self.posted, changed, self.clock.now_ms())
        allowed, refused = self._without_refused(creates)
        selected = select_creates(allowed, around, _cap(self.settings.max_creates, capabilities.max_creates))
        created, not_created = await self._create(() if _hushed(failed) else selected.chosen, context.open_orders)
        self._forget_old(context.open_orders)
        return Report(
            tuple(done), tuple(created), (*failed, *not_created), (*refused, *selected.withheld),
            len(cancels) + len(creates),
        )  # fmt: skip

    # --- cancels

    async def _cancel(self, orders: Sequence[OpenOrder]) -> tuple[list[OpenOrder], list[Failed]]:
        """The orders whose cancel is confirmed, and the failures."""
        self.cancelled = remember(self.cancelled, orders, self.clock.now_ms())
        results = await self._each(self._cancel_one, orders)
        done = [order for order, result in zip(orders, results, strict=True) if result is True]
        return done, [result for result in results if isinstance(result, Failed)]

    async def _cancel_one(self, order: OpenOrder) -> bool | Failed:
        if not self.may_write():
            return False
        try:
            return await self.exchange.cancel_order(order)
        except Exception as exc:  # noqa: BLE001 - what it means is decided below, the next reading decides the rest
            return self._failed(order, exc)

    # --- creates

    def _without_refused(self, orders: Sequence[TargetOrder]) -> tuple[list[TargetOrder], list[Withheld[TargetOrder]]]:
        now_ms = self.clock.now_ms()
        allowed: list[TargetOrder] = []
        withheld: list[Withheld[TargetOrder]] = []
        for order in orders:
            reason = self.refusals.objection(order, now_ms)
            if reason is None:
                allowed.append(order)
            else:
                withheld.append(Withheld(order, reason))
        return allowed, withheld

    async def _create(
        self, orders: Sequence[TargetOrder], open_orders: Sequence[OpenOrder]
    ) -> tuple[list[TargetOrder], list[Failed]]:
        now_ms = self.clock.now_ms()
        named = self._named(orders, open_orders, now_ms)
        self.posted = remember(self.posted, named, now_ms)
        results = await self._each(self._create_one, named)
        created = [order for order, result in zip(named, results, strict=True) if isinstance(result, str)]
        failed = [result for result in results if isinstance(result, Failed)]
        unknown = [f.order for f in failed if is_ambiguous(f.failure) and isinstance(f.order, TargetOrder)]
        self.posted = remember(self.posted, unknown, self.clock.now_ms())
        return created, failed

    def _named(self, orders: Sequence[TargetOrder], open_orders: Sequence[OpenOrder], now_ms: int) -> list[TargetOrder]:
        """The orders with their client ids. An id that a resting order has, or that was confirmed, is not used again;
        one that got no answer is, so that the exchange can recognise it."""
        facts = [(OrderFacts(o.symbol, o.side, o.pside, o.qty, o.price), o.order_type) for o in orders]
        minute_ms = now_ms // MINUTE_MS * MINUTE_MS
        taken = [*(order.custom_id for order in open_orders), *self.confirmed_ids]
        ids = self.ids.make_all(facts, minute_ms, taken)
        return [replace(order, custom_id=custom_id) for order, custom_id in zip(orders, ids, strict=True)]

    async def _create_one(self, order: TargetOrder) -> str | Failed | None:
        if not self.may_write():
            return None
        self.sent_ids[order.custom_id] = self.clock.now_ms()
        try:
            order_id = await self.exchange.create_order(order)
        except Exception as exc:  # noqa: BLE001 - as above
            failed = self._failed(order, exc)
            self.refusals.note(order, failed.failure, self.clock.now_ms())
            return failed
        if order_id is not None:
            self.refusals.clear(order)
            self.confirmed_ids.add(order.custom_id)
        return order_id

    # --- both

    async def _each(self, send: Callable[[OrderT], Awaitable[Answer]], orders: Sequence[OrderT]) -> list[Answer]:
        if self.exchange.capabilities.one_by_one:
            return [await send(order) for order in orders]
        return list(await asyncio.gather(*map(send, orders)))

    def _failed(self, order: OpenOrder | TargetOrder, error: Exception) -> Failed:
        return Failed(order, failure_of(self.exchange.capabilities.exchange, error), error)

    def _forget_old(self, open_orders: Sequence[OpenOrder]) -> None:
        """Ids of orders that are neither open nor recent."""
        now_ms = self.clock.now_ms()
        resting = {self.ids.reported(order.custom_id) for order in open_orders}
        self.sent_ids = {
            custom_id: at_ms
            for custom_id, at_ms in self.sent_ids.items()
            if custom_id in resting or now_ms - at_ms < IDS_KEPT_MS
        }
        self.confirmed_ids &= self.sent_ids.keys()
        self.refusals.forget_old(now_ms)


def _hushed(failed: Sequence[Failed]) -> bool:
    """Whether the exchange asked to be left alone."""
    return any(failure.failure == "rate_limit" for failure in failed)


def _cap(configured: int, exchange: int | None) -> int:
    return configured if exchange is None else min(configured, exchange)
