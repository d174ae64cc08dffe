"""The venue as unmodified ccxt clients see it (`exchange_simulator.md` 7, 8), against the sample market itself."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import ccxt.async_support as ccxt
import ccxt.pro as ccxt_pro
import pytest
from venue_cases import KLINES, NOW, PROTOCOLS, SYMBOL, as_lists, endpoints_of, floor, get, in_venue, minutes

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.dates import date_to_ts
from exchange_sim.server import SimServer
from exchanges.client_urls import apply_override, require_loopback
from exchanges.clients import public_client
from markets import sample

START_UP = {
    "binance": {"/fapi/v1/exchangeInfo": 1},
    "bybit": {"/v5/market/instruments-info": 8},
}
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_markets(protocol: str) -> None:
    """Steps, minima, launch times and states are the sample market's; what start-up asks for is as specified."""

    async def case(sim: SimServer, client: Any) -> None:
        markets = await client.load_markets()
        assert set(markets) == {row.symbol for row in sample.INSTRUMENTS.values()}
        for row in sample.INSTRUMENTS.values():
            market = markets[row.symbol]
            assert (market["id"], market["created"]) == (f"{row.coin}USDT", row.launch_ms)
            assert (market["active"], market["swap"], market["linear"]) == (True, True, True)
            assert (market["precision"]["price"], market["precision"]["amount"]) == (row.price_step, row.qty_step)
            assert market["limits"]["amount"]["min"] == row.qty_step
            notional = market["info"].get("lotSizeFilter", {}).get("minNotionalValue", market["limits"]["cost"]["min"])
            assert float(notional) == row.min_cost
        assert Counter(r.path for r in sim.requests) == START_UP[protocol]
        assert {r.status for r in sim.requests} == {200}

    in_venue(protocol, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_markets_with_keys(protocol: str) -> None:
    """With keys, time adjustment and all currencies the start-up calls are answered too."""

    async def case(sim: SimServer, client: Any) -> None:
        keyed = type(client)(
            {"apiKey": "k", "secret": "s", "enableRateLimit": False, "options": {"adjustForTimeDifference": True}}
        )
        keyed.timeout_on_exit = 0
        apply_override(keyed, endpoints_of(sim).of_exchange(protocol), websockets=False)
        try:
            assert len(await keyed.load_markets()) == 12
        finally:
            await keyed.close()
        assert {r.status for r in sim.requests} == {200}
        assert all("signature" not in r.params for r in sim.requests)

    in_venue(protocol, case)


def test_whole_binance_class() -> None:
    """The class for all of Binance finds empty lists of spot and inverse markets."""

    async def case(sim: SimServer, client: Any) -> None:
        whole = ccxt.binance()
        whole.timeout_on_exit = 0
        apply_override(whole, endpoints_of(sim).of_exchange("binanceusdm"), websockets=False)
        try:
            assert len(await whole.load_markets()) == 12
        finally:
            await whole.close()

    in_venue("binance", case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_time(protocol: str) -> None:
    """The venue tells its own clock's time."""

    async def case(sim: SimServer, client: Any) -> None:
        assert await client.fetch_time() == NOW

    in_venue(protocol, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tickers(protocol: str) -> None:
    """One ticker and all of them: last price, 24 h range and volume are those of the minutes."""

    async def case(sim: SimServer, client: Any) -> None:
        sim.venue.clock.ms = floor(NOW)  # type: ignore[attr-defined]
        every = await client.fetch_tickers()
        assert set(every) == {row.symbol for row in sample.INSTRUMENTS.values()}
        for symbol in (SYMBOL, "TRX/USDT:USDT"):
            day = minutes(symbol, floor(NOW) - DAY_MS, floor(NOW) - MINUTE_MS)
            now_open = float(minutes(symbol, floor(NOW), floor(NOW))["o"][0])
            for ticker in (await client.fetch_ticker(symbol), every[symbol]):
                assert ticker["last"] == float(day["c"][-1])
                assert ticker["open"] == float(day["o"][0])
                assert ticker["high"] == max(float(day["h"].max()), now_open)
                assert ticker["low"] == min(float(day["l"].min()), now_open)
                assert ticker["baseVolume"] == pytest.approx(float(day["bv"].sum()), rel=1e-12)

    in_venue(protocol, case)


def test_bids_and_asks() -> None:
    """Bid and ask stand at the last price, on both protocols."""

    async def binance(sim: SimServer, client: Any) -> None:
        last = (await client.fetch_ticker(SYMBOL))["last"]
        book = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]
        assert book["bid"] == book["ask"] == last
        assert (await client.fetch_funding_rate(SYMBOL))["markPrice"] == last

    async def bybit(sim: SimServer, client: Any) -> None:
        ticker = await client.fetch_ticker(SYMBOL)
        assert ticker["bid"] == ticker["ask"] == ticker["last"]

    in_venue("binance", binance)
    in_venue("bybit", bybit)


def period_start(ts: int, timeframe: str) -> int:
    """The start of the period, by the calendar."""
    moment = datetime.fromtimestamp(ts / 1000, UTC)
    if timeframe == "1M":
        moment = moment.replace(day=1, hour=0, minute=0)
    elif timeframe == "1w":
        moment = (moment - timedelta(days=moment.weekday())).replace(hour=0, minute=0)
    elif timeframe == "1d":
        moment = moment.replace(hour=0, minute=0)
    elif timeframe.endswith("h"):
        moment = moment.replace(hour=moment.hour // int(timeframe[:-1]) * int(timeframe[:-1]), minute=0)
    else:
        moment = moment.replace(minute=moment.minute // int(timeframe[:-1]) * int(timeframe[:-1]))
    return round(moment.timestamp() * 1000)


def summed(timeframe: str, start: int, end: int) -> list[list[float]]:
    """Candles of a timeframe, one by one from the sample market's minutes."""
    out: dict[int, list[float]] = {}
    for ts, o, h, low, c, v in as_lists(minutes(SYMBOL, start, end)):
        row = out.setdefault(period_start(int(ts), timeframe), [period_start(int(ts), timeframe), o, h, low, c, 0.0])
        row[2], row[3], row[4], row[5] = max(row[2], h), min(row[3], low), c, row[5] + v
    return [[*row[:5], round(row[5], 3)] for row in out.values()]


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ohlcv_of_every_timeframe(protocol: str, timeframe: str) -> None:
    """Candles equal those summed from the minutes to the last bit, the unfinished one included."""
    now = date_to_ts("2025-06-03T18:00")  # a boundary: the newest minute has only its open
    start = {"d": now - 6 * DAY_MS, "w": now - 30 * DAY_MS, "M": date_to_ts("2025-04-01")}.get(
        timeframe[-1], now - 30 * HOUR_MS
    )
    start = period_start(start, timeframe)
    expected = summed(timeframe, start, now - MINUTE_MS)
    opening = float(minutes(SYMBOL, now, now)["o"][0])
    if period_start(now, timeframe) == now:
        expected.append([now, opening, opening, opening, opening, 0.0])

    async def case(sim: SimServer, client: Any) -> None:
        expected_since = [row for row in expected if row[0] >= start][:1000]
        assert await client.fetch_ohlcv(SYMBOL, timeframe, since=start, limit=1000) == expected_since
        assert (
            await client.fetch_ohlcv(SYMBOL, timeframe, since=start + 1, limit=1000)
            == [row for row in expected if row[0] > start][:1000]
        )
        assert await client.fetch_ohlcv(SYMBOL, timeframe, limit=2) == expected[-2:]
        until = int(expected[2][0])
        for row_limit, first in ((1000, 0), (2, 0)):
            rows = await client.fetch_ohlcv(SYMBOL, timeframe, start, row_limit, {"until": until})
            assert rows == expected[first : min(3, row_limit)]

    in_venue(protocol, case, now=now)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ohlcv_from_before_the_launch(protocol: str) -> None:
    """A `since` before the launch gives candles from the launch on; an unlaunched market is not there."""
    row = sample.INSTRUMENTS["DOT"]

    async def case(sim: SimServer, client: Any) -> None:
        (first, *_) = await client.fetch_ohlcv(row.symbol, "1d", since=1, limit=3)
        assert first[0] == row.launch_ms
        (first, *_) = await client.fetch_ohlcv(row.symbol, "1m", since=1, limit=3)
        assert first == as_lists(minutes(row.symbol, row.launch_ms, row.launch_ms))[0]
        sim.venue.clock.ms = row.launch_ms - 1  # type: ignore[attr-defined]
        assert row.symbol not in await client.load_markets(True)
        query = {"binance": "interval=1m", "bybit": "interval=1&category=linear"}[protocol]
        _, body = await get(sim, f"{KLINES[protocol]}?symbol=DOTUSDT&{query}")
        assert b'"code":-1121' in body or b'"retCode":10001' in body

    in_venue(protocol, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_unfinished_minute(protocol: str) -> None:
    """The current minute grows towards its candle as the clock goes on; nothing is later than the clock."""
    whole = as_lists(minutes(SYMBOL, floor(NOW), floor(NOW)))[0]

    async def case(sim: SimServer, client: Any) -> None:
        sizes = []
        for second in (0, 10, 30, 59):
            sim.venue.clock.ms = floor(NOW) + second * 1000  # type: ignore[attr-defined]
            row = (await client.fetch_ohlcv(SYMBOL, "1m", since=floor(NOW), limit=10))[-1]
            assert (row[0], row[1]) == (floor(NOW), whole[1])
            assert whole[3] <= row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2] <= whole[2]
            assert (await client.fetch_ticker(SYMBOL))["last"] == row[4]
            sizes.append((row[2] - row[3], row[5]))
        assert sizes == sorted(sizes)
        assert 0.0 == sizes[0][1] < sizes[1][1] < sizes[-1][1] < whole[5]
        sim.venue.clock.ms = floor(NOW) + MINUTE_MS  # type: ignore[attr-defined]
        rows = await client.fetch_ohlcv(SYMBOL, "1m", since=floor(NOW), limit=10)
        assert rows[0] == whole
        assert [row[0] for row in rows] == [floor(NOW), floor(NOW) + MINUTE_MS]

    in_venue(protocol, case)


@pytest.mark.parametrize(("protocol", "limit"), [("binance", 1500), ("binance", 999), ("bybit", 1000), ("bybit", 200)])
def test_paging_through_a_day(protocol: str, limit: int) -> None:
    """Pages put together are the day, gapless and without overlap, whatever their size."""
    start = date_to_ts("2025-05-20")

    async def case(sim: SimServer, client: Any) -> None:
        rows: list[Any] = []
        since = start
        while since < start + DAY_MS:
            page = await client.fetch_ohlcv(SYMBOL, "1m", since=since, limit=limit)
            assert len(page) == limit
            rows += page
            since = page[-1][0] + MINUTE_MS
        expected = as_lists(minutes(SYMBOL, start, start + DAY_MS - MINUTE_MS))
        assert [row for row in rows if row[0] < start + DAY_MS] == expected
        paths = [r.path for r in sim.requests]
        assert paths.count(KLINES[protocol]) == -(-1440 // limit)

    in_venue(protocol, case)


def test_raw_klines() -> None:
    """Binance sends ascending rows of twelve fields without blanks, Bybit texts newest first, both 500 or 200 rows."""

    async def case(sim: SimServer, client: Any) -> None:
        _, body = await get(sim, "/fapi/v1/klines?symbol=BTCUSDT&interval=5m")
        rows = json.loads(body)
        assert b", " not in body
        assert (len(rows), len(rows[0])) == (500, 12)
        assert rows[-1][0] == floor(NOW) // 300_000 * 300_000
        assert all(b[0] - a[0] == 300_000 and a[6] == b[0] - 1 for a, b in pairwise(rows))
        _, body = await get(
            sim, "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&end=" + str(floor(NOW) - 1)
        )
        reply = json.loads(body)
        newest = reply["result"]["list"][0]
        assert (len(reply["result"]["list"]), len(newest), newest[0]) == (200, 7, str(floor(NOW) - MINUTE_MS))
        assert all(isinstance(text, str) for text in newest)

    in_venue("bybit", case)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/fapi/v1/klines?symbol=XYZUSDT&interval=1m", 400, '{"code":-1121,"msg":"Invalid symbol."}'),
        ("/fapi/v1/klines?interval=1m", 400, '"code":-1102'),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=7m", 400, '"code":-1120'),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1501", 400, '"code":-1130'),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=x", 400, '"code":-1102'),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", 400, '"code":-1023'),
        ("/v5/market/kline?category=linear&symbol=XYZUSDT&interval=1", 200, '"retCode":10001'),
        ("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=7", 200, '"retMsg":"Invalid period!"'),
        ("/v5/market/kline?category=inverse&symbol=BTCUSDT&interval=1", 200, '"retCode":10001'),
        ("/v5/market/tickers?category=futures", 200, '"retCode":10001'),
        ("/fapi/v1/nothing", 404, "is not served here"),
    ],
)
def test_wrong_requests(path: str, status: int, text: str) -> None:
    """What makes no sense is refused in the protocol's own way."""

    async def case(sim: SimServer, client: Any) -> None:
        answered, body = await get(sim, path)
        assert answered == status
        assert text in body.decode()

    in_venue("binance", case)


def test_cursor_of_instruments() -> None:
    """Bybit's list comes in pages that are joined by a cursor, which is empty on the last."""

    async def case(sim: SimServer, client: Any) -> None:
        cursor, names, pages = "", [], 0
        while cursor or not pages:
            path = f"/v5/market/instruments-info?category=linear&limit=5&cursor={cursor}"
            result = json.loads((await get(sim, path))[1])["result"]
            names += [row["symbol"] for row in result["list"]]
            cursor, pages = result["nextPageCursor"], pages + 1
        assert (sorted(names), pages) == (sorted(f"{coin}USDT" for coin in sample.INSTRUMENTS), 3)

    in_venue("bybit", case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_leaves_the_machine(protocol: str) -> None:
    """The venue's endpoints move every URL of both kinds of client, all archives and CoinGecko to loopback."""

    async def case(sim: SimServer, client: Any) -> None:
        endpoints = endpoints_of(sim)
        streaming = getattr(ccxt_pro, client.id)()
        apply_override(streaming, endpoints.of_exchange(protocol), websockets=True)
        require_loopback(client, streaming, endpoints=endpoints)
        assert client.enableRateLimit is False
        remote = public_client("okx", endpoints)
        assert remote.enableRateLimit is True

    in_venue(protocol, case)
