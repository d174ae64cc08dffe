"""What to prepare a dataset from: which exchanges, coins, dates; and the name it is stored under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.settings import BacktestSettings
from core import paths
from core.errors import ConfigError
from core.terms import PSIDES, Pside
from markets.sample import EXCHANGE as SAMPLE
from simulation import dataset_cache

COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What to prepare. `coins` lists each side's tradable coins; numbers keep the type they have in the config.

    `exchanges` are the candidates of every coin; several only with `combined`, where each coin gets its best feed, or
    the one that `coin_sources` names. `end_date` is YYYY-MM-DD, or a time of that day where suites want one.
    """

    name: str
    exchanges: tuple[str, ...]
    combined: bool
    coins: Mapping[Pside, tuple[str, ...]]
    start_date: str
    end_date: str
    warmup_minutes: int
    coin_warmup_minutes: Mapping[str, int]
    minimum_coin_age_days: float
    gap_tolerance_ohlcvs_minutes: float
    coin_sources: Mapping[str, str] = field(default_factory=dict)
    compress: bool = False
    maker_fee_override: float | None = None
    taker_fee_override: float | None = None
    fail_on_missing_coins: bool = False
    force_refetch_gaps: bool = False
    cache_dir: Path = paths.DEFAULT_CACHE_DIR

    @property
    def all_coins(self) -> list[str]:
        return sorted({coin for pside in PSIDES for coin in self.coins[pside]})

    @property
    def forced(self) -> dict[str, str]:
        """The exchange of each coin that may have no other; only combined data are routed."""
        return {c: self.coin_sources[c] for c in self.all_coins if c in self.coin_sources} if self.combined else {}

    @property
    def exchange_names(self) -> str:
        return ", ".join(self.exchanges)

    @property
    def key(self) -> str:
        """The cache key (`candles.md` 16)."""
        return dataset_cache.dataset_key(
            {
                "coins": {pside: sorted(set(self.coins[pside])) for pside in PSIDES},
                "end_date": self.end_date,
                "start_date": self.start_date,
                "exchange": list(self.exchanges) if self.combined else self.exchanges[0],
                "minimum_coin_age_days": self.minimum_coin_age_days,
                "gap_tolerance_ohlcvs_minutes": self.gap_tolerance_ohlcvs_minutes,
                "warmup_minutes": self.warmup_minutes,
                "coin_sources": sorted([coin, source] for coin, source in self.coin_sources.items()),
            }
        )


def dataset_requests(settings: BacktestSettings, options: Mapping[str, Any], cache_dir: Path) -> list[DatasetRequest]:
    """The data of a run. `options` are those of the command line. Raises ConfigError naming `backtest.exchanges`."""
    names = settings.exchanges
    check_exchanges(names)
    # the built-in market keeps its name, so that every result of synthetic data says so
    as_combined = settings.combine and names != (SAMPLE,)
    wanted = [(COMBINED if as_combined else names[0], names)] if settings.combine else [(n, (n,)) for n in names]
    return [
        DatasetRequest(
            name=name,
            exchanges=listed,
            combined=settings.combine,
            coins=settings.approved,
            start_date=settings.start_date,
            end_date=settings.end_date,
            warmup_minutes=settings.warmup_minutes,
            coin_warmup_minutes=settings.coin_warmup_minutes,
            minimum_coin_age_days=settings.minimum_coin_age_days,
            gap_tolerance_ohlcvs_minutes=settings.gap_tolerance_minutes,
            coin_sources=settings.coin_sources,
            compress=settings.compress_cache,
            maker_fee_override=settings.maker_fee_override,
            taker_fee_override=settings.taker_fee_override,
            fail_on_missing_coins=options.get("fail_on_missing_coins", False),
            force_refetch_gaps=options.get("force_refetch_gaps", False),
            cache_dir=cache_dir,
        )
        for name, listed in wanted
    ]


def check_exchanges(names: tuple[str, ...]) -> None:
    """Raises ConfigError for exchanges that no dataset can be made from."""
    if not names:
        raise ConfigError("backtest.exchanges is empty: name an exchange, or sample for the built-in market")
    if len(names) > 1 and SAMPLE in names:
        raise ConfigError(f"backtest.exchanges is {list(names)}: sample cannot be mixed with real exchanges")
