"""How a metric is aggregated over scenarios: `backtest.suite.aggregate` (`config_cli_suite.md` 15.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import ConfigError

MODES = ("mean", "min", "max", "std", "median")


def aggregate_mode(metric: str, aggregate: Mapping[str, Any]) -> str:
    """The mode of a metric: under its full name, else without its last `_part`, else `default`, else mean.

    Raises ConfigError when that names no mode.
    """
    names = (metric, metric.rpartition("_")[0], "default")
    found = next((name for name in names if name in aggregate), None)
    return "mean" if found is None else _mode(found, aggregate[found])


def check_aggregate(aggregate: Mapping[str, Any]) -> None:
    """Raise ConfigError at the first entry that names no mode."""
    for name, mode in aggregate.items():
        _mode(name, mode)


def _mode(name: str, mode: Any) -> str:
    word = mode.strip().lower() if isinstance(mode, str) else mode
    if word not in MODES:
        raise ConfigError(f"backtest.suite.aggregate.{name} is {mode!r}: use {', '.join(MODES)}")
    return str(word)
