"""What clients ask of a protocol's accounts, with the faults that their requests meet (`exchange_simulator.md` 3, 10).

Protocols translate. They reach the engine through a desk, so that a fault acts alike on all of them.
"""

from __future__ import annotations

from aiohttp import web

from core.clock import SystemClock
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.records import Fill, Order, OrderRequest, Position, Reject
from exchange_sim.venue import Venue

AHEAD_MS = 1000  # so much may a client's clock be ahead


class Desk:
    """The accounts of one engine, as requests see them."""

    def __init__(self, venue: Venue, engine: Engine) -> None:
        self.venue, self.engine = venue, engine

    def enter(self, request: web.Request, key: str) -> Account:
        """The account of an API key with everything done that happened until now; the first step of every handler."""
        self.venue.settle()
        return self.engine.account(key)

    def is_on_time(self, request: web.Request, timestamp_ms: int, window_ms: int) -> bool:
        """Whether a signed request's time is neither ahead of the venue's nor older than its window."""
        if not isinstance(self.venue.clock, SystemClock):
            return True  # clients sign by the machine's clock, which a venue in another time cannot judge
        now_ms = self.venue.stated_ms(request)
        return timestamp_ms <= now_ms + AHEAD_MS and now_ms - timestamp_ms <= window_ms

    def submit(self, request: web.Request, key: str, order: OrderRequest) -> Order | Reject:
        """Place an order, see `Engine.submit`."""
        return self.engine.submit(key, order, self.venue.now_ms())

    def cancel(
        self, request: web.Request, key: str, *, order_id: int | None = None, client_id: str = ""
    ) -> Order | Reject:
        """Take an order back, see `Engine.cancel`."""
        return self.engine.cancel(key, self.venue.now_ms(), order_id=order_id, client_id=client_id)

    def open_orders(self, request: web.Request, key: str, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        return self.engine.open_orders(key, symbol)

    def positions(self, request: web.Request, key: str) -> list[Position]:
        """Positions that are not flat."""
        return self.engine.positions(key)

    def wallet(self, request: web.Request, key: str) -> float:
        """The balance without unrealised profit."""
        return self.engine.balance(key)

    def fills(
        self,
        request: web.Request,
        key: str,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
    ) -> list[Fill]:
        """All fills from `since` through `until`, ascending."""
        return self.engine.fills(key, since, until, symbol)
