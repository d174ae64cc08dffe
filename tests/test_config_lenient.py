"""Settings whose readers have a rule for what is no number (`config_cli_suite.md` 6, 7)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from config import lenient
from config.access import set_config_value
from config.schema import defaults


def config_of(path: str, value: Any) -> dict[str, Any]:
    config = defaults()
    set_config_value(config, path, value)
    return config


@pytest.mark.parametrize(
    ("read", "path", "value", "expected", "warned"),
    [
        (lenient.recv_window_ms, "live.recv_window_ms", 5000, 5000, False),
        (lenient.recv_window_ms, "live.recv_window_ms", "2500.9", 2500, False),
        (lenient.recv_window_ms, "live.recv_window_ms", 0, None, False),
        (lenient.recv_window_ms, "live.recv_window_ms", None, None, False),
        (lenient.recv_window_ms, "live.recv_window_ms", " ", None, False),
        (lenient.recv_window_ms, "live.recv_window_ms", "much", None, True),
        (lenient.max_concurrent_api_requests, "live.max_concurrent_api_requests", "4", 4, False),
        (lenient.max_concurrent_api_requests, "live.max_concurrent_api_requests", "", None, False),
        (lenient.max_concurrent_api_requests, "live.max_concurrent_api_requests", 0, None, False),
        (lenient.max_concurrent_api_requests, "live.max_concurrent_api_requests", [3], None, True),
        (lenient.max_memory_candles_per_symbol, "live.max_memory_candles_per_symbol", 200000, 200000, False),
        (lenient.max_memory_candles_per_symbol, "live.max_memory_candles_per_symbol", 0, 20000, True),
        (lenient.max_memory_candles_per_symbol, "live.max_memory_candles_per_symbol", "x", 20000, True),
        (lenient.memory_snapshot_minutes, "logging.memory_snapshot_interval_minutes", 0.5, 1.0, False),
        (lenient.memory_snapshot_minutes, "logging.memory_snapshot_interval_minutes", 0, 30.0, True),
        (lenient.memory_snapshot_minutes, "logging.memory_snapshot_interval_minutes", None, 30.0, True),
        (lenient.volume_refresh_threshold_s, "logging.volume_refresh_info_threshold_seconds", 0, 0.0, False),
        (lenient.volume_refresh_threshold_s, "logging.volume_refresh_info_threshold_seconds", -3, 0.0, True),
        (lenient.volume_refresh_threshold_s, "logging.volume_refresh_info_threshold_seconds", "x", 30.0, True),
        (lenient.offspring_multiplier, "optimize.offspring_multiplier", 0.5, 0.5, False),
        (lenient.offspring_multiplier, "optimize.offspring_multiplier", 0, 1.0, True),
        (lenient.offspring_multiplier, "optimize.offspring_multiplier", True, 1.0, True),
        (lambda c: lenient.mutation_indpb(c, 74), "optimize.mutation_indpb", 0, 1 / 74, False),
        (lambda c: lenient.mutation_indpb(c, 74), "optimize.mutation_indpb", "x", 1 / 74, False),
        (lambda c: lenient.mutation_indpb(c, 74), "optimize.mutation_indpb", 0.05, 0.05, False),
        (lambda c: lenient.mutation_indpb(c, 74), "optimize.mutation_indpb", 7, 1.0, False),
        (lambda c: lenient.warmup_concurrency(c, "bybit"), "live.warmup_concurrency", 0, 8, False),
        (lambda c: lenient.warmup_concurrency(c, "hyperliquid"), "live.warmup_concurrency", 0, 2, False),
        (lambda c: lenient.warmup_concurrency(c, "hyperliquid"), "live.warmup_concurrency", 5, 5, False),
    ],
)  # fmt: skip
def test_readers(
    caplog: pytest.LogCaptureFixture,
    read: Callable[[dict[str, Any]], Any],
    path: str,
    value: Any,
    expected: Any,
    warned: bool,
) -> None:
    """A usable number is used; anything else counts as the table says, where it says so with a warning."""
    with caplog.at_level(logging.WARNING):
        got = read(config_of(path, value))
    assert (got, type(got)) == (expected, type(expected))
    assert (path in caplog.text) is warned
