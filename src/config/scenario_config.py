"""The config that a scenario of a suite runs with (`config_cli_suite.md` 15.3, 15.4)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from config.access import set_config_value
from config.changes import SOURCES_KEY, Changes, Config, record
from config.check import check_value
from config.normalize import nearest_hint, round_half_away
from config.overrides import resolve_coin_overrides
from config.scenarios import Scenario, SuitePlan
from config.schema import BY_PATH, known_tree
from config.warmup import compute_backtest_warmup_minutes
from core.clock import Clock
from core.errors import ConfigError, DataError
from core.terms import PSIDES

logger = logging.getLogger(__name__)

# The data are made once for all scenarios: what would change them is said by the scenario's own keys.
_DATA_KEYS = {
    "backtest.start_date": "start_date", "backtest.end_date": "end_date", "backtest.exchanges": "exchanges",
    "backtest.coin_sources": "coin_sources", "backtest.combine_ohlcvs": "exchanges", "backtest.coins": "coins",
    "live.approved_coins": "coins", "live.ignored_coins": "ignored_coins",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SuiteData:
    """What the prepared data hold: of each dataset, its coins with the exchange their candles come from."""

    exchange_of: Mapping[str, Mapping[str, str]]

    def exchanges(self) -> list[str]:
        """The exchanges of all coins, sorted."""
        return sorted({name for coins in self.exchange_of.values() for name in coins.values()})


def scenario_datasets(scenario: Scenario, data: SuiteData) -> dict[str, list[str]]:
    """`{dataset: coins}` that the scenario runs on: its coins, sorted, where they come from an exchange it allows.

    Coins without data, or of other exchanges, are warned about. Raises DataError when nothing is left.
    """
    wanted = sorted({coin for pside in PSIDES for coin in scenario.coins[pside]})
    _warn_absent(scenario, wanted, data)
    allowed = set(scenario.exchanges or data.exchanges())
    runs = {
        dataset: [coin for coin in wanted if exchange_of.get(coin) in allowed]
        for dataset, exchange_of in data.exchange_of.items()
    }
    runs = {dataset: coins for dataset, coins in runs.items() if coins}
    if not runs:
        raise DataError(
            f"Scenario {scenario.label} has no usable coins. It wants {', '.join(wanted) or 'none'} of "
            f"{', '.join(sorted(allowed)) or 'no exchange'}; the data hold other ones"
        )
    return runs


def _warn_absent(scenario: Scenario, wanted: Iterable[str], data: SuiteData) -> None:
    for coin in wanted:
        sources = {coins[coin] for coins in data.exchange_of.values() if coin in coins}
        if not sources:
            logger.warning("scenario %s: no data of %s, the coin is left out", scenario.label, coin)
        elif scenario.exchanges is not None and not sources & set(scenario.exchanges):
            logger.warning(
                "scenario %s: %s comes from %s, the coin is left out", scenario.label, coin, ", ".join(sorted(sources))
            )


def usable_scenarios(scenarios: Iterable[Scenario], data: SuiteData) -> list[Scenario]:
    """The scenarios that have coins in the data; the others are skipped with a warning (15.3, the optimizer's way).

    Raises DataError when none is left.
    """
    usable = []
    for scenario in scenarios:
        try:
            scenario_datasets(scenario, data)
        except DataError as exc:
            logger.warning("scenario %s is skipped: %s", scenario.label, exc)
        else:
            usable.append(scenario)
    if not usable:
        raise DataError("no scenario of the suite has usable coins; check coins and exchanges of its scenarios")
    return usable


def apply_scenario(config: Config, scenario: Scenario, plan: SuitePlan, data: SuiteData, *, clock: Clock) -> Config:
    """The config of one scenario: its window, coins by side, exchanges and coin sources, then its overrides in order.

    `backtest.coins` holds the coins of each dataset. Raises DataError without usable coins, ConfigError for an
    override of a wrong kind.
    """
    runs = scenario_datasets(scenario, data)
    kept = {coin for coins in runs.values() for coin in coins}
    approved = {pside: sorted(kept & set(scenario.coins[pside])) for pside in PSIDES}
    changes = Changes()
    result = copy.deepcopy(config)
    for path, value in {
        "backtest.start_date": scenario.window.start_date,
        "backtest.end_date": scenario.window.end_date,
        "backtest.exchanges": list(scenario.exchanges or data.exchanges()),
        "backtest.coin_sources": {**plan.coin_sources, **scenario.coin_sources},
        "backtest.coins": runs,
        "live.approved_coins": approved,
        "live.ignored_coins": {pside: list(scenario.ignored[pside]) for pside in PSIDES},
    }.items():
        _set(result, path, value, changes)
    result[SOURCES_KEY] = {name: copy.deepcopy(result["live"][name]) for name in ("approved_coins", "ignored_coins")}
    result = _overridden(result, scenario, changes, clock)
    record(result, "apply_scenario", clock, {"scenario": scenario.label, "changes": changes.entries})
    return result


def with_overrides(config: Config, scenario: Scenario, *, clock: Clock) -> Config:
    """A copy of `config` with nothing but the scenario's overrides laid over it: they beat an optimizer's genes."""
    return _overridden(copy.deepcopy(config), scenario, Changes(), clock)


def suite_warmup_minutes(
    config: Config, scenarios: Iterable[Scenario], *, clock: Clock, with_bounds: bool = False
) -> int:
    """Minutes of data before the start: the most that the base config or any scenario needs (`additions.md` 2)."""
    configs = [config, *(with_overrides(config, scenario, clock=clock) for scenario in scenarios)]
    return max(compute_backtest_warmup_minutes(each, with_bounds=with_bounds) for each in configs)


def _overridden(config: Config, scenario: Scenario, changes: Changes, clock: Clock) -> Config:
    try:
        for path, value in _leaf_values(scenario.overrides):
            if _is_data(path):
                key = next(own for known, own in _DATA_KEYS.items() if f"{path}.".startswith(f"{known}."))
                logger.warning(
                    "scenario %s: the override %s would change the data and is left out; the scenario's key is %s",
                    scenario.label, path, key,
                )  # fmt: skip
            else:
                _set(config, path, _checked(path, value, scenario.label), changes)
        if any(path.partition(".")[0] == "coin_overrides" for path in scenario.overrides):
            config = resolve_coin_overrides(config, clock=clock)
    except ConfigError as exc:
        raise ConfigError(f"Scenario overrides for '{scenario.label}': {exc}") from exc
    return config


def _is_data(path: str) -> bool:
    return any(f"{path}.".startswith(f"{known}.") for known in _DATA_KEYS)


def _leaf_values(overrides: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`(path, value)` in order; a whole section, as in `"bot.long": {...}`, stands for the keys it holds."""
    for path, value in overrides.items():
        node: Any = known_tree()
        for name in path.split("."):
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            yield path, value
        elif isinstance(value, dict):
            yield from _leaf_values({f"{path}.{name}": item for name, item in value.items()})
        else:
            raise ConfigError(f"{path} is {value!r}: it must be a mapping")


def _checked(path: str, value: Any, label: str) -> Any:
    """The value as its key takes it."""
    key = BY_PATH.get(path)
    if key is None:
        if not _inside_free_mapping(path):
            logger.warning("scenario %s: the override %s is no known key%s", label, path, nearest_hint(path))
        return copy.deepcopy(value)
    check_value(replace(key, lenient=False), value)
    return round_half_away(value) if key.name == "n_positions" else copy.deepcopy(value)


def _inside_free_mapping(path: str) -> bool:
    names = path.split(".")
    parents = (".".join(names[:depth]) for depth in range(1, len(names)))
    return any(parent in BY_PATH and BY_PATH[parent].free for parent in parents)


def _set(config: Config, path: str, value: Any, changes: Changes) -> None:
    node: Any = config
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    if node is None:
        changes.add(path, value)
    elif node != value:
        changes.update(path, node, value)
    set_config_value(config, path, value)
