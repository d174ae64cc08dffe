"""Names of metrics, their direction, and the forms of objectives and limits (`config_cli_suite.md` 13)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, TypeAlias

from config.changes import Config
from config.text import parse_json
from core.errors import ConfigError
from core.terms import PSIDES


def _weighted(*names: str) -> frozenset[str]:
    return frozenset(names) | frozenset(f"{name}_w" for name in names)


# One value whatever the currency; the USD value is used.
SHARED_METRICS: frozenset[str] = _weighted(
    "positions_held_per_day", "loss_profit_ratio", "volume_pct_per_day_avg",
    "adg_pnl", "mdg_pnl", "sharpe_ratio_pnl", "sortino_ratio_pnl",
) | {
    "position_held_hours_mean", "position_held_hours_max", "position_held_hours_median",
    "position_unchanged_hours_max", "peak_recovery_hours_pnl",
}  # fmt: skip
# Shared as well, but a currency prefix on them is taken at its word (13.2).
_SHARED_UNPREFIXED: frozenset[str] = frozenset(
    {"total_wallet_exposure_max", "total_wallet_exposure_mean", "total_wallet_exposure_median",
     "entry_initial_balance_pct_long", "entry_initial_balance_pct_short"}
)  # fmt: skip
# Every one exists as `_usd` and as `_btc`.
CURRENCY_METRICS: frozenset[str] = _weighted(
    "adg", "mdg", "sharpe_ratio", "sortino_ratio", "omega_ratio", "calmar_ratio", "sterling_ratio",
    "equity_choppiness", "equity_jerkiness", "exponential_fit_error",
) | {
    "gain", "expected_shortfall_1pct", "drawdown_worst", "drawdown_worst_mean_1pct",
    "equity_balance_diff_neg_max", "equity_balance_diff_neg_mean",
    "equity_balance_diff_pos_max", "equity_balance_diff_pos_mean", "peak_recovery_hours_equity",
} | {
    f"{name}_per_exposure_{pside}" for name in ("adg", "adg_w", "mdg", "mdg_w", "gain") for pside in PSIDES
}  # fmt: skip
_APPENDED: frozenset[str] = frozenset({"loss_profit_ratio_long", "loss_profit_ratio_short", "pnl_ratio_long_short"})

_MAXIMISED = ("adg", "mdg", "gain", "sharpe", "sortino", "omega", "calmar", "sterling",
              "volume_pct_per_day_avg", "entry_initial_balance_pct_")  # fmt: skip
# Exist, are minimised as objectives, but have no direction of their own.
_UNDIRECTED = _APPENDED | {"peak_recovery_hours_pnl"}

# No metric has more; a long name that is none is not tried in all orders.
_MAX_WORDS = max(name.count("_") for name in SHARED_METRICS | _SHARED_UNPREFIXED | CURRENCY_METRICS) + 2

STATS = ("min", "max", "mean", "std")
_PENALIZE_WORDS = {
    **dict.fromkeys((">", "gt", "greater", "greater_than", "above"), "greater_than"),
    **dict.fromkeys(("<", "lt", "lower", "less", "less_than", "below"), "less_than"),
    **dict.fromkeys(("outside", "outside_range", "out_of_range"), "outside_range"),
    **dict.fromkeys(("inside", "inside_range"), "inside_range"),
    "auto": "auto",
}
_PENALIZE_HINT = "Use greater_than, less_than, outside_range, inside_range or auto."
_ALIASES = {
    "metric": ("metric", "name"), "stat": ("stat", "field"),
    "value": ("value", "threshold", "bound"), "range": ("range", "values", "bounds"),
}  # fmt: skip
# The words of old files; lower_bound means "penalised when greater", and the other way round (sic).
_LEGACY_PREFIXES = {
    "penalize_if_greater_than_": "greater_than", "penalize_if_lower_than_": "less_than",
    "lower_bound_": "greater_than", "upper_bound_": "less_than",
}  # fmt: skip

Limit: TypeAlias = dict[str, Any]


def canonical_metric(name: str) -> str:
    """The name under which a metric stands in results: `adg` -> `adg_usd`, `btc_adg` -> `adg_btc` (13.2)."""
    if name.endswith(("_usd", "_btc")):
        return name
    prefix, _, rest = name.partition("_")
    if prefix in ("usd", "btc") and rest:
        return rest if rest in SHARED_METRICS else f"{rest}_{prefix}"
    return f"{name}_usd" if name in CURRENCY_METRICS else name


def _base_name(metric: str) -> str:
    return metric.removesuffix("_usd").removesuffix("_btc")


def metric_exists(metric: str) -> bool:
    """Is `metric` (canonical) a name that results have? Per-currency names need their suffix, shared ones have none."""
    base = _base_name(metric)
    if base != metric:
        return base in CURRENCY_METRICS
    return metric in SHARED_METRICS | _SHARED_UNPREFIXED | _APPENDED


def metric_weight(metric: str) -> float | None:
    """-1 for metrics to maximise, +1 to minimise, None for names without a listed direction."""
    base = _base_name(metric)
    if base in _UNDIRECTED or base not in SHARED_METRICS | _SHARED_UNPREFIXED | CURRENCY_METRICS:
        return None
    return -1.0 if base.startswith(_MAXIMISED) else 1.0


def objective_metric(name: str) -> str | None:
    """The metric of results that an objective's name means: `adg_btc_w` finds `adg_w_btc`; None if there is none."""
    return next((found for found in _spellings(name) if metric_exists(found)), None)


def _objective_weight(name: str) -> float:
    weights = (metric_weight(found) for found in _spellings(name))
    return next((weight for weight in weights if weight is not None), 1.0)


def _spellings(name: str) -> Iterator[str]:
    """The name, then its first word with the others in every order; each also with either currency
    (`optimizer_pareto_tools.md` 5.3; no metric has its currency elsewhere than at the end)."""
    yield from _with_currency(name)
    first, *rest = name.split("_")
    if len(rest) < _MAX_WORDS:
        for order in permutations(rest):
            yield from _with_currency("_".join((first, *order)))


def _with_currency(name: str) -> Iterator[str]:
    yield from (name, f"{name}_usd", f"{name}_btc")


def canonical_scoring(scoring: Any) -> list[str]:
    """Objectives under their canonical names, in order, without repetitions."""
    names = scoring.split(",") if isinstance(scoring, str) else scoring
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"optimize.scoring is {scoring!r}: it must be a list of metric names")
    return list(dict.fromkeys(canonical_metric(name.strip()) for name in names if name.strip()))


def canonical_limits(limits: Any) -> list[Limit]:
    """Limits as a list of `{metric, penalize_if, value | range, [stat]}`. Raises ConfigError (13.3, 21)."""
    if isinstance(limits, str):
        text = limits.strip()
        limits = parse_json(text, "optimize.limits") if text[:1] in ("[", "{") else _legacy_text(text)
    if not limits and (limits is None or isinstance(limits, list | dict)):
        return []
    if isinstance(limits, dict):
        limits = [limits] if "penalize_if" in limits else _legacy_dict(limits)
    if not isinstance(limits, list):
        raise ConfigError(
            f"Unsupported limits format: {type(limits).__name__}; optimize.limits is {limits!r}: write a list of "
            "{metric, penalize_if, value}"
        )
    return [_numbered_limit(number, entry) for number, entry in enumerate(limits, start=1)]


def _numbered_limit(number: int, entry: Any) -> Limit:
    try:
        return canonical_limit(entry)
    except ConfigError as exc:
        raise ConfigError(f"{exc} (optimize.limits entry {number} is {entry!r})") from exc


def canonical_limit(entry: Any) -> Limit:
    """One limit in its canonical form."""
    if not isinstance(entry, dict):
        raise ConfigError(f"Each limit entry must be a dict, got {type(entry).__name__}.")
    fields = {field: _first_present(entry, names) for field, names in _ALIASES.items()}
    if not isinstance(fields["metric"], str) or not fields["metric"].strip():
        raise ConfigError("Limit entries must include a 'metric' field.")
    metric = canonical_metric(fields["metric"].strip())
    rule = _penalize_rule(entry)
    limit: Limit = {"metric": metric, "penalize_if": rule}
    if rule in ("outside_range", "inside_range"):
        pair = fields["range"] if fields["range"] is not None else fields["value"]
        limit["range"] = _range(pair, metric)
    else:
        limit["value"] = _limit_number(fields["value"], f"Limit for {metric} requires a numeric 'value'.")
    if fields["stat"] is not None:
        limit["stat"] = _stat(fields["stat"], metric)
    return limit


def _first_present(entry: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _penalize_rule(entry: Mapping[str, Any]) -> str:
    word = entry.get("penalize_if")
    if word is None:
        raise ConfigError(f"limits entries must include 'penalize_if'. {_PENALIZE_HINT}")
    rule = _PENALIZE_WORDS.get(str(word).strip().lower())
    if rule is None:
        raise ConfigError(f"Unsupported penalize_if value '{word}'. {_PENALIZE_HINT}")
    return rule


def _stat(stat: Any, metric: str) -> str:
    name = str(stat).strip().lower()
    if name not in STATS:
        raise ConfigError(f"Unsupported stat '{stat}' for limit on {metric}. Use {', '.join(STATS)}.")
    return name


def _limit_number(value: Any, error: str) -> int | float:
    """A number or a text of one; integral values come back as int."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(error)
    return int(number) if number.is_integer() else number


def _range(pair: Any, metric: str) -> list[int | float]:
    error = f"Limit for {metric} requires a two-value 'range'."
    if isinstance(pair, dict):
        pair = [_first_present(pair, ("low", "min", "start")), _first_present(pair, ("high", "max", "end"))]
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ConfigError(error)
    return sorted(_limit_number(value, error) for value in pair)


def _legacy_text(text: str) -> list[Config]:
    """`--name value --name: value`: a dialect of old files."""
    pieces = [piece.strip() for piece in text.replace(":", " ").split("--") if piece.strip()]
    return [_legacy_limit(*_name_and_value(piece)) for piece in pieces]


def _name_and_value(piece: str) -> tuple[str, str]:
    words = piece.split()
    if len(words) != 2:
        raise ConfigError(f"Invalid limits format for token: {piece}; write optimize.limits as --metric number")
    return words[0], words[1]


def _legacy_dict(limits: Mapping[str, Any]) -> list[Config]:
    return [_legacy_limit(name, value) for name, value in limits.items()]


def _legacy_limit(name: str, value: Any) -> Config:
    number = _limit_number(value, f"Limit '{name}' must have a numeric value. (optimize.limits has {value!r})")
    for prefix, rule in _LEGACY_PREFIXES.items():
        if name.startswith(prefix):
            return {"metric": name.removeprefix(prefix), "penalize_if": rule, "value": number}
    return {"metric": name, "penalize_if": "auto", "value": number}


def _require_searchable(metric: str, path: str) -> None:
    """Raise ConfigError for a metric that the optimizer's results do not have."""
    if metric in _APPENDED:
        raise ConfigError(f"{path} names the metric '{metric}', which backtests have and the optimizer has not")
    if not metric_exists(metric):
        raise ConfigError(f"{path} names the metric '{metric}', which no result has{_nearest(metric)}")


def _nearest(metric: str) -> str:
    import difflib  # only needed for a hint

    currency = {f"{name}_{suffix}" for name in CURRENCY_METRICS for suffix in ("usd", "btc")}
    known = sorted(SHARED_METRICS | _SHARED_UNPREFIXED | CURRENCY_METRICS | currency)
    close = difflib.get_close_matches(metric, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; check the spelling"


def objective_weights(scoring: list[str]) -> dict[str, float]:
    """-1 (maximise) or +1 (minimise) of each objective, in order; without a listed direction +1.

    Raises ConfigError when there is no objective, and for names that the optimizer's results do not have.
    """
    if not scoring:
        raise ConfigError("optimize.scoring is empty: name at least one metric")
    for name in scoring:
        _require_searchable(objective_metric(name) or name, "optimize.scoring")
    return {name: _objective_weight(name) for name in scoring}


def resolved_limit(limit: Limit) -> Limit:
    """A canonical limit with `auto` replaced by its direction. Raises ConfigError for names that the optimizer's
    results do not have, and for `auto` on a metric without direction (F17)."""
    metric = limit["metric"]
    _require_searchable(metric, "optimize.limits")
    if limit["penalize_if"] != "auto":
        return limit
    weight = metric_weight(metric)
    if weight is None:
        raise ConfigError(
            f"optimize.limits: 'auto' on {metric}, which has no direction; write greater_than or less_than"
        )
    return {**limit, "penalize_if": "less_than" if weight < 0 else "greater_than"}


def default_stat(penalize_if: str) -> str:
    """The statistic a limit without `stat` compares outside of suites (13.3)."""
    return {"greater_than": "max", "less_than": "min"}.get(penalize_if, "mean")


def limit_excess(limit: Limit, value: float) -> float:
    """How far a resolved limit is exceeded; below 0 the room that is left."""
    match limit["penalize_if"]:
        case "greater_than":
            excess = value - limit["value"]
        case "less_than":
            excess = limit["value"] - value
        case "outside_range":
            low, high = limit["range"]
            excess = max(low - value, value - high)
        case _:
            low, high = limit["range"]
            excess = min(value - low, high - value)
    return float(excess)


def limit_violation(limit: Limit, value: float) -> float:
    """What exceeding a resolved limit costs: the excess times 1e6, 0 when it holds, 1 if the value is not finite."""
    return max(0.0, limit_excess(limit, value)) * 1e6 if math.isfinite(value) else 1.0
