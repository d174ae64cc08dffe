"""Reading config files: HJSON, of which JSON is a part, with the number rule (`config_cli_suite.md` 1)."""

from __future__ import annotations

import copy
from pathlib import Path

from config.changes import RAW_KEY, Config, record
from config.normalize import format_config
from config.text import read_hjson
from core import paths
from core.clock import Clock, SystemClock


def load_config(path: str | Path | None = None, *, live_only: bool = False, clock: Clock | None = None) -> Config:
    """Read, upgrade and complete a config file; without a path the shipped template.

    `live_only` skips what only backtests and the optimizer need. Raises ConfigError naming file, key and remedy.
    """
    clock = clock or SystemClock()
    # the template by its usual name: a saved config tells nothing of this machine
    given = str(path if path is not None else paths.TEMPLATE_CONFIG.relative_to(paths.SOURCE_ROOT))
    raw = read_hjson(paths.resolve_input(given) or Path(given))
    config = format_config(raw, live_only=live_only, base_config_path=given, clock=clock)
    config[RAW_KEY] = copy.deepcopy(raw)
    record(config, "load_config", clock, {"path": given}, first=True)
    return config
