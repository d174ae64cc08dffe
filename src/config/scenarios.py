"""The scenarios of a suite and the data they need together (`config_cli_suite.md` 15.1-15.3).

Everything here works on a formatted config whose coin lists are final and whose coin overrides are resolved.
The config that a scenario runs with is made in `config.scenario_config`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from config.aggregate import check_aggregate
from config.changes import SOURCES_KEY, Config
from config.coins import coins_of, remove_ignored, sides_of
from config.normalize import normalize_coin_sources
from core.clock import MINUTE_MS, Clock
from core.dates import date_to_ts, format_end_date
from core.errors import ConfigError
from core.terms import PSIDES, Pside
from markets.symbols import short_exchange, symbol_to_coin

logger = logging.getLogger(__name__)

SideCoins: TypeAlias = Mapping[Pside, tuple[str, ...]]

_KEYS = ("label", "start_date", "end_date", "coins", "ignored_coins", "exchanges", "coin_sources", "overrides")
_NOW = ("now", "today")


@dataclass(frozen=True, slots=True)
class Window:
    """The first minute that may trade and the last candle's minute, as dates; a time of day is respected."""

    start_date: str
    end_date: str

    @property
    def start_ms(self) -> int:
        return date_to_ts(self.start_date)

    @property
    def end_ms(self) -> int:
        return date_to_ts(self.end_date)

    def rows(self, warmup_minutes: int) -> int:
        """One-minute candles from the warm-up's first to the last one."""
        first = -(-(self.start_ms - warmup_minutes * MINUTE_MS) // MINUTE_MS)
        return self.end_ms // MINUTE_MS - first + 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario with everything it leaves open filled in from the base config.

    `coins` and `ignored` are by side, ignored coins taken away already; `exchanges` None means all of the data.
    """

    label: str
    window: Window
    coins: SideCoins
    ignored: SideCoins
    exchanges: tuple[str, ...] | None
    coin_sources: Mapping[str, str]
    overrides: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """The scenarios in order, and what the data of all of them must cover."""

    scenarios: tuple[Scenario, ...]
    window: Window
    coins: SideCoins
    coin_sources: Mapping[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(scenario.label for scenario in self.scenarios)


def plan_suite(config: Config, *, clock: Clock, to_coin: Callable[[str], str] = symbol_to_coin) -> SuitePlan:
    """The suite of a config. Raises ConfigError naming scenario, key and value.

    The window is the union of all windows, compared as instants (decision E3); the coins are those that any scenario
    trades (E4); coin sources add none (E5).
    """
    check_aggregate(config["backtest"]["suite"]["aggregate"])
    scenarios = suite_scenarios(config, clock=clock, to_coin=to_coin)
    windows = [_base_window(config), *(scenario.window for scenario in scenarios)]
    return SuitePlan(
        scenarios=scenarios,
        window=Window(
            min(windows, key=lambda window: window.start_ms).start_date,
            max(windows, key=lambda window: window.end_ms).end_date,
        ),
        coins={p: tuple(sorted({coin for scenario in scenarios for coin in scenario.coins[p]})) for p in PSIDES},
        coin_sources=_merged_sources(config["backtest"]["coin_sources"], scenarios),
    )


def suite_scenarios(
    config: Config, *, clock: Clock, to_coin: Callable[[str], str] = symbol_to_coin
) -> tuple[Scenario, ...]:
    """The scenarios in order, the base scenario first if it is wanted. Raises ConfigError, also when there is none."""
    suite = config["backtest"]["suite"]
    if not suite["scenarios"]:
        raise ConfigError("config.backtest.suite.scenarios must contain at least one scenario.")
    reader = _Reader(_base_scenario(config), clock, to_coin)
    scenarios = [reader.scenario(number, raw) for number, raw in enumerate(suite["scenarios"], start=1)]
    if suite["include_base_scenario"]:
        scenarios.insert(0, reader.base)
    _check_labels([scenario.label for scenario in scenarios])
    return tuple(scenarios)


def _base_window(config: Config) -> Window:
    return Window(str(config["backtest"]["start_date"]), str(config["backtest"]["end_date"]))


def _base_scenario(config: Config) -> Scenario:
    live = config["live"]
    coins, ignored = ({p: tuple(live[name][p]) for p in PSIDES} for name in ("approved_coins", "ignored_coins"))
    label = config["backtest"]["suite"]["base_label"]
    return Scenario(label, _base_window(config), coins, ignored, None, {}, {})


def _check_labels(labels: Sequence[str]) -> None:
    for number, label in enumerate(labels):
        if label.strip() in ("", ".", "..") or set(label) & set("/\\\0"):
            raise ConfigError(f"suite scenario label {label!r} cannot name a directory: use letters, digits, - and _")
        if label in labels[:number]:
            raise ConfigError(f"two suite scenarios have the label {label!r}: labels must be unique")


def _merged_sources(base: Mapping[str, str], scenarios: Iterable[Scenario]) -> dict[str, str]:
    merged = dict(base)
    for scenario in scenarios:
        for coin, exchange in scenario.coin_sources.items():
            if merged.setdefault(coin, exchange) != exchange:
                raise ConfigError(
                    f"coin_sources of scenario {scenario.label!r} send {coin} to {exchange}, but it is sent to "
                    f"{merged[coin]} elsewhere in the suite: keep one"
                )
    return merged


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads scenarios as users write them; `base` fills in what they leave open."""

    base: Scenario
    clock: Clock
    to_coin: Callable[[str], str]

    def scenario(self, number: int, raw: Any) -> Scenario:
        path = f"backtest.suite.scenarios entry {number}"
        if not isinstance(raw, dict):
            raise ConfigError(f"{path} is {raw!r}: it must be a mapping")
        _warn_unknown_keys(raw, path)
        label = _label(raw.get("label"), number, path)
        path = f"{path} ({label})"
        own = self._coins(raw.get("ignored_coins"), f"{path} ignored_coins")
        ignored = {pside: list(dict.fromkeys([*self.base.ignored[pside], *own[pside]])) for pside in PSIDES}
        given = {pside: list(self.base.coins[pside]) for pside in PSIDES}
        if raw.get("coins") is not None:
            given = self._coins(raw["coins"], f"{path} coins")
        return Scenario(
            label=label,
            window=self._window(raw, path),
            coins=_frozen(remove_ignored(given, ignored)),
            ignored=_frozen(ignored),
            exchanges=_exchanges(raw.get("exchanges"), path),
            coin_sources=_coin_sources(raw.get("coin_sources"), path),
            overrides=_overrides(raw.get("overrides"), label, path),
        )

    def _coins(self, source: Any, path: str) -> dict[Pside, list[str]]:
        return coins_of(sides_of(source, path), self.to_coin)

    def _window(self, raw: Config, path: str) -> Window:
        start = self._date(raw.get("start_date"), self.base.window.start_date, f"{path} start_date")
        end = self._date(raw.get("end_date"), self.base.window.end_date, f"{path} end_date")
        window = Window(start, end)
        if window.end_ms <= window.start_ms:
            raise ConfigError(f"{path} end_date {end} is not after its start_date {start}")
        return window

    def _date(self, value: Any, default: str, path: str) -> str:
        text = "" if value is None else str(value).strip()
        if not text:
            return default
        if text.lower() in _NOW:
            return format_end_date(text, self.clock)
        try:
            date_to_ts(text)
        except ConfigError as exc:
            raise ConfigError(f"{path}: {exc}") from exc
        return text


def _frozen(sides: Mapping[Pside, list[str]]) -> dict[Pside, tuple[str, ...]]:
    return {pside: tuple(sides[pside]) for pside in PSIDES}


def _warn_unknown_keys(raw: Config, path: str) -> None:
    import difflib  # only needed for a hint

    for name in raw:
        if name not in _KEYS and not name.startswith("_"):
            close = difflib.get_close_matches(name, _KEYS, n=1)
            hint = f"; the nearest known name is {close[0]}" if close else f"; known are {', '.join(_KEYS)}"
            logger.warning("unknown key %s of %s is ignored%s", name, path, hint)


def _label(label: Any, number: int, path: str) -> str:
    if label is None or label == "":
        return f"scenario_{number:02d}"
    if not isinstance(label, str):
        raise ConfigError(f"{path} label is {label!r}: it must be a text")
    return label


def _exchanges(value: Any, path: str) -> tuple[str, ...] | None:
    names = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"scenario exchanges must be a string or list of strings ({path} has {value!r})")
    return tuple(dict.fromkeys(short_exchange(name.strip()) for name in names if name.strip())) or None


def _coin_sources(value: Any, path: str) -> dict[str, str]:
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"scenario coin_sources must be a mapping of coin -> exchange ({path} has {value!r})")
    return normalize_coin_sources(value, f"{path} coin_sources")


def _overrides(value: Any, label: str, path: str) -> Config:
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"Scenario overrides for '{label}' must be a mapping ({path} has {value!r})")
    return copy.deepcopy(value or {})


def master_config(config: Config, plan: SuitePlan) -> Config:
    """A copy of the base config with the window, coins and coin sources of the data that all scenarios share."""
    result = copy.deepcopy(config)
    coins = {pside: list(plan.coins[pside]) for pside in PSIDES}
    result["backtest"] |= {
        "start_date": plan.window.start_date,
        "end_date": plan.window.end_date,
        "coin_sources": dict(plan.coin_sources),
    }
    result["live"]["approved_coins"] = coins
    result.setdefault(SOURCES_KEY, {})["approved_coins"] = copy.deepcopy(coins)
    return result
