"""Candles through REST: rows, pages, retries, pauses (`candles.md` 2, 11)."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candles.fetching.retry_after import retry_after_s
from candles.rows import from_ohlcv
from candles.sources.rest import RestSource
from core.clock import MINUTE_MS as M
from core.clock import ManualClock
from core.errors import CandleFetchError
from fake_exchange import FakeExchange, candles
from markets.candle import REST, Candles

SYMBOL = "BTC/USDT:USDT"
START = 1_700_000_040_000


def ask(exchange: FakeExchange, name: str, count: int = 10) -> tuple[Candles, ManualClock]:
    """Fetch `count` minutes; the rows kept, and the clock with its sleeps."""
    clock, kept = ManualClock(START + 100 * M), []

    async def keep(page: Candles) -> None:
        kept.append(page)

    source = RestSource(exchange, name, clock)
    asyncio.run(source.fetch(SYMBOL, "1m", START, START + (count - 1) * M, keep))
    return np.concatenate(kept) if kept else candles(0, 0), clock


class RequestTimeout(Exception):  # noqa: N818 - CCXT's name
    """As CCXT calls it."""


class BadSymbol(Exception):  # noqa: N818 - CCXT's name
    """As CCXT calls it."""


@pytest.mark.parametrize(
    ("name", "error", "sleeps"),
    [
        ("okx", RuntimeError("no"), [0.5, 1, 2, 4]),
        ("binance", RuntimeError("no"), [0.5, 1, 2, 4]),
        ("bybit", RuntimeError("no"), [1, 2, 4, 8, 16, 20, 20, 20]),
        ("bybit", RequestTimeout("slow"), [2, 2, 4, 8, 16, 20, 20, 20]),
        ("bybit", RuntimeError("HTTP 503"), [2, 2, 4, 8, 16, 20, 20, 20]),
        ("okx", RuntimeError("okx 429 Too Many Requests"), [5, 5, 5, 5]),
        ("hyperliquid", RuntimeError("rate limit"), [10, 10, 10, 10]),
    ],
)
def test_waits_between_attempts(name: str, error: Exception, sleeps: list[float]) -> None:
    """Doubling from half a second (bybit one) to a cap; at least the pause after a rate limit; none after the last."""
    clock = ManualClock(START + 100 * M)
    source = RestSource(FakeExchange(errors=[error] * 20), name, clock)
    with pytest.raises(CandleFetchError, match=rf"{name} did not answer .* {len(sleeps) + 1} times asked: "):
        asyncio.run(source.fetch(SYMBOL, "1m", START, START, None))  # type: ignore[arg-type]
    assert clock.sleeps == pytest.approx(sleeps)


@pytest.mark.parametrize(
    ("name", "limit", "back", "params"),
    [
        ("binance", 1000, 0, {"until": START + 10 * M - 1}),
        ("bybit", 1000, 0, {"category": "linear"}),
        ("bitget", 200, 0, {}),
        ("okx", 1000, 0, {}),
        ("kucoin", 200, 1, {}),
        ("gateio", 1000, 0, {"until": START + 10 * M - 1}),
        ("hyperliquid", 1000, 0, {"until": START + 10 * M - 1}),
        ("somebody", 1000, 0, {"until": START + 10 * M - 1}),
    ],
)
def test_questions_of_each_exchange(name: str, limit: int, back: int, params: dict[str, Any]) -> None:
    """Rows asked for at once, whether the end goes along, kucoin's one candle more, bybit's category (11.2)."""
    exchange = FakeExchange()
    exchange.hold(candles(START - 5 * M, 15))
    rows, _ = ask(exchange, name, 10)
    assert rows["ts"].tolist() == [START + i * M for i in range(10)]
    assert exchange.calls == [(SYMBOL, "1m", START - back * M, limit, params)]


def test_recovers() -> None:
    """Answers after some failures are as good as any."""
    exchange = FakeExchange(errors=[RuntimeError("no")] * 4)
    exchange.hold(candles(START, 10))
    rows, _ = ask(exchange, "okx")
    assert np.array_equal(rows, candles(START, 10))


@pytest.mark.parametrize("error", [BadSymbol("okx does not have market symbol X")])
def test_what_cannot_heal_is_raised_at_once(error: Exception) -> None:
    """An unknown symbol stays unknown."""
    with pytest.raises(CandleFetchError, match="1 times asked: BadSymbol"):
        ask(FakeExchange(errors=[error] * 9), "okx")


def test_a_rate_limit_pauses_everyone() -> None:
    """After one request was told to slow down, all wait until the pause is over, however long the exchange says."""
    exchange = FakeExchange(errors=[RuntimeError("429")], last_response_headers={"Retry-After": "30"})
    exchange.hold(candles(START, 10))
    clock = ManualClock(START + 100 * M)
    source = RestSource(exchange, "okx", clock)

    async def both() -> None:
        async def keep(page: Candles) -> None: ...

        await asyncio.gather(*(source.fetch(SYMBOL, "1m", START, START + M, keep) for _ in range(2)))

    asyncio.run(both())
    assert clock.now_ms() >= START + 100 * M + 30_000
    assert len(exchange.calls) in (3, 4)


def test_cap_on_requests_in_flight() -> None:
    """No more requests at once than allowed."""
    exchange = FakeExchange()
    exchange.hold(candles(START, 10))
    source = RestSource(exchange, "okx", ManualClock(START + 100 * M), max_concurrent_requests=2)

    async def many() -> None:
        async def keep(page: Candles) -> None: ...

        await asyncio.gather(*(source.fetch(SYMBOL, "1m", START, START + M, keep) for _ in range(9)))

    asyncio.run(many())
    assert exchange.most_in_flight == 2


def test_stops_where_nothing_moves() -> None:
    """An exchange that answers with the same page for ever is asked twice."""
    exchange = FakeExchange()

    async def same(*args: Any) -> list[list[float]]:
        exchange.calls.append((SYMBOL, "1m", args[2], 0, {}))
        return [[START, 1.0, 2.0, 0.5, 1.0, 1.0]]

    exchange.fetch_ohlcv = same  # type: ignore[method-assign,assignment]
    rows, _ = ask(exchange, "okx")
    assert len(rows) >= 1
    assert len(exchange.calls) == 2


def test_events_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Every request is told to the callback and logged, with its duration; a raising callback is harmless."""
    caplog.set_level(logging.DEBUG)
    heard: list[dict[str, Any]] = []
    exchange = FakeExchange(errors=[RuntimeError("no")])
    exchange.hold(candles(START, 3))

    def hear(event: dict[str, Any]) -> None:
        heard.append(event)
        raise ValueError("callback")

    source = RestSource(exchange, "okx", ManualClock(START + 100 * M), callback=hear)

    async def keep(page: Candles) -> None: ...

    asyncio.run(source.fetch(SYMBOL, "1m", START, START + 2 * M, keep))
    assert [(event["stage"], event["attempt"]) for event in heard] == [
        ("start", 1), ("error", 1), ("start", 2), ("ok", 2),
    ]  # fmt: skip
    assert heard[-1]["rows"] == 3
    assert {"kind", "symbol", "tf", "since", "limit", "params", "elapsed_ms"} <= set(heard[-1])
    assert "ccxt_fetch_ohlcv exchange=okx symbol=BTC/USDT:USDT tf=1m since=1700000040000" in caplog.text


ROW = [START, 10.0, 11.0, 9.0, 10.5, 3.0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([ROW], [ROW]),
        ([[START + 59_999, *ROW[1:]]], [ROW]),
        ([ROW[:5]], [[*ROW[:5], 0.0]]),
        ([[*ROW[:5], None]], [[*ROW[:5], 0.0]]),
        ([ROW, ["x", *ROW[1:]]], [ROW]),
        ([ROW, ROW[:4]], [ROW]),
        ([[str(value) for value in ROW]], [ROW]),
        ([[START + M, *ROW[1:]], ROW], [ROW, [START + M, *ROW[1:]]]),
        ([[*ROW[:4], 10.0, 1.0], ROW], [ROW]),
        ([ROW, [START + M, 0.0, 11.0, 9.0, 10.5, 3.0]], [ROW]),
        ([ROW, [START + M, 10.0, math.inf, 9.0, 10.5, 3.0]], [ROW]),
        ([ROW, [START + M, 10.0, 11.0, 9.0, 10.5, -1.0]], [ROW]),
        ([], []),
    ],
)
def test_rows(rows: list[list[Any]], expected: list[list[float]]) -> None:
    """Floored to the minute, sorted, the last of equal times; no volume is 0; what cannot be a candle is dropped."""
    assert [list(row)[:6] for row in from_ohlcv(rows, REST, M).tolist()] == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=30))
def test_rows_of_any_order(pairs: list[tuple[int, int]]) -> None:
    """However rows are ordered and repeated, the result ascends and the last of each minute counts."""
    rows = [[START + minute * M, *[float(price)] * 4, 1.0] for minute, price in pairs]
    last = {START + minute * M: float(price) for minute, price in pairs}
    result = from_ohlcv(rows, REST, M)
    assert dict(zip(result["ts"].tolist(), result["c"].tolist(), strict=True)) == dict(sorted(last.items()))
    assert (np.diff(result["ts"]) > 0).all()


def test_prices_stay_exact() -> None:
    """No detour over a narrower number."""
    assert from_ohlcv([[START, 65432.17, 65432.18, 65432.16, "65432.17", 0.1]], REST, M)["c"][0] == 65432.17


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:30 GMT"}, 30.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": ""}, 0.0),
        ({}, 0.0),
    ],
)
def test_how_long_a_host_wants_to_be_left_alone(headers: dict[str, str], seconds: float) -> None:
    """Seconds or a date; what has passed, or cannot be understood, is no wait."""
    assert retry_after_s(headers, START) == seconds
