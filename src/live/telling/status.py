"""How the bot is doing, in a few lines now and then: status, health, memory (`live.md` 22)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.clock import DAY_MS, MINUTE_MS, Clock
from core.terms import PSIDES
from exchanges.protocol import OpenOrder
from live.bot import Bot, Cycle
from live.budget import ERRORS_PER_HOUR
from live.fills.record import FillEvent
from live.records import Order, price_distance
from live.telling.position_lines import distance, upnl, wallet_exposure
from markets.candle import CANDLE_DTYPE

logger = logging.getLogger(__name__)

HEALTH_EVERY_MS = 15 * MINUTE_MS
LARGEST = 3  # symbols of which the memory line tells
STATUS_EVERY_MS = 5 * MINUTE_MS


@dataclass
class Counters:
    """What has happened since the last health line, or since the start where it says so."""

    started_ms: int
    posted: int = 0
    cancelled: int = 0
    fills: int = 0
    pnl: float = 0.0
    reconnects: int = 0  # since the start
    rate_limits: int = 0
    errors_this_hour: int = 0
    cycle_ms: float = 0.0

    def count(self, cycle: Cycle) -> None:
        self.posted += len(cycle.report.created)
        self.cancelled += len(cycle.report.cancelled)

    def count_fills(self, events: Sequence[FillEvent]) -> None:
        self.fills += len(events)
        self.pnl += sum(event.pnl for event in events)

    def restart(self) -> None:
        self.posted = self.cancelled = self.fills = self.rate_limits = 0
        self.pnl = 0.0


class StatusLog:
    """Tells status and health when they are due; both after the first cycle."""

    def __init__(self, bot: Bot, counters: Counters, clock: Clock) -> None:
        self._bot, self._counters, self._clock = bot, counters, clock
        self._next_health_ms = self._next_status_ms = 0

    def tell(self, cycle: Cycle) -> None:
        now_ms = self._clock.now_ms()
        if now_ms >= self._next_status_ms:
            self._next_status_ms = now_ms + STATUS_EVERY_MS
            for line in status_lines(cycle, self._bot.parts.fills.events, now_ms):
                logger.info("%s", line)
        if now_ms >= self._next_health_ms:
            self._next_health_ms = now_ms + HEALTH_EVERY_MS
            logger.info("%s", health_line(cycle, self._counters, now_ms))
            self._counters.restart()


def status_lines(cycle: Cycle, fills: Sequence[FillEvent], now_ms: int) -> list[str]:
    """Balance, exposure, profit of the day; then a line a position and one for the orders next to the market."""
    facts, book = cycle.decision.facts, cycle.decision.world.book
    account = cycle.decision.world.account
    prices = facts.prices
    open_profit = sum(upnl(key, held, prices.get(key[0]), book) for key, held in account.positions.items())
    today = now_ms // DAY_MS * DAY_MS
    pnl = sum(event.pnl for event in fills if event.timestamp >= today)
    shares = []
    for pside in PSIDES:
        total = _total_limit(cycle, pside)
        held = {key: p for key, p in account.positions.items() if key[1] == pside}
        if total > 0.0 or held:
            used = sum(wallet_exposure(p, book.c_mult(key[0]), facts.balance) for key, p in held.items())
            slots = cycle.decision.assignment.sides["long" if pside == "long" else "short"].max_positions
            shares.append(f"{pside} {len(held)}/{slots} positions, exposure {used:.3f} of {total:.3f}")
    lines = [
        f"[status] balance {facts.balance:.2f} equity {account.fetched_balance + open_profit:.2f} "
        f"pnl today {pnl:+.2f} | {' | '.join(shares) or 'no side is enabled'} | {len(account.open_orders)} open orders"
    ]
    for key, position in sorted(account.positions.items()):
        price = prices.get(key[0], math.nan)
        share = wallet_exposure(position, book.c_mult(key[0]), facts.balance)
        limit = facts.limits.get(key, 0.0)
        lines.append(
            f"[status] {book.coin(key[0])} {key[1]} {position.size:.10g} @ {position.price:.10g} "
            f"WE {share:.3f} of {limit:.3f} price {distance(price, position):+.2%} "
            f"upnl {upnl(key, position, price, book):+.2f}"
        )
    nearest = _nearest(cycle, account.open_orders)
    return [*lines, nearest] if nearest else lines


def _total_limit(cycle: Cycle, pside: str) -> float:
    request = cycle.decision.plan.request
    return float(request["global"]["global_bot_params"][pside]["total_wallet_exposure_limit"]) if request else 0.0


def _nearest(cycle: Cycle, orders: Sequence[OpenOrder]) -> str:
    """How far the market is from the next entry and the next close."""
    prices, book = cycle.decision.facts.prices, cycle.decision.world.book
    resting: list[Order] = [*orders, *cycle.report.created]
    parts = []
    for word, closes in (("entry", False), ("close", True)):
        found = [
            (price_distance(order.side, order.price, prices[order.symbol]), order)
            for order in resting
            if order.reduce_only == closes and order.symbol in prices
        ]
        if found:
            distance, order = min(found, key=lambda pair: pair[0])
            coin = book.coin(order.symbol)
            parts.append(f"{word} {coin} {order.pside} {order.qty:.10g}@{order.price:.10g} {distance:.2%} away")
    return f"[status] next {', '.join(parts)}" if parts else ""


def health_line(cycle: Cycle, counters: Counters, now_ms: int) -> str:
    """`[health] uptime ...`."""
    account = cycle.decision.world.account
    uptime_min = (now_ms - counters.started_ms) / 60_000
    return (
        f"[health] uptime={uptime_min / 60:.1f}h cycle={counters.cycle_ms:.0f}ms positions={len(account.positions)} "
        f"balance={account.balance:.2f} orders=+{counters.posted}/-{counters.cancelled} "
        f"fills={counters.fills} (pnl {counters.pnl:+.2f}) errors={counters.errors_this_hour}/{ERRORS_PER_HOUR} "
        f"ws_reconnects={counters.reconnects} rate_limits={counters.rate_limits} rss={rss_mib():.0f}MiB"
    )


def memory_line(bot: Bot, before_mib: float | None) -> str:
    """`[memory] rss=... change=... candles=... (the largest three) fills=... tasks=...`."""
    rss = rss_mib()
    change = "" if before_mib is None else f" change={rss - before_mib:+.1f}MiB"
    rows = bot.parts.manager.store.rows_in_memory()
    largest = sorted(rows.items(), key=lambda item: (-item[1], item[0]))[:LARGEST]
    named = f" ({', '.join(f'{name} {_candles_mib(count):.1f}' for name, count in largest)})" if largest else ""
    return (
        f"[memory] rss={rss:.1f}MiB{change} candles={_candles_mib(sum(rows.values())):.1f}MiB{named} "
        f"fills={len(bot.parts.fills.events)} tasks={len(asyncio.all_tasks())}"
    )


def _candles_mib(rows: int) -> float:
    return rows * CANDLE_DTYPE.itemsize / 2**20


def rss_mib() -> float:
    """Resident memory of this process, as the system states it; the peak where it has no /proc."""
    import resource  # POSIX only

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
