"""Search bounds as numbers, and which stay open (`config_cli_suite.md` 7.1, 8.5; `optimizer_pareto_tools.md` 2)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from config.changes import Config
from config.check import is_number
from config.schema_bot import BOT_KEYS
from core.errors import ConfigError
from core.terms import PSIDES

logger = logging.getLogger(__name__)

_SWITCHES = ("n_positions", "total_wallet_exposure_limit")  # a side with one of them at 0 is off


@dataclass(frozen=True, slots=True)
class Bound:
    """The range of one parameter; with `step` only low, low + step, ... up to high."""

    low: float
    high: float
    step: float | None = None


def parse_bound(path: str, value: Any) -> Bound:
    """A bound from its config value: a number, `[v]`, `[low, high]` or `[low, high, step]`, ends in any order.

    A step that is none, or wider than the range, is left out with a warning. Raises ConfigError naming `path`.
    """
    items = value if isinstance(value, list) else [value]
    ends = items[:2]
    if not ends or not all(is_number(end) for end in ends):
        raise ConfigError(f"malformed bound {path}: {value!r}; write a number, [v], [low, high] or [low, high, step]")
    low, high = float(min(ends)), float(max(ends))
    if len(items) > 3:
        logger.warning("%s is %s: more than three elements; searched continuously", path, value)
        return Bound(low, high)
    return Bound(low, high, _step(path, value, high - low) if len(items) == 3 else None)


def _step(path: str, value: list[Any], width: float) -> float | None:
    step = value[2]
    if is_number(step) and step > 0 and (width == 0 or step <= width):
        return float(step)
    logger.warning("%s is %s: %r is no step within the range; searched continuously", path, value, step)
    return None


def search_bounds(config: Config) -> dict[str, Bound]:
    """The bounds of all parameters, long side first, names ascending; those of a disabled side are fixed at their low.

    Raises ConfigError for a bound that is missing or malformed.
    """
    given = config["optimize"]["bounds"]
    bounds: dict[str, Bound] = {}
    for pside in PSIDES:
        names = {key.name: f"{pside}_{key.name}" for key in BOT_KEYS}
        if missing := [name for name in names.values() if name not in given]:
            raise ConfigError(f"optimize.bounds has no {missing[0]!r}: every parameter needs a bound")
        side = {name: parse_bound(f"optimize.bounds.{name}", given[name]) for name in names.values()}
        if any(side[names[switch]].high <= 0 for switch in _SWITCHES):
            side = {name: Bound(bound.low, bound.low, bound.step) for name, bound in side.items()}
        bounds |= side
    return bounds


def fine_tune(config: Config, tunable: Iterable[str]) -> Config:
    """A copy of `config` in which every bound that is not named is fixed at the value in `bot`.

    Without names nothing changes; names of no bound are told in one warning.
    """
    wanted = list(tunable)
    result = copy.deepcopy(config)
    if not wanted:
        return result
    bounds = result["optimize"]["bounds"]
    if unknown := [name for name in wanted if name not in bounds]:
        logger.warning("no parameters to tune: %s%s", ", ".join(unknown), _hint(unknown[0], bounds))
    for name in bounds:
        if name in wanted:
            continue
        pside, _, key = name.partition("_")
        value = result["bot"].get(pside, {}).get(key)
        if value is None:
            logger.warning("optimize.bounds.%s stays as it is: bot has no such parameter", name)
        else:
            bounds[name] = [float(value), float(value)]
    return result


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib  # only needed for a hint

    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
