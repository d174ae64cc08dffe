"""Speed of the planner as the live bot calls it: one JSON request with every coin, one JSON answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import passivbot_rust as pbr

from benchmarks.options import Options
from benchmarks.timing import seconds_of_short
from benchmarks.workload import template_long

COINS = (1, 5, 20, 100)
TARGETS_US = {20: 2000.0}
BALANCE = 100_000.0


@dataclass(frozen=True, slots=True)
class PlannerRow:
    """Microseconds of a call, alone and with Python's writing of the request and reading of the answer."""

    coins: int
    orders: int
    request_bytes: int
    microseconds: float
    target_us: float | None
    with_python_us: float


def measure(options: Options) -> Iterator[PlannerRow]:
    for coins in COINS:
        data = request(coins)
        text = json.dumps(data)

        def from_python(data: dict[str, Any] = data) -> None:
            json.loads(pbr.calc_ideal_orders_orchestrator(json.dumps(data)))

        def alone(text: str = text) -> str:
            return pbr.calc_ideal_orders_orchestrator(text)

        yield PlannerRow(
            coins=coins,
            orders=len(json.loads(alone())["orders"]),
            request_bytes=len(text),
            microseconds=1e6 * seconds_of_short(alone, options.seconds_a_call),
            target_us=TARGETS_US.get(coins),
            with_python_us=1e6 * seconds_of_short(from_python, options.seconds_a_call),
        )


def request(coins: int) -> dict[str, Any]:
    """Every coin has a slot on both sides; every second one is held long, every third one short."""
    long = template_long()
    params = long | {"n_positions": coins, "wallet_exposure_limit": long["total_wallet_exposure_limit"] / coins}
    return {
        "balance": BALANCE,
        "global": {
            "filter_by_min_effective_cost": False,
            "unstuck_allowance_long": 100.0,
            "unstuck_allowance_short": 100.0,
            "sort_global": True,
            "global_bot_params": {"long": params, "short": params},
            "hedge_mode": True,
        },
        "symbols": [_symbol(at, coins, params) for at in range(coins)],
        "peek_hints": None,
    }


def _symbol(at: int, coins: int, params: dict[str, Any]) -> dict[str, Any]:
    price = 100.0 + at
    size = round(0.3 * BALANCE / coins / price, 3)
    first, second = params["ema_span_0"], params["ema_span_1"]
    closes = [[first, price], [math.sqrt(first * second), 1.001 * price], [second, 0.999 * price]]
    return {
        "symbol_idx": at,
        "order_book": {"bid": price, "ask": price + 0.01},
        "exchange": {"qty_step": 0.001, "price_step": 0.01, "min_qty": 0.001, "min_cost": 5.0, "c_mult": 1.0},
        "tradable": True,
        "next_candle": None,
        "effective_min_cost": 5.0,
        "emas": {
            "m1": {
                "close": closes,
                "log_range": [[params["filter_volatility_ema_span"], 0.001 + 1e-5 * at]],
                "volume": [[params["filter_volume_ema_span"], 1e6 + at]],
            },
            "h1": {"close": [], "log_range": [[params["entry_volatility_ema_span_hours"], 0.004]], "volume": []},
        },
        "long": _side(params, 0.0 if at % 2 else size, 1.01 * price),
        "short": _side(params, 0.0 if at % 3 else -size, 0.99 * price),
    }


def _side(params: dict[str, Any], size: float, price: float) -> dict[str, Any]:
    extremes = {"min_since_open": 0.97, "max_since_min": 1.005, "max_since_open": 1.02, "min_since_max": 0.97}
    return {
        "mode": None,
        "position": {"size": size, "price": price if size else 0.0},
        "trailing": {name: factor * price for name, factor in extremes.items()},
        "bot_params": params,
    }
