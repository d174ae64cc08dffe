"""The exchanges a program may reach, each with one public client; what makers of datasets call the network."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any, Self

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from core.clock import Clock
from core.errors import CandleFetchError, ConfigError
from exchanges.client_urls import is_local
from exchanges.clients import ccxt_id, public_client
from exchanges.endpoints import Endpoints
from exchanges.market_cache import Markets, load_markets_cached
from markets.symbols import short_exchange

ATTEMPTS = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0


class ExchangeNetwork:
    """Clients by exchange, made when they are first asked for; an async context manager that closes them."""

    def __init__(self, endpoints: Endpoints, cache_dir: Path, clock: Clock) -> None:
        self._endpoints, self._cache_dir, self._clock = endpoints, cache_dir, clock
        self._clients: dict[str, Any] = {}
        self._markets: dict[str, Markets] = {}
        self._guards: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def knows(self, exchange: str) -> bool:
        """Whether there is a client for it."""
        if self._out_of_reach(exchange):
            return False
        ccxt = importlib.import_module("ccxt.async_support")  # 0.7 s, which only programs that fetch should wait for
        try:
            ccxt_id(exchange, ccxt.exchanges)
        except ConfigError:
            return False
        return True

    def _out_of_reach(self, exchange: str) -> bool:
        """Where endpoints lead to this machine only, exchanges that they do not name are not asked over the network."""
        return is_local(self._endpoints) and not self._endpoints.of_exchange(exchange)

    async def client(self, exchange: str) -> Any:
        """A public client that knows its markets. Raises ConfigError for an exchange that ccxt does not have."""
        await self.markets(exchange)
        return self._clients[short_exchange(exchange)]

    async def markets(self, exchange: str) -> Markets:
        """The exchange's markets, from disk while they are young. Raises CandleFetchError if it does not answer."""
        name = short_exchange(exchange)
        async with self._guards.setdefault(name, asyncio.Lock()):
            if name not in self._markets:
                if self._out_of_reach(name):
                    raise ConfigError(f"the custom endpoints lead to this machine, and name none for {name}: add one")
                if name not in self._clients:
                    self._clients[name] = public_client(name, self._endpoints)
                self._markets[name] = await self._load_markets(name)
        return self._markets[name]

    def archive_url(self, url: str) -> str:
        """Where a file of a public archive is fetched from."""
        return self._endpoints.archive_url(url)

    async def aclose(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self._clients.clear()
        self._markets.clear()

    async def _load_markets(self, name: str) -> Markets:
        errors = importlib.import_module("ccxt.base.errors")
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(FIRST_WAIT_S, LONGEST_WAIT_S),
            retry=retry_if_exception_type(errors.NetworkError),
            reraise=True,
        )
        try:
            return await retrying(load_markets_cached, self._clients[name], self._cache_dir, name, self._clock)
        except errors.BaseError as exc:
            raise CandleFetchError(
                f"the markets of {name} could not be fetched: {type(exc).__name__}: {exc}; check the connection, or "
                "run with --offline on what is on disk"
            ) from exc
