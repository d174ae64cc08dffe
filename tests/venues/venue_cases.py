"""What the venue's tests share: a venue at a chosen moment, a client of it, the sample market's own numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from core.clock import MINUTE_MS, ManualClock
from core.dates import date_to_ts
from exchange_sim.server import SimConfig, SimServer
from exchanges.clients import public_client
from exchanges.endpoints import Endpoints, parse_endpoints
from markets import sample
from markets.candle import Candles

PROTOCOLS = ("binance", "bybit")
NOW = date_to_ts("2025-06-01T12:34:20")  # a third into its minute
SYMBOL = "BTC/USDT:USDT"
KLINES = {"binance": "/fapi/v1/klines", "bybit": "/v5/market/kline"}

Case = Callable[[SimServer, Any], Awaitable[None]]


def in_venue(protocol: str, case: Case, *, now: int = NOW, config: SimConfig | None = None, **options: Any) -> None:
    """Run `case(server, client)` against a venue whose clock stands at `now`."""

    async def run() -> None:
        async with SimServer(config or SimConfig(clock=ManualClock(now))) as sim:
            client = public_client(protocol, endpoints_of(sim), **options)
            client.timeout_on_exit = 0
            try:
                await case(sim, client)
            finally:
                await client.close()

    asyncio.run(run())


def endpoints_of(sim: SimServer) -> Endpoints:
    return parse_endpoints(sim.endpoints(), "venue")


async def get(sim: SimServer, path: str, **options: Any) -> tuple[int, bytes]:
    """Status and body of a plain request."""
    async with aiohttp.ClientSession() as session, session.get(sim.url + path, **options) as response:
        return response.status, await response.read()


def minutes(symbol: str, start_ms: int, end_ms: int) -> Candles:
    """The sample market's whole minutes, both ends included."""
    return sample.candles(symbol, start_ms, end_ms)


def as_lists(rows: Candles) -> list[list[float]]:
    """Candles as ccxt gives them."""
    return [list(row) for row in zip(*(rows[name].tolist() for name in ("ts", "o", "h", "l", "c", "bv")), strict=True)]


def floor(ms: int) -> int:
    return ms // MINUTE_MS * MINUTE_MS
