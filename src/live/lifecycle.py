"""From start to end: prepare a bot, run it, build it anew after too many errors, give up in time (`live.md` 3, 16)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from config.live_settings import LiveSettings
from core.clock import Clock
from core.errors import PassivbotError, RunError, UserError
from core.terms import PSIDES
from exchanges.failures import failure_of
from live.bot import Bot
from live.budget import RestartBudget
from live.loop import Loop, RestartError, keys_refused
from live.warmup import warm_up, windows

logger = logging.getLogger(__name__)

READY = "[boot] READY - Bot initialization complete"


@dataclass
class Lifecycle:
    """Runs bots one after the other until `stop`. `open_bot` makes one, without asking anybody yet."""

    open_bot: Callable[[], Bot]
    settings: LiveSettings
    clock: Clock
    on_ready: Callable[[Bot], None] = lambda bot: None
    _loop: Loop | None = None

    def __post_init__(self) -> None:
        self._stopping = asyncio.Event()
        self._restarts = RestartBudget(self.settings.max_restarts_per_day)

    def stop(self) -> None:
        """End soon; nothing is written from now on."""
        self._stopping.set()
        if self._loop is not None:
            self._loop.stop()

    async def run(self) -> None:
        """Until stopped. Raises UserError (refused keys too) at once, RunError when the day's restarts are used up."""
        while not self._stopping.is_set():
            try:
                await self._run_one()
                if self._stopping.is_set():
                    return
                logger.warning("the bot ended by itself; starting anew")
            except UserError:
                raise
            except Exception as exc:
                if self._stopping.is_set():
                    return
                logger.error("the bot is restarted: %s: %s", type(exc).__name__, exc, exc_info=_unexpected(exc))
            await self._countdown()

    async def _run_one(self) -> None:
        bot = self.open_bot()
        try:
            self._loop = Loop(bot, self.clock)
            if self._stopping.is_set():
                return
            await self._unless_stopped(self._start(bot))
            if not self._stopping.is_set():
                logger.info(READY)
                self.on_ready(bot)
                await self._loop.run()
        finally:
            bot.stop_writing()
            self._loop = None
            await bot.aclose()

    async def _start(self, bot: Bot) -> None:
        for line in banner(bot, self.settings):
            logger.info("%s", line)
        try:
            await bot.prepare()
        except Exception as exc:
            if failure_of(bot.exchange.name, exc) == "auth":
                raise keys_refused(bot, exc) from exc
            raise
        coins = bot.lists.read(bot.book)
        approved = {symbol for pside in PSIDES for symbol in coins.approved[pside] - coins.ignored[pside]}
        minutes = windows(self.settings, approved, bot.book, forager=bot.is_forager(len(approved)))
        await warm_up(bot.parts.manager, minutes, self.settings, bot.exchange.name, self.clock)

    async def _countdown(self) -> None:
        """Wait, then see whether another restart is allowed."""
        wait_s = self._restarts.countdown_s(self.clock.now_ms())
        logger.info("[boot] next start in %.0f s", wait_s)
        await self._unless_stopped(self.clock.sleep(wait_s))
        if self._stopping.is_set():
            return
        if not self._restarts.register(self.clock.now_ms()):
            raise RunError(
                f"{self._restarts.used} restarts within a day, live.max_n_restarts_per_day allows "
                f"{self.settings.max_restarts_per_day}: see the errors above, then start again"
            )

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await, but no longer than until the stop."""
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for item in (task, stopped):
                item.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)


def banner(bot: Bot, settings: LiveSettings) -> list[str]:
    """What a user should see before the first order: whose account, which sides, how much, under which rules."""
    on = [pside.upper() for pside in PSIDES if settings.is_enabled(pside)]
    sides = {0: "DISABLED", 1: f"{''.join(on)} only", 2: "LONG + SHORT"}[len(on)]
    long, short = (settings.side(pside) for pside in PSIDES)
    orders = settings.orders
    lines = [
        "[boot] starting bot",
        f"[boot] {bot.exchange.name}:{settings.user} | {sides} | {long['n_positions']:g}L/{short['n_positions']:g}S | "
        f"TWEL {long['total_wallet_exposure_limit']:.0%} long, {short['total_wallet_exposure_limit']:.0%} short",
        f"[boot] leverage {settings.default_leverage:g} | {'hedge' if settings.hedge_mode else 'one-way'} mode | "
        f"orders {'post-only' if orders.post_only else 'good till cancelled'}, "
        f"market orders {'allowed' if orders.market_orders_allowed else 'off'}, "
        f"caps {orders.max_cancels} cancels, {orders.max_creates} creates a cycle | "
        f"delay {settings.execution_delay_s:g} s | fills of {settings.lookback_days:g} days",
    ]
    if bot.parts.dry_run:
        lines.append("[boot] DRY RUN: nothing is ordered, cancelled or set on the exchange")
    return lines


def _unexpected(error: Exception) -> Exception | None:
    """The error with its traceback, unless it explains itself or is one of the exchange or the connection."""
    explained = isinstance(error, RestartError | PassivbotError | OSError) or failure_of("", error) != "other"
    return None if explained else error
