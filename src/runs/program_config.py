"""The config of a program that simulates: read, command line and suite laid over it, overrides resolved."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from config.changes import Config
from config.check import odd_values
from config.cli import debug_level, update_config_with_args
from config.load import load_config
from config.normalize import format_config
from config.overrides import resolve_coin_overrides
from config.suite import apply_suite_options
from core.clock import Clock, SystemClock
from core.log import LEVELS, parse_level, setup

logger = logging.getLogger(__name__)


def read_config(path: str | None, values: Mapping[str, Any], options: Mapping[str, Any]) -> Config:
    """The config the run uses; logging is set up by it. Raises ConfigError."""
    setup(debug_level(options, None)[0])
    return completed(load_config(path, clock=SystemClock()), values, options)


def completed(config: Config, values: Mapping[str, Any], options: Mapping[str, Any]) -> Config:
    """A loaded config with the command line's values, suite switch and resolved overrides."""
    clock = SystemClock()
    config = format_config(update_config_with_args(config, values, clock), clock=clock)
    set_up_logging(config, options)
    for line in odd_values(config):
        logger.warning(line)
    config["backtest"] |= {name.partition(".")[2]: value for name, value in values.items() if ".cm_" in name}
    if "cm_debug_level" in config["backtest"]:
        _set_level(("candles", "candlestick_manager"), config["backtest"]["cm_debug_level"])
    config = resolve_coin_overrides(config, clock=clock)
    return _with_suite(config, options, clock)


def set_up_logging(config: Config, options: Mapping[str, Any], prefix: str = "") -> None:
    """The level of the command line, else that of the config; `prefix` says whose lines they are."""
    level, warning = debug_level(options, config["logging"]["level"])
    setup(level, prefix)
    if warning:
        logger.warning(warning)


def _with_suite(config: Config, options: Mapping[str, Any], clock: Clock) -> Config:
    other = options.get("suite_config")
    return apply_suite_options(config, options.get("suite"), load_config(other, clock=clock) if other else None)


def _set_level(names: Sequence[str], level: int) -> None:
    """Let some loggers say more, or less, than the rest."""
    for name in names:
        logging.getLogger(name).setLevel(LEVELS[parse_level(level) or 0])
