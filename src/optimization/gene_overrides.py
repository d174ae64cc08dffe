"""`optimize.enable_overrides`: rules that change the simulated parameters of a side, not the genome (2.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.errors import ConfigError
from optimization.space import SideParams

Rule = Callable[[SideParams], None]


def _lossless_close_trailing(side: SideParams) -> None:
    retracement = side["close_trailing_retracement_pct"]
    side["close_trailing_threshold_pct"] = max(side["close_trailing_threshold_pct"], retracement)


def _forward_tp_grid(side: SideParams) -> None:
    ends = side["close_grid_markup_start"], side["close_grid_markup_end"]
    side["close_grid_markup_start"], side["close_grid_markup_end"] = min(ends), max(ends)


def _backward_tp_grid(side: SideParams) -> None:
    ends = side["close_grid_markup_start"], side["close_grid_markup_end"]
    side["close_grid_markup_start"], side["close_grid_markup_end"] = max(ends), min(ends)


def _example(side: SideParams) -> None:
    """Shows where a rule would go; changes nothing."""


RULES: Mapping[str, Rule] = {
    "lossless_close_trailing": _lossless_close_trailing,
    "forward_tp_grid": _forward_tp_grid,
    "backward_tp_grid": _backward_tp_grid,
    "example": _example,
}


def rules_of(names: Sequence[str]) -> tuple[Rule, ...]:
    """The rules in order. Raises ConfigError for a name that there is not."""
    if unknown := [name for name in names if name not in RULES]:
        raise ConfigError(f"optimize.enable_overrides names {unknown[0]!r}; known are {', '.join(RULES)}")
    return tuple(RULES[name] for name in names)
