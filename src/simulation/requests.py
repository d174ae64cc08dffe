"""Which datasets a backtest needs: one of all exchanges combined, or one of each (`config_cli_suite.md` 4, 16)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.settings import BacktestSettings
from core.errors import ConfigError
from markets.sample import EXCHANGE as SAMPLE
from simulation.dataset import DatasetRequest

COMBINED = "combined"


def dataset_requests(settings: BacktestSettings, options: Mapping[str, Any], cache_dir: Path) -> list[DatasetRequest]:
    """The data of a run. `options` are those of the command line. Raises ConfigError naming `backtest.exchanges`."""
    names = settings.exchanges
    _check_exchanges(names, combine=settings.combine)
    # the built-in market keeps its name, so that every result of synthetic data says so
    as_combined = settings.combine and names != (SAMPLE,)
    return [
        DatasetRequest(
            name=COMBINED if as_combined else name,
            exchange=name,
            exchange_key=list(names) if settings.combine else name,
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
            offline=settings.offline,
            fail_on_missing_coins=options.get("fail_on_missing_coins", False),
            force_refetch_gaps=options.get("force_refetch_gaps", False),
            cache_dir=cache_dir,
        )
        for name in names
    ]


def _check_exchanges(names: tuple[str, ...], *, combine: bool) -> None:
    if not names:
        raise ConfigError("backtest.exchanges is empty: name an exchange, or sample for the built-in market")
    if len(names) > 1 and SAMPLE in names:
        raise ConfigError(f"backtest.exchanges is {list(names)}: sample cannot be mixed with real exchanges")
    if len(names) > 1 and combine:
        raise ConfigError(
            f"backtest.exchanges is {list(names)}: combining several is not built yet; "
            "name one (-e NAME), or run one after the other (--backtest.combine_ohlcvs n)"
        )
