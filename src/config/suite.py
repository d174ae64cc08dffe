"""Which suite a run uses: the config's, `--suite-config` over it, switched by `--suite` (`config_cli_suite.md` 8.5)."""

from __future__ import annotations

import copy

from config.changes import Config


def apply_suite_options(config: Config, enabled: bool | None, other: Config | None = None) -> Config:
    """A copy of `config`: the top-level keys of the other config's suite replace its own, then `enabled` decides."""
    result = copy.deepcopy(config)
    suite = result["backtest"]["suite"]
    if other is not None:
        suite.update(copy.deepcopy(other["backtest"]["suite"]))
    if enabled is not None:
        suite["enabled"] = enabled
    return result
