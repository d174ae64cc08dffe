"""Markets and parameters that several engine tests share: the worked examples A and B of `backtest_engine.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import passivbot_rust as pbr
from numpy.typing import NDArray

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "backtest_examples.json").read_text())
FIRST_MS_A = 1_704_067_200_000
FIRST_MS_B = 1_704_069_420_000


@dataclass(frozen=True, slots=True)
class EngineCase:
    """Arguments of one run."""

    hlcvs: NDArray[np.float64]
    btc_usd: NDArray[np.float64]
    bot_params: list[dict[str, Any]]
    exchange_params: list[dict[str, Any]]
    run: dict[str, Any]

    @property
    def args(self) -> tuple[Any, ...]:
        return self.hlcvs, self.btc_usd, self.bot_params, self.exchange_params, self.run


def tri(k: NDArray[np.int64], period: int) -> NDArray[np.int64]:
    """The triangle wave of the examples."""
    return np.abs(k % period - period // 2)


def _candles(
    ticks: NDArray[np.int64], tick: int, high: NDArray[np.int64], low: NDArray[np.int64], volume: NDArray[np.int64]
) -> NDArray[np.float64]:
    before = np.concatenate([ticks[:1], ticks[:-1]])
    columns = (np.maximum(ticks, before) + high, np.minimum(ticks, before) - low, ticks)
    return np.stack([*(c / tick for c in columns), volume.astype(np.float64)], axis=-1)


def _params(name: str) -> dict[str, Any]:
    return {"long": VECTORS["params"][f"{name} long"], "short": VECTORS["params"][f"{name} short"]}


def example_a() -> EngineCase:
    """One coin, 130 rows (section 19)."""
    k = np.arange(130)
    ticks = 10_000 + 14 * tri(k, 70) - 9 * tri(k, 22) + 7919 * k % 23
    hlcv = _candles(ticks, 100, 31 * k % 7, 17 * k % 5, 100 + 5 * (k % 10))
    run = {
        "starting_balance": 1000,
        "maker_fee": 0.0002,
        "coins": ["AAA"],
        "first_timestamp_ms": FIRST_MS_A,
        "requested_start_timestamp_ms": FIRST_MS_A,
        "first_valid_indices": [0],
        "last_valid_indices": [129],
        "warmup_minutes": [20],
        "global_warmup_bars": 20,
        "btc_collateral_cap": 0.5,
        "btc_collateral_ltv_cap": None,
        "filter_by_min_effective_cost": False,
        "hedge_mode": True,
    }
    market = {"qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001, "min_cost": 1.0, "c_mult": 1.0}
    return EngineCase(hlcv[:, None, :], 40_000.0 + 10 * (k % 100), [_params("A")], [market], run)


def example_b() -> EngineCase:
    """Two coins, 7500 rows, a late listing and a delisting (section 20)."""
    rows = 7500
    k = np.arange(rows)
    hlcvs = np.full((rows, 2, 4), np.nan)
    shapes = [(20_000, 3, 1700, 260, 46, 29, 100), (900, 1, 1130, 310, 38, 3, 1000)]
    for j, (start, a, p1, p2, p3, m, tick) in enumerate(shapes):
        ticks = start + a * tri(k, p1) + 2 * a * tri(k, p2) - 9 * a * tri(k, p3) // 4 + (7919 * k + j) % m
        hlcvs[:, j] = _candles(ticks, tick, (31 * k + j) % 7, (17 * k + j) % 5, 100 + 5 * ((k + j) % 10))
    hlcvs[:1000, 1] = hlcvs[6051:, 1] = np.nan
    markets = [
        {"qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001, "min_cost": 1.0, "c_mult": 1.0},
        {"qty_step": 0.1, "price_step": 0.001, "min_qty": 0.1, "min_cost": 5.0, "c_mult": 1.0},
    ]
    run = example_a().run | {
        "starting_balance": 5000,
        "coins": ["AAA", "BBB"],
        "first_timestamp_ms": FIRST_MS_B,
        "requested_start_timestamp_ms": FIRST_MS_B + 200 * 60_000,
        "first_valid_indices": [0, 1000],
        "last_valid_indices": [7499, 6050],
        "warmup_minutes": [150, 150],
        "global_warmup_bars": 150,
        "btc_collateral_ltv_cap": 0.5,
    }
    return EngineCase(hlcvs, 40_000.0 + 10 * tri(k, 2000), [_params("B")] * 2, markets, run)


def random_market(seed: int, rows: int, coins: int, *, volatility: float = 0.002) -> NDArray[np.float64]:
    """A random walk of high, low, close, volume [rows, coins, 4] around price 100, on ticks of 0.01."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, volatility, (rows, coins)), axis=0))
    before = np.concatenate([close[:1], close[:-1]])
    spread = np.abs(rng.normal(0, volatility / 2, (2, rows, coins)))
    high = np.maximum(close, before) * (1 + spread[0])
    low = np.minimum(close, before) * (1 - spread[1])
    prices = [np.round(x, 2) for x in (np.maximum(high, close), np.minimum(low, close), close)]
    return np.stack([*prices, rng.uniform(1, 1000, (rows, coins))], axis=-1)


def both_ways(case: EngineCase) -> tuple[Any, Any]:
    """The outcome without and with the skipping of planning passes; a refusal counts as its text."""

    def outcome(**extra: Any) -> Any:
        try:
            fills, equity, usd, btc = pbr.run_backtest(*case.args[:4], case.run | extra)
        except ValueError as exc:
            return str(exc)
        return fills.tolist(), equity.tolist(), usd, btc

    return outcome(plan_every_row=True), outcome()


def bundle_meta(coins: int) -> dict[str, Any]:
    """What a bundle must say of itself."""
    coin = {"symbol": "AAA/USDT:USDT", "exchange": "x", "quote": "USDT", "base": "AAA"}
    coin |= dict.fromkeys(["qty_step", "price_step", "min_qty", "min_cost", "c_mult", "maker_fee", "taker_fee"], 0.001)
    coin |= dict.fromkeys(["first_valid_index", "last_valid_index", "warmup_minutes", "trade_start_index"], 0)
    run = dict.fromkeys(
        [
            "requested_start_timestamp_ms",
            "effective_start_timestamp_ms",
            "warmup_minutes_requested",
            "warmup_minutes_provided",
        ],
        0,
    )
    return run | {"coins": [dict(coin) for _ in range(coins)]}
