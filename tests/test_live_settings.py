"""What the live bot and paper trading take from a config (`live.md` 2, `exchange_simulator.md` 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.live_settings import live_settings
from config.paper_settings import paper_settings
from core.errors import ConfigError
from live_cases import config_of, settings_of


def at(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = getattr(record, name)
    return record


# key of section live -> field; every value differs from its default
TAKEN: dict[str, tuple[Any, str, Any]] = {
    "user": (12, "user", "12"),
    "price_distance_threshold": (0.5, "orders.price_distance_threshold", 0.5),
    "order_match_tolerance_pct": (0.01, "orders.match_tolerance", 0.01),
    "market_orders_allowed": (False, "orders.market_orders_allowed", False),
    "time_in_force": (" POST_ONLY", "orders.post_only", True),
    "max_n_cancellations_per_batch": (7, "orders.max_cancels", 7),
    "max_n_creations_per_batch": (8, "orders.max_creates", 8),
    "foreign_orders": ("leave", "orders.foreign", "leave"),
    "second_instance": ("ignore", "orders.second_instance", "ignore"),
    "balance_override": ("250", "balance.override", 250.0),
    "balance_hysteresis_snap_pct": (0.1, "balance.snap_pct", 0.1),
    "bybit_legacy_balance": (True, "balance.bybit_legacy", True),
    "warmup_jitter_seconds": (3, "warmup.jitter_s", 3.0),
    "warmup_concurrency": (4, "warmup.concurrency", 4),
    "inactive_coin_candle_ttl_minutes": (1.5, "candles.inactive_ttl_ms", 90_000),
    "candle_lock_timeout_seconds": (4, "candles.lock_timeout_s", 4.0),
    "max_concurrent_api_requests": ("3", "candles.max_concurrent_requests", 3),
    "max_memory_candles_per_symbol": (300, "candles.max_memory", 300),
    "max_disk_candles_per_symbol_per_tf": (400, "candles.max_disk", 400),
    "enable_archive_candle_fetch": (True, "candles.archives", True),
    "approved_coins": (["A"], "coins.approved", ["A"]),
    "ignored_coins": (["B"], "coins.ignored", ["B"]),
    "empty_means_all_approved": (True, "coins.empty_means_all", True),
    "minimum_coin_age_days": (11, "coins.minimum_age_days", 11.0),
    "filter_by_min_effective_cost": (True, "coins.filter_by_min_effective_cost", True),
    "forced_mode_long": ("gs", "forced_modes.everywhere", {"long": "graceful_stop", "short": None}),
    "auto_gs": (False, "stop_mode", "manual"),
    "hedge_mode": (False, "hedge_mode", False),
    "leverage": (5, "default_leverage", 5.0),
    "execution_delay_seconds": (1, "execution_delay_s", 1.0),
    "pnls_max_lookback_days": (3, "lookback_days", 3.0),
    "unstuck_use_lookback": (True, "unstuck_use_lookback", True),
    "max_n_restarts_per_day": (4, "max_restarts_per_day", 4),
    "recv_window_ms": ("6000", "recv_window_ms", 6000),
}


@pytest.mark.parametrize("key", TAKEN)
def test_keys(key: str) -> None:
    """Each key arrives in its field, converted; without it the field has another value."""
    value, field, expected = TAKEN[key]
    found = at(settings_of(**{key: value}), field)
    assert (found, type(found)) == (expected, type(expected))
    assert at(settings_of(), field) != expected


@pytest.mark.parametrize("stated", [None, ""])
def test_no_balance_override(stated: Any) -> None:
    """Null and an empty text are none."""
    assert settings_of(balance_override=stated).balance.override is None


def test_wrong_balance_override() -> None:
    """What is no number is an error that names the key."""
    with pytest.raises(ConfigError, match=r"live\.balance_override is 'much'"):
        settings_of(balance_override="much")


@pytest.mark.parametrize(
    ("section", "key", "value", "field", "expected"),
    [
        ("live", "recv_window_ms", "much", "recv_window_ms", None),
        ("live", "recv_window_ms", 0, "recv_window_ms", None),
        ("live", "max_concurrent_api_requests", "", "candles.max_concurrent_requests", None),
        ("live", "max_memory_candles_per_symbol", -1, "candles.max_memory", 20_000),
        ("logging", "memory_snapshot_interval_minutes", 0.1, "memory_interval_minutes", 1.0),
        ("logging", "memory_snapshot_interval_minutes", 0, "memory_interval_minutes", 30.0),
    ],
)
def test_lenient_keys(section: str, key: str, value: Any, field: str, expected: Any) -> None:
    """Those that have a rule for what cannot be used follow it (`config_cli_suite.md` 6, 7)."""
    config = config_of()
    config[section][key] = value
    assert at(live_settings(config), field) == expected


def test_coins_with_overrides() -> None:
    """Parameters, leverage and forced modes of a coin stand beside those of all; lists keep their raw sources."""
    own = {"bot": {"long": {"ema_span_0": 5.0}}, "live": {"leverage": 3, "forced_mode_short": "p"}}
    config = config_of(overrides={"A": own, "B": {"bot": {}}}, warmup_ratio=0.5)
    config["_coins_sources"] = {"approved_coins": "list.json"}
    settings = live_settings(config)
    assert settings.of_coin("A", "long")["ema_span_0"] == 5.0
    assert settings.of_coin("A", "short") == settings.side("short") == settings.of_coin("C", "short")
    assert settings.of_coin("C", "long")["ema_span_0"] == 1318.0
    assert settings.leverage == {"A": 3.0}
    assert settings.forced_modes.own == {("A", "short"): "panic"}
    assert (settings.coins.approved, settings.coins.ignored) == ("list.json", {"long": [], "short": []})
    config["_coins_sources"] = {"ignored_coins": "other.json"}
    assert live_settings(config).coins.ignored == "other.json"
    assert settings.warmup.minutes == {"__default__": 2160, "A": 2160, "B": 2160}


@pytest.mark.parametrize(("total", "n", "enabled"), [(1.0, 1, True), (0.0, 1, False), (1.0, 0, False)])
def test_enabled(total: float, n: int, enabled: bool) -> None:
    """A side needs both a total limit and slots."""
    settings = settings_of({"total_wallet_exposure_limit": total, "n_positions": n})
    assert settings.is_enabled("long") is enabled
    assert not settings.is_enabled("short")


# --- paper trading


def test_paper_defaults() -> None:
    """Without a section: Bybit, 1000 USDT, the cache's candles; a directory of its own."""
    paper = paper_settings({})
    assert (paper.protocol, paper.balance, paper.data, paper.speed) == ("bybit", 1000, "cache", 1)
    assert (paper.fill_model, paper.fill_probability, paper.participation, paper.slippage) == ("strict", 1.0, 0.1, 2e-4)
    assert (paper.fees, paper.start, paper.end, paper.funding, paper.liquidation, paper.seed) == (
        None, None, None, None, False, 0,
    )  # fmt: skip
    assert (paper.user, Path(paper.state_dir).parts[-3:]) == ("paper_bybit", ("paper", "bybit", "paper_bybit"))
    assert not paper.is_synthetic


def test_paper_section() -> None:
    """What is stated counts; fees are numbers; both words for the synthetic market mean it."""
    paper = paper_settings({"paper": {"protocol": "binance", "data": "sample", "fees": [0, "0.001"], "state": "here"}})
    assert (paper.user, paper.state_dir, paper.fees) == ("paper_binance", "here", (0.0, 0.001))
    assert paper.is_synthetic
    assert paper_settings({"paper": {"data": "synthetic"}}).is_synthetic
    assert paper_settings({"paper": {"data": "live", "speed": 1.0}}).data == "live"
    assert paper_settings({"paper": {"data": "replay", "start": "2025-03-01", "speed": 60}}).start == "2025-03-01"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"fees": [0.1]}, r"paper.fees is \[0.1\]: two"),
        ({"fees": []}, r"paper.fees is \[\]: two"),
        ({"data": "live", "speed": 2}, "paper.speed: live candles"),
        ({"data": "replay"}, "paper.start is missing"),
        ({"data": "replay", "start": ""}, "paper.start is missing"),
    ],
)
def test_paper_contradictions(section: Any, message: str) -> None:
    """What does not go together is an error that names the key."""
    with pytest.raises(ConfigError, match=message):
        paper_settings({"paper": section})
