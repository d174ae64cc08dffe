"""What programs need of a config, as frozen records, so that the nested mapping stays inside `config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from config.access import optional_config_value
from config.changes import Config
from config.check import to_number
from config.modes import ForcedModes, forced_modes
from config.schema_bot import WALLET_EXPOSURE_LIMIT
from config.warmup import (
    DEFAULT_SET,
    compute_backtest_warmup_minutes,
    compute_per_coin_warmup_minutes,
    parameter_sets,
)
from core.terms import PSIDES, Pside

# The engine's mark for "share the side's limit among its positions" (5.1).
DYNAMIC_WALLET_EXPOSURE_LIMIT = -1.0

SideParams: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """One backtest: which candles, which account, which parameters. Made from a config whose overrides are resolved.

    `approved` lists the tradable coins of each side; `parameter_sets` holds the sides of `__default__` and of every
    coin with overrides. Dates are texts as configured, `end_date` is YYYY-MM-DD. Fees are fractions, None = the coin's.
    Numbers that enter the dataset's cache key keep the type they have in the config.
    """

    base_dir: Path
    exchanges: tuple[str, ...]
    combine: bool
    coin_sources: Mapping[str, str]
    start_date: str
    end_date: str
    warmup_minutes: int
    coin_warmup_minutes: Mapping[str, int]
    minimum_coin_age_days: float
    gap_tolerance_minutes: float
    compress_cache: bool
    offline: bool
    starting_balance: float
    btc_collateral_cap: float
    btc_collateral_ltv_cap: float | None
    maker_fee_override: float | None
    taker_fee_override: float | None
    filter_by_min_effective_cost: bool
    hedge_mode: bool
    approved: Mapping[Pside, tuple[str, ...]]
    parameter_sets: Mapping[str, Mapping[Pside, SideParams]]
    forced_modes: ForcedModes
    coins_with_leverage: tuple[str, ...]

    def coins(self) -> list[str]:
        """Every coin that one side or the other may trade, sorted."""
        return sorted({coin for pside in PSIDES for coin in self.approved[pside]})

    def bot_params(self, coin: str) -> dict[str, dict[str, float]]:
        """A coin's parameters of both sides, with the mark for the dynamic limit unless it has a limit of its own."""
        sides = self.parameter_sets.get(coin, self.parameter_sets[DEFAULT_SET])
        return {p: {WALLET_EXPOSURE_LIMIT: DYNAMIC_WALLET_EXPOSURE_LIMIT, **sides[p]} for p in PSIDES}


def backtest_settings(config: Config) -> BacktestSettings:
    """The record of a formatted config with final coin lists and resolved overrides."""
    backtest, live, overrides = config["backtest"], config["live"], config["coin_overrides"]
    return BacktestSettings(
        base_dir=Path(backtest["base_dir"]),
        exchanges=tuple(backtest["exchanges"]),
        combine=backtest["combine_ohlcvs"],
        coin_sources=dict(backtest["coin_sources"]),
        start_date=str(backtest["start_date"]),
        end_date=backtest["end_date"],
        warmup_minutes=compute_backtest_warmup_minutes(config),
        coin_warmup_minutes=compute_per_coin_warmup_minutes(config),
        minimum_coin_age_days=live["minimum_coin_age_days"],
        gap_tolerance_minutes=backtest["gap_tolerance_ohlcvs_minutes"],
        compress_cache=backtest["compress_cache"],
        offline=offline_wanted(config),
        starting_balance=float(backtest["starting_balance"]),
        btc_collateral_cap=float(backtest["btc_collateral_cap"]),
        btc_collateral_ltv_cap=_number_or_none(config, "backtest.btc_collateral_ltv_cap"),
        maker_fee_override=_number_or_none(config, "backtest.maker_fee_override"),
        taker_fee_override=_number_or_none(config, "backtest.taker_fee_override"),
        filter_by_min_effective_cost=bool(backtest["filter_by_min_effective_cost"]),
        hedge_mode=live["hedge_mode"],
        approved={pside: tuple(live["approved_coins"][pside]) for pside in PSIDES},
        parameter_sets=parameter_sets(config),
        forced_modes=forced_modes(live, overrides),
        coins_with_leverage=tuple(sorted(c for c, o in overrides.items() if "leverage" in o.get("live", {}))),
    )


def _number_or_none(config: Config, path: str) -> float | None:
    value = optional_config_value(config, path)
    return None if value is None or value == "" else to_number(value, path)


def offline_wanted(config: Config, environment: Mapping[str, str] = os.environ) -> bool:
    """Is the network off: `backtest.offline` (or `--offline`, which sets it), or PASSIVBOT_OFFLINE=1?"""
    from_environment = environment.get("PASSIVBOT_OFFLINE", "").strip().lower() in ("1", "true", "yes")
    return from_environment or bool(optional_config_value(config, "backtest.offline"))
