"""When a bot acts: cycle after cycle, woken by order updates, slower while something fails (`live.md` 4, 16, 23)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from candles.fetching.retry_after import retry_after_s
from core.clock import MINUTE_MS, Clock
from core.errors import UserError
from core.rng import variation
from exchanges.failures import Failure, failure_of
from live.account.reader import NotReadError
from live.bot import Bot, Cycle
from live.budget import Backoff, ErrorBudget, counts, wait_of
from live.orders.executor import Report
from live.telling.status import Counters, StatusLog, memory_line, rss_mib

logger = logging.getLogger(__name__)

IDLE_S = 30.0  # the longest wait between cycles, on top of the delay
SKIPPED_S, HOURLY_FAILURE_S = 0.5, 5.0
STOP_S = 3.0  # for the running cycle
SILENCE_MS = 60_000  # without a word of the stream after we did something
_ERRORS: frozenset[Failure] = frozenset({"network", "unavailable", "refused", "other", "clock"})  # of writes


class RestartError(Exception):
    """Too many errors in an hour: everything is to be built anew."""


class KeysRefusedError(UserError):
    """The exchange does not accept the account's keys; only the user can change that."""


def keys_refused(bot: Bot, error: BaseException) -> KeysRefusedError:
    """The error that ends a bot whose keys are not accepted."""
    return KeysRefusedError(
        f"{bot.exchange.name} refuses the keys of {bot.settings.user} in api-keys.json: {error}; check key, secret and "
        "permissions, and whether they are limited to other addresses"
    )


class Loop:
    """Runs a prepared bot until `stop`. Raises RestartError, KeysRefusedError."""

    def __init__(self, bot: Bot, clock: Clock) -> None:
        self.bot, self.clock = bot, clock
        self.counters = Counters(clock.now_ms())
        bot.on_fills = self.counters.count_fills
        self._status = StatusLog(bot, self.counters, clock)
        self._errors, self._backoff = ErrorBudget(), Backoff()
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()
        self._expecting_ms: int | None = None  # since when the stream owes us a word
        self._heard_ms = 0  # its last one
        self._quiet_until_ms = 0  # before which the exchange does not want to be asked
        self._memory: tuple[int, float] | None = None

    def stop(self) -> None:
        """End: nothing is written from now on."""
        self.bot.stop_writing()
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Cycles and background tasks, until stopped."""
        tasks = [asyncio.create_task(work) for work in self._background()]
        main = asyncio.create_task(self._cycles())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({main, stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                await asyncio.wait({main}, timeout=STOP_S)
            for task in (main, *tasks):
                if task.done() and not task.cancelled():
                    task.result()  # raises what ended it
        finally:
            await _cancel([main, stopped, *tasks])

    def _background(self) -> list[Coroutine[Any, Any, None]]:
        work = [self._hourly()]
        if self.bot.exchange.can_watch_orders:
            work.append(self._watch())
        return work

    # --- cycles

    async def _cycles(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            started_ms = self.clock.now_ms()
            cycle = await self._cycle()
            if cycle is None:
                continue
            self.counters.cycle_ms = self.clock.now_ms() - started_ms
            self._expect(cycle, started_ms)
            self._status.tell(cycle)
            await self._pause(self.bot.settings.execution_delay_s)
            if not cycle.report.acted:
                await self._until_woken(IDLE_S)

    async def _cycle(self) -> Cycle | None:
        """One cycle; None if it failed, after waiting as long as the failure asks for."""
        try:
            cycle = await self.bot.run_cycle()
        except Exception as exc:  # noqa: BLE001 - the one place that decides what a failure means
            await self._after_failure(exc)
            return None
        self.counters.count(cycle)
        await self._judge(cycle.report)
        self.counters.errors_this_hour = self._errors.count(self.clock.now_ms())
        return cycle

    async def _judge(self, report: Report) -> None:
        """What writes that failed ask for; together they are one error at most."""
        errors = {failed.failure: failed.error for failed in report.failed}
        if "auth" in errors:
            raise keys_refused(self.bot, errors["auth"])
        if "clock" in errors:
            await self._resync()
        if errors.keys() & _ERRORS:
            self._register()
        if "rate_limit" in errors:
            await self._after_failure(errors["rate_limit"])
        else:
            self._backoff.reset()

    async def _after_failure(self, error: Exception) -> None:
        skipped = isinstance(error, NotReadError)
        cause = error.__cause__ if skipped and isinstance(error.__cause__, Exception) else error
        failure: Failure = "other" if cause is error and skipped else self._failure_of(cause)
        if failure == "auth":
            raise keys_refused(self.bot, cause)
        rest = self.bot.exchange.rest
        headers = getattr(rest, "last_refusal_headers", None) or getattr(rest, "last_response_headers", None) or {}
        least = wait_of(failure, retry_after_s(headers, self.clock.now_ms()) if failure == "rate_limit" else 0.0)
        wait_s = self._backoff.next_s(least)
        if skipped and cause is error:
            wait_s = SKIPPED_S if self._backoff.failures <= 2 else wait_s
        if failure == "rate_limit":
            self.counters.rate_limits += 1
            self._quiet_until_ms = self.clock.now_ms() + int(wait_s * 1000)
        self._tell(error, failure, wait_s, skipped=skipped)
        if failure == "clock":
            await self._resync()
        if counts(failure, self._backoff.failures, skipped=skipped):
            self._register()
        await self._pause(wait_s)

    def _tell(self, error: Exception, failure: Failure, wait_s: float, *, skipped: bool) -> None:
        if failure == "rate_limit":
            level = logging.WARNING if self._backoff.failures == 1 else logging.INFO  # a ban lasts: one warning will do
            logger.log(level, "[rate] %s; next try in %.0f s", error, wait_s)
        elif skipped or failure in ("network", "unavailable", "clock"):
            logger.warning("the cycle is skipped (%s): %s; next try in %.1f s", failure, error, wait_s)
        else:
            logger.error("the cycle failed (%s); next try in %.0f s", failure, wait_s, exc_info=error)

    def _failure_of(self, error: BaseException) -> Failure:
        return failure_of(self.bot.exchange.name, error)

    def _register(self) -> None:
        """Count an error; too many of them end this bot."""
        now_ms = self.clock.now_ms()
        used_up = self._errors.register(now_ms)
        self.counters.errors_this_hour = self._errors.count(now_ms)
        logger.warning("%d of 10 errors per hour", self.counters.errors_this_hour)
        if used_up:
            raise RestartError("10 errors within an hour")

    async def _resync(self) -> None:
        """Measure the difference to the exchange's clock again; a failure shows with the next request."""
        with suppress(Exception):
            await self.bot.exchange.sync_clock()
            logger.info("the difference to the clock of %s was measured again", self.bot.exchange.name)

    # --- waiting

    async def _pause(self, seconds: float) -> None:
        """By the clock, or until stopped."""
        await self._either(self.clock.sleep(seconds), self._stopping.wait())

    async def _until_woken(self, seconds: float) -> None:
        await self._either(self.clock.sleep(seconds), self._wake.wait())

    async def _either(self, *waits: Coroutine[Any, Any, Any]) -> None:
        tasks = [asyncio.create_task(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(tasks)

    # --- the stream (4)

    def _expect(self, cycle: Cycle, started_ms: int) -> None:
        """After a change of ours the stream must say so within a minute; else it is deaf, and opened anew."""
        changed = bool(cycle.report.created or cycle.report.cancelled)
        if changed and self._expecting_ms is None and self._heard_ms < started_ms:
            self._expecting_ms = self.clock.now_ms()

    async def _watch(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                await self._next_update()
                backoff.reset()
                self.bot.reader.note_change()
                self._wake.set()
            except Exception as exc:  # a lost stream costs time, nothing else: REST knows everything
                if self._stopping.is_set():
                    return
                if self._failure_of(exc) == "other":
                    logger.debug("stream failure", exc_info=exc)
                self.counters.reconnects += 1
                wait_s = backoff.next_s() * variation.uniform(0.8, 1.2)
                logger.warning(
                    "[ws] %s: %s; reconnect #%d in %.1f s", type(exc).__name__, exc, self.counters.reconnects, wait_s
                )
                with suppress(Exception):  # dead or half dead: the next one begins anew, with a new listen key
                    await self.bot.exchange.reset_stream()
                await self._pause(wait_s)

    async def _next_update(self) -> None:
        """Wait for an update; raises TimeoutError when one is owed for too long."""
        update = asyncio.create_task(self.bot.exchange.watch_orders())
        silence = asyncio.create_task(self._silence())
        try:
            await asyncio.wait({update, silence}, return_when=asyncio.FIRST_COMPLETED)
            if not update.done():
                raise TimeoutError(f"no word for {SILENCE_MS // 1000} s about an order of ours")
            update.result()
            self._heard_ms = self.clock.now_ms()
        finally:
            self._expecting_ms = None
            await _cancel([update, silence])

    async def _silence(self) -> None:
        """Until the stream owes a word for too long."""
        while self._expecting_ms is None or self.clock.now_ms() - self._expecting_ms <= SILENCE_MS:
            await self.clock.sleep(1.0)

    # --- every hour (3)

    async def _hourly(self) -> None:
        while not self._stopping.is_set():
            self._memory_snapshot()
            if self.bot.is_due() and self.clock.now_ms() >= self._quiet_until_ms:
                await self._refresh()
            await self._pause(1.0)

    async def _refresh(self) -> None:
        try:
            await self.bot.prepare()
            logger.info("[hourly] markets are up to date")
        except Exception as exc:
            failure = self._failure_of(exc)
            if failure == "auth":
                raise keys_refused(self.bot, exc) from exc
            logger.warning("[hourly] markets could not be read again: %s: %s", type(exc).__name__, exc)
            if counts(failure, 1, skipped=False):
                self._register()
            await self._pause(wait_of(failure, HOURLY_FAILURE_S))

    def _memory_snapshot(self) -> None:
        now_ms = self.clock.now_ms()
        interval_ms = self.bot.settings.memory_interval_minutes * MINUTE_MS
        if self._memory is None or now_ms - self._memory[0] >= interval_ms:
            logger.info("%s", memory_line(self.bot, self._memory[1] if self._memory else None))
            self._memory = now_ms, rss_mib()


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel what is still running and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
