"""The workload of the speed measure: the sample market, with the shipped template's long parameters (seed 0).

Candles lie in a file that is mapped, as the programs have it, so that the process that measures memory reads the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core import paths
from core.clock import MINUTE_MS
from core.dates import date_to_ts
from markets import sample

START_MS = date_to_ts("2024-06-01")
WARMUP = 44_820  # minutes; of the template, `candles.md` 14
OFF = {"total_wallet_exposure_limit": 0.0, "n_positions": 0}

Floats = npt.NDArray[np.float64]


def template_long() -> dict[str, Any]:
    """The long side of the shipped template; the engine sets the exposure limit of a position."""
    template: dict[str, Any] = json.loads(paths.TEMPLATE_CONFIG.read_text(encoding="utf-8"))
    return {**template["bot"]["long"], "wallet_exposure_limit": -1.0}


def bot_params(*, short: bool) -> dict[str, Any]:
    """The template's long parameters, on both sides or on one."""
    long = template_long()
    return {"long": long, "short": long if short else long | OFF}


def instrument(at: int) -> sample.Instrument:
    """Coins repeat, with another seed, past the last."""
    rows = list(sample.INSTRUMENTS.values())
    return rows[at % len(rows)]


def rules(at: int) -> dict[str, float]:
    """The five trading rules of a coin."""
    row = instrument(at)
    step = 10.0**-row.qty_decimals
    return {
        "qty_step": step,
        "price_step": 10.0**-row.price_decimals,
        "min_qty": step,
        "min_cost": row.min_cost,
        "c_mult": 1.0,
    }


@dataclass(frozen=True)
class Workload:
    """`minutes` after the warm-up, of so many coins; `file` holds the candles [rows, coins, 4]."""

    coins: int
    minutes: int
    file: Path

    @property
    def rows(self) -> int:
        return self.minutes + WARMUP

    @property
    def work(self) -> int:
        """Coin-minutes that count."""
        return self.coins * self.minutes

    @property
    def dataset_bytes(self) -> int:
        """Candles, BTC prices and times."""
        return self.rows * (self.coins * 32 + 16)

    def store(self) -> None:
        """Compute the candles, coin by coin, into the file."""
        shape = (self.rows, self.coins, 4)
        cube = np.lib.format.open_memmap(self.file, mode="w+", dtype=np.float64, shape=shape)
        end_ms = START_MS + (self.rows - 1) * MINUTE_MS
        for at in range(self.coins):
            seed = at // len(sample.INSTRUMENTS)
            candles = sample.candles(instrument(at).symbol, START_MS, end_ms, seed=seed)
            for field, name in enumerate(("h", "l", "c", "bv")):
                cube[:, at, field] = candles[name]
        cube.flush()

    @cached_property
    def hlcvs(self) -> Floats:
        mapped: Floats = np.load(self.file, mmap_mode="r", allow_pickle=False)
        return mapped

    @cached_property
    def btc_usd(self) -> Floats:
        return np.ascontiguousarray(self.hlcvs[:, 0, 2])

    def run_params(self) -> dict[str, Any]:
        return {
            "starting_balance": 100_000.0,
            "maker_fee": 0.0002,
            "coins": [f"C{i:02}" for i in range(self.coins)],
            "first_timestamp_ms": START_MS,
            "requested_start_timestamp_ms": START_MS + WARMUP * MINUTE_MS,
            "first_valid_indices": [0] * self.coins,
            "last_valid_indices": [self.rows - 1] * self.coins,
            "warmup_minutes": [WARMUP] * self.coins,
            "global_warmup_bars": WARMUP,
        }

    def arguments(self, *, short: bool, metrics_only: bool = False) -> tuple[Any, ...]:
        """What `run_backtest` takes."""
        run = self.run_params() | ({"metrics_only": True} if metrics_only else {})
        bots = [bot_params(short=short)] * self.coins
        return self.hlcvs, self.btc_usd, bots, [rules(at) for at in range(self.coins)], run

    def bundle(self) -> Any:
        """The arrays as `backtest_batch` takes them."""
        from passivbot_rust import HlcvsBundle

        times = START_MS + MINUTE_MS * np.arange(self.rows, dtype=np.int64)
        coins = [
            {
                **rules(at), "symbol": f"C{at:02}", "exchange": sample.EXCHANGE, "quote": "USDT", "base": f"C{at:02}",
                "maker_fee": 0.0002, "taker_fee": 0.0005, "first_valid_index": 0, "last_valid_index": self.rows - 1,
                "warmup_minutes": WARMUP, "trade_start_index": WARMUP,
            }
            for at in range(self.coins)
        ]  # fmt: skip
        meta = {
            "requested_start_timestamp_ms": START_MS + WARMUP * MINUTE_MS,
            "effective_start_timestamp_ms": START_MS,
            "warmup_minutes_requested": WARMUP,
            "warmup_minutes_provided": WARMUP,
            "coins": coins,
        }
        return HlcvsBundle(self.hlcvs, self.btc_usd, times, meta)

    def candidates(self, count: int) -> list[dict[str, Any]]:
        """Specs of a batch, on both sides, that differ in grid spacing: 80 to 120 % of the template's."""
        _, _, (base, *_), markets, run = self.arguments(short=True)
        spacing = base["long"]["entry_grid_spacing_pct"]
        factors = np.linspace(0.8, 1.2, count).tolist()
        sides = [base["long"] | {"entry_grid_spacing_pct": spacing * factor} for factor in factors]
        return [
            {
                "bot_params": [{"long": side, "short": side}] * self.coins,
                "exchange_params_list": markets,
                "backtest_params_dict": run,
            }
            for side in sides
        ]
