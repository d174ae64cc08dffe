"""What clients ask of a protocol's accounts, with the faults that their requests meet (`exchange_simulator.md` 3, 10).

Protocols translate. They reach the engine through a desk, so that a fault acts alike on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from core.clock import SystemClock
from exchange_sim.disguise import Disguise
from exchange_sim.faults import ACCOUNT_ACTIONS, Fault, Target
from exchange_sim.past import Past, Snapshot
from exchange_sim.strangers import interfere
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.interventions import fill_now
from exchange_sim.trading.records import Event, Fill, Order, OrderRequest, Position, Reject
from exchange_sim.venue import FAULT, Venue

AHEAD_MS = 1000  # so much may a client's clock be ahead


class Desk:
    """The accounts of one engine, as requests see them. `on_expiry` is told whose stream has to end."""

    def __init__(self, venue: Venue, engine: Engine) -> None:
        self.venue, self.engine = venue, engine
        self.on_expiry: Callable[[str], None] = lambda key: None
        self._past, self._disguise = Past(), Disguise()
        engine.subscribe(self._happened)

    def enter(self, request: web.Request, key: str) -> Account:
        """The account of an API key with everything done that happened until now; the first step of every handler."""
        self.venue.settle()
        account = self.engine.account(key)
        if not self._past.is_known(key):
            self._past.note(account, self.venue.now_ms())
        fault = _fault(request)
        if fault is not None and fault.action == "listen_key_expire":
            self.on_expiry(key)
        elif fault is not None and fault.action in ACCOUNT_ACTIONS:
            interfere(self.engine, key, fault, self.venue.market, self.venue.now_ms())
        return account

    def is_on_time(self, request: web.Request, timestamp_ms: int, window_ms: int) -> bool:
        """Whether a signed request's time is neither ahead of the venue's nor older than its window.

        Clients sign by the machine's clock, shifted by what they were told last. A venue in another time judges that
        only where its clock is skewed.
        """
        skew_ms = self.venue.skew_ms(request)
        if not isinstance(self.venue.clock, SystemClock) and not skew_ms:
            return True
        now_ms = self.venue.clients_ms() + skew_ms
        return timestamp_ms <= now_ms + AHEAD_MS and now_ms - timestamp_ms <= window_ms

    # --- writing

    def submit(self, request: web.Request, key: str, order: OrderRequest) -> Order | Reject:
        """Place an order, see `Engine.submit`."""
        fault = _fault(request, "reject")
        if fault is not None:
            fault.orders += 1
            if fault.orders % int(fault.parameters["every"]) == 0:
                return Reject(str(fault.parameters["reason"]), f"fault {fault.id}")
        with self._race(request, order):
            return self.engine.submit(key, order, self.venue.now_ms())

    @contextmanager
    def _race(self, request: web.Request, order: OrderRequest) -> Iterator[None]:
        """With a race for a post-only order: the price is a tick beyond it for as long as the order is checked."""
        market = self.engine.quotes.markets.get(order.symbol)
        if market is None or order.tif != "post_only" or _fault(request, "post_only_race") is None:
            yield
            return
        last = self.engine.quotes.last
        last[order.symbol] = order.price + market.price_step * (-1.0 if order.side == "buy" else 1.0)
        try:
            yield
        finally:
            del last[order.symbol]  # the market's own price is looked up again

    def cancel(
        self, request: web.Request, key: str, *, order_id: int | None = None, client_id: str = ""
    ) -> Order | Reject:
        """Take an order back, see `Engine.cancel`."""
        now_ms = self.venue.now_ms()
        order = self.engine.account(key).find_order(order_id, client_id)
        if order is not None and _fault(request, "cancel_race") is not None:
            fill_now(self.engine, key, order.id, now_ms)
        return self.engine.cancel(key, now_ms, order_id=order_id, client_id=client_id)

    # --- reading

    def open_orders(self, request: web.Request, key: str, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        stale = self._stale(request, key, "orders")
        if stale is None:
            return self.engine.open_orders(key, symbol)
        return [order for order in stale.orders if symbol in (None, order.symbol)]

    def positions(self, request: web.Request, key: str) -> list[Position]:
        """Positions that are not flat."""
        stale = self._stale(request, key, "positions")
        return self.engine.positions(key) if stale is None else list(stale.positions)

    def wallet(self, request: web.Request, key: str) -> float:
        """The balance without unrealised profit."""
        stale = self._stale(request, key, "balance")
        return self.engine.balance(key) if stale is None else stale.wallet

    def fills(
        self,
        request: web.Request,
        key: str,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
    ) -> list[Fill]:
        """All fills from `since` through `until`, ascending, as the history shows them."""
        shown = self._disguise.shown(key, self.engine.fills(key, since, until, symbol), self.venue.now_ms())
        gap = _fault(request, "history_page_gap")
        if gap is None:
            return shown
        return [fill for number, fill in enumerate(shown, 1) if number % int(gap.parameters["every"])]

    def _stale(self, request: web.Request, key: str, surface: str) -> Snapshot | None:
        """The account as a reply shall show it that lags behind; None for one that does not."""
        fault = _fault(request, "stale")
        if fault is None or fault.parameters["surface"] != surface:
            return None
        return self._past.at(key, self.venue.now_ms() - round(float(fault.parameters["seconds"]) * 1000.0))

    def _happened(self, event: Event) -> None:
        now_ms = self.venue.now_ms()
        self._past.note(self.engine.account(event.key), now_ms)
        if event.fill is None:
            return
        name = self.venue.market.by_symbol[event.fill.symbol].id
        fault = self.venue.faults.take(Target("", "", name, "fill", event.key), now_ms)
        if fault is not None:
            self._disguise.put(event.key, event.fill, fault, now_ms)


def _fault(request: web.Request, action: str | None = None) -> Fault | None:
    """The fault that a request met, if it is of this action."""
    fault: Any = request.get(FAULT)
    return fault if fault is not None and action in (None, fault.action) else None
