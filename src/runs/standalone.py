"""One backtest after the other: each dataset through the engine, into a result directory, onto the console."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.dump import without_runtime_keys
from core.clock import SystemClock
from core.errors import PassivbotError, RunError
from reporting.files import post_process
from reporting.tables import RunFacts, print_summary
from runs.data import Config, Prepared, load_data
from simulation.dataset import Dataset
from simulation.payload import build_view_payload
from simulation.results import BacktestResult, CandleCube, backtest_result
from simulation.run import execute_backtest

logger = logging.getLogger("backtest")


@dataclass(frozen=True, slots=True)
class Simulated:
    """A finished run of the engine, and the seconds it took."""

    result: BacktestResult
    seconds: float


def run_backtests(config: Config, options: Mapping[str, Any]) -> None:
    """Prepare the data, run, write the results: once, or once per exchange where data are not combined."""
    started = time.monotonic()
    prepared = load_data(config, options)
    if prepared.settings.coins_with_leverage:
        logger.info("leverage is not simulated: ignored for %s", ", ".join(prepared.settings.coins_with_leverage))
    for dataset in prepared.datasets:
        _run_one(prepared, dataset, started, plot_coins=not options.get("disable_plotting", False))
        started = time.monotonic()


def _run_one(prepared: Prepared, dataset: Dataset, started: float, *, plot_coins: bool) -> None:
    config = with_coins(prepared.config, dataset.name, dataset.coins)
    logger.info("Backtesting %s: %d coins, %d minutes", dataset.name, len(dataset.coins), len(dataset.timestamps))
    simulated = simulate(config, dataset)
    if dataset.data_note:
        logger.warning(dataset.data_note)
    data = (dataset, dataset.coins)
    root = Path(config["backtest"]["base_dir"])
    directory = write_result(simulated.result, config, data, root, plot_coins=plot_coins)
    logger.info("seconds elapsed for backtest: %.4f", simulated.seconds)  # the word that says the files are there
    total = time.monotonic() - started
    rows = len(dataset.timestamps)
    print_summary(simulated.result, RunFacts(dataset.name, dataset.coins, rows, simulated.seconds, total, directory))


def with_coins(config: Config, dataset: str, coins: Sequence[str]) -> Config:
    """The config with the coins that run on a dataset."""
    return {**config, "backtest": {**config["backtest"], "coins": {dataset: list(coins)}}}


def simulate(config: Config, dataset: Dataset) -> Simulated:
    """The config's coins of a prepared dataset through the engine. Raises RunError when it refuses."""
    arrays = (dataset.btc_usd, dataset.timestamps)
    try:
        payload = build_view_payload(
            dataset.hlcvs, dataset.settings, config, dataset.name, *arrays, all_coins=dataset.coins
        )
        started = time.monotonic()
        fills, equities, analysis = execute_backtest(payload, config)
    except PassivbotError:
        raise
    except ValueError as exc:
        raise RunError(f"the engine refused the run: {exc}") from exc
    seconds = time.monotonic() - started
    divider = config["backtest"]["balance_sample_divider"]
    return Simulated(backtest_result(fills, equities, analysis, divider=divider, data_note=dataset.data_note), seconds)


def write_result(
    simulated: BacktestResult, config: Config, data: tuple[Dataset, Sequence[str]], root: Path, *, plot_coins: bool
) -> Path:
    """The result directory below `{root}/{dataset}`; `data` are the dataset and those of its coins that ran."""
    dataset, coins = data
    return post_process(
        simulated,
        without_runtime_keys(config),
        root / dataset.name,
        dataset.name,
        clock=SystemClock(),
        candles=_candles(dataset, coins) if plot_coins else None,
    )


def _candles(dataset: Dataset, coins: Sequence[str]) -> CandleCube:
    if tuple(coins) == dataset.coins:
        return CandleCube(dataset.hlcvs, dataset.timestamps, dataset.coins)
    columns = [dataset.coins.index(coin) for coin in coins]
    return CandleCube(dataset.hlcvs[:, columns], dataset.timestamps, tuple(coins))
