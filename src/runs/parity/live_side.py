"""The live bot's trades of a span, on a simulated exchange whose clock moves a minute a cycle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clock import HOUR_MS, MINUTE_MS, SteppedClock
from exchange_sim.redirect import endpoints_of
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.trading.engine import Options
from exchange_sim.trading.records import Event, Fill
from exchanges.accounts import Account, account_of
from exchanges.endpoints import Endpoints, parse_endpoints
from live.orders.order_ids import order_type_of
from passivbot import Passivbot
from runs.parity.span import Span
from runs.parity.trades import Trade

USER = "parity"
Placed = tuple[int, str, str, str, float, float]  # time, client id, coin, side, contracts, price
MOST_CYCLES = 5  # of a minute; a busy bot has one every two seconds


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The fills of a run, and every order that was placed, in their order."""

    trades: list[Trade]
    placed: list[Placed]


async def live_run(
    span: Span,
    protocol: str,
    cache_dir: Path,
    *,
    restarts: Collection[int] = (),
    progress: Callable[[int], None] = lambda minute: None,
) -> LiveRun:
    """What the simulator's ledger holds after the minutes of a span; `restarts` are minutes at which the bot is thrown
    away together with all that it keeps on disk. Whatever a cycle raises ends the run."""
    clock = SteppedClock(span.planned_ms + MINUTE_MS)
    balance = float(span.config["backtest"]["starting_balance"])
    trading = Options(starting_balance=balance, slippage=0.0, crossing_rests=True)
    account = account_of(USER, {"exchange": protocol, "key": f"{USER}-key", "secret": f"{USER}-secret"})
    config = SimConfig(market=span.market, clock=clock, protocols=(protocol,), trading=trading)
    async with SimServer(config) as sim:
        engine = sim.venue.engine(protocol)
        events: list[Event] = []
        engine.subscribe(events.append)
        endpoints = parse_endpoints(endpoints_of(sim.address, (protocol,)), "the simulator")
        bot = await _opened(span, account, endpoints, cache_dir, clock)
        try:
            for minute in range(span.minutes):
                if minute in restarts:
                    await bot.close()
                    shutil.rmtree(cache_dir)
                    bot = await _opened(span, account, endpoints, cache_dir, clock)
                await _settled(bot)
                clock.advance(MINUTE_MS)
                sim.venue.settle()
                progress(minute)
        finally:
            await bot.close()
        fills = [fill for key in engine.accounts for fill in engine.fills(key)]
    coins = {item.symbol: item.market.coin for item in span.items}
    return LiveRun([_trade(fill, coins) for fill in fills], _placed(events, coins))


def _trade(fill: Fill, coins: Mapping[str, str]) -> Trade:
    return Trade(
        fill.ts,
        coins[fill.symbol],
        "short" if fill.pside == "short" else "long",
        fill.qty if fill.side == "buy" else -fill.qty,
        fill.price,
        order_type_of(fill.client_id),
    )


def _placed(events: Iterable[Event], coins: Mapping[str, str]) -> list[Placed]:
    return [
        (event.time_ms, order.client_id, coins[order.symbol], order.side, order.qty, order.price)
        for event in events
        if event.kind == "order_new" and (order := event.order) is not None
    ]


async def _settled(bot: Passivbot) -> None:
    """As many cycles as it takes: what replaces a cancelled order is posted in the next cycle, seconds later."""
    for _ in range(MOST_CYCLES):
        report = (await bot.run_one_cycle()).report
        bot.let_pass()
        if not report.withheld and not report.failed:
            return


async def _opened(
    span: Span, account: Account, endpoints: Endpoints, cache_dir: Path, clock: SteppedClock
) -> Passivbot:
    """A bot that knows all candles from the first one on, as the engine does."""
    options = {"cache_dir": cache_dir}
    bot = Passivbot(span.config, options, account=account, endpoints=endpoints, clock=clock, loopback_only=True)
    opened = await bot.start()
    for item in span.items:
        manager = opened.parts.manager
        await manager.get_candles(item.symbol, start_ts=span.first_ms, max_age_ms=0)
        await manager.get_candles(
            item.symbol, start_ts=span.first_ms, end_ts=clock.now_ms() // HOUR_MS * HOUR_MS - HOUR_MS, timeframe="1h"
        )
    return bot
