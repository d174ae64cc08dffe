"""From the first line to the last: start, restarts, giving up, warm-up (`live.md` 3, 16, 23)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import ccxt
import pytest

from core.clock import HOUR_MS, MINUTE_MS
from core.errors import CandleFetchError, ConfigError, RunError
from live.lifecycle import Lifecycle, banner
from live.loop import KeysRefusedError
from live.warmup import warm_up, windows
from live_cases import NOW, book_of, settings_of, symbol
from live_loops import FakeBot, TimeTable, quiet

OUTAGE = ccxt.NetworkError("unreachable")


class Life:
    """A lifecycle over bots with scripts of their own; the end of the last script stops it."""

    def __init__(self, *scripts: list[Any], max_restarts: int = 10, jitter_s: float = 0.0) -> None:
        self.clock = TimeTable()
        settings = settings_of(max_n_restarts_per_day=max_restarts, warmup_jitter_seconds=jitter_s)
        self.bots = [FakeBot(self.clock, script, settings) for script in scripts]
        self.opened: list[float] = []
        self.ready: list[Any] = []
        self.life = Lifecycle(self._open, settings, self.clock, self.ready.append)
        self.before: Callable[[], None] = lambda: None

    def _open(self) -> Any:
        self.opened.append((self.clock.now_ms() - NOW) / 1000.0)
        bot = self.bots[len(self.opened) - 1]
        bot.at_end = self.life.stop
        return bot

    def go(self, seconds: float = 1_000_000.0) -> None:
        async def case() -> None:
            self.before()
            await self.life.run()

        self.clock.run(case(), seconds)


def test_start(caplog: pytest.LogCaptureFixture) -> None:
    """Banner, markets, candles, ready, cycles; in the end nothing is written and everything is closed."""
    caplog.set_level("INFO")
    life = Life([quiet()])
    life.go()
    (bot,) = life.bots
    assert bot.prepared == [0.0]
    candles = [f"candles {symbol(coin)}" for coin in "AABB"]
    assert sorted(bot.noted[:4]) == candles
    assert bot.noted[4:] == ["stop_writing", "stop_writing", "closed"]
    assert life.ready == [bot]
    told = [record.message for record in caplog.records]
    order = [told.index(words) for words in (
        "[boot] starting bot",
        "[boot] bybit:bybit_01 | LONG only | 4L/4S | TWEL 150% long, 0% short",
        "[warmup] candles of 2 symbols", "[warmup] done", "[boot] READY - Bot initialization complete",
    )]  # fmt: skip
    assert order == sorted(order)


def test_restart(caplog: pytest.LogCaptureFixture) -> None:
    """Too many errors make a new bot after a countdown of a minute, the next of two; the old one is closed first."""
    caplog.set_level("INFO")
    life = Life([OUTAGE] * 10, [OUTAGE] * 10, [quiet()])
    life.go()
    first, second, _ = life.bots
    assert life.opened[1] == first.began[-1] + 60.0
    assert life.opened[2] == second.began[-1] + life.opened[1] + 120.0 - life.opened[1]
    assert all(bot.noted[-2:] == ["stop_writing", "closed"] for bot in life.bots)
    assert "the bot is restarted: RestartError: 10 errors within an hour" in caplog.text
    assert "[boot] next start in 60 s" in caplog.text


def test_failed_start(caplog: pytest.LogCaptureFixture) -> None:
    """A start that fails is tried again; an outage is no traceback, an error of the program is."""
    life = Life([], [], [quiet()])
    life.bots[0].prepare_errors = [OUTAGE]
    life.bots[1].prepare_errors = [ZeroDivisionError("oh")]
    life.go()
    assert len(life.opened) == 3
    outage, broken = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (outage.message, outage.exc_info) == ("the bot is restarted: NetworkError: unreachable", None)
    assert broken.exc_info is not None


def test_bot_that_ends(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that ends by itself is no stop."""
    life = Life([], [quiet()])
    bot = life.bots[0]

    async def ends() -> Any:
        life.life._loop.stop()  # type: ignore[union-attr]
        return quiet()

    bot.run_cycle = ends  # type: ignore[method-assign]
    life.go()
    assert "the bot ended by itself; starting anew" in caplog.text
    assert len(life.opened) == 2


def test_giving_up() -> None:
    """After so many restarts within a day the program ends with what to look at, after the last countdown."""
    life = Life(*[[OUTAGE] * 10] * 3, max_restarts=2)
    with pytest.raises(
        RunError, match=r"3 restarts within a day, live\.max_n_restarts_per_day allows 2: see the errors"
    ):
        life.go()
    assert len(life.opened) == 3


def test_what_the_user_can_correct() -> None:
    """Wrong keys and wrong configs are not tried again."""
    refused = Life([])
    refused.bots[0].prepare_errors = [ccxt.AuthenticationError("bad")]
    with pytest.raises(KeysRefusedError, match="bybit refuses the keys of bybit_01 in api-keys"):
        refused.go()
    assert refused.bots[0].noted == ["stop_writing", "closed"]
    running = Life([ccxt.AuthenticationError("bad")])
    with pytest.raises(KeysRefusedError):
        running.go()
    wrong = Life([])
    wrong.bots[0].prepare_errors = [ConfigError("live.approved_coins: no")]
    with pytest.raises(ConfigError):
        wrong.go()
    assert len(wrong.opened) == 1


@pytest.mark.parametrize("at_s", [0.0, 5.0, 20.0, 230.0])
def test_stop(at_s: float) -> None:
    """At any moment: before the start, during the warm-up, while it runs, during a countdown."""
    life = Life([quiet()] + [OUTAGE] * 10, [quiet()] * 1000, jitter_s=1e9)
    if at_s > 10.0:
        life = Life([quiet()] + [OUTAGE] * 10, [quiet()] * 1000)

    def before() -> None:
        async def later() -> None:
            await life.clock.sleep(at_s)
            life.life.stop()

        if at_s:
            asyncio.get_running_loop().create_task(later())
        else:
            life.life.stop()

    life.before = before
    life.go(seconds=at_s + 1.0)
    assert len(life.opened) == (0 if at_s == 0.0 else 1)
    if life.opened:
        assert life.bots[0].noted[-1] == "closed"
    assert bool(life.ready) == (at_s > 10.0)


def test_error_while_stopping() -> None:
    """What fails after the stop is of no interest any more."""
    life = Life([lambda: (life.life.stop(), OUTAGE)[1]])
    life.go()
    broken = Life([])

    async def fails() -> None:
        broken.life.stop()
        raise OUTAGE

    broken.bots[0].prepare = fails  # type: ignore[method-assign]
    broken.go()


def test_banner() -> None:
    """Whose account, which sides, how much, under which rules."""
    clock = TimeTable()

    def told(long: float, short: float, *, dry: bool = False, **live: Any) -> list[str]:
        sides = [{"total_wallet_exposure_limit": long}, {"total_wallet_exposure_limit": short, "n_positions": 2}]
        bot = FakeBot(clock, [], settings_of(*sides, **live))
        bot.parts.dry_run = dry
        return banner(bot, bot.settings)  # type: ignore[arg-type]

    assert told(1.25, 0.5)[1] == "[boot] bybit:bybit_01 | LONG + SHORT | 4L/2S | TWEL 125% long, 50% short"
    assert "| SHORT only |" in told(0.0, 0.5)[1]
    assert "| DISABLED |" in told(0.0, 0.0)[1]
    changes = {"leverage": 7, "hedge_mode": False, "time_in_force": "post_only", "market_orders_allowed": False,
               "execution_delay_seconds": 3, "pnls_max_lookback_days": 12.0}  # fmt: skip
    assert told(1.0, 0.0, dry=True, **changes)[2:] == [
        "[boot] leverage 7 | one-way mode | orders post-only, market orders off, caps 5 cancels, 3 creates a cycle | "
        "delay 3 s | fills of 12 days",
        "[boot] DRY RUN: nothing is ordered, cancelled or set on the exchange",
    ]
    lines = told(1.0, 0.0, market_orders_allowed=True)
    assert "| hedge mode | orders good till cancelled, market orders allowed," in lines[2]
    assert len(lines) == 3


# --- warm-up


class FakeManager:
    """Notes what is asked for; symbols in `failing` fail."""

    def __init__(self, clock: TimeTable) -> None:
        self.clock = clock
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.failing: dict[str, Exception] = {}
        self.at_once = self.most_at_once = 0
        self.takes_s = 1.0

    async def get_candles(self, name: str, **window: Any) -> None:
        self.asked.append((name, window))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.clock.sleep(self.takes_s)
        self.at_once -= 1
        if name in self.failing:
            raise self.failing[name]


def warmed(n_symbols: int, exchange: str = "bybit", minutes: int = 90, **live: Any) -> FakeManager:
    clock = TimeTable()
    manager = FakeManager(clock)
    settings = settings_of(**{"warmup_jitter_seconds": 0.0, **live})
    wanted = {f"S{n}": minutes for n in range(n_symbols)}
    clock.run(warm_up(manager, wanted, settings, exchange, clock))  # type: ignore[arg-type]
    manager.ended_s = (clock.now_ms() - NOW) / 1000.0  # type: ignore[attr-defined]
    return manager


def test_warm_up_windows() -> None:
    """Minutes and hours up to the last finished ones, five minutes old at most; gaps of old are left."""
    last = NOW // MINUTE_MS * MINUTE_MS - MINUTE_MS
    hour = NOW // HOUR_MS * HOUR_MS - HOUR_MS
    minutes, hours = [window for _, window in warmed(1).asked]
    assert minutes.pop("skip_historical_gap_fill")
    assert minutes == {"start_ts": last - 90 * MINUTE_MS, "end_ts": last, "max_age_ms": 300_000}
    assert hours == {"start_ts": hour - 2 * HOUR_MS, "end_ts": hour, "max_age_ms": 300_000, "timeframe": "1h"}
    assert warmed(1, minutes=1).asked[1][1]["start_ts"] == hour - HOUR_MS


@pytest.mark.parametrize(
    ("exchange", "stated", "expected"), [("bybit", 0, 8), ("hyperliquid", 0, 2), ("hyperliquid", 5, 5), ("bybit", 1, 1)]
)
def test_warm_up_concurrency(exchange: str, stated: int, expected: int) -> None:
    """Eight at once, two on Hyperliquid, or as the config says."""
    assert warmed(12, exchange, warmup_concurrency=stated).most_at_once == expected


def test_warm_up_jitter() -> None:
    """A random delay up to the config's."""
    waits = [warmed(1, warmup_jitter_seconds=30.0).ended_s - 2.0 for _ in range(5)]  # type: ignore[attr-defined]
    assert all(0.0 <= wait <= 30.0 for wait in waits)
    assert len(set(waits)) > 1
    assert warmed(1, warmup_jitter_seconds=-5.0).ended_s == 2.0  # type: ignore[attr-defined]


def test_warm_up_progress(caplog: pytest.LogCaptureFixture) -> None:
    """Told every 2 s when there are more than 20 symbols."""
    caplog.set_level("INFO")
    warmed(20)
    assert " of 20 symbols" not in caplog.text.replace("candles of 20 symbols", "")
    caplog.clear()
    warmed(24)
    told = [record.message for record in caplog.records if " of 24 " in record.message]
    assert told == ["[warmup] candles of 24 symbols", "[warmup] 1 of 24 symbols", "[warmup] 9 of 24 symbols",
                    "[warmup] 17 of 24 symbols"]  # fmt: skip


@pytest.mark.parametrize("error", [CandleFetchError("no"), OUTAGE, ValueError("odd")])
def test_warm_up_failures(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """One symbol's failure is told and keeps nobody."""
    clock = TimeTable()
    manager = FakeManager(clock)
    manager.failing["S0"] = error
    settings = settings_of(warmup_jitter_seconds=0.0)
    clock.run(warm_up(manager, {"S0": 5, "S1": 5}, settings, "bybit", clock))  # type: ignore[arg-type]
    assert [name for name, _ in manager.asked].count("S1") == 2
    assert f"[warmup] S0: {type(error).__name__}: {error}" in caplog.text


def test_windows() -> None:
    """Each coin's own warm-up; where coins compete at least what ranking needs; never less than a minute."""
    long = {"ema_span_0": 100.0, "ema_span_1": 200.0, "entry_volatility_ema_span_hours": 0.0}
    long |= {"filter_volume_ema_span": 700.4, "filter_volatility_ema_span": 50.0}
    short = {**long, "filter_volume_ema_span": 10.0}
    wide = {"A": {"bot": {"long": {"ema_span_1": 5000.0}}}}
    settings = settings_of(long, short, wide, warmup_ratio=0.5)
    names = {symbol("A"), symbol("B")}
    plain = windows(settings, names, book_of(), forager=False)
    assert plain == {symbol("A"): 2500, symbol("B"): 351}
    assert windows(settings, names, book_of(), forager=True) == {symbol("A"): 2500, symbol("B"): 701}
    assert windows(settings_of(long, short, warmup_ratio=0.0), {symbol("B")}, book_of(), forager=False) == {
        symbol("B"): 1
    }
