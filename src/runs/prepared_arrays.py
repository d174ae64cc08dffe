"""The data of a config as plain arrays, for notebooks (`optimizer_pareto_tools.md` 12.2)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from config.changes import SOURCES_KEY
from config.coins import sides_of
from config.overrides import resolve_coin_overrides
from core.clock import SystemClock
from core.errors import ConfigError
from runs.data import Config, load_data
from simulation.dataset import Dataset
from simulation.payload import Floats, MarketSettings
from simulation.request import COMBINED

PreparedArrays = tuple[list[str], Floats, dict[str, MarketSettings], Path, Path, Floats, npt.NDArray[np.int64]]


async def prepare_hlcvs_mss(config: Config, exchange: str) -> PreparedArrays:
    """`(coins, hlcvs, mss, results_path, cache_dir, btc_usd_prices, timestamps)` of a config on one exchange.

    `exchange` is one of `backtest.exchanges`, or `combined` for the best feed of each coin. `hlcvs` is float64
    [T, N, 4] (high, low, close, base volume), columns as `coins`; `btc_usd_prices` float64 [T]; `timestamps` int64 [T]
    in ms; `mss` maps coins to market settings and `__meta__` to facts about the data; `results_path` is where results
    belong, `cache_dir` where the arrays are stored. All are read-only.

    Completes the config: final coin lists, resolved overrides, `backtest.coins`. Raises ConfigError, DataError.
    """
    dataset = await asyncio.to_thread(_prepared, config, exchange)
    config["backtest"]["coins"] = {exchange: list(dataset.coins)}
    results = Path(config["backtest"]["base_dir"]) / exchange
    arrays = (np.asarray(dataset.btc_usd), np.asarray(dataset.timestamps))
    return list(dataset.coins), dataset.hlcvs, dict(dataset.settings), results, dataset.directory, *arrays


def _prepared(config: Config, exchange: str) -> Dataset:
    named = config["backtest"]["exchanges"]
    if exchange != COMBINED and exchange not in named:
        raise ConfigError(f"exchange is {exchange!r}: it is one of {', '.join(named)} (backtest.exchanges) or combined")
    chosen = named if exchange == COMBINED else [exchange]
    _take_edited_lists(config)
    wanted = {**config["backtest"], "exchanges": list(chosen), "combine_ohlcvs": exchange == COMBINED}
    prepared = load_data(resolve_coin_overrides({**config, "backtest": wanted}, clock=SystemClock()), {})
    for key in ("live", "coin_overrides"):
        config[key] = prepared.config[key]
    return prepared.datasets[0]


def _take_edited_lists(config: Config) -> None:
    """Coin lists that were edited after loading count, not what the file said."""
    sources = config.get(SOURCES_KEY, {})
    for name, source in list(sources.items()):
        if config["live"][name] != sides_of(source, f"live.{name}"):
            del sources[name]
