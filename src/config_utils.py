"""Front of `config`: load, format, merge, require. Everything is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "load_config": "config.load",
    "format_config": "config.normalize",
    "update_config_with_args": "config.cli",
    "parse_command_line": "config.cli",
    "require_config_value": "config.access",
    "optional_config_value": "config.access",
    "set_config_value": "config.access",
    "resolve_coin_overrides": "config.overrides",
    "finalize_coin_lists": "config.coins",
    "apply_suite_options": "config.suite",
    "odd_values": "config.check",
    "defaults": "config.schema",
    "dump_config": "config.dump",
    "clean_config": "config.dump",
    "strip_metadata": "config.dump",
    "streamlined_json": "config.dump",
    "search_bounds": "config.bounds",
    "fine_tune": "config.bounds",
    "plan_suite": "config.scenarios",
    "master_config": "config.scenarios",
    "apply_scenario": "config.scenario_config",
    "usable_scenarios": "config.scenario_config",
    "suite_warmup_minutes": "config.scenario_config",
    "compute_backtest_warmup_minutes": "config.warmup",
    "compute_per_coin_warmup_minutes": "config.warmup",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'config_utils' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
