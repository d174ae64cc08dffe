"""Minutes of candles that indicators need before trading starts (`config_cli_suite.md` 14, `candles.md` 14)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config.access import require_config_value
from config.changes import Config
from core.terms import PSIDES, Pside

DEFAULT_SET = "__default__"

# key of a side -> minutes of one unit
SPAN_KEYS = {
    "ema_span_0": 1, "ema_span_1": 1, "filter_volume_ema_span": 1, "filter_volatility_ema_span": 1,
    "entry_volatility_ema_span_hours": 60,
}  # fmt: skip


def compute_backtest_warmup_minutes(config: Config, *, with_bounds: bool = False) -> int:
    """Minutes of data before the start: enough for the base config and every coin override.

    The optimizer sets `with_bounds`: its candidates may have any span within `optimize.bounds` (decision E13).
    """
    spans = [max_span(sides) for sides in parameter_sets(config).values()]
    if with_bounds:
        spans.extend(_bound_spans(require_config_value(config, "optimize.bounds")))
    return warmup_minutes(max(spans), config)


def compute_per_coin_warmup_minutes(config: Config) -> dict[str, int]:
    """Minutes per coin that has overrides, and under `__default__` for all others."""
    return {name: warmup_minutes(max_span(sides), config) for name, sides in parameter_sets(config).items()}


def parameter_sets(config: Config) -> dict[str, dict[Pside, dict[str, Any]]]:
    """`{__default__ | coin: {"long": params, "short": params}}`, overrides laid over the base."""
    base = require_config_value(config, "bot")
    sets: dict[str, dict[Pside, dict[str, Any]]] = {DEFAULT_SET: {pside: base[pside] for pside in PSIDES}}
    for coin, override in config.get("coin_overrides", {}).items():
        own = override.get("bot", {})
        sets[coin] = {pside: {**base[pside], **own.get(pside, {})} for pside in PSIDES}
    return sets


def max_span(sides: Mapping[Pside, Mapping[str, Any]]) -> float:
    """The longest span of both sides, in minutes, a disabled side included. What is no number counts as 0."""
    return _largest(_span(sides[pside].get(key), unit) for pside in PSIDES for key, unit in SPAN_KEYS.items())


def _bound_spans(bounds: Mapping[str, Any]) -> Iterator[float]:
    for pside in PSIDES:
        for key, unit in SPAN_KEYS.items():
            bound = bounds.get(f"{pside}_{key}")
            yield _largest(_span(item, unit) for item in (bound if isinstance(bound, list) else [bound]))


def _span(value: Any, unit: int) -> float:
    try:
        return float(value) * unit
    except (TypeError, ValueError):
        return 0.0


def _largest(spans: Iterable[float]) -> float:
    return max((span for span in spans if not math.isnan(span)), default=0.0)


def warmup_minutes(span: float, config: Config) -> int:
    """`ceil(span x live.warmup_ratio)`, capped by `live.max_warmup_minutes` if that is above 0; never negative."""
    ratio = float(require_config_value(config, "live.warmup_ratio"))
    cap = float(require_config_value(config, "live.max_warmup_minutes"))
    if not math.isfinite(span):
        return 0
    minutes = span * max(0.0, ratio)
    if cap > 0:
        minutes = min(minutes, cap)
    return math.ceil(minutes) if minutes > 0 else 0
