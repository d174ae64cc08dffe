"""From keys to command-line flags: spellings, and how a text becomes a value (`config_cli_suite.md` 8.1, 8.2)."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import Any

from config.key import Key, Kind

TRUE_WORDS = ("yes", "true", "t", "y", "1")
FALSE_WORDS = ("no", "false", "f", "n", "0")
NULL_WORDS = ("none", "null", "")

_PREFIXES = ("backtest.", "live.", "optimize.bounds.", "optimize.limits.", "optimize.", "bot.")
_FIXED_SHORTS = {
    "live.approved_coins": "s", "live.ignored_coins": "i",
    "optimize.scoring": "os", "optimize.n_cpus": "c", "optimize.iters": "i",
}  # fmt: skip
_ALIASES = {
    "optimize.limits": "--limits", "optimize.seed": "--seed", "optimize.executor": "--executor",
}  # fmt: skip
# Set by programs or free mappings: no flags.
_WITHOUT_FLAG = ("live.base_config_path", "backtest.coin_sources", "backtest.suite.aggregate", "coin_overrides")


def has_flag(key: Key) -> bool:
    return key.path not in _WITHOUT_FLAG


def short_form(path: str) -> str:
    """The first letters of a path: `backtest.start_date` -> `sd`, `bot.long.n_positions` -> `lnp`."""
    if path in _FIXED_SHORTS:
        return _FIXED_SHORTS[path]
    rest = next((path.removeprefix(prefix) for prefix in _PREFIXES if path.startswith(prefix)), path)
    return "".join(word[0] for word in rest.replace(".", "_").split("_") if word)


def spellings(keys: Sequence[Key]) -> dict[str, tuple[str, ...]]:
    """The flags of each path. A short form that is taken gets 2, 3, ...; optional keys have long spellings only."""
    taken: set[str] = set()
    flags: dict[str, tuple[str, ...]] = {}
    for key in keys:
        long = (f"--{key.path}", f"--{key.path.replace('.', '_')}")
        alias = (_ALIASES[key.path],) if key.path in _ALIASES else ()
        short = () if key.optional else (f"-{_free_short(short_form(key.path), taken)}",)
        flags[key.path] = (*short, *alias, *long)
    return flags


def _free_short(short: str, taken: set[str]) -> str:
    name, number = short, 1
    while name in taken:
        number += 1
        name = f"{short}{number}"
    taken.add(name)
    return name


def boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ArgumentTypeError(f"{text!r} is neither yes/true/t/y/1 nor no/false/f/n/0")
    return word in TRUE_WORDS


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not a number")
    return value


def integer(text: str) -> int:
    value = number(text)
    if not value.is_integer():
        raise ArgumentTypeError(f"{text!r} is not an integer")
    return int(value)


def texts(text: str) -> list[str]:
    """A comma list of texts."""
    return [item for part in text.split(",") if (item := part.strip())]


def numbers(text: str) -> list[float]:
    """A comma list of numbers."""
    return [number(item) for item in texts(text)]


def _json(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        from config.text import parse_json  # needs the HJSON library: only when a JSON value is given

        try:
            value = parse_json(text, repr(text))
        except ValueError as exc:
            raise ArgumentTypeError(str(exc)) from exc
        if not isinstance(value, kind):
            raise ArgumentTypeError(f"{text!r} must be a JSON {'list' if kind is list else 'object'}")
        return value

    return parse


def _or_null(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.strip().lower() in NULL_WORDS else parse(text)


_PARSERS: dict[Kind, Callable[[str], Any]] = {
    Kind.NUMBER: number,
    Kind.INT: integer,
    Kind.BOOL: boolean,
    Kind.STRINGS: texts,
    Kind.COINS: texts,
    Kind.BOUND: numbers,
    Kind.LIST: _json(list),
    Kind.DICT: _json(dict),
}


def parser_of(key: Key) -> Callable[[str], Any]:
    """What turns the text given for a key into its value; texts stay as they are for their reader."""
    parse = _PARSERS.get(key.kind, str)
    if key.nullable and key.kind in (Kind.NUMBER, Kind.INT):
        return _or_null(parse)
    return parse
