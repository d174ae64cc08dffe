"""Older config files: their shapes, their names, and keys that follow from older ones (`config_cli_suite.md` 3, 5.3).

Every function changes the given config in place and reports what it did to `Changes`.
"""

from __future__ import annotations

import copy
import logging
import shlex
from collections.abc import Callable
from typing import Any

from config.changes import METADATA_KEYS, Changes, Config
from config.modes import expand_forced_mode
from core.errors import ConfigError
from core.terms import PSIDES
from markets.symbols import short_exchange

logger = logging.getLogger(__name__)

# new name <- old names; of several old names the first wins
RENAMED_BOT_KEYS: dict[str, tuple[str, ...]] = {
    "filter_volatility_ema_span": (
        "filter_noisiness_rolling_window", "filter_noisiness_ema_span", "filter_log_range_ema_span",
    ),
    "filter_volume_ema_span": ("filter_volume_rolling_window",),
    "entry_grid_spacing_we_weight": ("entry_grid_spacing_weight",),
    "entry_volatility_ema_span_hours": ("entry_grid_spacing_log_span_hours", "entry_log_range_ema_span_hours"),
    "entry_grid_spacing_volatility_weight": ("entry_grid_spacing_log_weight",),
    "entry_trailing_retracement_volatility_weight": ("entry_trailing_retracement_log_weight",),
    "entry_trailing_threshold_volatility_weight": ("entry_trailing_threshold_log_weight",),
}  # fmt: skip
RENAMED_LIVE_KEYS = {
    "minimum_market_age_days": "minimum_coin_age_days",
    "ohlcvs_1m_update_after_minutes": "inactive_coin_candle_ttl_minutes",
    "noisiness_rolling_mean_window_size": "ohlcv_rolling_window",
}
# older keys that newer ones are derived from; gone once that is done
_CONSUMED_BOT_KEYS = ("filter_rolling_window", "close_grid_min_markup", "close_grid_markup_range")
_CONSUMED_LIVE_KEYS = ("ohlcv_rolling_window", "filter_relative_volume_clip_pct", "coin_flags")
_CONSUMED_BOUNDS = ("min_markup", "close_grid_min_markup", "close_grid_markup_range")

_SECTIONS = ("backtest", "bot", "live", "optimize")


def base_of(config: Any, origin: str = "the config") -> tuple[str, Config]:
    """`(flavor, base)`: which shape the file has, and a copy of it in the current shape (3.1).

    Raises ConfigError naming `origin` for any other shape.
    """
    if not isinstance(config, dict):
        raise ConfigError(f"failed to format config: unknown flavor; {origin} holds {config!r:.40}, not a mapping")
    if isinstance(config.get("common"), dict):
        return "legacy_common", _from_legacy_common(config)
    if all(section in config for section in _SECTIONS):
        return "current", _checked(copy.deepcopy(config))
    inner = config.get("config")
    if isinstance(inner, dict) and all(section in inner for section in _SECTIONS):
        metadata = {key: config[key] for key in METADATA_KEYS if key in config}
        return "nested_current", _checked(copy.deepcopy(inner | metadata))
    if "bot" in config and "live" in config:
        return "live_only", _checked({"backtest": {}, "optimize": {}} | copy.deepcopy(config))
    raise ConfigError(
        f"failed to format config: unknown flavor; {origin} needs the sections bot, live, backtest, optimize"
    )


def _from_legacy_common(config: Config) -> Config:
    base = copy.deepcopy({section: {} for section in _SECTIONS} | {k: v for k, v in config.items() if k != "common"})
    common = copy.deepcopy(config["common"])
    coins, flags = common.pop("approved_symbols", None), common.pop("symbol_flags", None)
    _checked(base)["live"] |= {**common, "approved_coins": coins or [], "coin_flags": flags or {}}
    return base


def _checked(base: Config) -> Config:
    for section in _SECTIONS:
        if not isinstance(base[section], dict):
            raise ConfigError(f"config section '{section}' is {base[section]!r}: it must be a mapping")
    for pside in PSIDES:
        if not isinstance(base["bot"].get(pside), dict):
            raise ConfigError(
                f"config has no 'bot.{pside}': both are needed; total_wallet_exposure_limit 0 disables a side"
            )
    bounds = base["optimize"].setdefault("bounds", {})
    if not isinstance(bounds, dict):
        raise ConfigError(f"optimize.bounds is {bounds!r}: it must map parameter names to bounds")
    return base


def rename_bot_keys(bot: Config, prefix: str, changes: Changes) -> None:
    """Older names of the sides of a `bot` section; a missing side is skipped. A new name beats its old ones."""
    for pside in PSIDES:
        if isinstance(bot.get(pside), dict):
            _rename(bot[pside], RENAMED_BOT_KEYS, f"{prefix}.{pside}", changes)


def rename_bounds(bounds: Config, changes: Changes) -> None:
    """Older names of search bounds."""
    for pside in PSIDES:
        renames = {f"{pside}_{new}": tuple(f"{pside}_{o}" for o in olds) for new, olds in RENAMED_BOT_KEYS.items()}
        _rename(bounds, renames, "optimize.bounds", changes)


def _rename(node: Config, renames: dict[str, tuple[str, ...]], prefix: str, changes: Changes) -> None:
    for new, olds in renames.items():
        for old in olds:
            if old not in node:
                continue
            value = node.pop(old)
            if new in node:
                changes.remove(f"{prefix}.{old}", value)
            else:
                node[new] = value
                changes.rename(f"{prefix}.{old}", f"{prefix}.{new}", value)


def convert_collateral(backtest: Config, changes: Changes) -> None:
    """`use_btc_collateral` -> cap; the cap becomes a float, the LTV cap is added as null (2.4, 3.3)."""
    if "use_btc_collateral" in backtest:
        used = backtest.pop("use_btc_collateral")
        if "btc_collateral_cap" not in backtest:
            backtest["btc_collateral_cap"] = 1.0 if _as_flag(used) else 0.0
            changes.rename("backtest.use_btc_collateral", "backtest.btc_collateral_cap", backtest["btc_collateral_cap"])
        else:
            changes.remove("backtest.use_btc_collateral", used)
    if "btc_collateral_cap" in backtest:
        backtest["btc_collateral_cap"] = _float_or_zero(backtest["btc_collateral_cap"])
    if "btc_collateral_ltv_cap" not in backtest:
        backtest["btc_collateral_ltv_cap"] = None
        changes.add("backtest.btc_collateral_ltv_cap", None)


def _as_flag(value: Any) -> bool:
    try:
        return bool(int(value))
    except (TypeError, ValueError):
        return bool(value)


def _float_or_zero(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        logger.warning("backtest.btc_collateral_cap %r is not a number: 0 is used, no BTC collateral", value)
        return 0.0
    if number != number or number in (float("inf"), float("-inf")):
        raise ConfigError(f"backtest.btc_collateral_cap is {value!r}: it must be a finite number")
    return number


def derive_bot_keys(config: Config, changes: Changes) -> None:
    """Keys that follow from older ones which are present (5.3, decision E14), then the older ones go."""
    live, bounds = config["live"], config["optimize"]["bounds"]
    for pside in PSIDES:
        side = config["bot"][pside]
        for name, rule in _DERIVED.items():
            if name not in side and (value := rule(side, live)) is not None:
                side[name] = value
                changes.add(f"bot.{pside}.{name}", value)
        for new, old in (("close_grid_markup_start", "min_markup"), ("close_grid_markup_end", "close_grid_min_markup")):
            if f"{pside}_{new}" not in bounds and f"{pside}_{old}" in bounds:
                bounds[f"{pside}_{new}"] = copy.deepcopy(bounds[f"{pside}_{old}"])
                changes.add(f"optimize.bounds.{pside}_{new}", bounds[f"{pside}_{new}"])
        _drop(side, _CONSUMED_BOT_KEYS, f"bot.{pside}", changes)
        _drop(bounds, [f"{pside}_{name}" for name in _CONSUMED_BOUNDS], "optimize.bounds", changes)


def _span(side: Config, live: Config) -> float | None:
    own = _number(side, "filter_rolling_window")
    return _number(live, "ohlcv_rolling_window") if own is None else own


def _markup_end(side: Config, live: Config) -> float | None:
    return _number(side, "close_grid_min_markup")


def _markup_start(side: Config, live: Config) -> float | None:
    low, width = _number(side, "close_grid_min_markup"), _number(side, "close_grid_markup_range")
    if low is None and width is None:
        return None
    return (0.001 if low is None else low) + (0.001 if width is None else width)


def _volume_drop(side: Config, live: Config) -> float | None:
    return _number(live, "filter_relative_volume_clip_pct")


_DERIVED: dict[str, Callable[[Config, Config], float | None]] = {
    "filter_volatility_ema_span": _span,
    "filter_volume_ema_span": _span,
    "close_grid_markup_start": _markup_start,
    "close_grid_markup_end": _markup_end,
    "filter_volume_drop_pct": _volume_drop,
}


def _number(node: Config, key: str) -> float | None:
    value = node.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"'{key}' is {value!r}: it must be a number")
    return value


def _drop(node: Config, keys: tuple[str, ...] | list[str], prefix: str, changes: Changes) -> None:
    for key in keys:
        if key in node:
            changes.remove(f"{prefix}.{key}", node.pop(key))


def rename_live_keys(config: Config, changes: Changes) -> None:
    """Older `live` keys and `backtest.exchange`; here the old value beats the new key (2.7)."""
    live, backtest = config["live"], config["backtest"]
    logging_section = config.setdefault("logging", {})
    moved = "memory_snapshot_interval_minutes"
    if moved in live:
        value = live.pop(moved)
        if isinstance(logging_section, dict) and moved not in logging_section:
            logging_section[moved] = value
            changes.rename(f"live.{moved}", f"logging.{moved}", value)
        else:
            changes.remove(f"live.{moved}", value)
    for old, new in RENAMED_LIVE_KEYS.items():
        if old in live:
            live[new] = live.pop(old)
            changes.rename(f"live.{old}", f"live.{new}", live[new])
    if "exchange" in backtest:
        old_exchange = backtest.pop("exchange")
        backtest["exchanges"] = [old_exchange] if isinstance(old_exchange, str) else old_exchange
        changes.rename("backtest.exchange", "backtest.exchanges", backtest["exchanges"])
    _split_exchanges(backtest, changes)
    _convert_coin_flags(config, changes)
    _drop(live, _CONSUMED_LIVE_KEYS, "live", changes)


def _split_exchanges(backtest: Config, changes: Changes) -> None:
    """`exchanges` as one text is split on commas; names are the short ones, lower case (10.3, F7)."""
    given = backtest.get("exchanges")
    names = given.split(",") if isinstance(given, str) else given
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        clean = list(dict.fromkeys(short_exchange(name.strip()) for name in names if name.strip()))
        if clean != given:
            changes.update("backtest.exchanges", given, clean)
            backtest["exchanges"] = clean


def _convert_coin_flags(config: Config, changes: Changes) -> None:
    flags = config["live"].get("coin_flags")
    if flags and not config.get("coin_overrides"):
        if not isinstance(flags, dict):
            raise ConfigError(f"live.coin_flags is {flags!r}: it must map coins to flags; better use coin_overrides")
        config["coin_overrides"] = {coin: coin_flags_to_override(coin, text) for coin, text in flags.items() if text}
        changes.rename("live.coin_flags", "coin_overrides", config["coin_overrides"])


def coin_flags_to_override(coin: str, text: str) -> Config:
    """`-lm gs -lw 0.3 -lev 5 -lc f.json` as an entry of `coin_overrides` (3.3)."""
    path = f"live.coin_flags.{coin}"
    words = _words(text, path)
    override: Config = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        match flag:
            case "-lm" | "-sm":
                mode = expand_forced_mode(value, f"{path} {flag}")
                override.setdefault("live", {})[f"forced_mode_{_PSIDE_OF_LETTER[flag[1]]}"] = mode
            case "-lw" | "-sw":
                side = override.setdefault("bot", {}).setdefault(_PSIDE_OF_LETTER[flag[1]], {})
                side["wallet_exposure_limit"] = _flag_number(path, flag, value)
            case "-lev":
                override.setdefault("live", {})["leverage"] = _flag_number(path, flag, value)
            case "-lc":
                override["override_config_path"] = value
            case _:
                raise ConfigError(f"{path} holds the unknown flag {flag!r}: known are -lm -sm -lw -sw -lev -lc")
    return override


def _words(text: Any, path: str) -> list[str]:
    try:
        words = shlex.split(text) if isinstance(text, str) else [""]
    except ValueError as exc:
        raise ConfigError(f"{path} is {text!r}: {exc}") from exc
    if len(words) % 2:
        raise ConfigError(f"{path} is {text!r}: it must be a text of flags, each with a value")
    return words


_PSIDE_OF_LETTER = {"l": "long", "s": "short"}


def _flag_number(path: str, flag: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as exc:
        raise ConfigError(f"{path} has {flag} {value!r}: it must be a number") from exc
