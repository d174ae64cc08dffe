"""Coin lists: every form a user may write them in, as `{"long": [...], "short": [...]}` (`config_cli_suite.md` 9)."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from config.changes import SOURCES_KEY, Config, abbreviate, record
from config.text import UTF_8, parse_hjson
from core.clock import Clock
from core.errors import ConfigError
from core.paths import SOURCE_ROOT
from core.terms import PSIDES, Pside
from markets.symbols import symbol_to_coin

logger = logging.getLogger(__name__)

Sides: TypeAlias = dict[Pside, list[str]]

_PATH_LIKE = re.compile(r"\.(json|hjson|txt)$", re.IGNORECASE)
_LEGACY_NAMES = ("approved_coins_topmcap.json", "approved_coins_topmcap.txt")
_EMPTY_SOURCES: tuple[Any, ...] = (
    [""], [], None, "", 0, {"long": [], "short": []}, {"long": "", "short": ""}, {"long": [""], "short": [""]},
)  # fmt: skip


def sides_of(source: Any, path: str) -> Sides:
    """Both sides of a source: a list, a text, a mapping by side, or a file. `path` names the key in errors.

    Order and duplicates are kept, names are not yet mapped to coins. Raises ConfigError for a file that does not exist
    or is malformed, and for mappings with other keys than the sides.
    """
    source = _file_content(source, path)
    if isinstance(source, dict):
        if unknown := [key for key in source if key not in PSIDES]:
            raise ConfigError(f"{path} has the key {unknown[0]!r}: a coin list by side has only long and short")
        return {pside: _side_list(source.get(pside), pside, f"{path}.{pside}") for pside in PSIDES}
    both = _flat(source, path)
    return {pside: list(both) for pside in PSIDES}


def _side_list(source: Any, pside: Pside, path: str) -> list[str]:
    content = _file_content(source, path)
    if isinstance(content, dict):
        if content is source:
            raise ConfigError(f"{path} is {source!r}: it must be a list of coins, a text or a file")
        content = content.get(pside, [])
    return _flat(content, path)


def _flat(source: Any, path: str) -> list[str]:
    coins = list(_items(source))
    for coin in coins:
        if _PATH_LIKE.search(coin):
            raise ConfigError(f"{path} names the file {coin!r}, which does not exist; check the path")
        if coin.startswith("{"):
            raise ConfigError(f"{path} holds {coin!r}: a coin list cannot hold mappings")
    return coins


def _items(source: Any) -> Iterator[str]:
    if source is None:
        return
    if isinstance(source, list | tuple | set):
        for item in source:
            yield from _items(item)
    else:
        yield from (name for part in str(source).split(",") if (name := part.strip()))


# --- files ---


def _file_content(source: Any, path: str) -> Any:
    """What the file holds that `source` names; `source` itself when it names none."""
    name = source[0] if isinstance(source, list | tuple) and len(source) == 1 else source
    if isinstance(name, str) and (file := find_coin_file(name.strip())) is not None:
        return read_coin_file(file, path)
    return source


def find_coin_file(name: str) -> Path | None:
    """An existing file: absolute, else from the project's root, else from the working directory, else an older name."""
    if not name or len(name) > 1000:
        return None
    given = Path(name).expanduser()
    for candidate in (given,) if given.is_absolute() else (SOURCE_ROOT / given, given):
        try:
            if candidate.is_file():
                return candidate
        except OSError:  # a long coin list is no file name
            return None
    if given.name in _LEGACY_NAMES:
        logger.warning("%s does not exist: configs/approved_coins.json is used", name)
        return SOURCE_ROOT / "configs" / "approved_coins.json"
    return None


def read_coin_file(file: Path, path: str) -> list[str] | dict[str, list[str]]:
    """A list, or lists by side, from HJSON or plain text (9.2)."""
    try:
        text = file.read_text(encoding=UTF_8)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot read the coin file {file}: {exc}") from exc
    try:
        content = parse_hjson(text, str(file))
    except ConfigError as exc:
        if text.lstrip().startswith("{"):
            raise ConfigError(f"{path}: the coin file {exc}") from exc
        return _plain_text(text)
    if isinstance(content, list) and _are_names(content):
        return content
    if isinstance(content, dict) and content and text.lstrip().startswith("{"):
        if set(content) == set(PSIDES) and all(isinstance(c, list) and _are_names(c) for c in content.values()):
            return content
        raise ConfigError(f"{path}: the coin file {file} must hold a list, or lists under `long` and `short` alone")
    return _plain_text(text)


def _are_names(items: Iterable[Any]) -> bool:
    return all(isinstance(item, str) for item in items)


def _plain_text(text: str) -> list[str]:
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        return [name for part in stripped[1:-1].split(",") if (name := part.strip().strip("\"'"))]
    lines = [line.strip().rstrip(",") for line in stripped.splitlines() if line.strip()]
    if lines and all(len(line) > 1 and line[0] == line[-1] and line[0] in "\"'" for line in lines):
        return [line[1:-1] for line in lines]
    return [name for name in re.split(r"[,\s]+", stripped) if name]


# --- final lists ---


def remove_ignored(approved: Sides, ignored: Sides) -> Sides:
    """Approved minus ignored, per side (decision E1)."""
    return {pside: [coin for coin in approved[pside] if coin not in set(ignored[pside])] for pside in PSIDES}


def coins_of(sides: Sides, to_coin: Callable[[str], str] = symbol_to_coin) -> Sides:
    """Every entry as a coin name; what maps to nothing, and repetitions, are dropped."""
    return {pside: list(dict.fromkeys(coin for name in sides[pside] if (coin := to_coin(name)))) for pside in PSIDES}


def is_empty_source(source: Any) -> bool:
    """Does a source of coins say nothing at all (9.3)?"""
    return any(type(source) is type(empty) and source == empty for empty in _EMPTY_SOURCES)


def finalize_coin_lists(
    config: Config,
    *,
    eligible: Callable[[], Iterable[str]],
    to_coin: Callable[[str], str] = symbol_to_coin,
    clock: Clock,
) -> Config:
    """A copy of `config` whose `live.approved_coins` (minus ignored) and `ignored_coins` are final coin names (9.3).

    `eligible` gives the coins of all eligible markets; it is asked only when an empty list means all of them.
    """
    result = copy.deepcopy(config)
    live, sources = result["live"], result.get(SOURCES_KEY, {})
    approved_source = sources.get("approved_coins", live["approved_coins"])
    ignored = coins_of(sides_of(sources.get("ignored_coins", live["ignored_coins"]), "live.ignored_coins"), to_coin)
    if is_empty_source(approved_source) and live["empty_means_all_approved"]:
        everything = sorted(set(eligible()))
        approved: Sides = {pside: list(everything) for pside in PSIDES}
    else:
        approved = coins_of(sides_of(approved_source, "live.approved_coins"), to_coin)
    new = {"approved_coins": remove_ignored(approved, ignored), "ignored_coins": ignored}
    details = _differences(live, new)
    live.update(new)
    record(result, "format_approved_ignored_coins", clock, {"exchanges": result["backtest"]["exchanges"]} | details)
    return result


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Config:
    return {key: {"old": abbreviate(old[key]), "new": abbreviate(new[key])} for key in new if new[key] != old[key]}
