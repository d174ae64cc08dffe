"""The whole bot against the simulated venue, both in one process: unmodified clients, no network, time in steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_cases import KEY, SECRET, START

from config.changes import SOURCES_KEY
from config.load import load_config
from config.normalize import format_config
from config.overrides import resolve_coin_overrides
from core.clock import HOUR_MS, MINUTE_MS, Clock, SteppedClock
from exchange_sim.redirect import endpoints_of
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.trading.engine import Engine
from exchanges.accounts import account_of
from exchanges.endpoints import parse_endpoints
from live.bot import Bot, Cycle
from passivbot import Passivbot

PAPER = Path(__file__).resolve().parents[2] / "configs" / "examples" / "paper.json"
LIVELY = START + 22 * HOUR_MS  # both coins go up and down by more than a percent within two hours
DOGE, SOL = "DOGE/USDT:USDT", "SOL/USDT:USDT"
MOST_CYCLES = 8  # of a minute; a busy bot has one every two seconds


def paper_config(**live: Any) -> dict[str, Any]:
    """`configs/examples/paper.json` with two coins, as the program prepares it."""
    clock = SteppedClock(START)
    config = load_config(str(PAPER), live_only=True, clock=clock)
    coins = {"long": ["DOGE", "SOL"], "short": ["DOGE", "SOL"]}
    for side in config["bot"].values():  # so that much happens within two hours
        side |= {"close_grid_markup_start": 0.003, "close_grid_markup_end": 0.001, "close_trailing_grid_ratio": 0.0}
    config[SOURCES_KEY]["approved_coins"] = coins
    config["live"] |= {"minimum_coin_age_days": 0, "balance_hysteresis_snap_pct": 0.0, **live}
    return resolve_coin_overrides(format_config(config, live_only=True, clock=clock), clock=clock)


@dataclass
class Yard:
    """A venue, a bot on it, and the directory where the bot keeps its things."""

    protocol: str
    sim: SimServer
    passivbot: Passivbot
    clock: Clock
    cache_dir: Path

    @property
    def engine(self) -> Engine:
        return self.sim.venue.engine(self.protocol)

    @property
    def bot(self) -> Bot:
        assert self.passivbot._bot is not None
        return self.passivbot._bot

    @property
    def orders(self) -> list[Any]:
        return list(self.engine.open_orders(KEY))

    async def cycle(self) -> Cycle:
        return await self.passivbot.run_one_cycle()

    async def settle(self) -> list[Cycle]:
        """Cycles until nothing is left to do in this minute."""
        cycles = []
        for _ in range(MOST_CYCLES):
            cycles.append(await self.cycle())
            self.passivbot.let_pass()
            if not cycles[-1].report.acted:
                break
        return cycles

    def step(self, minutes: int = 1) -> None:
        """The market goes on."""
        assert isinstance(self.clock, SteppedClock)
        for _ in range(minutes):
            self.clock.advance(MINUTE_MS)
            self.sim.venue.settle()


Case = Callable[[Yard], Awaitable[None]]


def with_bot(
    protocol: str, cache_dir: Path, case: Case, *, clock: Clock | None = None, start: bool = True, sim: Any = (),
    options: Any = (), **live: Any,
) -> None:  # fmt: skip
    """Run a case with a bot that is prepared, unless it shall not `start`; `sim` and `live` are settings."""
    clock = clock or SteppedClock(LIVELY)

    async def run() -> None:
        config = SimConfig(clock=clock, protocols=(protocol,), **dict(sim))
        async with SimServer(config) as server:
            endpoints = parse_endpoints(endpoints_of(server.address, (protocol,)), "the venue")
            account = account_of("alice", {"exchange": protocol, "key": KEY, "secret": SECRET})
            passivbot = Passivbot(
                paper_config(**live), {"cache_dir": cache_dir, **dict(options)}, account=account, endpoints=endpoints,
                clock=clock, loopback_only=True,
            )  # fmt: skip
            try:
                if start:
                    bot = await passivbot.start()
                    for client in (bot.exchange.rest, bot.exchange.stream):
                        client.timeout_on_exit = 0
                await case(Yard(protocol, server, passivbot, clock, cache_dir))
            finally:
                await passivbot.close()

    asyncio.run(run())
