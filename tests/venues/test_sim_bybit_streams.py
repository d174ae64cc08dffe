"""Bybit's websockets as the unmodified ccxt.pro client sees them; their faults (`exchange_simulator.md` 8.4, 10)."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import aiohttp
import ccxt
import pytest
from trading_cases import BTC, ETH, KEY, SECRET, START, Bench, eventually, trade_on, within

from core.clock import MINUTE_MS, ScaledClock
from exchange_sim import sockets
from exchange_sim.bybit.signed import sign
from exchange_sim.trading.interventions import jump_balance
from exchange_sim.trading.records import OrderRequest

trade = partial(trade_on, "bybit")
LONG = {"positionIdx": 1}


async def subscribed(bench: Bench, *topics: str) -> None:
    """Wait until the venue has these subscriptions."""
    await eventually(lambda: set(topics) <= {t for s in bench.sim.venue.sockets.sockets("bybit") for t in s.topics})


async def watching(bench: Bench) -> asyncio.Task[Any]:
    """Order updates are being waited for."""
    task = bench.soon(bench.stream.watch_orders())
    await subscribed(bench, "order")
    return task


def test_orders() -> None:
    """Every step of an order is told: placed, partly filled, filled, cancelled, refused as post-only."""

    async def case(bench: Bench) -> None:
        steps: list[tuple[str, str, float]] = []

        async def follow() -> None:
            while True:
                steps.extend(
                    (o["id"], o["info"]["orderStatus"], o["filled"]) for o in await bench.stream.watch_orders()
                )

        bench.soon(follow())
        await subscribed(bench, "order")
        order = bench.place("buy", "long", 0.02, bench.price(0.999), client_id="mine")
        await eventually(lambda: len(steps) == 1)
        bench.fill(order, 0.01)
        await eventually(lambda: len(steps) == 2)
        bench.fill(bench.account.open_orders[order.id])
        await eventually(lambda: len(steps) == 3)
        second = bench.place("buy", "long", 0.02, bench.price(0.999))
        await eventually(lambda: len(steps) == 4)
        bench.engine.cancel(KEY, bench.now, order_id=second.id)
        await eventually(lambda: len(steps) == 5)
        assert steps == [
            ("1", "New", 0.0), ("1", "PartiallyFilled", 0.01), ("1", "Filled", 0.02), ("2", "New", 0.0),
            ("2", "Cancelled", 0.0),
        ]  # fmt: skip
        params = {**LONG, "timeInForce": "postOnly"}
        await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(1.01), params)
        await eventually(lambda: bench.stream.orders[-1]["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity")
        assert bench.stream.orders[-1]["info"]["orderStatus"] == "Cancelled"

    trade(case)


def test_trades_balance_positions() -> None:
    """A fill tells the trade, the position and the wallet, as the engine has them."""

    async def case(bench: Bench) -> None:
        stream = bench.stream
        assert await within(stream.watch_positions()) == []  # the first answer is the list as it stands
        tasks = [bench.soon(work()) for work in (stream.watch_my_trades, stream.watch_balance, stream.watch_positions)]
        await subscribed(bench, "execution", "wallet", "position")
        fill = bench.hold("short", 0.01)
        (trade_row,), balance, (position,) = await within(asyncio.gather(*tasks))
        assert (trade_row["id"], trade_row["price"], trade_row["amount"]) == ("1", fill.price, 0.01)
        assert balance["USDT"]["total"] == bench.account.wallet
        assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "short", 0.01)
        assert position["entryPrice"] == fill.price
        closing = bench.soon(stream.watch_positions())
        await asyncio.sleep(0)
        bench.fill(bench.place("buy", "short", 0.01, bench.price(0.999)))
        (flat,) = await within(closing)
        assert (flat["contracts"], flat["side"]) == (0.0, None)
        paying = bench.soon(stream.watch_balance())
        await asyncio.sleep(0)
        jump_balance(bench.engine, KEY, 50.0, bench.now)
        assert (await within(paying))["USDT"]["total"] == bench.account.wallet

    trade(case)


def test_market_streams() -> None:
    """Candles, tickers and the book follow the clock: what REST would answer at that moment."""

    async def case(bench: Bench) -> None:
        stream = bench.stream
        first = await within(stream.watch_ohlcv(BTC))
        assert first[-1] == (await bench.rest.fetch_ohlcv(BTC, limit=1))[-1]
        assert (await within(stream.watch_ticker(BTC)))["last"] == bench.last
        assert (await within(stream.watch_bids_asks([BTC])))[BTC]["bid"] == bench.last
        book = await within(stream.watch_order_book(BTC))
        assert (book["bids"][0][0], book["asks"][0][0]) == (bench.last, bench.last)
        waiting = [bench.soon(work) for work in (stream.watch_ohlcv(BTC), stream.watch_ticker(BTC))]
        await asyncio.sleep(0)
        bench.step(2)
        candles, ticker = await within(asyncio.gather(*waiting))
        rows = await bench.rest.fetch_ohlcv(BTC, limit=3)
        await eventually(lambda: [list(row) for row in stream.ohlcvs[BTC]["1m"]][-3:] == rows)
        assert candles[-1][0] >= START
        fetched = await bench.rest.fetch_ticker(BTC)
        for name in ("last", "bid", "high", "low", "baseVolume"):
            assert ticker[name] == fetched[name], name

    trade(case)


class Raw:
    """A connection without ccxt."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def ask(self, content: Any) -> Any:
        await self.ws.send_str(content if isinstance(content, str) else json.dumps(content))
        return await self.hear()

    async def hear(self) -> Any:
        return json.loads((await within(self.ws.receive())).data)

    async def join(self, topic: str = "order", key: str = KEY) -> Any:
        auth = await self.ask(
            {"op": "auth", "args": [key, "99999999999999", sign("GET/realtime99999999999999", SECRET)]}
        )
        return auth if not auth["success"] else await self.ask({"op": "subscribe", "req_id": "1", "args": [topic]})


def raw(case: Any, path: str = "/v5/private", **config: Any) -> None:
    """Run `case(bench, connection)`."""

    async def connected(bench: Bench) -> None:
        url = bench.sim.url.replace("http", "ws") + path
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            await case(bench, Raw(ws))

    trade(connected, **config)


def test_private_protocol() -> None:
    """Pings are answered before and after the login; topics only after it, and only those that exist."""

    async def case(bench: Bench, ws: Raw) -> None:
        pong = await ws.ask({"req_id": "7", "op": "ping"})
        assert (pong["req_id"], pong["op"], pong["args"]) == ("7", "pong", [str(START)])
        refused = await ws.ask({"op": "subscribe", "args": ["order"]})
        assert (refused["success"], refused["request"]["op"]) == (False, "subscribe")
        done = await ws.join()
        assert {**done, "conn_id": ""} == {
            "success": True, "ret_msg": "", "op": "subscribe", "conn_id": "", "req_id": "1",
        }  # fmt: skip
        assert (await ws.ask({"op": "subscribe", "args": ["order", "gossip"]}))["success"] is False
        for nonsense in ("{", "[]", '{"op":"dance"}', '"x"'):
            assert (await ws.ask(nonsense))["success"] is False
        bench.place("buy", "long", 0.01, bench.price(0.99))
        told = await ws.hear()
        assert (told["topic"], told["creationTime"], told["data"][0]["category"]) == ("order", START, "linear")
        assert (await ws.ask({"op": "unsubscribe", "args": ["order"]}))["success"] is True
        bench.place("buy", "long", 0.01, bench.price(0.99))
        assert (await ws.ask({"op": "ping"}))["op"] == "pong"

    raw(case)


def test_accounts_are_told_their_own() -> None:
    """What others do is nobody's business."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        bench.engine.account("other").hedge = True
        request = OrderRequest(BTC, "buy", "long", "limit", 0.01, bench.price(0.99))
        bench.engine.submit("other", request, bench.now)
        bench.place("buy", "long", 0.02, bench.price(0.99))
        assert (await ws.hear())["data"][0]["qty"] == "0.020"

    raw(case)


def test_private_keys() -> None:
    """Where secrets are known a login needs one of them."""

    async def case(bench: Bench, ws: Raw) -> None:
        assert (await ws.join(key="stranger"))["success"] is False
        assert (await ws.ask({"op": "auth", "args": [KEY, "1", "wrong"]}))["success"] is False
        assert (await ws.ask({"op": "auth", "args": "nothing"}))["success"] is False
        assert (await ws.join())["success"] is True

    raw(case, secrets={KEY: SECRET})

    async def by_ccxt(bench: Bench) -> None:
        await bench.stream.load_markets()
        bench.stream.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
        with pytest.raises(ccxt.AuthenticationError):
            await within(bench.stream.watch_orders())

    trade(by_ccxt, secrets={"other": SECRET})


def test_public_protocol() -> None:
    """A snapshot at once, then only what is new; minutes that ended are confirmed before the next is told."""

    async def case(bench: Bench, ws: Raw) -> None:
        pong = await ws.ask({"req_id": "3", "op": "ping"})
        assert (pong["ret_msg"], pong["req_id"], pong["op"]) == ("pong", "3", "ping")
        for topic in ("kline.2.BTCUSDT", "kline.1.NOUSDT", "tickers", "tickers.1.BTCUSDT", "orderbook.BTCUSDT"):
            assert (await ws.ask({"op": "subscribe", "args": [topic]}))["success"] is False
        await ws.ask({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
        snapshot = await ws.hear()
        assert (snapshot["type"], snapshot["topic"]) == ("snapshot", "tickers.BTCUSDT")
        bench.step()
        delta = await ws.hear()
        assert delta["type"] == "delta"
        assert delta["data"]["symbol"] == "BTCUSDT"
        assert 1 < len(delta["data"]) < len(snapshot["data"])
        await ws.ask({"op": "unsubscribe", "args": ["tickers.BTCUSDT"]})
        await ws.ask({"op": "subscribe", "args": ["kline.1.BTCUSDT"]})
        await ws.hear()
        bench.sim.venue.advance(30_000)
        bench.sim.venue.advance(30_000 + MINUTE_MS)
        told = [(await ws.hear())["data"][0] for _ in range(4)]
        first = START + MINUTE_MS
        assert [(row["start"] - first, row["confirm"]) for row in told] == [
            (0, False), (0, True), (MINUTE_MS, True), (2 * MINUTE_MS, False),
        ]  # fmt: skip
        assert told[1]["end"] == first + MINUTE_MS - 1
        bench.sim.venue.pulse()  # nothing is new
        assert (await ws.ask({"op": "unsubscribe", "args": ["kline.1.BTCUSDT"]}))["op"] == "unsubscribe"
        await ws.ask({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
        book = await ws.hear()
        assert (book["type"], book["data"]["s"], len(book["data"]["b"])) == ("snapshot", "BTCUSDT", 1)

    raw(case, "/v5/public/linear")


def test_other_categories_have_no_topics() -> None:
    """Only linear contracts are traded here."""

    async def case(bench: Bench, ws: Raw) -> None:
        assert (await ws.ask({"op": "subscribe", "args": ["tickers.BTCUSDT"]}))["success"] is False

    raw(case, "/v5/public/spot")


def test_running_time_pushes_by_itself() -> None:
    """In running time prices are pushed without anybody asking."""

    async def case(bench: Bench) -> None:
        first = (await within(bench.stream.watch_ticker(BTC)))["timestamp"]
        assert (await within(bench.stream.watch_ticker(BTC)))["timestamp"] > first

    trade(case, clock=ScaledClock(START, 60.0))


# --- faults of section 10 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1006, 4000])
def test_drop(code: int) -> None:
    """A dropped connection is an error of the wait; the next wait connects anew and is told again."""

    async def case(bench: Bench) -> None:
        task = await watching(bench)
        bench.sim.faults.add("ws_drop", code=code, path="/v5/private")
        bench.sim.venue.pulse()
        with pytest.raises(ccxt.NetworkError):
            await within(task)
        again = await watching(bench)
        bench.place("buy", "long", 0.01, bench.price(0.99))
        assert len(await within(again)) == 1

    trade(case)


def test_drop_without_a_word() -> None:
    """Code 1006 is a connection that is gone; no close is sent."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        bench.sim.faults.add("ws_drop", code=1006)
        bench.sim.venue.pulse()
        assert (await within(ws.ws.receive())).type is not aiohttp.WSMsgType.CLOSE

    raw(case)


def test_drop_at_a_message() -> None:
    """Running into a message it takes it along."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        bench.sim.faults.add("ws_drop", nth=2)
        for _ in range(3):
            bench.place("buy", "long", 0.01, bench.price(0.99))
        assert (await ws.hear())["topic"] == "order"
        closed = await within(ws.ws.receive())
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        assert bench.sim.venue.sockets.sockets("bybit") == []

    raw(case)


def test_silent() -> None:
    """Nothing is pushed while pings are answered; after it the stream goes on."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        fault = bench.sim.faults.add("ws_silent", count=0)
        bench.place("buy", "long", 0.01, bench.price(0.99))
        assert (await ws.ask({"op": "ping"}))["op"] == "pong"
        bench.sim.faults.remove(fault.id)
        bench.place("buy", "long", 0.02, bench.price(0.99))
        assert (await ws.hear())["data"][0]["qty"] == "0.020"

    raw(case)


def test_refuse() -> None:
    """No upgrade, until it is allowed again."""

    async def case(bench: Bench) -> None:
        bench.sim.faults.add("ws_refuse", path="/v5/private", count=2)
        for _ in range(2):
            with pytest.raises(ccxt.NetworkError):
                await within(bench.stream.watch_orders())
        await watching(bench)

    trade(case)


def test_duplicate_reorder_garbage() -> None:
    """A push comes twice; after the next one, or alone with the next look at the clock; or cut in half."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()

        async def told(action: str, pushes: int, messages: int) -> list[Any]:
            bench.sim.faults.add(action)
            for _ in range(pushes):
                bench.place("buy", "long", 0.01, bench.price(0.9))
            bench.sim.venue.pulse()
            texts = [(await within(ws.ws.receive())).data for _ in range(messages)]
            return [text if action == "ws_garbage" else json.loads(text)["data"][0]["orderId"] for text in texts]

        assert await told("ws_duplicate", 2, 3) == ["1", "1", "2"]
        assert await told("ws_reorder", 2, 2) == ["4", "3"]
        assert await told("ws_reorder", 1, 1) == ["5"]
        (broken,) = await told("ws_garbage", 1, 1)
        with pytest.raises(ValueError, match="line 1"):
            json.loads(broken)

    raw(case)


def test_faults_of_one_account() -> None:
    """A fault may be for one key's connections only."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        other = bench.sim.faults.add("ws_silent", account="other", count=0)
        mine = bench.sim.faults.add("ws_duplicate", account=KEY)
        bench.place("buy", "long", 0.01, bench.price(0.9))
        assert (other.fired, mine.fired) == (0, 1)
        assert [(await ws.hear())["topic"] for _ in range(2)] == ["order", "order"]

    raw(case)


def test_faults_of_sockets_leave_requests_alone() -> None:
    """A fault of pushes is not used up by a request, nor one of requests by a push."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        pushes, requests = bench.sim.faults.add("ws_duplicate"), bench.sim.faults.add("http", status=503)
        bench.place("buy", "long", 0.01, bench.price(0.9))
        assert (pushes.fired, requests.met) == (1, 0)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await bench.rest.fetch_time()
        assert (pushes.met, requests.fired) == (1, 1)

    raw(case)


def test_clients_that_do_not_read() -> None:
    """A client far behind is sent away; the engine never waits for it."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        (socket,) = bench.sim.venue.sockets.sockets("bybit")
        for _ in range(sockets.LONGEST_QUEUE + 1):
            socket.push("x", None)
        await eventually(lambda: bench.sim.venue.sockets.sockets("bybit") == [])

    raw(case)


def test_the_server_closes_politely() -> None:
    """When the venue stops its clients are told."""

    async def case(bench: Bench, ws: Raw) -> None:
        await ws.join()
        stopping = bench.soon(bench.sim.stop())
        closed = await within(ws.ws.receive())
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        await within(stopping)

    raw(case)


def test_two_coins_two_topics() -> None:
    """Several contracts on one connection."""

    async def case(bench: Bench) -> None:
        ticker = await within(bench.stream.watch_tickers([BTC, ETH]))
        assert set(ticker) <= {BTC, ETH}
        await eventually(lambda: {BTC, ETH} <= set(bench.stream.tickers))

    trade(case)
