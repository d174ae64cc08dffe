"""The pipeline every config goes through: upgrade, complete, prune, normalise (`config_cli_suite.md` 2).

Applied to its own output it changes nothing but the transform log.
"""

from __future__ import annotations

import copy
import logging
import math
from typing import Any

from config import migrate
from config.changes import SOURCES_KEY, Changes, Config, record
from config.check import check_types, is_number
from config.coins import remove_ignored, sides_of
from config.key import Key, Kind
from config.objectives import canonical_limits, canonical_scoring
from config.schema import BY_PATH, SECTIONS, defaults, known_tree
from core.clock import Clock, SystemClock
from core.dates import date_to_ts, format_end_date
from core.errors import ConfigError
from core.terms import PSIDES
from markets.symbols import short_exchange, symbol_to_coin

logger = logging.getLogger(__name__)

# What programs add to results; result files load as configs (2.10).
RESULT_SECTIONS = (
    "analysis", "metrics", "suite_metrics", "results_dir", "results_filename", "disable_plotting", "holdout",
)  # fmt: skip
RESULT_KEYS = ("backtest.coins", "backtest.cache_dir")

_COIN_LISTS = ("approved_coins", "ignored_coins")


def format_config(
    config: Config, *, live_only: bool = False, base_config_path: str = "", clock: Clock | None = None
) -> Config:
    """The upgraded, completed and normalised copy of `config`. Raises ConfigError naming key, value and remedy."""
    clock = clock or SystemClock()
    changes = Changes()
    flavor, result = migrate.base_of(config, base_config_path or "the config")
    _upgrade(result, changes)
    _complete(result, changes)
    if base_config_path or "base_config_path" not in result["live"]:
        if "base_config_path" not in result["live"]:
            changes.add("live.base_config_path", base_config_path)
        result["live"]["base_config_path"] = base_config_path
    _drop_foreign_suite(result)
    _prune(result, changes)
    _round_n_positions(result, changes)
    check_types(result, live_only=live_only)
    _remember_sources(result)
    if not live_only:
        _normalize_for_backtests(result, clock)
    details = {
        "live_only": live_only,
        "base_config_path": base_config_path,
        "flavor": flavor,
        "changes": changes.entries,
    }
    record(result, "format_config", clock, details)
    return result


def _upgrade(config: Config, changes: Changes) -> None:
    migrate.rename_bot_keys(config["bot"], "bot", changes)
    migrate.rename_bounds(config["optimize"]["bounds"], changes)
    migrate.convert_collateral(config["backtest"], changes)
    migrate.derive_bot_keys(config, changes)
    migrate.rename_live_keys(config, changes)


def _complete(config: Config, changes: Changes) -> None:
    """Add every key of the built-in defaults that is missing; `bot` and the sections come out in a fixed order."""
    _add_missing(config, defaults(), "", changes)
    for path in ("coin_overrides", "backtest.coin_sources"):
        *parents, leaf = path.split(".")
        node = config[parents[0]] if parents else config
        if node[leaf] is None:
            node[leaf] = {}
            changes.update(path, None, {})
    config["bot"] = _sorted(config["bot"])


def _add_missing(node: Config, default: Config, prefix: str, changes: Changes) -> None:
    for name, value in default.items():
        path = f"{prefix}{name}"
        if name not in node:
            node[name] = value
            changes.add(path, value)
        elif isinstance(value, dict) and isinstance(node[name], dict):
            _add_missing(node[name], value, f"{path}.", changes)


def _sorted(node: Any) -> Any:
    return {key: _sorted(node[key]) for key in sorted(node, key=str)} if isinstance(node, dict) else node


def _drop_foreign_suite(config: Config) -> None:
    if config["optimize"].pop("suite", None) is not None:
        logger.warning("optimize.suite is ignored: only backtest.suite counts")


def _prune(config: Config, changes: Changes) -> None:
    for section in RESULT_SECTIONS:
        if section in config:
            changes.remove(section, config.pop(section))
    for name in [name for name in config if not isinstance(name, str)]:
        changes.remove(str(name), config.pop(name))
    for section in (*SECTIONS, "paper"):
        if section in config:
            _prune_node(config[section], known_tree()[section], section, changes)


def _prune_node(node: Any, known: Any, path: str, changes: Changes) -> None:
    if isinstance(known, Key) or not isinstance(node, dict):
        return
    for name in list(node):
        below = f"{path}.{name}"
        if name in known:
            _prune_node(node[name], known[name], below, changes)
        elif not (isinstance(name, str) and name.startswith("_")):
            changes.remove(below, node.pop(name))
            if below not in RESULT_KEYS and not below.startswith("backtest.cm_"):
                logger.warning("unknown key %s is removed%s", below, nearest_hint(below))


def nearest_hint(path: str) -> str:
    """`; the nearest known name is ...`, or an empty text when nothing is near."""
    import difflib  # only needed for a hint

    section, _, rest = path.partition(".")
    candidates = {key.path.partition(".")[2]: key.path for key in BY_PATH.values() if key.section == section}
    close = difflib.get_close_matches(rest, candidates, n=1, cutoff=0.6)
    if not close:
        leaf = rest.rpartition(".")[2]
        close = [key.path for key in BY_PATH.values() if key.name == leaf and key.kind is not Kind.BOUND][:1]
        return f"; a key of that name is {close[0]}" if close else ""
    return f"; the nearest known name is {candidates[close[0]]}"


def round_half_away(value: float) -> int:
    """2.5 -> 3, 3.5 -> 4, -2.5 -> -3 (decision E12)."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _round_n_positions(config: Config, changes: Changes) -> None:
    for pside in PSIDES:
        side = config["bot"][pside]
        value = side["n_positions"]
        if not is_number(value):
            raise ConfigError(f"bot.{pside}.n_positions is {value!r}: it must be a number")
        side["n_positions"] = round_half_away(value)
        if side["n_positions"] != value:
            changes.update(f"bot.{pside}.n_positions", value, side["n_positions"])


def _remember_sources(config: Config) -> None:
    """Keep what the user gave as coin lists, before anything normalises it."""
    sources = config.setdefault(SOURCES_KEY, {})
    for name in _COIN_LISTS:
        if name not in sources:
            sources[name] = copy.deepcopy(config["live"][name])


def _normalize_for_backtests(config: Config, clock: Clock) -> None:
    live, backtest, optimize = config["live"], config["backtest"], config["optimize"]
    for name in _COIN_LISTS:
        live[name] = sides_of(live[name], f"live.{name}")
    live["approved_coins"] = remove_ignored(live["approved_coins"], live["ignored_coins"])
    _check_dates(backtest, clock)
    backtest["coin_sources"] = normalize_coin_sources(backtest["coin_sources"])
    if backtest["filter_by_min_effective_cost"] is None:
        backtest["filter_by_min_effective_cost"] = bool(live["filter_by_min_effective_cost"])
    optimize["scoring"] = canonical_scoring(optimize["scoring"])
    optimize["limits"] = canonical_limits(optimize["limits"])
    optimize["bounds"] = {name: normalize_bound(bound) for name, bound in optimize["bounds"].items()}
    _check_suite(backtest["suite"])


def _check_dates(backtest: Config, clock: Clock) -> None:
    try:
        start = date_to_ts(backtest["start_date"])
    except ValueError as exc:
        raise ConfigError(f"backtest.start_date: {exc}") from exc
    try:
        backtest["end_date"] = format_end_date(backtest["end_date"], clock)
    except ValueError as exc:
        raise ConfigError(f"backtest.end_date: {exc}") from exc
    if date_to_ts(backtest["end_date"]) <= start:
        raise ConfigError(
            f"backtest.end_date {backtest['end_date']} is not after backtest.start_date {backtest['start_date']}"
        )


def normalize_coin_sources(sources: Any, path: str = "backtest.coin_sources") -> dict[str, str]:
    """Coin -> exchange, both by their usual names. Raises ConfigError on other types and on conflicts (4.1)."""
    if sources is None:
        return {}
    if not isinstance(sources, dict):
        raise ConfigError(f"{path} is {sources!r}: it must map coins to exchanges")
    result: dict[str, str] = {}
    for name, exchange in sources.items():
        if exchange is None or not (coin := symbol_to_coin(str(name))):
            continue
        if not isinstance(exchange, str):
            raise ConfigError(f"{path}.{name} is {exchange!r}: it must be the name of an exchange")
        short = short_exchange(exchange.strip())
        if result.setdefault(coin, short) != short:
            raise ConfigError(f"{path} sends {coin} to both {result[coin]} and {short}: keep one")
    return result


def normalize_bound(bound: Any) -> Any:
    """`[v]` -> `[v, v]`, `[b, a]` -> `[a, b]`; three elements and numbers stay as they are (2.14e)."""
    if isinstance(bound, list) and len(bound) <= 2:
        return sorted(bound * 2 if len(bound) == 1 else bound)
    return bound


def _check_suite(suite: Config) -> None:
    for number, scenario in enumerate(suite["scenarios"], start=1):
        if not isinstance(scenario, dict):
            raise ConfigError(f"backtest.suite.scenarios entry {number} is {scenario!r}: it must be a mapping")
