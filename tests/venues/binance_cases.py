"""What the tests of Binance's private half share: a venue, unmodified clients with keys, the engine behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from venue_cases import NOW, SYMBOL, endpoints_of

from core.clock import MINUTE_MS, ManualClock
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine
from exchanges.account_clients import AccountClients, account_clients
from exchanges.accounts import account_of

KEY, SECRET = "a-key-for-tests", "a-secret-for-tests"
LONGEST_S = 20.0  # a client that waits in vain must not hold up the others
START = NOW // MINUTE_MS * MINUTE_MS
ETH = "ETH/USDT:USDT"


@dataclass(frozen=True, slots=True)
class Bench:
    """A venue with an account, and its clients."""

    sim: SimServer
    clients: AccountClients

    @property
    def rest(self) -> Any:
        return self.clients.rest

    @property
    def stream(self) -> Any:
        return self.clients.stream

    @property
    def engine(self) -> Engine:
        return self.sim.venue.engine("binance")

    @property
    def account(self) -> Account:
        return self.engine.account(KEY)

    def price(self, symbol: str = SYMBOL) -> float:
        return self.engine.quotes.last[symbol]

    def below(self, share: float, symbol: str = SYMBOL) -> float:
        """A price on the tick, so much below the last one."""
        step = self.engine.quotes.markets[symbol].price_step
        return round(round(self.price(symbol) * (1.0 - share) / step) * step, 8)

    def advance(self, minutes: float = 1.0) -> None:
        self.sim.venue.advance(round(minutes * MINUTE_MS))

    async def buy(self, share: float = 0.01, qty: float = 0.01, **params: Any) -> Any:
        """A limit order of the long side, so much below the last price."""
        params = {"positionSide": "LONG", "timeInForce": "GTX", **params}
        return await self.rest.create_order(SYMBOL, "limit", "buy", qty, self.below(share), params)

    async def hold(self, side: str = "buy", pside: str = "LONG", qty: float = 0.01) -> Any:
        """A position out of a market order."""
        return await self.rest.create_order(SYMBOL, "market", side, qty, None, {"positionSide": pside})


Case = Callable[[Bench], Awaitable[None]]


def on_bench(case: Case, *, hedge: bool = True, config: SimConfig | None = None, secret: str = SECRET) -> None:
    """Run `case(bench)` against a venue on a stepped clock, whose account is in hedge mode unless told otherwise."""

    async def run() -> None:
        async with SimServer(config or SimConfig(clock=ManualClock(START))) as sim:
            entry = {"exchange": "binance", "key": KEY, "secret": secret}
            clients = account_clients(account_of("me", entry), endpoints_of(sim), loopback_only=True)
            for client in (clients.rest, clients.stream):
                client.timeout_on_exit = 0
            bench = Bench(sim, clients)
            bench.account.hedge = hedge
            try:
                async with asyncio.timeout(LONGEST_S):
                    await case(bench)
            finally:
                await clients.aclose()

    asyncio.run(run())
