"""Faults of the venue (`exchange_simulator.md` 10): what clients see of each, and which requests they hit."""

from __future__ import annotations

import json
from typing import Any

import ccxt
import pytest
from venue_cases import KLINES, NOW, PROTOCOLS, SYMBOL, as_lists, floor, get, in_venue, minutes

from core.clock import MINUTE_MS, ManualClock
from core.errors import ConfigError
from exchange_sim.faults import ACTIONS, FaultBook, Target
from exchange_sim.server import SimConfig, SimServer

ANY = Target("GET", "/fapi/v1/klines", "BTCUSDT", "klines")
LAST_TEN = (floor(NOW) - 10 * MINUTE_MS, floor(NOW) - MINUTE_MS)


async def last_ten(client: Any) -> list[list[float]]:
    rows: list[list[float]] = await client.fetch_ohlcv(SYMBOL, "1m", since=LAST_TEN[0], limit=10)
    return rows


@pytest.mark.parametrize(
    ("protocol", "action", "options", "error"),
    [
        ("binance", "http", {"status": 429, "headers": {"Retry-After": "3"}}, ccxt.DDoSProtection),
        ("binance", "http", {"status": 418, "body": {"code": -1003, "msg": "banned"}}, ccxt.DDoSProtection),
        ("binance", "http", {"status": 403, "body": "<html>no</html>"}, ccxt.ExchangeNotAvailable),
        ("binance", "http", {"status": 502, "body": "<html>bad gateway</html>"}, ccxt.ExchangeNotAvailable),
        ("binance", "http", {"status": 504}, ccxt.RequestTimeout),
        ("binance", "ret", {"code": -1021, "msg": "Timestamp"}, ccxt.InvalidNonce),
        ("binance", "ret", {"code": -1121, "msg": "Invalid symbol."}, ccxt.BadSymbol),
        ("binance", "ret", {"code": -1003, "msg": "Too many", "status": 429}, ccxt.DDoSProtection),
        ("binance", "ret", {"code": -1001, "msg": "x", "status": 503}, ccxt.OperationFailed),
        ("binance", "ret", {"code": -1007, "msg": "x", "status": 408}, ccxt.RequestTimeout),
        ("bybit", "http", {"status": 429}, ccxt.RateLimitExceeded),
        ("bybit", "http", {"status": 503, "body": "<html>x</html>"}, ccxt.ExchangeNotAvailable),
        ("bybit", "ret", {"code": 10002, "msg": "time"}, ccxt.InvalidNonce),
        ("bybit", "ret", {"code": 10006, "msg": "Too many visits!"}, ccxt.RateLimitExceeded),
        ("bybit", "ret", {"code": 10006, "msg": "x", "status": 403}, ccxt.RateLimitExceeded),
        ("bybit", "ret", {"code": 10001, "msg": "params"}, ccxt.BadRequest),
        ("bybit", "ret", {"code": 10016, "msg": "server"}, ccxt.ExchangeError),
        ("binance", "maintenance", {}, ccxt.ExchangeNotAvailable),
        ("bybit", "maintenance", {}, ccxt.ExchangeNotAvailable),
        ("binance", "disconnect", {"count": 2}, ccxt.NetworkError),
        ("bybit", "disconnect", {"count": 2}, ccxt.NetworkError),
        ("binance", "reset", {}, ccxt.ExchangeError),  # ccxt takes a reply cut short for an error of the exchange
        ("bybit", "reset", {}, ccxt.ExchangeError),
    ],
)
def test_errors_as_ccxt_sees_them(protocol: str, action: str, options: Any, error: type[Exception]) -> None:
    """Each fault arrives as the class of 7.3 and 8.3, once; the request after it is answered."""

    async def case(sim: SimServer, client: Any) -> None:
        await client.load_markets()
        sim.clear()
        sim.faults.add(action, path=KLINES[protocol], **options)
        with pytest.raises(ccxt.BaseError) as caught:
            await last_ten(client)
        assert isinstance(caught.value, error), repr(caught.value)
        if "headers" in options:
            assert client.last_response_headers["Retry-After"] == "3"
            assert client.last_refusal_headers["Retry-After"] == "3"
        assert len(await last_ten(client)) == 10
        assert getattr(client, "last_refusal_headers", {}).get("Retry-After") == ("3" if "headers" in options else None)
        cut = {"disconnect": [True, True], "reset": [True]}.get(action, [False])  # aiohttp tries again by itself once
        assert [r.status == 0 for r in sim.requests] == [*cut, False]

    in_venue(protocol, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_reply(protocol: str) -> None:
    """A request without a reply runs into the client's time limit; stopping the venue does not wait for it."""

    async def case(sim: SimServer, client: Any) -> None:
        await client.load_markets()
        client.timeout = 100
        sim.faults.add("timeout", path=KLINES[protocol])
        with pytest.raises(ccxt.RequestTimeout):
            await last_ten(client)

    in_venue(protocol, case)


def test_slow_and_skewed() -> None:
    """A slow reply is the right one; a skewed clock is told on the request that meets it."""

    async def case(sim: SimServer, client: Any) -> None:
        sim.faults.add("slow", ms=1)
        sim.faults.add("clock_skew", ms=-5000, path="*/time", count=2)
        assert await client.fetch_time() == NOW
        assert [await client.fetch_time(), await client.fetch_time(), await client.fetch_time()] == [
            NOW - 5000, NOW - 5000, NOW,
        ]  # fmt: skip

    in_venue("bybit", case)
    in_venue("binance", case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_delisted(protocol: str) -> None:
    """A delisted market is listed as inactive until the fault is taken away; others stay."""

    async def case(sim: SimServer, client: Any) -> None:
        sim.faults.add("delist", symbol="BTCUSDT", count=0)
        markets = await client.load_markets()
        assert [symbol for symbol, market in markets.items() if not market["active"]] == [SYMBOL]
        sim.faults.clear()
        assert (await client.load_markets(True))[SYMBOL]["active"]

    in_venue(protocol, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spoilt_candles(protocol: str) -> None:
    """Candles arrive missing, twice, in reverse, cut short, unfinished or late, exactly as told; then sound again."""
    sound = as_lists(minutes(SYMBOL, *LAST_TEN))

    async def case(sim: SimServer, client: Any) -> None:
        assert await last_ten(client) == sound
        for action, options, expected in (
            ("missing", {"every": 4}, [row for i, row in enumerate(sound) if i not in (3, 7)]),
            ("missing", {"span": [sound[2][0], sound[4][0]]}, [*sound[:2], *sound[5:]]),
            ("duplicated", {"every": 5}, [*sound[:5], *sound[4:9]]),
            ("short", {"share": 0.3}, sound[:3]),
            ("late", {"minutes": 3}, sound[:8]),
        ):
            sim.faults.add(action, **options)
            assert await last_ten(client) == expected, action
        sim.faults.add("partial", share=0.4)
        (*whole, last) = await last_ten(client)
        assert whole == sound[:-1]
        assert last[:2] == sound[-1][:2]
        assert sound[-1][3] <= last[3] <= last[2] <= sound[-1][2]
        assert 0.0 < last[5] < sound[-1][5]
        assert await last_ten(client) == sound

    in_venue(protocol, case)


def test_reversed_candles() -> None:
    """A reversed reply is descending on Binance and ascending on Bybit, whose order is the other way round."""

    async def case(sim: SimServer, client: Any) -> None:
        for path, rows_of in (
            ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=5", lambda reply: reply),
            ("/v5/market/kline?symbol=BTCUSDT&interval=1&limit=5", lambda reply: reply["result"]["list"]),
        ):
            sound = rows_of(json.loads((await get(sim, path))[1]))
            sim.faults.add("reversed")
            assert rows_of(json.loads((await get(sim, path))[1])) == sound[::-1]

    in_venue("binance", case)


def test_which_requests_match() -> None:
    """Method, path glob and symbol must all fit; candle faults leave other requests alone."""
    book = FaultBook()
    book.add("http", method="post", count=0)
    book.add("http", path="/v5/*", count=0)
    book.add("http", symbol="ETHUSDT", count=0)
    book.add("missing", count=0)
    numbers = {
        Target("POST", "/x", "", "other"): 1,
        Target("GET", "/v5/market/kline", "BTCUSDT", "klines"): 2,
        Target("GET", "/fapi/v1/klines", "ETHUSDT", "klines"): 3,
        Target("GET", "/fapi/v1/klines", "BTCUSDT", "klines"): 4,
        Target("GET", "/fapi/v1/ticker/24hr", "BTCUSDT", "other"): None,
    }
    for target, number in numbers.items():
        fault = book.take(target, 0)
        assert (fault.id if fault else None) == number


def test_count_nth_and_between() -> None:
    """A fault fires as often as it says, from the n-th request that fits it, in its time only."""
    book = FaultBook()
    twice = book.add("http", count=2)
    assert [book.take(ANY, 0) for _ in range(3)] == [twice, twice, None]
    third = book.add("http", nth=3, count=0)
    assert [book.take(ANY, 0) for _ in range(5)] == [None, None, third, None, None]
    book.remove(third.id)
    timed = book.add("http", count=0, between=(10, 20))
    assert [book.take(ANY, ms) for ms in (9, 10, 19, 20)] == [None, timed, timed, None]
    book.remove(timed.id)
    assert book.take(ANY, 15) is None


def test_probability_is_seeded() -> None:
    """The same seed makes the same requests fail, another one others; the share is about the probability."""

    def strikes(seed: int) -> list[bool]:
        book = FaultBook(seed)
        book.add("http", probability=0.3, count=0)
        return [book.take(ANY, 0) is not None for _ in range(1000)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 250 < sum(strikes(1)) < 350


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"action": "explode"}, "fault action 'explode' is unknown; known are timeout"),
        ({"action": "ret"}, "fault ret needs code"),
        ({"action": "clock_skew"}, "fault clock_skew needs ms"),
        ({"action": "http", "code": 1}, "fault http has no parameter code"),
        ({"action": "http", "match": {"paths": "x"}}, "match has no key paths"),
        ("http", "a fault is {match, action"),
    ],
)
def test_wrong_faults(content: Any, message: str) -> None:
    """A fault that cannot be what was meant is refused by name."""
    with pytest.raises(ConfigError, match=message):
        FaultBook().add_mapping(content)


def test_written_faults() -> None:
    """A fault as a file states it is the one that code adds; every action can be added."""
    written, coded = FaultBook(), FaultBook()
    written.add_mapping({"match": {"path": "/a*", "nth": 2}, "action": "slow", "ms": 7, "count": 3, "between": [1, 2]})
    coded.add("slow", path="/a*", nth=2, ms=7, count=3, between=(1, 2))
    assert [f.as_dict() for f in written.faults] == [f.as_dict() for f in coded.faults]
    for action, parameters in ACTIONS.items():
        needed = {key: 1 for key, value in parameters.items() if value is None}
        coded.add(action, **(needed | {"surface": "orders"} if action == "stale" else needed))


def test_faults_of_the_config() -> None:
    """Faults may stand in the venue's config, and `clear` forgets them and the requests."""

    async def case(sim: SimServer, client: Any) -> None:
        assert [(await get(sim, "/fapi/v1/ping"))[0] for _ in range(2)] == [502, 200]
        assert [(r.path, r.status) for r in sim.requests] == [("/fapi/v1/ping", 502), ("/fapi/v1/ping", 200)]
        sim.clear()
        assert not sim.requests
        assert not sim.faults.faults

    config = SimConfig(clock=ManualClock(NOW), faults=({"action": "http", "status": 502},))
    in_venue("binance", case, config=config)
