"""What a bot does around its cycles: leverage, smallest orders, whose order it is, closing (`live.md` 3, 20, 21.4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from core.clock import HOUR_MS, ManualClock
from exchanges.account_clients import AccountClients
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.protocol import Capabilities
from live.bot import Bot, Parts
from live.orders.executor import Failed, Report
from live.orders.order_ids import OrderFacts, OrderIds
from live_cases import book_of, order, settings_of, symbol
from live_loops import TARGET

A, B = symbol("A"), symbol("B")
NOW = 1_700_000_040_000
MINUTE = NOW // 60_000 * 60_000


def bot_of(exchange: str = "bybit", settings: Any = None, **capabilities: Any) -> Bot:
    """A bot without network, on contracts A, B, ..."""
    book = book_of()
    venue = SimpleNamespace(
        name=exchange, quote="USDT", rest=None, capabilities=Capabilities(**{"exchange": exchange, **capabilities})
    )
    nothing = SimpleNamespace(aclose=closed)
    parts: Any = Parts(
        settings=settings or settings_of(),
        exchange=venue,  # type: ignore[arg-type]
        manager=nothing,  # type: ignore[arg-type]
        fills=SimpleNamespace(events=[]),  # type: ignore[arg-type]
        ages=SimpleNamespace(first={}),  # type: ignore[arg-type]
        ids=OrderIds(exchange, "alice", book.markets),
        markets=dict(book.markets),
        network=nothing,  # type: ignore[arg-type]
        cache_dir=Path(),
        clock=ManualClock(NOW),
    )
    bot = Bot(parts)
    bot.book = book
    return bot


async def closed() -> None:
    pass


def test_leverage() -> None:
    """As configured, by coin; where the exchange takes it so no higher than 1.1 times the larger limit, rounded up."""
    overrides = {"B": {"live": {"leverage": 3}}}
    settings = settings_of(overrides=overrides, leverage=10)
    assert [bot_of(settings=settings)._leverage(s) for s in (A, B)] == [10.0, 3.0]
    careful = bot_of("defx", settings, least_leverage=True)
    careful.limits = {(A, "long"): 2.0, (A, "short"): 4.0, (B, "long"): 4.0}
    assert [careful._leverage(s) for s in (A, B)] == [5.0, 3.0]
    careful.limits = {}
    assert careful._leverage(A) == 1.0


@pytest.mark.parametrize(("exchange", "failure", "expected"), [
    ("hyperliquid", "minimum", 5.5), ("hyperliquid", "margin", 5.0), ("bybit", "minimum", 5.0),
])  # fmt: skip
def test_smallest_order(exchange: str, failure: Any, expected: float) -> None:
    """Hyperliquid's minimum moves: a refusal raises it by a tenth, until markets are read again."""
    bot = bot_of(exchange)
    bot._learn(Report(failed=(Failed(TARGET, failure, ValueError("no")),)))
    assert bot.book.markets[A].min_cost == expected
    assert bot.book.markets[B].min_cost == 5.0


@pytest.mark.parametrize(("exchange", "prefix"), [("bybit", ""), ("gateio", "t-")])
def test_own_orders(exchange: str, prefix: str) -> None:
    """Known by the id: sent by this process, or made by this account in that minute; also as Gate.io reports it."""
    bot = bot_of(exchange)
    facts = OrderFacts(A, "buy", "long", 1.0, 99.0)
    made = bot.parts.ids.make(facts, "entry_grid_normal_long", MINUTE)
    assert bot.is_ours(order("A", custom_id=prefix + made, ts_ms=NOW))
    assert not bot.is_ours(order("A", custom_id=prefix + made, ts_ms=NOW + 2 * 60_000))
    assert not bot.is_ours(order("A", custom_id="web-1", ts_ms=NOW))
    sent = order("A", custom_id=f"{prefix}0x0004aa", ts_ms=NOW + 1)
    bot.executor.sent_ids["0x0004aa"] = NOW
    assert bot.is_ours(sent)
    assert bot._by_origin([sent]).second_bot == ()
    again = order("A", custom_id=prefix + made, ts_ms=NOW + 1)
    assert bot._by_origin([sent, again]).second_bot == (again,)


def test_time_offset() -> None:
    """An exchange in another time zone: creation times are taken back before they are compared."""
    bot = bot_of()
    bot.offset_ms = HOUR_MS
    facts = OrderFacts(A, "buy", "long", 1.0, 99.0)
    made = bot.parts.ids.make(facts, "entry_grid_normal_long", MINUTE)
    assert bot.is_ours(order("A", custom_id=made, ts_ms=NOW + HOUR_MS))
    assert not bot.is_ours(order("A", custom_id=made, ts_ms=NOW))
    assert bot.exchange_ms() == NOW + HOUR_MS


@pytest.mark.parametrize(("ahead_ms", "hours"), [(1_700_000, 0), (1_900_000, 1), (-3_500_000, -1)])
def test_measured_time(ahead_ms: int, hours: int) -> None:
    """The difference to the exchange's clock in whole hours."""
    bot = bot_of()

    async def time_ms() -> int:
        return NOW + ahead_ms

    bot.exchange.fetch_time_ms = time_ms  # type: ignore[method-assign]
    asyncio.run(bot._measure_time())
    assert bot.offset_ms == hours * HOUR_MS


def test_position_mode(caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be set is told, and no reason to stop; refused keys are. A dry run sets nothing."""
    bot = bot_of()
    answers: list[Exception] = [ccxt.ExchangeError("no"), ccxt.AuthenticationError("bad key")]

    async def set_up() -> None:
        raise answers.pop(0)

    bot.exchange.set_up_account = set_up  # type: ignore[method-assign]
    asyncio.run(bot._set_up_account())
    assert "position mode could not be set: no" in caplog.text
    with pytest.raises(ccxt.AuthenticationError):
        asyncio.run(bot._set_up_account())


def test_forager() -> None:
    """Coins compete when a side that is on has fewer slots than there are coins."""
    bot = bot_of(settings=settings_of({"n_positions": 3}, {"n_positions": 1, "total_wallet_exposure_limit": 0.0}))
    assert [bot.is_forager(n) for n in (3, 4)] == [False, True]


def test_active_symbols() -> None:
    """Those of the last cycle; before the first one those of the lists."""
    bot = bot_of(settings=settings_of(approved_coins={"long": ["A"], "short": ["B"]}))
    assert bot.active_now() == {A, B}
    bot.active = [B]
    assert bot.active_now() == {B}


def test_closing(caplog: pytest.LogCaptureFixture) -> None:
    """A dead connection's goodbye is not waited for; a second attempt closes the rest; errors are told."""
    bot = bot_of()
    attempts: list[str] = []

    async def hangs_once() -> None:
        attempts.append("try")
        if len(attempts) == 1:
            await asyncio.Event().wait()

    async def fails() -> None:
        raise OSError("gone")

    bot.exchange.aclose = hangs_once  # type: ignore[method-assign]
    bot.parts.network.aclose = fails  # type: ignore[method-assign]
    asyncio.run(asyncio.wait_for(bot.aclose(), 10.0))
    assert attempts == ["try", "try"]
    assert "[shutdown] OSError: gone" in caplog.text
    bot.exchange.aclose = closed  # type: ignore[method-assign]
    asyncio.run(bot.aclose())


def test_stopping() -> None:
    """The permission to write is taken back, for the executor too; a dry run never had it."""
    bot = bot_of()
    assert bot.executor.may_write()
    bot.stop_writing()
    assert not bot.executor.may_write()


# --- the common adapter's stream and clock


class FakeClient:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def close(self) -> None:
        self.calls.append("close")

    async def load_time_difference(self) -> None:
        self.calls.append("time")


def test_stream_and_clock() -> None:
    """A stream is closed to be opened anew, REST is not; both clients measure the time; without a stream one does."""
    rest, stream = FakeClient(), FakeClient()
    exchange = CcxtExchange("generic", AccountClients(rest, stream), "USDT", post_only=False)
    asyncio.run(exchange.reset_stream())
    assert (rest.calls, stream.calls) == ([], ["close"])
    asyncio.run(exchange.sync_clock())
    assert (rest.calls, stream.calls) == (["time"], ["close", "time"])
    alone = CcxtExchange("generic", AccountClients(rest, None), "USDT", post_only=False)
    asyncio.run(alone.reset_stream())
    asyncio.run(alone.sync_clock())
    assert rest.calls == ["time", "time"]
    clockless = CcxtExchange("generic", AccountClients(object(), None), "USDT", post_only=False)
    asyncio.run(clockless.sync_clock())
