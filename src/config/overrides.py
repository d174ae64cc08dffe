"""Settings of single coins: inline, from a file, and what of them may be set per coin (`config_cli_suite.md` 11)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from config.changes import Changes, Config, record
from config.check import check_override
from config.migrate import rename_bot_keys
from config.schema_bot import OVERRIDABLE_BOT_KEYS
from config.text import read_hjson
from core.clock import Clock
from core.errors import ConfigError
from core.paths import resolve_input
from core.terms import PSIDES
from markets.symbols import symbol_to_coin

logger = logging.getLogger(__name__)

OVERRIDABLE_LIVE_KEYS = frozenset({"forced_mode_long", "forced_mode_short", "leverage"})


def resolve_coin_overrides(config: Config, *, clock: Clock, to_coin: Callable[[str], str] = symbol_to_coin) -> Config:
    """A copy of `config` whose `coin_overrides` hold, per coin name, the allowed keys of file and entry (11.2).

    The entry beats the file. Keys are kept even where they equal the base config. Resolving twice changes nothing.
    """
    result = copy.deepcopy(config)
    base_path = config["live"].get("base_config_path") or ""
    base_dir = (resolve_input(base_path) or Path(base_path)).parent
    resolved: dict[str, Config] = {}
    for coin, override in _by_coin(config["coin_overrides"], to_coin).items():
        check_override(override, f"coin_overrides.{coin}")
        from_file = _override_file(coin, override.get("override_config_path"), base_dir)
        resolved[coin] = _nested_update(allowed_keys(from_file), allowed_keys(override))
        logger.debug("coin override coin=%s values=%s", coin, resolved[coin])
    for coin, override in resolved.items():
        logger.info("coin override coin=%s keys=%d", coin, sum(len(part) for part in _leaves(override)))
    result["coin_overrides"] = resolved
    record(result, "parse_overrides", clock, {"coins": sorted(resolved)})
    return result


def _leaves(override: Config) -> list[Config]:
    return [*override.get("bot", {}).values(), override.get("live", {})]


def _by_coin(overrides: Mapping[str, Config], to_coin: Callable[[str], str]) -> dict[str, Config]:
    """Entries under coin names; a name that maps to the coin of a later key gives way to it."""
    result: dict[str, Config] = {}
    for name in sorted(overrides):
        coin = to_coin(name)
        if coin:
            result[coin] = overrides[name]
        else:
            logger.warning("coin_overrides.%s is dropped: it names no coin", name)
    return result


def _override_file(coin: str, name: Any, base_dir: Path) -> Config:
    """The patch in an override file; empty, with an error on the log, when it cannot be read."""
    if not name:
        return {}
    path = f"coin_overrides.{coin}.override_config_path"
    try:
        file = find_override_file(name, base_dir)
        if file is None:
            raise ConfigError(f"{name!r} exists neither as given nor in {base_dir}")
        patch = read_hjson(file)
        if isinstance(patch, dict) and isinstance(patch.get("config"), dict):
            patch = patch["config"]
        check_override(patch, str(file))
    except ConfigError as exc:
        logger.error("%s: %s; the file is left out", path, exc)
        return {}
    rename_bot_keys(patch.get("bot", {}), "bot", Changes())
    return patch  # type: ignore[no-any-return]


def find_override_file(name: Any, base_dir: Path) -> Path | None:
    """The file as given, else in the directory of the config."""
    candidates = (Path(str(name)).expanduser(), base_dir / str(name))
    return next((path for path in candidates if path.is_file()), None)


def allowed_keys(override: Config) -> Config:
    """What of an override may be set per coin; everything else is dropped."""
    bot = {
        pside: {key: side[key] for key in side if key in OVERRIDABLE_BOT_KEYS}
        for pside in PSIDES
        if (side := override.get("bot", {}).get(pside, {}))
    }
    live = {key: value for key, value in override.get("live", {}).items() if key in OVERRIDABLE_LIVE_KEYS}
    parts = {"bot": {pside: side for pside, side in bot.items() if side}, "live": live}
    return copy.deepcopy({name: part for name, part in parts.items() if part})


def _nested_update(base: Config, patch: Config) -> Config:
    for key, value in patch.items():
        base[key] = _nested_update(base.get(key, {}), value) if isinstance(value, dict) else value
    return base
