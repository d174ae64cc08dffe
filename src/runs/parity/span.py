"""What a comparison of live bot and backtest runs on: a market, a config, a span (`exchange_simulator.md` 13.3)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.overrides import resolve_coin_overrides
from config.settings import backtest_settings
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, SystemClock
from core.errors import ConfigError, DataError
from core.terms import PSIDES
from exchange_sim.market import Instrument, VenueMarket

Config = dict[str, Any]

# What live and backtest do differently on purpose is switched off: caps, tolerances, distances, a sticky balance.
UNHINDERED: Mapping[str, Any] = {
    "max_n_creations_per_batch": 1000,
    "max_n_cancellations_per_batch": 1000,
    "balance_hysteresis_snap_pct": 0.0,
    "order_match_tolerance_pct": 0.0,
    "price_distance_threshold": 1e9,
    "execution_delay_seconds": 0.0,
    "market_orders_allowed": False,
    "time_in_force": "good_till_cancelled",
    "leverage": 100.0,
    "minimum_coin_age_days": 0.0,
    "warmup_jitter_seconds": 0.0,
    "max_memory_candles_per_symbol": 200_000,
    "pnls_max_lookback_days": 365.0,
    "max_warmup_minutes": 0.0,
    "empty_means_all_approved": False,
}


@dataclass(frozen=True, slots=True)
class Span:
    """`config` is what both sides run on, `items` the instruments in the order of their coins' names.

    Data begin at `first_ms`, the first orders are planned after the minute `planned_ms`, the last minute is `last_ms`.
    """

    config: Config
    market: VenueMarket
    items: tuple[Instrument, ...]
    first_ms: int
    planned_ms: int
    last_ms: int

    @property
    def coins(self) -> list[str]:
        return [item.market.coin for item in self.items]

    @property
    def minutes(self) -> int:
        """How many minutes orders may be filled in."""
        return (self.last_ms - self.planned_ms) // MINUTE_MS


def parity_span(config: Config, market: VenueMarket, start_ms: int, days: float) -> Span:
    """The span of `days` from `start_ms` on, with the warm-up that the config wants ahead, from a full hour.

    Raises ConfigError for coins that the market does not have, DataError where its candles do not reach so far.
    """
    config = _comparable(config)
    settings = backtest_settings(config)
    by_coin = {item.market.coin: item for item in market.by_id.values()}
    if missing := [coin for coin in settings.coins() if coin not in by_coin]:
        raise ConfigError(f"the market has no {', '.join(missing)}; it has {', '.join(sorted(by_coin))}")
    items = tuple(by_coin[coin] for coin in settings.coins())
    warmup_ms = max([settings.warmup_minutes, *settings.coin_warmup_minutes.values()]) * MINUTE_MS
    first = (start_ms - warmup_ms - MINUTE_MS) // HOUR_MS * HOUR_MS
    last = start_ms + int(days * DAY_MS) // MINUTE_MS * MINUTE_MS
    for item in items:
        rows = market.finished(item, first, last + MINUTE_MS)
        if len(rows) != (last - first) // MINUTE_MS + 2:
            raise DataError(f"{market.note}: {item.symbol} has {len(rows)} of the minutes that the span needs")
    return Span(config, market, items, first, start_ms // MINUTE_MS * MINUTE_MS, last)


def _comparable(config: Config) -> Config:
    config = copy.deepcopy(config)
    config["live"] |= UNHINDERED
    for pside in PSIDES:
        config["live"]["approved_coins"][pside] = sorted(config["live"]["approved_coins"][pside])
    config["backtest"] |= {
        "filter_by_min_effective_cost": config["live"]["filter_by_min_effective_cost"],
        "btc_collateral_cap": 0.0,
        "maker_fee_override": None,
    }
    config.pop("_coins_sources", None)
    return resolve_coin_overrides(config, clock=SystemClock())
