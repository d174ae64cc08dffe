"""Warm-up minutes (`config_cli_suite.md` 14, `candles.md` 14)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from config.load import load_config
from config.warmup import compute_backtest_warmup_minutes, compute_per_coin_warmup_minutes
from core.errors import MissingKeyError

LONG = {
    "ema_span_0": 580, "ema_span_1": 1260, "filter_volume_ema_span": 1250, "filter_volatility_ema_span": 95.3,
    "entry_volatility_ema_span_hours": 2490,
}  # fmt: skip


def config_of(**changes: Any) -> dict[str, Any]:
    """The example of the specification; `long` and `short` are laid over the sides, other names over live."""
    bot = {"long": {**LONG, **changes.pop("long", {})}, "short": changes.pop("short", {})}
    overrides = changes.pop("coin_overrides", {})
    bounds = changes.pop("bounds", {})
    live = {"warmup_ratio": 0.3, "max_warmup_minutes": 0, **changes}
    return {"bot": bot, "live": live, "coin_overrides": overrides, "optimize": {"bounds": bounds}}


@pytest.mark.parametrize(
    ("changes", "minutes"),
    [
        ({}, 44820),
        ({"max_warmup_minutes": 10000}, 10000),
        ({"long": {"entry_volatility_ema_span_hours": 0}}, 378),
        ({"long": {"entry_volatility_ema_span_hours": 0}, "warmup_ratio": 0.1234}, 156),
        ({"short": {"ema_span_0": 200000.5}}, 60001),
        ({"long": {"ema_span_0": math.inf}}, 0),
        ({"long": {"ema_span_0": math.nan}}, 44820),
        ({"long": {"ema_span_0": "x", "ema_span_1": None}}, 44820),
        ({"warmup_ratio": -1}, 0),
    ],
)
def test_base_warmup(changes: dict[str, Any], minutes: int) -> None:
    config = config_of(**changes)
    assert compute_backtest_warmup_minutes(config) == minutes
    assert compute_per_coin_warmup_minutes(config) == {"__default__": minutes}


def test_overrides() -> None:
    """Each coin with overrides has its own warm-up; the data begin early enough for the longest."""
    overrides = {
        "ETH": {"bot": {"long": {"entry_volatility_ema_span_hours": 100}}},
        "SOL": {"bot": {"short": {"ema_span_1": 999999}}},
    }
    config = config_of(coin_overrides=overrides)
    assert compute_backtest_warmup_minutes(config) == 300000
    assert compute_per_coin_warmup_minutes(config) == {"__default__": 44820, "ETH": 1800, "SOL": 300000}


@pytest.mark.parametrize(
    ("bounds", "minutes"),
    [
        ({"long_ema_span_0": [200, 1440000]}, 432000),
        ({"short_entry_volatility_ema_span_hours": [1, 3000, 5]}, 54000),
        ({"long_ema_span_1": 200000}, 60000),
        ({"long_unstuck_threshold": [0, 1e9]}, 44820),
    ],
)
def test_bounds_count_in_the_optimizer_only(bounds: dict[str, Any], minutes: int) -> None:
    """Decision E13."""
    config = config_of(bounds=bounds)
    assert compute_backtest_warmup_minutes(config, with_bounds=True) == minutes
    assert compute_backtest_warmup_minutes(config) == 44820
    assert compute_per_coin_warmup_minutes(config) == {"__default__": 44820}


@pytest.mark.parametrize(("ratio", "base", "eth"), [(0.5, 101, 250), (0.1, 21, 50)])
def test_spans_of_the_dataset_example(ratio: float, base: int, eth: int) -> None:
    """Spans 100 and 200.5, ETH's 500: the warm-ups of `candles.md` 15.3."""
    config = config_of(coin_overrides={"ETH": {"bot": {"long": {"ema_span_0": 500}}}}, warmup_ratio=ratio)
    config["bot"]["long"] = {"ema_span_0": 100, "ema_span_1": 200.5}
    assert compute_backtest_warmup_minutes(config) == eth
    assert compute_per_coin_warmup_minutes(config) == {"__default__": base, "ETH": eth}


def test_reference_config(shared: Path) -> None:
    config = load_config(shared / "reference_configs" / "01_btc_long_grid_only.json")
    assert compute_per_coin_warmup_minutes(config) == {"__default__": 2520}
    assert compute_backtest_warmup_minutes(config) == 2520
    assert compute_backtest_warmup_minutes(config, with_bounds=True) == 10800


def test_missing_keys() -> None:
    config = config_of()
    del config["live"]["max_warmup_minutes"]
    with pytest.raises(MissingKeyError, match=r"live\.max_warmup_minutes"):
        compute_backtest_warmup_minutes(config)
