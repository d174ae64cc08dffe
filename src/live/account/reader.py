"""Reads the account: balance, positions, open orders and fills of one moment (`live.md` 4, 5).

Nothing is caught here but what another part can still decide on: a cycle trades on a complete reading or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from config.live_settings import BalanceSettings
from core.clock import Clock
from core.tasks import together
from exchanges.protocol import Exchange, HeldPosition, Key, OpenOrder
from live.account.balance import accepted_balance
from live.account.state import (
    AccountState,
    Doubts,
    doubts_of,
    sizes_by_fills,
    vanished_orders,
    worth_a_look,
)
from live.fills.history import FillHistory
from live.records import Order

logger = logging.getLogger(__name__)

SETTLE_S = 1.5  # after an order has vanished, until the exchange shows what it did


class NotReadError(Exception):
    """The cycle is skipped: open orders or fills could not be read (the cause says why), or a reading contradicts what
    is known and the next one decides."""


@dataclass(frozen=True, slots=True)
class ReadRules:
    """`now_ms` is the exchange's time, for the fill history."""

    balance: BalanceSettings
    lookback_days: float
    now_ms: Callable[[], int]


class AccountReader:
    """Readings of one account. `state` is the last one that was believed."""

    def __init__(self, exchange: Exchange, fills: FillHistory, rules: ReadRules, clock: Clock) -> None:
        self._exchange, self._fills, self._rules, self._clock = exchange, fills, rules, clock
        self._doubts = Doubts()
        self._accepted: float | None = None
        self._account_changed = False
        self.state: AccountState | None = None

    def note_change(self) -> None:
        """Something happened to an order: the fill history is out of date."""
        self._account_changed = True

    async def read(self, active: Collection[str], cancelled: Collection[Order]) -> AccountState:
        """A reading that may be traded on; `active` are the symbols of the last cycle, `cancelled` recent cancels.

        Raises what the exchange raised, DataError for replies that make no sense, NotReadError.
        """
        state = await self._read_positions()
        with _skipping("open orders"):
            orders = await self._read_orders(state, active)
        gone = self._gone(orders, cancelled)
        state = replace(state, open_orders=tuple(orders))
        if gone or (self.state is not None and _differs(self.state, state)):
            self._account_changed = True
        if worth_a_look(gone, self._new(orders)):
            await self._clock.sleep(SETTLE_S)
            state = replace(await self._read_positions(), open_orders=state.open_orders)
        now_ms = self._rules.now_ms()
        if self._fills.due(now_ms, account_changed=self._account_changed):
            with _skipping("fills"):
                await self._fills.update(now_ms, self._rules.lookback_days)
            self._account_changed = False
        self._believe(state)
        self._accepted, self.state = state.balance, state
        return state

    async def _read_positions(self) -> AccountState:
        ts_ms = self._clock.now_ms()
        replies: list[Any] = await together(self._balance(), self._positions())
        fetched, positions = replies
        rules = self._rules.balance
        fixed = rules.override is not None
        balance = fetched if fixed else accepted_balance(fetched, self._accepted, rules.snap_pct)
        return AccountState(ts_ms, balance, fetched, positions)

    async def _positions(self) -> Mapping[Key, HeldPosition]:
        return await self._exchange.fetch_positions()

    async def _balance(self) -> float:
        override = self._rules.balance.override
        return await self._exchange.fetch_balance() if override is None else override

    async def _read_orders(self, state: AccountState, active: Collection[str]) -> list[OpenOrder]:
        symbols = {*active, *state.held_symbols(), *(self.state.with_orders() if self.state else ())}
        return list(await self._exchange.fetch_open_orders(symbols))

    def _gone(self, orders: Collection[OpenOrder], cancelled: Collection[Order]) -> list[OpenOrder]:
        gone = vanished_orders(self.state.open_orders if self.state else (), orders, cancelled)
        if worth_a_look(gone, ()):
            for order in gone:
                what = f"{order.symbol} {order.side} {order.pside} {order.qty:g}@{order.price:g}"
                logger.info("[order] missing order, possibly filled: %s", what)
        elif gone:
            logger.info("[order] %d orders are missing", len(gone))
        return gone

    def _new(self, orders: Collection[OpenOrder]) -> list[OpenOrder]:
        known = {order.id for order in self.state.open_orders} if self.state else set()
        return [order for order in orders if order.id not in known]

    def _believe(self, state: AccountState) -> None:
        """Raises NotReadError for a contradiction that is read for the first time."""
        doubts = doubts_of(state, self.state, sizes_by_fills(self._fills.events))
        if doubts and doubts != self._doubts:
            self._doubts = doubts
            raise NotReadError(f"{self._exchange.capabilities.exchange} shows {doubts}; it is read once more")
        if doubts:
            logger.warning("[pos] believed after two equal readings: %s", doubts)
        self._doubts = Doubts()


@contextmanager
def _skipping(what: str) -> Iterator[None]:
    """Without these a cycle is skipped, which is less than an error (`live.md` 16)."""
    try:
        yield
    except Exception as exc:
        raise NotReadError(f"{what} could not be read: {type(exc).__name__}: {exc}") from exc


def _differs(before: AccountState, now: AccountState) -> bool:
    """Whether positions or open orders are not what they were."""
    ids: Callable[[AccountState], set[str]] = lambda state: {order.id for order in state.open_orders}  # noqa: E731
    return before.positions != now.positions or ids(before) != ids(now)
