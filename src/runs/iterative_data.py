"""The data of an iterative session, kept in step with a config file that is edited meanwhile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.load import load_config
from config.overrides import resolve_coin_overrides
from config.warmup import compute_backtest_warmup_minutes, compute_per_coin_warmup_minutes
from core.clock import Clock
from core.errors import ConfigError
from runs.data import Config, Prepared, load_data


def read_config(path: Path, clock: Clock) -> Config:
    """The config as it is now. Raises ConfigError where the file is no config, or wants a suite."""
    config = resolve_coin_overrides(load_config(path, clock=clock), clock=clock)
    if config["backtest"]["suite"]["enabled"]:
        raise ConfigError(
            f"{path}: backtest.suite.enabled is true, and the iterative backtester runs one scenario at a time; "
            "set it to false, or use backtest.py --suite"
        )
    return config


def backtest_signature(config: Config) -> str:
    """A hash of what runs have in common: sections `backtest` (without coins and cache_dir) and `live`."""
    backtest = {key: value for key, value in config["backtest"].items() if key not in ("coins", "cache_dir")}
    return _sha256([backtest, config["live"]])


def bot_hash(config: Config) -> str:
    """A hash of the parameters: `bot`, and those of single coins."""
    return _sha256([config["bot"], config["coin_overrides"]])


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


class DataInStep:
    """Loads data when there are none that fit the config."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._prepared: Prepared | None = None
        self._signature = ""
        self._warmups: Any = None

    def belongs_to(self, config: Config) -> bool:
        """Do the data loaded last belong to this config's `backtest` and `live`?"""
        return self._prepared is not None and self._signature == backtest_signature(config)

    def forget(self) -> None:
        """Have the data loaded again."""
        self._prepared = None

    def prepared(self, config: Config) -> Prepared:
        """The data, with the config that has final coin lists. Longer or shorter EMA spans move the first row."""
        if self._prepared is not None and self.belongs_to(config):
            final = {**config, "live": self._prepared.config["live"]}
            if _warmups(final) == self._warmups:
                return Prepared(final, self._prepared.settings, self._prepared.datasets)
        self._prepared = None  # the next try loads again if this one fails
        self._prepared = load_data(config, self._options)
        self._signature, self._warmups = backtest_signature(config), _warmups(self._prepared.config)
        return self._prepared


def _warmups(config: Config) -> tuple[int, Mapping[str, int]]:
    return compute_backtest_warmup_minutes(config), compute_per_coin_warmup_minutes(config)
