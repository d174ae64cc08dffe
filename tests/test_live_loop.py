"""When the bot acts, and what it does about failures (`live.md` 4, 16, 23; `reliability.md`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from live.account.reader import NotReadError
from live.budget import Backoff, ErrorBudget, RestartBudget, counts, wait_of
from live.loop import KeysRefusedError, Loop, RestartError
from live_cases import NOW, settings_of
from live_loops import FakeBot, TimeTable, busy, failing, quiet

OUTAGE = ccxt.NetworkError("unreachable")
Prepare = Callable[[Loop], None]


class Run:
    """A loop over a script, until the script is over."""

    def __init__(self, script: list[Any], *, stream: bool = False, **settings: Any) -> None:
        self.clock = TimeTable()
        self.bot = FakeBot(self.clock, script, settings_of(execution_delay_seconds=2.0, **settings))
        self.bot.exchange.can_watch_orders = stream
        self.loop: Any = None

    def go(self, seconds: float = 100_000.0, prepare: Prepare = lambda loop: None) -> FakeBot:
        async def case() -> None:
            self.bot.updates = asyncio.Queue()
            self.loop = Loop(self.bot, self.clock)  # type: ignore[arg-type]
            self.bot.at_end = self.loop.stop
            prepare(self.loop)
            await self.loop.run()

        self.clock.run(case(), seconds)
        return self.bot


def skipped(cause: Exception | None = None) -> NotReadError:
    error = NotReadError("open orders could not be read")
    error.__cause__ = cause
    return error


# --- pace


def test_pace() -> None:
    """A cycle with something to do is followed by the next after the delay; a quiet one half a minute later."""
    run = Run([busy(), busy(), quiet(), busy()])
    assert run.go().began == [0.0, 2.0, 4.0, 36.0, 38.0]
    assert run.loop.counters.posted == 2, "since the health line after the first"


def test_order_update_wakes() -> None:
    """An update ends the wait, and makes fills be read; one that comes during a cycle is not lost."""
    run = Run([quiet(), quiet(), lambda: (run.bot.updates.put_nowait(1), quiet())[1], quiet()], stream=True)

    def prepare(loop: Loop) -> None:
        async def later() -> None:
            await run.clock.sleep(10.0)
            run.bot.updates.put_nowait("update")

        asyncio.get_running_loop().create_task(later())

    bot = run.go(prepare=prepare)
    assert bot.began == [0.0, 10.0, 42.0, 44.0, 76.0]
    assert bot.noted.count("change") == 2


def test_polling_without_stream() -> None:
    """Where updates cannot be had nobody waits for them."""
    assert Run([quiet()]).go().began == [0.0, 32.0]


def test_fills_are_counted() -> None:
    """New fills are counted for the health line."""
    run = Run([quiet()])
    run.go()
    run.bot.on_fills([SimpleNamespace(pnl=1.5), SimpleNamespace(pnl=-0.5)])
    assert (run.loop.counters.fills, run.loop.counters.pnl) == (2, 1.0)


# --- failures


def test_outage() -> None:
    """Failures in a row wait 1, 2, 4 ... 30 s; a good cycle begins anew. Ten within an hour end the bot."""
    run = Run([OUTAGE] * 6 + [busy(), OUTAGE, busy()])
    assert run.go().began == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 63.0, 64.0, 66.0]
    assert run.loop.counters.errors_this_hour == 7
    with pytest.raises(RestartError, match="10 errors within an hour"):
        Run([OUTAGE] * 10).go()
    run = Run([OUTAGE] * 9)
    run.go()
    assert run.loop.counters.errors_this_hour == 9


def test_ten_seconds_of_outage() -> None:
    """They do not use up the hour's errors."""
    run = Run([lambda: OUTAGE if run.clock.ms < NOW + 10_000 else busy() for _ in range(30)])
    run.go()
    assert run.loop.counters.errors_this_hour == 4


def test_skipped_cycles() -> None:
    """A cycle that could not read orders or fills counts from the eleventh in a row on."""
    run = Run([skipped(OUTAGE)] * 10 + [busy()] + [skipped(OUTAGE)] * 11 + [busy()])
    run.go()
    assert run.loop.counters.errors_this_hour == 1


def test_contradiction(caplog: pytest.LogCaptureFixture) -> None:
    """A reading that contradicts what is known is done again at once, twice; then it is a failure like others."""
    assert Run([skipped()] * 4).go().began == [0.0, 0.5, 1.0, 5.0, 13.0]
    assert "the cycle is skipped (other): open orders could not be read; next try in 0.5 s" in caplog.text


def test_program_error(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the program is told with its traceback, and counts; the bot goes on."""
    run = Run([ZeroDivisionError("oh"), busy()])
    assert run.go().began == [0.0, 1.0, 3.0]
    assert "the cycle failed (other)" in caplog.text
    assert "Traceback" in caplog.text
    assert "1 of 10 errors per hour" in caplog.text


def test_rate_limit(caplog: pytest.LogCaptureFixture) -> None:
    """At least 5 s, or as long as the exchange says; no error however long it lasts, and one warning."""
    caplog.set_level("INFO")
    run = Run([ccxt.RateLimitExceeded("slow"), busy(), *[ccxt.DDoSProtection("banned")] * 12, busy()])
    bot = run.go()
    assert bot.began[:2] == [0.0, 5.0]
    assert bot.began[2:9] == [7.0, 12.0, 17.0, 22.0, 30.0, 46.0, 76.0]
    assert run.loop.counters.errors_this_hour == 0
    assert run.loop.counters.rate_limits == 12, "since the health line"
    told = [record.levelname for record in caplog.records if record.message.startswith("[rate]")]
    assert told == ["WARNING", "WARNING", *["INFO"] * 11]


@pytest.mark.parametrize("wrap", [lambda error: error, skipped])
def test_retry_after(wrap: Any) -> None:
    """The exchange's own time is honoured, in a failed cycle and in a skipped one."""
    run = Run([wrap(ccxt.RateLimitExceeded("slow")), busy()])
    run.bot.exchange.rest.last_response_headers = {"Retry-After": "30"}
    assert run.go().began == [0.0, 30.0, 32.0]


def test_rate_limited_write() -> None:
    """Also when an order, and not a reading, came too often; other failures do not look at the header."""
    run = Run([failing("rate_limit", error=ccxt.RateLimitExceeded("slow")), busy(), OUTAGE])
    run.bot.exchange.rest.last_response_headers = {"Retry-After": "30"}
    assert run.go().began == [0.0, 32.0, 34.0, 35.0]
    assert run.loop.counters.errors_this_hour == 1


def test_auth_stops_at_once() -> None:
    """Refused keys end the bot with one line that says what to do; they are the user's to correct."""
    cases = [
        ccxt.AuthenticationError("bad key"),
        skipped(ccxt.AuthenticationError("bad key")),
        failing("network", "auth", error=ccxt.AuthenticationError("bad key")),
    ]
    for step in cases:
        with pytest.raises(KeysRefusedError) as raised:
            Run([step]).go(seconds=1.0)
        assert str(raised.value) == (
            "bybit refuses the keys of bybit_01 in api-keys.json: bad key; check key, secret and permissions, and "
            "whether they are limited to other addresses"
        )
        assert raised.value.exit_status == 2


@pytest.mark.parametrize("step", [ccxt.InvalidNonce("late"), failing("clock", error=ccxt.InvalidNonce("late"))])
def test_clock(step: Any, caplog: pytest.LogCaptureFixture) -> None:
    """When the exchange finds our time wrong, the difference is measured again before the next cycle."""
    caplog.set_level("INFO")
    run = Run([step, lambda: quiet() if "synced" in run.bot.noted else ValueError("not yet")])
    run.go()
    assert run.bot.noted.count("synced") == 1
    assert "clock of bybit was measured again" in caplog.text
    assert run.loop.counters.errors_this_hour == 1


def test_clock_cannot_be_measured() -> None:
    """Then the next request shows it."""
    run = Run([ccxt.InvalidNonce("late"), busy()])

    async def fails() -> None:
        raise OUTAGE

    run.bot.exchange.sync_clock = fails
    assert run.go().began == [0.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("failures", "errors"),
    [(["network", "unavailable", "other"], 1), (["refused"], 1), (["margin", "post_only", "gone", "minimum"], 0)],
)
def test_failed_writes(failures: list[str], errors: int) -> None:
    """However many writes fail, a cycle counts one error; what the next cycle answers counts none."""
    run = Run([failing(*failures)])
    run.go()
    assert run.loop.counters.errors_this_hour == errors


# --- stop


def test_stop_while_waiting() -> None:
    """It ends at once, wherever it waits; nothing is written any more."""
    for script in ([quiet()], [busy()], [OUTAGE]):
        run = Run([*script, busy()])

        def prepare(loop: Loop, run: Run = run) -> None:
            async def later() -> None:
                await run.clock.sleep(0.5)
                loop.stop()

            asyncio.get_running_loop().create_task(later())

        assert run.go(seconds=1.0, prepare=prepare).began == [0.0]
        assert run.bot.noted == ["stop_writing"]


def test_stop_ends_background_work() -> None:
    """No task is left when the loop is over, also when it ends by an error."""
    for script in ([quiet()], [ccxt.AuthenticationError("no")]):
        run = Run(script, stream=True)
        left: list[int] = []

        async def case(run: Run = run, left: list[int] = left) -> None:
            run.bot.updates = asyncio.Queue()
            loop = Loop(run.bot, run.clock)  # type: ignore[arg-type]
            run.bot.at_end = loop.stop
            before = asyncio.all_tasks()
            await asyncio.gather(loop.run(), return_exceptions=True)
            left.append(len(asyncio.all_tasks() - before))

        run.clock.run(case())
        assert left == [0]


# --- the stream


def test_reconnecting(caplog: pytest.LogCaptureFixture) -> None:
    """A lost stream is opened again after 1, 2, 4 ... 30 s, more or less; a word begins anew."""
    times: list[float] = []
    run = Run([quiet() for _ in range(10)], stream=True)

    async def watch() -> None:
        times.append(run.bot.now_s)
        if len(times) == 9:
            return
        if len(times) < 12:
            raise OUTAGE
        await asyncio.Future()

    run.bot.exchange.watch_orders = watch
    run.go()
    waits = [after - before for before, after in pairwise(times)]
    expected = [1, 2, 4, 8, 16, 30, 30, 30, 0, 1, 2]
    assert all(0.8 * e <= w <= 1.2 * e for w, e in zip(waits, expected, strict=True)), waits
    assert len(set(waits[5:8])) == 3, "not all at the same time"
    assert run.loop.counters.reconnects == 10
    assert run.loop.counters.errors_this_hour == 0
    assert run.bot.noted.count("reset") == 10, "each time with new connections, and a new listen key"
    assert "[ws] NetworkError: unreachable; reconnect #1 in " in caplog.text


def test_deaf_stream(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that says nothing of what we did for a minute is closed and opened again."""
    run = Run([busy(), *[quiet()] * 3], stream=True)
    bot = run.go()
    assert bot.noted.count("reset") == 1
    assert "[ws] TimeoutError: no word for 60 s about an order of ours; reconnect #1" in caplog.text


def test_stream_that_cannot_be_closed() -> None:
    """It may be dead already."""
    run = Run([busy(), *[quiet()] * 3], stream=True)

    async def fails() -> None:
        raise OUTAGE

    run.bot.exchange.reset_stream = fails
    run.go()
    assert run.loop.counters.reconnects == 1


def test_word_during_the_cycle() -> None:
    """The stream may be faster than the reply to an order; it owes nothing then. Nor does it without a change."""

    def posted() -> Any:
        run.bot.updates.put_nowait("update")
        return busy()

    async def slow_cycle() -> Any:
        cycle = await plain()
        await run.clock.sleep(0.1)
        return cycle

    run = Run([posted, *[quiet()] * 4], stream=True)
    plain = run.bot.run_cycle
    run.bot.run_cycle = slow_cycle  # type: ignore[method-assign]
    run.go()
    assert run.bot.noted.count("reset") == 0
    idle = Run([quiet()] * 5, stream=True)
    assert idle.go().noted.count("reset") == 0


def test_word_after_the_cycle() -> None:
    """A word in time settles what the stream owed."""
    run = Run([busy(), *[quiet()] * 5], stream=True)

    def prepare(loop: Loop) -> None:
        async def later() -> None:
            await run.clock.sleep(59.0)
            run.bot.updates.put_nowait("update")

        asyncio.get_running_loop().create_task(later())

    assert run.go(prepare=prepare).noted.count("reset") == 0


# --- every hour


def hourly() -> tuple[Run, Prepare]:
    """A run of ten minutes in which markets are due after one."""
    run = Run([quiet()] * 18)

    def prepare(loop: Loop) -> None:
        async def later() -> None:
            await run.clock.sleep(60.0)
            run.bot.due = True

        asyncio.get_running_loop().create_task(later())

    return run, prepare


def test_hourly() -> None:
    """Markets are read when they are due."""
    run, prepare = hourly()
    assert run.go(prepare=prepare).prepared == [60.0]


def test_hourly_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A failure counts, and is tried again 5 s later; one that asks for patience does not count."""
    run, prepare = hourly()
    run.bot.prepare_errors = [OUTAGE, ccxt.RateLimitExceeded("slow")]
    bot = run.go(prepare=prepare)
    assert [round(s) for s in bot.prepared] == [60, 66, 72]
    assert run.loop.counters.errors_this_hour == 1
    assert "[hourly] markets could not be read again: NetworkError: unreachable" in caplog.text


def test_hourly_failures_restart() -> None:
    """Ten of them are too many."""
    run, prepare = hourly()
    run.bot.prepare_errors = [OUTAGE] * 20
    with pytest.raises(RestartError):
        run.go(prepare=prepare)


def test_hourly_auth() -> None:
    """Keys that were taken back end the bot here as well."""
    run, prepare = hourly()
    run.bot.prepare_errors = [ccxt.AuthenticationError("revoked")]
    with pytest.raises(KeysRefusedError, match="revoked"):
        run.go(prepare=prepare)


def test_hourly_keeps_quiet() -> None:
    """While the exchange wants to be left alone, markets wait too."""
    run = Run([ccxt.RateLimitExceeded("slow"), *[quiet()] * 3])
    run.bot.exchange.rest.last_response_headers = {"retry-after": "40"}

    def prepare(loop: Loop) -> None:
        async def later() -> None:
            await run.clock.sleep(1.5)
            run.bot.due = True

        asyncio.get_running_loop().create_task(later())

    assert run.go(prepare=prepare).prepared == [40.0]


def test_memory_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Memory is told at the start and then at its interval, with the change."""
    caplog.set_level("INFO")
    run = Run([quiet()] * 60)
    run.bot.settings = run.bot.settings
    run.go()
    told = [record.message for record in caplog.records if record.message.startswith("[memory]")]
    assert len(told) == 2
    assert "change=" not in told[0]
    assert "change=" in told[1]


# --- the rules without a clock


def test_error_budget() -> None:
    """Ten errors within one hour; older ones do not count."""
    budget = ErrorBudget()
    assert [budget.register(1000 * n) for n in range(10)] == [False] * 9 + [True]
    assert budget.count(3_600_000 - 1) == 10
    assert budget.count(3_600_000) == 9
    assert not ErrorBudget().register(0)
    late = ErrorBudget()
    assert [late.register(400_001 * n) for n in range(20)] == [False] * 20


def test_restart_budget() -> None:
    """So many within a day; pauses double after those of the last hour, from a minute to a quarter of an hour."""
    budget = RestartBudget(2)
    assert [budget.register(n) for n in (0, 1, 2)] == [True, True, False]
    assert budget.used == 3
    assert budget.register(86_400_002)
    pauses = RestartBudget(10)
    told = []
    for minute in range(6):
        told.append(pauses.countdown_s(minute * 60_000))
        pauses.register(minute * 60_000)
    assert told == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
    assert pauses.countdown_s(3_600_000 + 4 * 60_000) == 120.0
    assert not RestartBudget(0).register(0)


def test_backoff() -> None:
    """Twice as long each time, never below what was asked for."""
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    backoff.reset()
    assert [backoff.next_s(5.0) for _ in range(4)] == [5.0, 5.0, 5.0, 8.0]
    assert backoff.failures == 4


def test_what_counts() -> None:
    """Skipped cycles from the eleventh on, rate limits never."""
    assert counts("network", 1, skipped=False)
    assert [counts("network", n, skipped=True) for n in (10, 11)] == [False, True]
    assert not counts("rate_limit", 99, skipped=False)
    assert [wait_of("rate_limit", 0.0), wait_of("rate_limit", 30.0), wait_of("network", 0.0)] == [5.0, 30.0, 0.0]
