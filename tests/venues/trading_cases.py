"""What the tests of the venue's private halves share: a stepped venue with an account, and unmodified clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from venue_cases import NOW, SYMBOL, endpoints_of, floor

from core.clock import MINUTE_MS, Clock, ManualClock
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.interventions import fill_now
from exchange_sim.trading.records import Fill, Order, OrderRequest
from exchanges.account_clients import AccountClients, account_clients
from exchanges.accounts import account_of

KEY, SECRET = "my-key", "my-secret"
START = floor(NOW)  # a whole minute, as in stepped runs
BTC, ETH = SYMBOL, "ETH/USDT:USDT"


@dataclass
class Bench:
    """A venue, the clients of one account there, and the engine's side of that account."""

    protocol: str
    sim: SimServer
    clients: AccountClients
    background: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def rest(self) -> Any:
        return self.clients.rest

    @property
    def stream(self) -> Any:
        return self.clients.stream

    @property
    def engine(self) -> Engine:
        return self.sim.venue.engine(self.protocol)

    @property
    def account(self) -> Account:
        return self.engine.account(KEY)

    @property
    def now(self) -> int:
        return self.sim.venue.now_ms()

    @property
    def last(self) -> float:
        return self.engine.quotes.last[BTC]

    def price(self, share: float, symbol: str = BTC) -> float:
        """The last price times so much, on the tick."""
        tick = self.engine.quotes.markets[symbol].price_step
        return float(f"{round(self.engine.quotes.last[symbol] * share / tick) * tick:.10f}")

    def place(self, side: str, pside: str, qty: float, price: float, symbol: str = BTC, client_id: str = "") -> Order:
        """An order that rests, put in behind the client's back."""
        request = OrderRequest(symbol, side, pside, "limit", qty, price, "post_only", client_id=client_id)  # type: ignore[arg-type]
        placed = self.engine.submit(KEY, request, self.now)
        assert isinstance(placed, Order), placed
        return placed

    def fill(self, order: Order, qty: float | None = None) -> Fill:
        filled = fill_now(self.engine, KEY, order.id, self.now, qty)
        assert isinstance(filled, Fill), filled
        return filled

    def hold(self, pside: str = "long", qty: float = 0.01, symbol: str = BTC) -> Fill:
        """A position, by an entry that was filled."""
        side, share = ("buy", 0.999) if pside == "long" else ("sell", 1.001)
        return self.fill(self.place(side, pside, qty, self.price(share, symbol), symbol))

    def step(self, minutes: int = 1) -> None:
        self.sim.venue.advance(minutes * MINUTE_MS)

    def soon(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        """Start waiting for something; given up at the end of the test."""
        task = asyncio.ensure_future(work)
        self.background.append(task)
        return task


Trading = Callable[[Bench], Awaitable[None]]


def trade_on(
    protocol: str, case: Trading, *, hedge: bool = True, clock: Clock | None = None, secret: str = SECRET, **config: Any
) -> None:
    """Run `case(bench)` against a venue, stepped unless it has another clock."""

    async def run() -> None:
        async with SimServer(SimConfig(clock=clock or ManualClock(START), **config)) as sim:
            entry = {"exchange": protocol, "key": KEY, "secret": secret}
            clients = account_clients(account_of("me", entry), endpoints_of(sim), loopback_only=True)
            clients.rest.timeout_on_exit = clients.stream.timeout_on_exit = 0
            bench = Bench(protocol, sim, clients)
            bench.account.hedge = hedge
            try:
                await case(bench)
            finally:
                for task in bench.background:
                    task.cancel()
                await asyncio.gather(*bench.background, return_exceptions=True)
                await clients.aclose()

    asyncio.run(run())


async def within(awaitable: Awaitable[Any], seconds: float = 5.0) -> Any:
    """What is awaited, which comes at once unless something is broken."""
    return await asyncio.wait_for(awaitable, seconds)


async def eventually(condition: Callable[[], bool]) -> None:
    """Let the event loop run until a condition holds."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await within(poll())
