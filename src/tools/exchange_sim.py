#!/usr/bin/env python3
"""Runs a simulated exchange on this machine: Binance and Bybit with candles, accounts and orders; no keys needed."""

from __future__ import annotations

import _src_path
import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import log
from core.arguments import add_log_level, tool_parser
from core.errors import UsageError
from core.program import run_program

if TYPE_CHECKING:
    from runs.live_market import LiveFeed

EXAMPLES = """
examples:
  exchange_sim.py                                               sample market, time of day, a free port
  exchange_sim.py --write-endpoints configs/custom_endpoints.json   and point all programs at it
  exchange_sim.py --port 8080 --protocol bybit --config sim.hjson

The config is HJSON with these keys, all optional:
  data: sample | cache | DIRECTORY | live, data_seed, exchange, cache_dir, market_settings, custom_endpoints,
  start: 2025-06-01, speed: 1 (0: stepped), protocols, seed, faults: [{match: {...}, action: ...}],
  balance: 1000, fees: {maker: 0.0002, taker: 0.0005}, slippage: 0.0002, funding: {rate: 0.0001, interval_hours: 8},
  fill_model: strict | touch | pessimistic | probabilistic | partial, fill_probability, participation,
  liquidation: false, auth: any | strict, secrets: {"key": "secret"}, state_dir: DIRECTORY (accounts outlive the venue)

Any API key has an account of its own, made when it is first used, unless auth is strict. Prices, accounts, faults, time
and the request log are at hand under /sim/v1 with the token that is printed, for example:
  curl -H "X-Sim-Token: TOKEN" "URL/sim/v1/state?protocol=bybit"
  curl -H "X-Sim-Token: TOKEN" -d '{"symbol": "BTCUSDT", "price": 95000}' URL/sim/v1/price

It runs until Ctrl-C, or until POST /sim/v1/shutdown; an endpoints file that it wrote is removed then.
"""


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    p.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default 0: any free one)")
    p.add_argument("--protocol", metavar="binance,bybit", help="protocols to speak (default both)")
    p.add_argument(
        "--config", type=Path, metavar="FILE", help="market, clock, trading and faults (default: sample, time of day)"
    )
    p.add_argument("--write-endpoints", type=Path, metavar="PATH", help="write a custom endpoints file for this venue")
    p.add_argument("--attached", action="store_true", help="end when standard input closes: with the program above")
    add_log_level(p)
    return p


def run(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    log.setup(args.debug_level)
    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: a port is a number from 0 to 65535")
    import asyncio  # this and the server take 0.4 s, which --help should not wait for

    asyncio.run(operate(args))
    return 0


async def operate(args: argparse.Namespace) -> None:
    """Run the venue until it is told to stop."""
    from contextlib import AsyncExitStack

    from exchange_sim.run import serve
    from exchange_sim.settings import read_sim_config, read_values

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201

    protocols = tuple(word.strip().lower() for word in args.protocol.split(",")) if args.protocol else None
    async with AsyncExitStack() as stack:
        values = read_values(args.config)
        feed = await stack.enter_async_context(live_prices(values)) if values["data"] == "live" else None
        config = read_sim_config(args.config, args.port, protocols, feed)
        await serve(config, args.write_endpoints, tell, sys.stdin if args.attached else None)


def live_prices(values: dict[str, Any]) -> AbstractAsyncContextManager[LiveFeed]:
    """Those of the exchange that a venue's file names."""
    from core.clock import SystemClock
    from exchange_sim.persistence import saved_until
    from exchange_sim.settings import state_dir_of
    from exchanges.endpoints import load_endpoints
    from runs.live_market import live_feed

    state_dir = state_dir_of(values)
    since_ms = saved_until(state_dir) if state_dir else None
    endpoints = load_endpoints(values["custom_endpoints"] or None)
    return live_feed(values["exchange"], endpoints, Path(values["cache_dir"]), SystemClock(), since_ms)


def main(argv: list[str] | None = None) -> int:
    return run_program(run, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
