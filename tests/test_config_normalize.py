"""The pipeline: shapes, renames, derived keys, pruning, normal forms (`config_cli_suite.md` 2, 3, 5.3, 21, 23)."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest

from config.migrate import coin_flags_to_override
from config.normalize import format_config, nearest_hint, normalize_bound, normalize_coin_sources, round_half_away
from config.schema import defaults
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError

CLOCK = ManualClock(date_to_ts("2026-11-21T07:58"))
Config = dict[str, Any]


def formatted(config: Config, **options: Any) -> Config:
    return format_config(config, clock=CLOCK, **options)


def current(**sections: Any) -> Config:
    """A minimal file in the current shape; keyword arguments are laid over its sections."""
    base: Config = {"backtest": {}, "bot": {"long": {}, "short": {}}, "live": {}, "optimize": {}}
    for name, content in sections.items():
        base[name] = {**base.get(name, {}), **content}
    return base


def flavor(config: Config) -> str:
    return str(config["_transform_log"][-1]["details"]["flavor"])


def changes(config: Config) -> list[Config]:
    return list(config["_transform_log"][-1]["details"]["changes"])


# --- shapes ---


def test_minimal_file_gives_the_defaults() -> None:
    """What a file leaves out is the table of 5.2 (decision E14), all other sections included."""
    config = formatted({"bot": {"long": {}, "short": {}}, "live": {}})
    assert flavor(config) == "live_only"
    expected = defaults()
    assert config["bot"] == expected["bot"]
    long = config["bot"]["long"]
    assert (long["close_grid_markup_start"], long["close_grid_markup_end"]) == (0.0344, 0.0089)
    assert (long["close_trailing_qty_pct"], long["entry_trailing_double_down_factor"]) == (0.125, 0.894)
    assert long["filter_volume_drop_pct"] == 0.95
    assert config["optimize"]["limits"] == [
        {"metric": "drawdown_worst_usd", "penalize_if": "auto", "value": 0.333},
        {"metric": "loss_profit_ratio", "penalize_if": "auto", "value": 0.9},
        {"metric": "position_unchanged_hours_max", "penalize_if": "auto", "value": 300},
    ]
    assert config["optimize"]["scoring"] == ["adg_usd", "sharpe_ratio_usd"]
    assert config["backtest"]["filter_by_min_effective_cost"] is True


def test_legacy_common_shape() -> None:
    """`common` moves to live, its symbols and flags too; older bot keys are understood."""
    config = formatted({
        "common": {"approved_symbols": ["BTC"], "symbol_flags": {"ETH": "-lm p"}, "leverage": 7, "nonsense": 1},
        "bot": {"long": {"filter_rolling_window": 33}, "short": {}},
        "live": {},
    })  # fmt: skip
    assert flavor(config) == "legacy_common"
    assert config["live"]["approved_coins"] == {"long": ["BTC"], "short": ["BTC"]}
    assert config["coin_overrides"] == {"ETH": {"live": {"forced_mode_long": "panic"}}}
    assert config["live"]["leverage"] == 7
    assert "nonsense" not in config["live"]
    assert config["bot"]["long"]["filter_volume_ema_span"] == 33


def test_common_beats_live() -> None:
    """In the oldest shape the keys of `common` are copied last."""
    config = formatted({**current(live={"leverage": 3, "approved_coins": ["ETH"]}), "common": {"leverage": 7}})
    assert config["live"]["leverage"] == 7
    assert config["live"]["approved_coins"] == {"long": [], "short": []}


def test_nested_shape() -> None:
    assert flavor(formatted({"config": current(live={"user": "u"}), "other": 1})) == "nested_current"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"live": {}}, "unknown flavor"),
        ({"bot": {"long": {}}, "live": {}}, r"bot\.short"),
        (current(bot={"long": None}), r"bot\.long"),
        (current(optimize={"bounds": []}), r"optimize\.bounds"),
        ({**current(), "live": 3}, "section 'live'"),
        ({**current(), "live": 3, "common": {}}, "section 'live'"),
        ({"common": {}}, r"bot\.long"),
        ([1], "the config holds"),
        ({**current(), "logging": 3}, "logging is 3"),
        (current(backtest={"suite": 3}), r"backtest\.suite is 3"),
    ],
)
def test_wrong_shapes(config: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        formatted(config)


def test_missing_bounds_are_completed() -> None:
    """A file without `optimize.bounds` gets those of the schema (F12)."""
    assert formatted(current())["optimize"]["bounds"] == defaults()["optimize"]["bounds"]


# --- renames and conversions ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("filter_noisiness_rolling_window", "filter_volatility_ema_span"),
        ("filter_noisiness_ema_span", "filter_volatility_ema_span"),
        ("filter_log_range_ema_span", "filter_volatility_ema_span"),
        ("filter_volume_rolling_window", "filter_volume_ema_span"),
        ("entry_grid_spacing_weight", "entry_grid_spacing_we_weight"),
        ("entry_grid_spacing_log_span_hours", "entry_volatility_ema_span_hours"),
        ("entry_log_range_ema_span_hours", "entry_volatility_ema_span_hours"),
        ("entry_grid_spacing_log_weight", "entry_grid_spacing_volatility_weight"),
        ("entry_trailing_retracement_log_weight", "entry_trailing_retracement_volatility_weight"),
        ("entry_trailing_threshold_log_weight", "entry_trailing_threshold_volatility_weight"),
    ],
)
def test_renamed_bot_keys(old: str, new: str) -> None:
    """Old names give way to new ones, in `bot` and in the bounds; where both exist the new one wins."""
    bounds = {f"short_{old}": [3, 4]}
    config = formatted(current(bot={"long": {old: 7, new: 8}, "short": {old: 9}}, optimize={"bounds": bounds}))
    assert (config["bot"]["long"][new], config["bot"]["short"][new]) == (8, 9)
    assert old not in config["bot"]["long"]
    assert config["optimize"]["bounds"][f"short_{new}"] == [3, 4]
    assert {"action": "rename", "from": f"bot.short.{old}", "to": f"bot.short.{new}", "value": 9} in changes(config)
    assert {"action": "remove", "path": f"bot.long.{old}", "value": 7} in changes(config)


def test_first_of_several_old_names_wins() -> None:
    side = {"entry_log_range_ema_span_hours": 2, "entry_grid_spacing_log_span_hours": 1}
    assert formatted(current(bot={"long": side}))["bot"]["long"]["entry_volatility_ema_span_hours"] == 1


def test_renamed_live_and_backtest_keys() -> None:
    """Here the old value beats the new key, but not a value that stands in `logging`."""
    live = {
        "minimum_market_age_days": 3, "minimum_coin_age_days": 9, "ohlcvs_1m_update_after_minutes": 4,
        "memory_snapshot_interval_minutes": 5, "noisiness_rolling_mean_window_size": 50,
    }  # fmt: skip
    config = formatted(current(live=live, backtest={"exchange": "OKX"}))
    assert config["live"]["minimum_coin_age_days"] == 3
    assert config["live"]["inactive_coin_candle_ttl_minutes"] == 4
    assert config["logging"]["memory_snapshot_interval_minutes"] == 5
    assert config["backtest"]["exchanges"] == ["okx"]
    assert config["bot"]["long"]["filter_volume_ema_span"] == 60.0  # that rename comes too late to matter
    kept = formatted(current(live=live, logging={"memory_snapshot_interval_minutes": 8}))
    assert kept["logging"]["memory_snapshot_interval_minutes"] == 8


@pytest.mark.parametrize(
    ("given", "cap"),
    [(True, 1.0), ("1", 1.0), ("true", 1.0), ("no", 1.0), (False, 0.0), ("0", 0.0), (None, 0.0)],
)
def test_use_btc_collateral(given: Any, cap: float) -> None:
    assert formatted(current(backtest={"use_btc_collateral": given}))["backtest"]["btc_collateral_cap"] == cap


@pytest.mark.parametrize(("given", "cap"), [("0.5", 0.5), (None, 0.0), ("x", 0.0), (2, 2.0)])
def test_btc_collateral_cap(given: Any, cap: float) -> None:
    """The cap is a float, unparsable counts as 0; the older key does not beat it."""
    backtest = formatted(current(backtest={"btc_collateral_cap": given, "use_btc_collateral": True}))["backtest"]
    assert backtest["btc_collateral_cap"] == cap
    assert backtest["btc_collateral_ltv_cap"] is None


def test_derived_keys() -> None:
    """A missing key follows from older keys that are present (5.3), its bounds likewise."""
    long = {"close_grid_min_markup": 0.005, "close_grid_markup_range": 0.02, "filter_rolling_window": 90}
    short = {"close_grid_markup_range": 0.02, "close_grid_markup_end": 0.3}
    live = {"filter_relative_volume_clip_pct": 0.25, "ohlcv_rolling_window": 44}
    bounds = {"long_min_markup": [0.1, 0.2], "long_close_grid_min_markup": [0.3, 0.4]}
    config = formatted(current(bot={"long": long, "short": short}, live=live, optimize={"bounds": bounds}))
    got_long, got_short = config["bot"]["long"], config["bot"]["short"]
    assert (got_long["close_grid_markup_start"], got_long["close_grid_markup_end"]) == (0.025, 0.005)
    assert got_short["close_grid_markup_start"] == pytest.approx(0.021)
    assert got_short["close_grid_markup_end"] == 0.3
    assert (got_long["filter_volume_ema_span"], got_short["filter_volume_ema_span"]) == (90, 44)
    assert got_long["filter_volatility_ema_span"] == 90
    assert got_long["filter_volume_drop_pct"] == 0.25
    assert config["optimize"]["bounds"]["long_close_grid_markup_start"] == [0.1, 0.2]
    assert config["optimize"]["bounds"]["long_close_grid_markup_end"] == [0.3, 0.4]


def test_coin_flags() -> None:
    """Older flags of coins become overrides, when there are none (3.3, F10)."""
    text = "-lm gs -sm p -lw 0.3 -lev 5 -lc foo.json"
    expected = {
        "override_config_path": "foo.json",
        "live": {"forced_mode_long": "graceful_stop", "forced_mode_short": "panic", "leverage": 5.0},
        "bot": {"long": {"wallet_exposure_limit": 0.3}},
    }
    assert coin_flags_to_override("BTC", text) == expected
    assert formatted(current(live={"coin_flags": {"BTC": text, "XRP": ""}}))["coin_overrides"] == {"BTC": expected}
    own = {"ETH": {"live": {"leverage": 2}}}
    assert formatted(current(live={"coin_flags": {"BTC": text}}, coin_overrides=own))["coin_overrides"] == own


@pytest.mark.parametrize("text", ["-lm", "-xx 3", "-lw much", "-lm sometimes", "-lc 'x", 5, ["-lm", "n"]])
def test_bad_coin_flags(text: Any) -> None:
    """An error names the coin and the text."""
    with pytest.raises(ConfigError, match=r"live\.coin_flags\.BTC"):
        coin_flags_to_override("BTC", text)


# --- completion and pruning ---


def test_unknown_keys_are_removed_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """Unknown keys go, with the nearest known name on the log; foreign sections and free mappings stay."""
    config = current(
        live={"levrage": 3, "_note": 1, 5: 6},
        backtest={"coin_sources": {"BTC": "okx"}, "suite": {"aggregate": {"mdg": "max"}}, "coins": {"x": []}},
        paper={"balance": 5, "fee": 1},
        pbgui={"version": 3},
    )
    config |= {"analysis": {"gain": 1}, "metrics": {}, "disable_plotting": True, "results_dir": "x"}
    with caplog.at_level(logging.WARNING):
        result = formatted(config)
    assert "unknown key live.levrage is removed; the nearest known name is live.leverage" in caplog.text
    assert "backtest.coins" not in caplog.text
    assert result["pbgui"] == {"version": 3}
    assert result["paper"] == {"balance": 5}
    assert result["backtest"]["coin_sources"] == {"BTC": "okx"}
    assert result["backtest"]["suite"]["aggregate"] == {"mdg": "max", "default": "mean"}
    assert not {"analysis", "metrics", "disable_plotting", "results_dir"} & result.keys()
    assert result["live"]["_note"] == 1
    assert not {"levrage", 5} & result["live"].keys()


def test_nearest_hint_across_sections() -> None:
    assert nearest_hint("backtest.user") == "; a key of that name is live.user"
    assert nearest_hint("live.zzzzzzz") == ""


def test_optional_keys_survive() -> None:
    """They are kept when present and never added (F9)."""
    given = {"unstuck_use_lookback": True, "foreign_orders": "leave", "notify": ["x"], "metrics_port": 9000}
    config = formatted(
        current(live=given, optimize={"seed": 5, "holdout": {"fraction": 0.2}}, backtest={"offline": True})
    )
    assert given.items() <= config["live"].items()
    assert (config["optimize"]["seed"], config["optimize"]["holdout"]) == (5, {"fraction": 0.2})
    assert not {"seed", "executor", "holdout"} & formatted(current())["optimize"].keys()


def test_suite_of_the_optimizer_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = formatted(current(optimize={"suite": {"enabled": True}}))
    assert "suite" not in config["optimize"]
    assert "optimize.suite is ignored" in caplog.text


def test_base_path() -> None:
    """The loader's path wins when it is not empty, else what is there stays, else it is added empty."""
    assert formatted(current())["live"]["base_config_path"] == ""
    kept = current(live={"base_config_path": "a.json"})
    assert formatted(kept)["live"]["base_config_path"] == "a.json"
    assert formatted(kept, base_config_path="b.json")["live"]["base_config_path"] == "b.json"


def test_bot_is_sorted() -> None:
    config = formatted(current(bot={"short": {"n_positions": 1}, "long": {"unstuck_threshold": 1, "ema_span_0": 2}}))
    assert list(config["bot"]) == ["long", "short"]
    assert list(config["bot"]["long"]) == sorted(config["bot"]["long"])


# --- normal forms ---


@pytest.mark.parametrize(("given", "expected"), [(2.5, 3), (3.5, 4), (0.4, 0), (0.5, 1), (-2.5, -3), (7, 7)])
def test_n_positions_round_half_away(given: float, expected: int) -> None:
    """Decision E12."""
    assert round_half_away(given) == expected
    rounded = formatted(current(bot={"long": {"n_positions": given}}))["bot"]["long"]["n_positions"]
    assert rounded == expected
    assert isinstance(rounded, int)


@pytest.mark.parametrize(
    ("given", "expected"),
    [([5], [5, 5]), ([9, 3], [3, 9]), ([900, 300, 10], [900, 300, 10]), (7, 7), ([1, 2, 3, 4], [1, 2, 3, 4])],
)
def test_bounds(given: Any, expected: Any) -> None:
    assert normalize_bound(given) == expected
    config = formatted(current(optimize={"bounds": {"long_ema_span_0": given}}))
    assert config["optimize"]["bounds"]["long_ema_span_0"] == expected


@pytest.mark.parametrize("given", [[], "x", None, {}, ["a", 1], True, [float("nan"), 1]])
def test_malformed_bounds(given: Any) -> None:
    """They are errors for backtests and the optimizer, and no concern of the live bot."""
    config = current(optimize={"bounds": {"long_ema_span_0": given}})
    with pytest.raises(ConfigError, match=r"malformed bound optimize\.bounds\.long_ema_span_0"):
        formatted(config)
    formatted(config, live_only=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ({"BTC/USDT:USDT": "binance", "BTCUSDT": "binance", "ETH": None}, {"BTC": "binance"}),
        ({"USDT": "okx", "XRP": "BinanceUSDM"}, {"XRP": "binance"}),
    ],
)
def test_coin_sources(given: Any, expected: dict[str, str]) -> None:
    assert normalize_coin_sources(given) == expected
    assert formatted(current(backtest={"coin_sources": given}))["backtest"]["coin_sources"] == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["BTC"], "coin_sources"),
        ({"BTC": 3}, "coin_sources.BTC"),
        ({"BTC": "okx", "BTCUSDT": "bybit"}, "okx and bybit"),
    ],
)
def test_bad_coin_sources(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        formatted(current(backtest={"coin_sources": given}))


def test_sources_and_lists() -> None:
    """The lists become lists by side, approved minus ignored; what the user gave is remembered (2.12, 2.14, E1)."""
    live = {"approved_coins": "BTC, ETH", "ignored_coins": ["ETH"]}
    config = formatted(current(live=live))
    assert config["live"]["approved_coins"] == {"long": ["BTC"], "short": ["BTC"]}
    assert config["_coins_sources"] == {"approved_coins": "BTC, ETH", "ignored_coins": ["ETH"]}
    raw = formatted(current(live=live), live_only=True)
    assert raw["live"]["approved_coins"] == "BTC, ETH"
    assert raw["backtest"]["end_date"] == "now"


def test_inherited_filter() -> None:
    """`filter_by_min_effective_cost` null inherits the live key."""
    config = formatted(current(live={"filter_by_min_effective_cost": False}))
    assert config["backtest"]["filter_by_min_effective_cost"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [("binance, Bybit", ["binance", "bybit"]), (["A", "a "], ["a"]), ("binanceusdm", ["binance"])],
)
def test_exchanges(given: Any, expected: list[str]) -> None:
    """A text is split on commas (F7), names are the short ones in lower case."""
    assert formatted(current(backtest={"exchanges": given}))["backtest"]["exchanges"] == expected


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("backtest", "starting_balance", "much"),
        ("backtest", "starting_balance", 0),
        ("backtest", "starting_balance", float("nan")),
        ("backtest", "combine_ohlcvs", "yes"),
        ("backtest", "exchanges", {"binance": 1}),
        ("backtest", "start_date", "now"),
        ("backtest", "start_date", ""),
        ("backtest", "end_date", "someday"),
        ("backtest", "end_date", "2020"),
        ("backtest", "gap_tolerance_ohlcvs_minutes", -1),
        ("backtest", "maker_fee_override", "low"),
        ("backtest", "base_dir", None),
        ("live", "leverage", "ten"),
        ("live", "hedge_mode", 1),
        ("live", "forced_mode_long", "sometimes"),
        ("live", "foreign_orders", "sell"),
        ("live", "approved_coins", {"long": [], "sideways": []}),
        ("optimize", "enable_overrides", ["no_such"]),
        ("optimize", "iters", 1.5),
        ("optimize", "limits", 7),
        ("optimize", "scoring", 7),
        ("paper", "protocol", "kraken"),
    ],
)
def test_wrong_values_name_their_path(section: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.{key}|Unsupported limits format: int"):
        formatted(current(**{section: {key: value}}))


@pytest.mark.parametrize("value", ["x", None, [1], True])
def test_n_positions_must_be_a_number(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"bot\.long\.n_positions"):
        formatted(current(bot={"long": {"n_positions": value}}))


@pytest.mark.parametrize(
    "override",
    [
        {"BTC": 3},
        {"BTC": {"bot": 3}},
        {"BTC": {"bot": {"long": {"ema_span_0": "x"}}}},
        {"BTC": {"live": {"forced_mode_short": "sometimes"}}},
        {"BTC": {"live": {"leverage": "x"}}},
    ],
)
def test_wrong_overrides(override: Config) -> None:
    with pytest.raises(ConfigError, match=r"coin_overrides\.BTC"):
        formatted(current(coin_overrides=override))


def test_input_is_not_touched() -> None:
    config = current(bot={"long": {"filter_volume_rolling_window": 3}}, live={"coin_flags": {}, "x": 1})
    before = copy.deepcopy(config)
    formatted(config)
    assert config == before


def test_metadata_is_carried_over() -> None:
    """`_raw` and the log of earlier steps stay; each formatting adds one entry."""
    once = formatted({**current(), "_raw": {"a": 1}})
    twice = formatted(once)
    assert twice["_raw"] == {"a": 1}
    assert [entry["step"] for entry in twice["_transform_log"]] == ["format_config"] * 2
    assert twice["_transform_log"][0] == once["_transform_log"][0]
    assert changes(twice) == []
