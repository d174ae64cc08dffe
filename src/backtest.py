"""Backtest a config from the terminal: `python3 src/backtest.py [CONFIG] [options]`, `--help` for more.

Also the functions of `backtest_engine.md` 17 under one name, imported when they are first used.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.clock import SystemClock
from core.errors import ConfigError, PassivbotError, RunError, UsageError
from core.log import LEVELS, parse_level
from core.log import setup as setup_logging
from core.paths import DEFAULT_CACHE_DIR
from core.program import run_program
from core.progress import DEFAULT_LOG_INTERVAL_S, Progress
from core.terms import PSIDES

if TYPE_CHECKING:
    from simulation.dataset import Dataset
    from simulation.request import DatasetRequest
    from simulation.results import BacktestResult

logger = logging.getLogger("backtest")

_HOMES = {
    "build_backtest_payload": "simulation.payload",
    "subset_backtest_payload": "simulation.payload",
    "execute_backtest": "simulation.run",
    "run_backtest": "simulation.run",
    "expand_analysis": "simulation.results",
    "process_forager_fills": "simulation.results",
    "post_process": "reporting.files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'backtest' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def main(argv: Sequence[str]) -> int:
    from config.cli import parse_command_line
    from config.programs import BACKTEST
    from core.rust_build import Extension, ensure_extension, take_rust_flags

    rust, words = take_rust_flags(argv)
    given = parse_command_line(BACKTEST, words)
    if given.help_text is not None:
        sys.stdout.write(given.help_text + "\n")
        return 0
    config = read_config(given.config_path, given.values, given.options)
    ensure_extension(rust, Extension(say=logger.warning))
    backtest(config, given.options)
    return 0


def read_config(path: str | None, values: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The config the run uses: loaded, with the command line's values, suite switch and resolved overrides."""
    from config.check import odd_values
    from config.cli import debug_level, update_config_with_args
    from config.load import load_config
    from config.normalize import format_config
    from config.overrides import resolve_coin_overrides
    from config.suite import apply_suite_options

    clock = SystemClock()
    setup_logging(debug_level(options, None)[0])
    config = load_config(path, clock=clock)
    config = format_config(update_config_with_args(config, values, clock), clock=clock)
    level, warning = debug_level(options, config["logging"]["level"])
    setup_logging(level)
    for line in [*([warning] if warning else []), *odd_values(config)]:
        logger.warning(line)
    config["backtest"] |= {name.partition(".")[2]: value for name, value in values.items() if ".cm_" in name}
    if "cm_debug_level" in config["backtest"]:
        set_level(("candles", "candlestick_manager"), config["backtest"]["cm_debug_level"])
    config = resolve_coin_overrides(config, clock=clock)
    other = options.get("suite_config")
    config = apply_suite_options(config, options.get("suite"), load_config(other, clock=clock) if other else None)
    if config["backtest"]["suite"]["enabled"]:
        raise UsageError("suites are not built yet: leave out --suite, or set backtest.suite.enabled false (--suite n)")
    return config


def set_level(names: Sequence[str], debug_level: int) -> None:
    """Let some loggers say more, or less, than the rest."""
    for name in names:
        logging.getLogger(name).setLevel(LEVELS[parse_level(debug_level) or 0])


def backtest(config: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Prepare the data, run, write the results: once, or once per exchange where data are not combined."""
    from config.settings import backtest_settings
    from simulation.request import dataset_requests

    cache_dir = Path(options.get("cache_dir", DEFAULT_CACHE_DIR))
    config = with_final_coins(config, cache_dir)
    settings = backtest_settings(config)
    if settings.coins_with_leverage:
        logger.info("leverage is not simulated: ignored for %s", ", ".join(settings.coins_with_leverage))
    for request in dataset_requests(settings, options, cache_dir):
        run_one(config, request, plot_coins=not options.get("disable_plotting", False))


def with_final_coins(config: dict[str, Any], cache_dir: Path) -> dict[str, Any]:
    """The config with final coin names; an empty list means all eligible coins of the exchanges where it says so."""
    from config.coins import finalize_coin_lists
    from markets.market import eligible_coins, read_markets
    from markets.symbols import CoinMaps

    def eligible() -> list[str]:
        return [
            coin
            for name in config["backtest"]["exchanges"]
            for coin in eligible_coins(read_markets(cache_dir, name), name)
        ]

    to_coin = CoinMaps(cache_dir).symbol_to_coin
    final = finalize_coin_lists(config, eligible=eligible, to_coin=to_coin, clock=SystemClock())
    if not any(final["live"]["approved_coins"][pside] for pside in PSIDES):
        raise ConfigError(
            "no coin to trade: live.approved_coins without live.ignored_coins is empty; name coins, e.g. -s BTC"
        )
    return final


def run_one(config: dict[str, Any], request: DatasetRequest, *, plot_coins: bool) -> None:
    """Prepare one dataset, run the engine over it, write the result directory and show the summary."""
    from config.dump import without_runtime_keys
    from reporting.files import post_process
    from reporting.plots.catalogue import CandleCube
    from reporting.tables import RunFacts, print_summary
    from simulation.dataset import prepare_dataset

    start = time.monotonic()
    interval = config["backtest"].get("cm_progress_log_interval_seconds", DEFAULT_LOG_INTERVAL_S)
    with Progress(f"preparing {request.name}", interval) as progress:
        dataset = prepare_dataset(request, clock=SystemClock(), progress=progress)
    if dataset.data_note:
        logger.warning(dataset.data_note)
    result, engine_seconds = simulate(config, dataset)
    candles = CandleCube(dataset.hlcvs, dataset.timestamps, dataset.coins) if plot_coins else None
    directory = post_process(
        result,
        without_runtime_keys(config),
        Path(config["backtest"]["base_dir"]) / dataset.name,
        dataset.name,
        clock=SystemClock(),
        candles=candles,
    )
    logger.info("seconds elapsed for backtest: %.4f", engine_seconds)  # the word that says the files are there
    total_seconds = time.monotonic() - start
    rows = len(dataset.timestamps)
    print_summary(result, RunFacts(dataset.name, dataset.coins, rows, engine_seconds, total_seconds, directory))


def simulate(config: dict[str, Any], dataset: Dataset) -> tuple[BacktestResult, float]:
    """One run of the engine over a prepared dataset, and the seconds it took."""
    from simulation.payload import build_backtest_payload
    from simulation.results import backtest_result
    from simulation.run import execute_backtest

    config = {**config, "backtest": {**config["backtest"], "coins": {dataset.name: list(dataset.coins)}}}
    arrays = (dataset.btc_usd, dataset.timestamps)
    logger.info("Backtesting %s: %d coins, %d minutes", dataset.name, len(dataset.coins), len(dataset.timestamps))
    try:
        payload = build_backtest_payload(dataset.hlcvs, dataset.settings, config, dataset.name, *arrays)
        start = time.monotonic()
        fills, equities, analysis = execute_backtest(payload, config)
    except PassivbotError:
        raise
    except ValueError as exc:
        raise RunError(f"the engine refused the run: {exc}") from exc
    seconds = time.monotonic() - start
    divider = config["backtest"]["balance_sample_divider"]
    return backtest_result(fills, equities, analysis, divider=divider, data_note=dataset.data_note), seconds


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
