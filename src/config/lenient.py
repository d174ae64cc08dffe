"""Settings that are read leniently: what is no usable number counts as something else, with a warning.

`config_cli_suite.md` 6 and 7, `optimizer_pareto_tools.md` 1.2. Every function takes a formatted config.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from config.access import optional_config_value
from config.changes import Config

logger = logging.getLogger(__name__)


def _number(config: Config, path: str) -> float | None:
    """The value as a finite number; None for what is none."""
    value = optional_config_value(config, path)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _is_blank(config: Config, path: str) -> bool:
    value = optional_config_value(config, path)
    return value is None or (isinstance(value, str) and not value.strip())


def _warn(config: Config, path: str, used: Any) -> None:
    logger.warning("%s is %r: %s is used", path, optional_config_value(config, path), used)


def _count_or_none(config: Config, path: str) -> int | None:
    """A number above 0, truncated; null, an empty text and 0 mean none, what is no number as well, with a warning."""
    number = _number(config, path)
    if number is None and not _is_blank(config, path):
        _warn(config, path, "none")
    return int(number) if number is not None and number >= 1 else None


def recv_window_ms(config: Config) -> int | None:
    """The receive window to send, or None for none."""
    return _count_or_none(config, "live.recv_window_ms")


def max_concurrent_api_requests(config: Config) -> int | None:
    """The cap on candle requests in flight, or None for none."""
    return _count_or_none(config, "live.max_concurrent_api_requests")


def max_memory_candles_per_symbol(config: Config) -> int:
    """Candles of one symbol kept in memory."""
    path = "live.max_memory_candles_per_symbol"
    number = _number(config, path)
    if number is None or number < 1:
        _warn(config, path, 20000)
        return 20000
    return int(number)


def warmup_concurrency(config: Config, exchange: str) -> int:
    """Symbols warmed at once on an exchange (short name)."""
    number = _number(config, "live.warmup_concurrency")
    return int(number) if number is not None and number >= 1 else 2 if exchange == "hyperliquid" else 8


def memory_snapshot_minutes(config: Config) -> float:
    """Minutes between memory snapshots, at least one."""
    path = "logging.memory_snapshot_interval_minutes"
    number = _number(config, path)
    if number is None or number <= 0:
        _warn(config, path, 30.0)
        return 30.0
    return max(1.0, number)


def volume_refresh_threshold_s(config: Config) -> float:
    """Volume refreshes that take longer, in seconds, are logged at info."""
    path = "logging.volume_refresh_info_threshold_seconds"
    number = _number(config, path)
    if number is None or number < 0:
        used = 30.0 if number is None else 0.0
        _warn(config, path, used)
        return used
    return number


def mutation_indpb(config: Config, n_genes: int) -> float:
    """Probability of a gene being mutated, at most 1; what is no number above 0 means 1 / n_genes."""
    number = _number(config, "optimize.mutation_indpb")
    return min(1.0, number) if number is not None and number > 0 else 1.0 / n_genes


def offspring_multiplier(config: Config) -> float:
    """Children per parent and generation; what is no number above 0 counts as 1."""
    number = _number(config, "optimize.offspring_multiplier")
    if number is None or number <= 0:
        _warn(config, "optimize.offspring_multiplier", 1.0)
        return 1.0
    return number
