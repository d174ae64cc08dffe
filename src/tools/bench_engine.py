"""Speed of the engine on the sample market: coin-minutes per second at 1, 5 and 20 coins over a year.

The workload is that of `additions.md` 12: the shipped template's long parameters, on both sides or with the short side
off, metrics only (analysis included) and full.
"""

from __future__ import annotations

import _src_path  # isort: skip
import argparse
import hashlib
import json
import time
from typing import Any

import numpy as np
import passivbot_rust as pbr
from rich.console import Console
from rich.table import Table

from core import paths
from core.clock import MINUTE_MS
from core.dates import date_to_ts
from markets import sample

START_MS = date_to_ts("2024-06-01")
OFF = {"total_wallet_exposure_limit": 0.0, "n_positions": 0}


def market_of(row: sample.Instrument) -> dict[str, float]:
    """The five trading rules of an instrument."""
    step = 10.0**-row.qty_decimals
    return {
        "qty_step": step,
        "price_step": 10.0**-row.price_decimals,
        "min_qty": step,
        "min_cost": row.min_cost,
        "c_mult": 1.0,
    }


def cube(coins: int, minutes: int) -> tuple[Any, list[dict[str, float]]]:
    """Candles [minutes, coins, 4] and market rules; coins repeat with another seed past twelve."""
    rows = list(sample.INSTRUMENTS.values())
    hlcvs = np.empty((minutes, coins, 4))
    for i in range(coins):
        end_ms = START_MS + (minutes - 1) * MINUTE_MS
        candles = sample.candles(rows[i % len(rows)].symbol, START_MS, end_ms, seed=i // len(rows))
        for field, name in enumerate(("h", "l", "c", "bv")):
            hlcvs[:, i, field] = candles[name]
    return hlcvs, [market_of(rows[i % len(rows)]) for i in range(coins)]


def bot_params(*, short: bool) -> dict[str, Any]:
    """The template's long side, on both sides or on one."""
    long = json.loads(paths.TEMPLATE_CONFIG.read_text())["bot"]["long"] | {"wallet_exposure_limit": -1.0}
    return {"long": long, "short": long if short else long | OFF}


def run_params(coins: int, minutes: int, warmup: int) -> dict[str, Any]:
    return {
        "starting_balance": 100_000.0,
        "maker_fee": 0.0002,
        "coins": [f"C{i:02}" for i in range(coins)],
        "first_timestamp_ms": START_MS,
        "requested_start_timestamp_ms": START_MS + warmup * MINUTE_MS,
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [minutes - 1] * coins,
        "warmup_minutes": [warmup] * coins,
        "global_warmup_bars": warmup,
    }


def fastest(call: Any, repeats: int) -> tuple[float, Any]:
    """Shortest of several timings, and the result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        started = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - started)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=525_600, help="minutes after warm-up (default: a year)")
    parser.add_argument("--coins", default="1,5,20", help="coin counts, by comma")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    warmup = 44_820  # of the template, candles.md 14
    minutes = args.minutes + warmup
    heads = ("coins", "sides", "metrics only", "full", "fills", "hash of fills")
    table = Table(*heads, title="million coin-minutes a second")
    for coins in map(int, args.coins.split(",")):
        hlcvs, markets = cube(coins, minutes)
        btc = np.ascontiguousarray(hlcvs[:, 0, 2])
        for short in (False, True):
            run = run_params(coins, minutes, warmup)
            fixed = (hlcvs, btc, [bot_params(short=short)] * coins, markets)
            quick, _ = fastest(lambda: pbr.run_backtest(*fixed, run | {"metrics_only": True}), args.repeats)  # noqa: B023
            full, result = fastest(lambda: pbr.run_backtest(*fixed, run), args.repeats)  # noqa: B023
            digest = hashlib.sha256(json.dumps(result[0].tolist()).encode()).hexdigest()[:12]
            work = coins * args.minutes / 1e6
            sides = "long and short" if short else "long"
            table.add_row(str(coins), sides, f"{work / quick:.2f}", f"{work / full:.2f}", str(len(result[0])), digest)
    Console().print(table)


if __name__ == "__main__":
    main()
