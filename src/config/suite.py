"""Which suite a run uses: the config's, `--suite-config` over it, switched by `--suite` (`config_cli_suite.md` 8.5)."""

from __future__ import annotations

import copy
from typing import Any

from config.changes import RAW_KEY, Config
from core.errors import ConfigError


def apply_suite_options(config: Config, enabled: bool | None, other: Config | None = None) -> Config:
    """A copy of `config`: the top-level keys of the other config's suite replace its own, then `enabled` decides.

    Raises ConfigError when the other file has no suite at all.
    """
    result = copy.deepcopy(config)
    suite = result["backtest"]["suite"]
    if other is not None:
        _require_suite(other)
        suite.update(copy.deepcopy(other["backtest"]["suite"]))
    if enabled is not None:
        suite["enabled"] = enabled
    return result


def _require_suite(other: Config) -> None:
    """Completion has given `other` an empty suite; whether the user wrote one is to be seen in the raw file."""
    raw = other.get(RAW_KEY, other)
    if not any(_has_suite(node) for node in (raw, raw.get("config"))):
        path = other.get("live", {}).get("base_config_path", "")
        raise ConfigError(f"--suite-config {path} has no backtest.suite; name a config with scenarios")


def _has_suite(node: Any) -> bool:
    backtest = node.get("backtest") if isinstance(node, dict) else None
    return isinstance(backtest, dict) and isinstance(backtest.get("suite"), dict)
