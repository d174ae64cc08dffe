"""The exchanges a dataset is made from: their markets and their candles, from disk or with the network.

Who may use the network hands in a `Network`; without one everything comes from disk, or is computed (`sample`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from candles.fetching.events import FetchCallback
from candlestick_manager import CandlestickManager
from core.clock import Clock
from core.errors import DataError, OfflineDataError
from markets import sample
from markets.market import import_hint, read_markets
from markets.symbols import coin_maps_of, normalize_exchange, quote_currency, short_exchange

logger = logging.getLogger(__name__)

PREPARATION_LOCK_S = 600.0
MAX_REQUESTS = {"bybit": 3}
MAX_COINS = {"bybit": 3}
USUAL_MAX_REQUESTS, USUAL_MAX_COINS = 5, 6


class Network(Protocol):
    """Exchanges that can be reached."""

    def knows(self, exchange: str) -> bool:
        """Whether there is a client for it; names that only exist as imported candles have none."""

    async def client(self, exchange: str) -> Any:
        """An async CCXT client with its markets loaded; it belongs to the network."""

    async def markets(self, exchange: str) -> dict[str, dict[str, Any]]:
        """The CCXT `markets` mapping, from disk while it is a day old at most."""

    def archive_url(self, url: str) -> str:
        """The address to use for an archive file."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Feed:
    """One exchange: its markets, the symbol of each coin, its candles, and whether more of them can be had."""

    exchange: str
    markets: Mapping[str, Mapping[str, Any]]
    symbols: Mapping[str, Sequence[str]]
    manager: CandlestickManager
    online: bool
    coin_slots: asyncio.Semaphore

    def symbol(self, coin: str) -> str | None:
        """The first symbol that goes by the coin's name; None if the exchange does not list it."""
        return next(iter(self.symbols.get(coin, ())), None)

    @property
    def can_fetch(self) -> bool:
        return self.manager.feed.source is not None


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How feeds are opened."""

    cache_dir: Path
    clock: Clock
    archive_exchanges: Sequence[str] = ("binance", "bitget", "kucoin")
    progress_log_interval_s: float = 10.0
    debug: int = 0
    callback: FetchCallback | None = None


class Feeds:
    """Opens each exchange once."""

    def __init__(self, settings: FeedSettings, network: Network | None) -> None:
        self.settings = settings
        self.network = network
        self._feeds: dict[str, Feed] = {}

    async def open(self, exchange: str) -> Feed:
        """Raises OfflineDataError for an exchange that is neither on disk nor reachable, DataError if it fails."""
        name = short_exchange(exchange)
        if name not in self._feeds:
            self._feeds[name] = await self._open(name)
        return self._feeds[name]

    async def aclose(self) -> None:
        for feed in self._feeds.values():
            await feed.manager.aclose()

    async def _open(self, name: str) -> Feed:
        network = self.network if name != sample.EXCHANGE else None
        if network and not network.knows(name):
            if not self._is_on_disk(name):
                await network.client(name)  # raises, naming what it knows
            network = None
        markets = await network.markets(name) if network else self._stored_markets(name)
        client = await network.client(name) if network else None
        to_symbols, _ = coin_maps_of(markets, quote_currency(name))
        return Feed(
            exchange=name,
            markets=markets,
            symbols=to_symbols,
            manager=self._manager(name, client, network),
            online=network is not None,
            coin_slots=asyncio.Semaphore(MAX_COINS.get(name, USUAL_MAX_COINS)),
        )

    def _is_on_disk(self, name: str) -> bool:
        try:
            read_markets(self.settings.cache_dir, name)
        except OfflineDataError:
            return False
        return True

    def _stored_markets(self, name: str) -> dict[str, dict[str, Any]]:
        try:
            return read_markets(self.settings.cache_dir, name)
        except OfflineDataError as exc:
            raise OfflineDataError(
                f"market settings of {name} are not on disk, and the network is off: run once without --offline, or "
                f"{import_hint(name)}"
            ) from exc

    def _manager(self, name: str, client: Any, network: Network | None) -> CandlestickManager:
        settings = self.settings
        return CandlestickManager(
            client,
            name,
            cache_dir=settings.cache_dir,
            clock=settings.clock,
            max_memory_candles_per_symbol=0,
            max_disk_candles_per_symbol_per_tf=0,
            debug=settings.debug,
            progress_log_interval_seconds=settings.progress_log_interval_s,
            remote_fetch_callback=_naming(name, settings.callback),
            max_concurrent_requests=MAX_REQUESTS.get(name, USUAL_MAX_REQUESTS),
            lock_timeout_seconds=PREPARATION_LOCK_S,
            archive_exchanges=settings.archive_exchanges,
            rewrite_archive_url=network.archive_url if network else lambda url: url,
            compact=True,
        )


def _naming(exchange: str, callback: FetchCallback | None) -> FetchCallback | None:
    """The callback, told of which exchange an event is."""
    if callback is None:
        return None
    return lambda event: callback({**event, "exchange": exchange})


async def open_all(feeds: Feeds, names: Sequence[str]) -> tuple[list[Feed], dict[str, str]]:
    """The feeds of several exchanges, by CCXT id, and why others could not be opened.

    Raises the first error if none could, and with the network always: what is missing would change the choice of feeds.
    """
    ordered = sorted(dict.fromkeys(map(short_exchange, names)), key=normalize_exchange)
    opened = await asyncio.gather(*(feeds.open(name) for name in ordered), return_exceptions=True)
    failed: dict[str, str] = {}
    errors: list[DataError] = []
    for name, result in zip(ordered, opened, strict=True):
        if isinstance(result, DataError):
            failed[name] = str(result)
            errors.append(result)
        elif isinstance(result, BaseException):
            raise result
    if errors and (feeds.network is not None or len(errors) == len(ordered)):
        raise errors[0]
    return [result for result in opened if isinstance(result, Feed)], failed
