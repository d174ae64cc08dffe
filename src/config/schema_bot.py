"""Section `bot`: the keys of one side, their defaults and search bounds (`config_cli_suite.md` 5).

Both sides have the same keys, defaults and bounds. The values of the shipped template stand in `configs/template.json`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from config.key import Key, Kind
from core.terms import PSIDES


class BotKey(NamedTuple):
    """A row: built-in default and bounds, unit, per-coin override allowed, sensible domain, meaning."""

    name: str
    default: float
    bounds: tuple[float, float]
    unit: str
    overridable: bool
    low: float
    high: float
    doc: str


_INF = math.inf
_POSITIVE = math.ulp(0.0)  # the lower end of "greater than zero"
_FRACTION, _RATIO, _WEIGHT, _FACTOR = "fraction", "ratio", "weight", "factor"
_MINUTES, _HOURS = "minutes", "hours"

# fmt: off
BOT_KEYS: tuple[BotKey, ...] = tuple(BotKey(*row) for row in (
    ("close_grid_markup_end", 0.0089, (0.001, 0.03), _FRACTION, True, -_INF, _INF,
     "markup of the last take-profit rung over the position price"),
    ("close_grid_markup_start", 0.0344, (0.001, 0.03), _FRACTION, True, -_INF, _INF,
     "markup of the first take-profit rung; start > end builds the ladder backwards"),
    ("close_grid_qty_pct", 0.125, (0.05, 1), _FRACTION, True, _POSITIVE, 1,
     "size of one take-profit rung as a share of the full position size"),
    ("close_trailing_grid_ratio", 0.5, (-1, 1), _RATIO, True, -1, 1,
     "0 grid only; >= 1 or <= -1 trailing only; > 0 trailing first; < 0 grid first"),
    ("close_trailing_qty_pct", 0.125, (0.05, 1), _FRACTION, True, _POSITIVE, 1,
     "size of a trailing close as a share of the full position size"),
    ("close_trailing_retracement_pct", 0.002, (0.001, 0.1), _FRACTION, True, 0, _INF,
     "pull-back from the extreme that fires the trailing close"),
    ("close_trailing_threshold_pct", 0.008, (0.001, 0.1), _FRACTION, True, -_INF, _INF,
     "favourable move that arms the trailing close; <= 0 is always armed"),
    ("ema_span_0", 1318.0, (200, 1440), _MINUTES, True, _POSITIVE, _INF,
     "first close-EMA span; the third is sqrt(span_0 * span_1), never rounded"),
    ("ema_span_1", 1435.0, (200, 1440), _MINUTES, True, _POSITIVE, _INF,
     "second close-EMA span"),
    ("entry_grid_double_down_factor", 0.894, (0.1, 3), _FACTOR, True, 0, _INF,
     "next grid entry quantity as a multiple of the position size"),
    ("entry_grid_spacing_pct", 0.04, (0.005, 0.12), _FRACTION, True, _POSITIVE, _INF,
     "base distance of the next grid entry from the position price"),
    ("entry_grid_spacing_volatility_weight", 0.0, (0, 400), _WEIGHT, True, -_INF, _INF,
     "widens the spacing with the 1h log-range EMA"),
    ("entry_grid_spacing_we_weight", 0.697, (0, 20), _WEIGHT, True, -_INF, _INF,
     "widens the spacing with the exposure ratio (exposure / limit)"),
    ("entry_initial_ema_dist", -0.00738, (-0.1, 0.002), _FRACTION, True, -1, _INF,
     "offset of the first entry from the EMA band"),
    ("entry_initial_qty_pct", 0.00592, (0.005, 0.1), _FRACTION, True, _POSITIVE, _INF,
     "first entry cost as a share of balance x wallet exposure limit"),
    ("entry_trailing_double_down_factor", 0.894, (0.1, 3), _FACTOR, True, 0, _INF,
     "as the grid factor, for trailing entries"),
    ("entry_trailing_grid_ratio", 0.5, (-1, 1), _RATIO, True, -1, 1,
     "as close_trailing_grid_ratio, for entries"),
    ("entry_trailing_retracement_pct", 0.01, (0.001, 0.1), _FRACTION, True, 0, _INF,
     "retracement that fires a trailing entry"),
    ("entry_trailing_retracement_volatility_weight", 0.0, (0, 400), _WEIGHT, True, -_INF, _INF,
     "scales the retracement with the 1h log-range EMA"),
    ("entry_trailing_retracement_we_weight", 0.0, (0, 20), _WEIGHT, True, -_INF, _INF,
     "scales the retracement with the exposure ratio"),
    ("entry_trailing_threshold_pct", 0.05, (0.001, 0.1), _FRACTION, True, -_INF, _INF,
     "adverse move that arms a trailing entry; <= 0 is always armed"),
    ("entry_trailing_threshold_volatility_weight", 0.0, (0, 400), _WEIGHT, True, -_INF, _INF,
     "scales the threshold with the 1h log-range EMA"),
    ("entry_trailing_threshold_we_weight", 0.0, (0, 20), _WEIGHT, True, -_INF, _INF,
     "scales the threshold with the exposure ratio"),
    ("entry_volatility_ema_span_hours", 72.0, (24, 336), _HOURS, True, 0, _INF,
     "span of the 1h log-range EMA that all volatility weights share"),
    ("filter_volatility_drop_pct", 0.0, (0, 1), _FRACTION, False, 0, 1,
     "forager: share of the most volatile coins to drop"),
    ("filter_volatility_ema_span", 60.0, (10, 1440), _MINUTES, False, _POSITIVE, _INF,
     "forager: span of the 1m log-range EMA"),
    ("filter_volume_drop_pct", 0.95, (0, 1), _FRACTION, False, 0, 1,
     "forager: share of the lowest-volume coins to drop"),
    ("filter_volume_ema_span", 60.0, (10, 1440), _MINUTES, False, _POSITIVE, _INF,
     "forager: span of the 1m quote-volume EMA"),
    ("n_positions", 10, (1, 20), "positions", False, 0, _INF,
     "most concurrent positions of the side; 0 disables the side"),
    ("risk_twel_enforcer_threshold", 1.0, (0.9, 1.01), _RATIO, False, -_INF, _INF,
     "share of the total limit at which the total-exposure enforcer trims; <= 0 off"),
    ("risk_we_excess_allowance_pct", 0.0, (0, 0.5), _FRACTION, True, -_INF, _INF,
     "headroom over the per-position limit; negatives act as 0"),
    ("risk_wel_enforcer_threshold", 1.0, (0.8, 1.05), _RATIO, True, -_INF, _INF,
     "share of the allowed per-position exposure at which the enforcer trims; <= 0 off"),
    ("total_wallet_exposure_limit", 1.7, (0, 2), _RATIO, False, 0, _INF,
     "total exposure budget of the side; 0 disables the side"),
    ("unstuck_close_pct", 0.001, (0.001, 0.1), _FRACTION, True, 0, _INF,
     "size of one unstuck close as a share of the full position size"),
    ("unstuck_ema_dist", 0.0, (-0.1, 0.01), _FRACTION, True, -1, _INF,
     "offset of the unstuck close from the EMA band"),
    ("unstuck_loss_allowance_pct", 0.03, (0.001, 0.05), _FRACTION, False, 0, _INF,
     "loss budget below the peak balance, times the total limit; 0 off"),
    ("unstuck_threshold", 0.916, (0.4, 0.95), _RATIO, True, -_INF, _INF,
     "exposure ratio above which a position counts as stuck"),
))
# fmt: on

# Only inside `coin_overrides`: a fixed per-position limit of that coin.
WALLET_EXPOSURE_LIMIT = "wallet_exposure_limit"

BOT_KEY_NAMES: frozenset[str] = frozenset(key.name for key in BOT_KEYS)
OVERRIDABLE_BOT_KEYS: frozenset[str] = frozenset(k.name for k in BOT_KEYS if k.overridable) | {WALLET_EXPOSURE_LIMIT}


def bot_rows() -> tuple[Key, ...]:
    """`bot.long.*` and `bot.short.*`."""
    return tuple(
        Key(
            f"bot.{pside}.{k.name}",
            k.default,
            unit=k.unit,
            doc=k.doc,
            overridable=k.overridable,
            low=k.low,
            high=k.high,
        )
        for pside in PSIDES
        for k in BOT_KEYS
    )


def bound_rows() -> tuple[Key, ...]:
    """`optimize.bounds.long_*` and `optimize.bounds.short_*`."""
    return tuple(
        Key(
            f"optimize.bounds.{pside}_{k.name}",
            list(k.bounds),
            Kind.BOUND,
            k.unit,
            f"search range of bot.{pside}.{k.name}",
        )
        for pside in PSIDES
        for k in BOT_KEYS
    )
