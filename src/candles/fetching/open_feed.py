"""From what a manager is given to the feed its parts share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from candles.disk.store import CandleStore
from candles.fetching.events import FetchCallback, tell
from candles.fetching.feed import Archive, Contract, Feed, contract_of
from candles.sources.protocol import CandleSource
from candles.sources.rest import RestSource
from candles.sources.sample import SampleSource
from core.clock import Clock, SystemClock
from core.errors import OfflineDataError
from markets import sample
from markets.market import read_markets
from markets.symbols import short_exchange

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a manager works; the keyword arguments of `CandlestickManager`.

    default_window_candles                  length of a query without start
    overlap_candles                         how far back a refresh asks again, for late corrections
    max_memory_candles_per_symbol           rows kept in memory; 0: none, for programs that read everything once
    max_disk_candles_per_symbol_per_tf      beyond it the oldest files are removed by `prune`; 0: never
    debug                                   from 1 on every request is logged at info; brought into 0..3
    remote_fetch_callback                   hears of every request: see `candles.fetching.events`
    max_concurrent_requests                 REST calls in flight; None: no limit
    lock_timeout_seconds                    wait for another program that fetches the same symbol; None: 10
    archive_enabled, archive_exchanges      whether and whose public archives are used for history
    rewrite_archive_url                     puts another host in place of an archive's
    compact                                 merge the day files of months that are over, once a symbol; not for live
    """

    cache_dir: str | Path = "caches"
    default_window_candles: int = 100
    overlap_candles: int = 30
    max_memory_candles_per_symbol: int = 200_000
    max_disk_candles_per_symbol_per_tf: int = 2_000_000
    debug: int = 0
    progress_log_interval_seconds: float = 10.0
    remote_fetch_callback: FetchCallback | None = None
    max_concurrent_requests: int | None = None
    lock_timeout_seconds: float | None = None
    archive_enabled: bool = True
    archive_exchanges: Iterable[str] = ("binance", "bitget", "kucoin")
    rewrite_archive_url: Callable[[str], str] = lambda url: url
    compact: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        object.__setattr__(self, "debug", min(max(int(self.debug), 0), 3))


DEFAULT_LOCK_TIMEOUT_S = 10.0


def open_feed(exchange: Any, exchange_name: str, options: FeedOptions) -> Feed:
    """The feed of an exchange's name over a CCXT client, a `CandleSource` or nothing."""
    name = short_exchange(str(exchange.id) if exchange is not None and exchange_name == "unknown" else exchange_name)
    cache_dir, clock = Path(options.cache_dir), options.clock
    callback = _with_progress_log(options)
    contract = _contracts(exchange, name, cache_dir)

    def store_of(timeframe: str) -> CandleStore:
        return CandleStore(cache_dir, name, clock, timeframe, options.max_memory_candles_per_symbol)

    stores = {"1m": store_of("1m")}
    timeout = options.lock_timeout_seconds
    return Feed(
        exchange=name,
        clock=clock,
        store=stores["1m"],
        store_of=lambda timeframe: stores.get(timeframe) or stores.setdefault(timeframe, store_of(timeframe)),
        source=_source(exchange, name, replace(options, remote_fetch_callback=callback), contract),
        archive=_archive(exchange, name, options, callback),
        contract=contract,
        window=options.default_window_candles,
        overlap=options.overlap_candles,
        lock_timeout_s=DEFAULT_LOCK_TIMEOUT_S if timeout is None else timeout,
        callback=callback,
    )


def _source(exchange: Any, name: str, options: FeedOptions, contract: Callable[[str], Contract]) -> CandleSource | None:
    if exchange is None:
        return SampleSource() if name == sample.EXCHANGE else None
    if not hasattr(exchange, "fetch_ohlcv"):
        source: CandleSource = exchange
        return source
    return RestSource(
        exchange,
        name,
        options.clock,
        contract_size=lambda symbol: contract(symbol).size,
        callback=options.remote_fetch_callback,
        max_concurrent_requests=options.max_concurrent_requests,
        log_level=logging.INFO if options.debug > 0 else logging.DEBUG,
    )


def _archive(exchange: Any, name: str, options: FeedOptions, callback: FetchCallback | None) -> Archive | None:
    if exchange is None or not options.archive_enabled or name not in set(options.archive_exchanges):
        return None
    from candles.archives.download import ARCHIVES, ArchiveSource  # aiohttp takes a quarter of a second

    if name not in ARCHIVES:
        return None
    archive: Archive = ArchiveSource(name, options.clock, rewrite_url=options.rewrite_archive_url, callback=callback)
    return archive


def _contracts(exchange: Any, name: str, cache_dir: Path) -> Callable[[str], Contract]:
    """Contracts by symbol, from the client if it has loaded its markets, else from disk."""
    read: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def markets() -> Mapping[str, Mapping[str, Any]]:
        loaded = getattr(exchange, "markets", None)
        if loaded:
            known: Mapping[str, Mapping[str, Any]] = loaded
            return known
        if name not in read:
            try:
                read[name] = read_markets(cache_dir, name)
            except OfflineDataError:
                read[name] = {}
        return read[name]

    return lambda symbol: contract_of(symbol, markets())


def _with_progress_log(options: FeedOptions) -> FetchCallback:
    """Passes events on, and logs how far a long download has got, every few seconds."""
    interval_ms = options.progress_log_interval_seconds * 1000.0
    last_ms = options.clock.now_ms()

    def hear(event: dict[str, Any]) -> None:
        nonlocal last_ms
        tell(options.remote_fetch_callback, event)
        now = options.clock.now_ms()
        if event["stage"] == "progress" and interval_ms > 0 and now - last_ms >= interval_ms:
            last_ms = now
            logger.info("%s symbol=%s %s/%s", event["kind"], event["symbol"], event.get("done"), event.get("total"))

    return hear
