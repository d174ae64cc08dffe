"""What the live bot needs of a config, as frozen records (`live.md` 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from config import lenient
from config.access import optional_config_value
from config.changes import SOURCES_KEY, Config
from config.check import to_number
from config.modes import ForcedModes, forced_modes
from config.settings import SideParams
from config.warmup import DEFAULT_SET, compute_per_coin_warmup_minutes, parameter_sets
from core.terms import ForeignPolicy, Mode, Pside, SecondInstancePolicy


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """How orders are made, compared and sent; distances and tolerances are fractions."""

    price_distance_threshold: float
    match_tolerance: float
    market_orders_allowed: bool
    post_only: bool
    max_cancels: int
    max_creates: int
    foreign: ForeignPolicy
    second_instance: SecondInstancePolicy


@dataclass(frozen=True, slots=True)
class BalanceSettings:
    """`override` stands in for the exchange's balance; smaller changes than `snap_pct` of it are not followed."""

    override: float | None
    snap_pct: float
    bybit_legacy: bool


@dataclass(frozen=True, slots=True)
class WarmupSettings:
    """`minutes` of candles by coin and for `__default__`, a random delay, how many coins at once (0: by exchange)."""

    minutes: Mapping[str, int]
    jitter_s: float
    concurrency: int


@dataclass(frozen=True, slots=True)
class CandleSettings:
    """What is passed to the candle manager."""

    inactive_ttl_ms: int
    lock_timeout_s: float
    max_concurrent_requests: int | None
    max_memory: int
    max_disk: int
    archives: bool


@dataclass(frozen=True, slots=True)
class CoinSettings:
    """Which coins may be traded: raw sources, read again in every cycle."""

    approved: Any
    ignored: Any
    empty_means_all: bool
    minimum_age_days: float
    filter_by_min_effective_cost: bool


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """One bot. `parameters` holds the sides of `__default__` and of every coin with overrides; `leverage` is by coin
    where it was overridden. Times are in the unit of their name, `lookback_days` is of the fill history."""

    user: str
    orders: OrderSettings
    balance: BalanceSettings
    warmup: WarmupSettings
    candles: CandleSettings
    coins: CoinSettings
    parameters: Mapping[str, Mapping[Pside, SideParams]]
    forced_modes: ForcedModes
    stop_mode: Mode
    hedge_mode: bool
    default_leverage: float
    leverage: Mapping[str, float]
    execution_delay_s: float
    lookback_days: float
    unstuck_use_lookback: bool
    max_restarts_per_day: int
    recv_window_ms: int | None
    memory_interval_minutes: float
    slow_ranking_s: float

    def side(self, pside: Pside) -> SideParams:
        """The global parameters of a side."""
        return self.parameters[DEFAULT_SET][pside]

    def of_coin(self, coin: str, pside: Pside) -> SideParams:
        """A coin's parameters of a side, overrides included."""
        return self.parameters.get(coin, self.parameters[DEFAULT_SET])[pside]

    def is_enabled(self, pside: Pside) -> bool:
        """Whether the side may open anything."""
        side = self.side(pside)
        return side["total_wallet_exposure_limit"] > 0.0 and side["n_positions"] > 0


def live_settings(config: Config) -> LiveSettings:
    """The record of a formatted config whose overrides are resolved. Raises ConfigError naming the key."""
    live, overrides = config["live"], config["coin_overrides"]
    leverages = {coin: o["live"]["leverage"] for coin, o in overrides.items() if "leverage" in o.get("live", {})}
    return LiveSettings(
        user=str(live["user"]),
        orders=_orders(config),
        balance=_balance(config),
        warmup=WarmupSettings(
            minutes=compute_per_coin_warmup_minutes(config),
            jitter_s=float(live["warmup_jitter_seconds"]),
            concurrency=int(live["warmup_concurrency"]),
        ),
        candles=_candles(config),
        coins=_coins(config),
        parameters=parameter_sets(config),
        forced_modes=forced_modes(live, overrides),
        stop_mode="graceful_stop" if live["auto_gs"] else "manual",
        hedge_mode=bool(live["hedge_mode"]),
        default_leverage=float(live["leverage"]),
        leverage={coin: float(value) for coin, value in leverages.items()},
        execution_delay_s=float(live["execution_delay_seconds"]),
        lookback_days=float(live["pnls_max_lookback_days"]),
        unstuck_use_lookback=bool(optional_config_value(config, "live.unstuck_use_lookback")),
        max_restarts_per_day=int(live["max_n_restarts_per_day"]),
        recv_window_ms=lenient.recv_window_ms(config),
        memory_interval_minutes=lenient.memory_snapshot_minutes(config),
        slow_ranking_s=lenient.volume_refresh_threshold_s(config),
    )


def _orders(config: Config) -> OrderSettings:
    live = config["live"]
    return OrderSettings(
        price_distance_threshold=float(live["price_distance_threshold"]),
        match_tolerance=float(live["order_match_tolerance_pct"]),
        market_orders_allowed=bool(live["market_orders_allowed"]),
        post_only=str(live["time_in_force"]).strip().lower() == "post_only",
        max_cancels=int(live["max_n_cancellations_per_batch"]),
        max_creates=int(live["max_n_creations_per_batch"]),
        foreign=cast(ForeignPolicy, optional_config_value(config, "live.foreign_orders")),
        second_instance=cast(SecondInstancePolicy, optional_config_value(config, "live.second_instance")),
    )


def _balance(config: Config) -> BalanceSettings:
    live = config["live"]
    stated = live["balance_override"]
    return BalanceSettings(
        override=None if stated in (None, "") else to_number(stated, "live.balance_override"),
        snap_pct=float(live["balance_hysteresis_snap_pct"]),
        bybit_legacy=bool(optional_config_value(config, "live.bybit_legacy_balance")),
    )


def _candles(config: Config) -> CandleSettings:
    live = config["live"]
    return CandleSettings(
        inactive_ttl_ms=int(float(live["inactive_coin_candle_ttl_minutes"]) * 60_000),
        lock_timeout_s=float(live["candle_lock_timeout_seconds"]),
        max_concurrent_requests=lenient.max_concurrent_api_requests(config),
        max_memory=lenient.max_memory_candles_per_symbol(config),
        max_disk=int(live["max_disk_candles_per_symbol_per_tf"]),
        archives=bool(optional_config_value(config, "live.enable_archive_candle_fetch")),
    )


def _coins(config: Config) -> CoinSettings:
    live, sources = config["live"], config.get(SOURCES_KEY, {})
    return CoinSettings(
        approved=sources.get("approved_coins", live["approved_coins"]),
        ignored=sources.get("ignored_coins", live["ignored_coins"]),
        empty_means_all=bool(live["empty_means_all_approved"]),
        minimum_age_days=float(live["minimum_coin_age_days"]),
        filter_by_min_effective_cost=bool(live["filter_by_min_effective_cost"]),
    )
