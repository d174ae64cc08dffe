"""The simulated venue as a server on this machine (`exchange_simulator.md` 3, 11).

async with SimServer(SimConfig(clock=ManualClock(ms))) as sim:
    endpoints = sim.endpoints()          # what points clients here
    sim.faults.add("http", status=429, path="/fapi/v1/klines", count=2)
    ...                                  # sim.requests has what was asked
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from core.clock import Clock, SystemClock
from core.errors import ConfigError, RunError
from exchange_sim.archives import Archives
from exchange_sim.coingecko import CoinGecko
from exchange_sim.control import Control
from exchange_sim.faults import FaultBook
from exchange_sim.feed import Feed
from exchange_sim.interference import Interference, RequestRecord
from exchange_sim.market import VenueMarket
from exchange_sim.persistence import Persistence
from exchange_sim.proto_binance import BinanceProtocol
from exchange_sim.proto_bybit import BybitProtocol
from exchange_sim.redirect import PROTOCOLS, endpoints_of
from exchange_sim.sources import sample_market
from exchange_sim.trading.engine import Options
from exchange_sim.venue import Venue

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
HANDLERS: Mapping[str, type[BinanceProtocol | BybitProtocol]] = {"binance": BinanceProtocol, "bybit": BybitProtocol}
GRACE_S = 0.2  # for requests under way when the server stops
PULSE_S = 0.25  # of real time: how often a running venue looks at its market


@dataclass(frozen=True, slots=True)
class SimConfig:
    """A venue to be. `port` 0 is any free one; `seed` decides faults with a probability; no `token`: one is made.

    `trading` is how orders are filled, `secrets` the API keys and secrets that signatures are checked against; without
    any, every pair is accepted. With a `state_dir` the accounts outlive the venue; not for stepped clocks. At
    `until_ms` the candles are over, and a venue whose time runs stops. A `feed` brings prices that are not stored.
    """

    market: VenueMarket = field(default_factory=sample_market)
    clock: Clock = field(default_factory=SystemClock)
    protocols: tuple[str, ...] = tuple(PROTOCOLS)
    port: int = 0
    faults: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    token: str = ""
    trading: Options = field(default_factory=Options)
    secrets: Mapping[str, str] = field(default_factory=dict)
    state_dir: Path | None = None
    until_ms: int | None = None
    feed: Feed | None = None


class SimServer:
    """A running venue; an async context, or `start` and `stop`."""

    def __init__(self, config: SimConfig | None = None) -> None:
        self.config = config or SimConfig()
        unknown = sorted(set(self.config.protocols) - set(HANDLERS))
        if unknown:
            raise ConfigError(f"protocol {unknown[0]!r} is unknown; known are {', '.join(HANDLERS)}")
        config = self.config
        self.venue = Venue(
            config.market, config.clock, FaultBook(config.seed), config.protocols, config.trading, config.secrets
        )
        self.venue.feed = config.feed
        for fault in self.config.faults:
            self.faults.add_mapping(fault)
        self.token = self.config.token or os.urandom(16).hex()
        self.port = 0
        self.closing = asyncio.Event()
        self._state = Persistence(self.venue, self.config.state_dir) if self.config.state_dir else None
        self._interference = Interference(self.venue, self._state.save if self._state else lambda: None)
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def faults(self) -> FaultBook:
        return self.venue.faults

    @property
    def requests(self) -> deque[RequestRecord]:
        """What was asked so far, oldest first."""
        return self._interference.requests

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def endpoints(self) -> dict[str, Any]:
        """The content of a custom endpoints file that points all programs here."""
        return endpoints_of(self.address, self.config.protocols)

    @property
    def is_over(self) -> bool:
        """Whether accounts have seen all candles there are."""
        return self.config.until_ms is not None and self.venue.driver.now_ms >= self.config.until_ms

    def clear(self) -> None:
        """Forget the requests and all faults."""
        self.requests.clear()
        self.faults.clear()

    async def start(self) -> None:
        """Listen. Raises RunError if the port is taken, DataError if accounts that were saved cannot be read."""
        if self._state is not None:
            self._state.load()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=GRACE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self.config.port).start()
        except OSError as exc:
            await self._runner.cleanup()
            raise RunError(f"cannot listen on {HOST}:{self.config.port}: {exc.strerror}; take another port") from exc
        self.port = int(self._runner.addresses[0][1])
        if not self.venue.is_stepped:
            self._tasks.append(asyncio.create_task(self._run()))
        if self.venue.feed is not None:
            self._tasks.append(asyncio.ensure_future(self.venue.feed.run(self.venue.floor())))
        logger.info("sim_started address=%s protocols=%s", self.address, ",".join(self.config.protocols))

    async def stop(self) -> None:
        """Close all connections and the port."""
        self.closing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._state is not None:
            self._state.close()
        await self.venue.sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _run(self) -> None:
        """What fails is tried again with the next pulse: the venue must not stand still under its clients."""
        while not self.is_over:
            try:
                self.venue.pulse()
            except Exception:
                logger.exception("sim_pulse_failed")
            await asyncio.sleep(PULSE_S)
        self.closing.set()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._interference.answer])
        for name in self.config.protocols:
            app.add_routes(HANDLERS[name](self.venue).routes())
        app.add_routes(Archives(self.venue).routes())
        app.add_routes(CoinGecko(self.venue).routes())
        app.add_routes(Control(self.venue, self.requests, self.token, self.closing.set).routes())
        return app
