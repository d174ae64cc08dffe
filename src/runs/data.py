"""The data of a run: final coin lists, network or none, prepared datasets. Shared by the programs that need candles."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.access import optional_config_value
from config.changes import SOURCES_KEY
from config.coins import finalize_coin_lists, is_empty_source
from config.settings import BacktestSettings, backtest_settings, offline_wanted
from core.clock import Clock, SystemClock
from core.errors import ConfigError
from core.paths import DEFAULT_CACHE_DIR
from core.progress import DEFAULT_LOG_INTERVAL_S, Progress
from core.terms import PSIDES
from exchanges.endpoints import load_endpoints
from exchanges.network import ExchangeNetwork
from markets.market import eligible_coins
from markets.sample import EXCHANGE as SAMPLE
from markets.symbols import CoinMaps
from runs.display import FetchDisplay
from simulation.dataset import Dataset, prepare, run_to_end
from simulation.feeds import Feeds, FeedSettings
from simulation.request import check_exchanges, dataset_requests

logger = logging.getLogger(__name__)

Config = dict[str, Any]
Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A config with final coin lists, its settings, and the data it runs on: one dataset, or one of each exchange."""

    config: Config
    settings: BacktestSettings
    datasets: tuple[Dataset, ...]


def load_data(
    config: Config,
    options: Options,
    arrange: Callable[[Config], tuple[Config, BacktestSettings]] | None = None,
) -> Prepared:
    """Bring everything a run needs to disk and into arrays. Raises DataError, ConfigError.

    `options` are those of the command line. `arrange` may put another config (and its settings) in place of that with
    the final coin lists, before the data are prepared: a suite needs more than its base config says.
    """
    return run_to_end(_load(config, options, arrange or (lambda final: (final, backtest_settings(final)))))


async def _load(
    config: Config, options: Options, arrange: Callable[[Config], tuple[Config, BacktestSettings]]
) -> Prepared:
    clock = SystemClock()
    cache_dir = Path(options.get("cache_dir", DEFAULT_CACHE_DIR))
    check_exchanges(tuple(config["backtest"]["exchanges"]))
    display = FetchDisplay(count_requests=bool(config["backtest"].get("cm_remote_fetch_bar")))
    async with exchanges_of(config, options, cache_dir, clock, display) as feeds:
        final = await with_final_coins(config, feeds, clock)
        final, settings = arrange(final)
        datasets = []
        for request in dataset_requests(settings, options, cache_dir):
            with Progress(f"candles of {request.name}", log_interval_s(config)) as bar:
                display.show_in(bar)
                datasets.append(await prepare(request, feeds, display.step))
    return Prepared(final, settings, tuple(datasets))


@asynccontextmanager
async def exchanges_of(
    config: Config, options: Options, cache_dir: Path, clock: Clock, display: FetchDisplay
) -> AsyncIterator[Feeds]:
    """The feeds of a run, closed at the end together with their clients; without network under `--offline`."""
    network = None
    if not offline_wanted(config) and set(config["backtest"]["exchanges"]) != {SAMPLE}:
        stated = optional_config_value(config, "live.custom_endpoints_path")
        network = ExchangeNetwork(load_endpoints(options.get("custom_endpoints"), stated), cache_dir, clock)
    settings = FeedSettings(
        cache_dir,
        clock,
        archive_exchanges=optional_config_value(config, "backtest.archive_exchanges"),
        progress_log_interval_s=0.0,  # the display tells
        debug=int(config["backtest"].get("cm_debug_level") or 0),
        callback=display.on_event,
    )
    feeds = Feeds(settings, network)
    try:
        yield feeds
    finally:
        await feeds.aclose()
        if network:
            await network.aclose()


def log_interval_s(config: Config) -> float:
    """Seconds between progress logs; `--cm-progress 0` switches them off."""
    stated = config["backtest"].get("cm_progress_log_interval_seconds")
    return DEFAULT_LOG_INTERVAL_S if stated is None else float(stated)


async def with_final_coins(config: Config, feeds: Feeds, clock: Clock) -> Config:
    """The config with final coin names; an empty list means all eligible coins of the exchanges where it says so.

    Raises ConfigError when no coin is left.
    """
    approved = config.get(SOURCES_KEY, {}).get("approved_coins", config["live"]["approved_coins"])
    wants_all = config["live"]["empty_means_all_approved"] and is_empty_source(approved)
    if not wants_all:
        _check_coins(finalize_coin_lists(config, eligible=list, clock=clock))  # before anybody is asked for anything
    eligible: list[str] = []
    for name in config["backtest"]["exchanges"] if wants_all or feeds.network else ():
        eligible += eligible_coins((await feeds.open(name)).markets, name)  # which enters its names of coins, too
    to_coin = CoinMaps(feeds.settings.cache_dir).symbol_to_coin
    return _check_coins(finalize_coin_lists(config, eligible=lambda: eligible, to_coin=to_coin, clock=clock))


def _check_coins(config: Config) -> Config:
    if not any(config["live"]["approved_coins"][pside] for pside in PSIDES):
        raise ConfigError(
            "no coin to trade: live.approved_coins without live.ignored_coins is empty; name coins, e.g. -s BTC"
        )
    return config
