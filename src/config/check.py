"""Are the values of a config of the right kind? Errors name the dotted path, the value and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from config.changes import Config
from config.key import Key, Kind
from config.modes import expand_forced_mode
from config.schema import known_tree
from config.schema_bot import OVERRIDABLE_BOT_KEYS
from core.errors import ConfigError
from core.terms import PSIDES

LIVE_SECTIONS = ("bot", "live", "logging", "paper")


def is_number(value: Any) -> bool:
    """A finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def to_number(value: Any, path: str) -> float:
    """A number, or a text of one, as a float. Raises ConfigError naming `path`."""
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{path} is {value!r}: it must be a finite number")
    return number


def check_types(config: Config, *, live_only: bool) -> None:
    """Raise ConfigError at the first value of a wrong kind. `live_only` skips `backtest` and `optimize`."""
    sections = [name for name in known_tree() if not live_only or name in LIVE_SECTIONS]
    for section in sections:
        for key, value in _leaves(known_tree()[section], config.get(section, {}), section):
            check_value(key, value)
    check_overrides(config["coin_overrides"])


def _leaves(known: Any, node: Any, path: str) -> Iterator[tuple[Key, Any]]:
    """`(key, value)` of every known key that is present."""
    if isinstance(known, Key):
        yield known, node
        return
    if not isinstance(node, dict):
        raise ConfigError(f"{path} is {node!r}: it must be a mapping")
    for name, below in known.items():
        if name in node:
            yield from _leaves(below, node[name], f"{path}.{name}")


def check_value(key: Key, value: Any) -> None:
    """Raise ConfigError when `value` is not what `key` takes."""
    if key.lenient or (value is None and key.nullable):
        return
    if not _CHECKS[key.kind](value, key):
        expected = f"one of {', '.join(key.choices)}" if key.choices else _article(key)
        null = " or null" if key.nullable else ""
        raise ConfigError(f"{key.path} is {value!r}: it must be {expected}{null}")
    if key.strict and is_number(value) and not key.low <= value <= key.high:
        raise ConfigError(f"{key.path} is {value!r}: it must be {_domain(key)}")


def _article(key: Key) -> str:
    text = str(key.kind) + (f" ({key.unit})" if key.unit else "")
    return text if key.kind is Kind.BOOL else ("an " if text[0] in "aeiou" else "a ") + text


def _domain(key: Key) -> str:
    low = "above 0" if key.low == math.ulp(0.0) else f"at least {key.low:g}" if key.low > -math.inf else ""
    high = f"at most {key.high:g}" if key.high < math.inf else ""
    return " and ".join(part for part in (low, high) if part)


def _is_texts(value: Any, key: Key) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, str) for item in value)
        and (not key.choices or set(value) <= set(key.choices))
    )


def _is_mode(value: Any, key: Key) -> bool:
    expand_forced_mode(value, key.path)
    return True


def _is_bound(value: Any, key: Key) -> bool:
    if is_number(value):
        return True
    # the step of [low, high, step] may be anything: what is no step means continuous
    if isinstance(value, list) and value and all(is_number(item) for item in value[:2]):
        return True
    raise ConfigError(f"malformed bound {key.path}: {value!r}; write a number, [v], [low, high] or [low, high, step]")


def _is_numeric(value: Any, key: Key) -> bool:
    return value == "" or bool(to_number(value, key.path)) or True


_CHECKS: Mapping[Kind, Callable[[Any, Key], bool]] = {
    Kind.NUMBER: lambda value, key: is_number(value),
    Kind.NUMERIC: _is_numeric,
    Kind.INT: lambda value, key: is_number(value) and float(value).is_integer(),
    Kind.BOOL: lambda value, key: isinstance(value, bool),
    Kind.TEXT: lambda value, key: isinstance(value, str) and (not key.choices or value in key.choices),
    Kind.DATE: lambda value, key: isinstance(value, str) or is_number(value),
    Kind.STRINGS: _is_texts,
    Kind.COINS: lambda value, key: True,  # `config.coins` has its own errors
    Kind.MODE: _is_mode,
    Kind.BOUND: _is_bound,
    Kind.LIMITS: lambda value, key: True,  # `config.objectives` has its own errors
    Kind.LIST: lambda value, key: isinstance(value, list),
    Kind.DICT: lambda value, key: isinstance(value, dict),
    Kind.ANY: lambda value, key: True,
}


def check_overrides(overrides: Any) -> None:
    """Raise ConfigError when an entry of `coin_overrides` has a wrong shape, or a value of a wrong kind."""
    for coin, override in _mapping(overrides, "coin_overrides").items():
        check_override(override, f"coin_overrides.{coin}")


def check_override(override: Any, path: str) -> None:
    """Raise ConfigError when one coin's override has a wrong shape, or an overridable key of a wrong kind."""
    bot = _mapping_in(_mapping(override, path), "bot", path)
    live = _mapping_in(override, "live", path)
    for pside in PSIDES:
        side = _mapping_in(bot, pside, f"{path}.bot")
        for name in OVERRIDABLE_BOT_KEYS & side.keys():
            to_number(side[name] if not isinstance(side[name], str) else None, f"{path}.bot.{pside}.{name}")
        expand_forced_mode(live.get(f"forced_mode_{pside}"), f"{path}.live.forced_mode_{pside}")
    if live.get("leverage") is not None:
        to_number(live["leverage"], f"{path}.live.leverage")


def _mapping_in(node: Config, name: str, path: str) -> Config:
    return _mapping(node.get(name, {}), f"{path}.{name}")


def _mapping(value: Any, path: str) -> Config:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is {value!r}: it must be a mapping")
    return value


def odd_values(config: Config) -> list[str]:
    """One line for every value outside the domain where it makes sense; such values are used as they are."""
    return [
        f"{key.path} is {value}: sensible values are {_domain(key)}; it is used as it is"
        for section, known in known_tree().items()
        for key, value in _leaves(known, config.get(section, {}), section)
        if is_number(value) and not key.low <= value <= key.high
    ]
