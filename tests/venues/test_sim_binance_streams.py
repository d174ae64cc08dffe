"""Binance's websockets as the unmodified ccxt.pro class sees them (`exchange_simulator.md` 7.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import pytest
from binance_cases import buy, on_binance, take
from trading_cases import BTC, ETH, KEY, START, Bench
from venue_cases import minutes

from core.clock import MINUTE_MS, ManualClock
from exchange_sim.binance.listen_keys import LIFETIME_MS, ListenKeys
from exchange_sim.trading import interventions
from exchange_sim.trading.records import Position


async def until(condition: Callable[[], Any]) -> None:
    """Let everything else go on until it holds."""
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0)


async def told(bench: Bench, topic: str, act: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What a watch gives, that was waiting for it when this was done. `topic` is ccxt's name of what it waits for."""
    watches = {"orders": "watch_orders", "myTrades": "watch_my_trades", "future:balance": "watch_balance",
               "future:positions": "watch_positions"}  # fmt: skip
    result = asyncio.ensure_future(getattr(bench.stream, watches[topic])())
    await until(lambda: bench.sim.venue.sockets.sockets("binance", KEY) and topic in futures(bench))
    await act()
    found: list[Any] = await result
    return found


async def do(act: Callable[[], Any]) -> None:
    act()


def test_orders() -> None:
    """A new order, its fill and a cancel arrive with all that ccxt's orders hold, and the adapter's position side."""

    async def case(bench: Bench) -> None:
        (new,) = await told(bench, "orders", lambda: buy(bench, 0.99999, newClientOrderId="mine"))
        by_rest = await bench.rest.fetch_order(new["id"], BTC)
        names = ("id", "clientOrderId", "symbol", "side", "type", "price", "amount", "filled", "status", "timeInForce")
        assert [new[name] for name in names] == [by_rest[name] for name in names]
        assert (new["info"]["ps"], new["info"]["x"], new["timestamp"]) == ("LONG", "NEW", START)
        (done,) = await told(bench, "orders", lambda: do(lambda: bench.step(60)))
        assert (done["status"], done["filled"], done["info"]["X"]) == ("closed", 0.01, "FILLED")
        assert done["average"] == new["price"]
        (other,) = await told(bench, "orders", lambda: buy(bench, 0.95))
        assert other["status"] == "open"
        (gone,) = await told(bench, "orders", lambda: bench.rest.cancel_order(other["id"], BTC))
        assert (gone["id"], gone["status"], gone["info"]["x"]) == (other["id"], "canceled", "CANCELED")

    on_binance(case)


def test_trades() -> None:
    """Each trade once, as the history tells it."""

    async def case(bench: Bench) -> None:
        (trade,) = await told(bench, "myTrades", lambda: take(bench))
        (fill,) = bench.engine.fills(KEY)
        assert (trade["id"], trade["order"], trade["timestamp"]) == (str(fill.id), str(fill.order_id), fill.ts)
        assert (trade["side"], trade["price"], trade["amount"], trade["takerOrMaker"]) == (
            fill.side, fill.price, fill.qty, "taker",
        )  # fmt: skip
        assert trade["fee"] == {"cost": pytest.approx(fill.fee, abs=1e-8), "currency": "USDT"}
        (trade,) = await told(bench, "myTrades", lambda: take(bench, "sell", "LONG", 0.004))
        assert float(trade["info"]["rp"]) == pytest.approx(bench.engine.fills(KEY)[1].realized, abs=1e-8)

    on_binance(case)


def test_balance_and_positions() -> None:
    """Wallet and position after each fill and each change from elsewhere; a closed position has size 0."""

    async def case(bench: Bench) -> None:
        engine = bench.engine
        balance: Any = await told(bench, "future:balance", lambda: take(bench))
        assert balance["USDT"]["total"] == pytest.approx(bench.account.wallet, abs=1e-8)
        (row,) = await told(bench, "future:positions", lambda: take(bench, "sell", "LONG"))
        assert (row["side"], row["contracts"], row["hedged"]) == ("long", 0.0, True)
        put = Position(BTC, "short", 0.02, 90000.0)
        (row,) = await told(
            bench, "future:positions", lambda: do(lambda: interventions.put_position(engine, KEY, put, START))
        )
        assert (row["side"], row["contracts"], row["entryPrice"]) == ("short", 0.02, 90000.0)
        balance = await told(
            bench, "future:balance", lambda: do(lambda: interventions.jump_balance(engine, KEY, 500.0, START))
        )
        assert 1400.0 < bench.account.wallet == pytest.approx(balance["USDT"]["total"], abs=1e-8)

    on_binance(case)


def test_first_positions() -> None:
    """The first watch gives what REST says: brackets and positions are asked for once the stream stands."""

    async def case(bench: Bench) -> None:
        await take(bench)
        held = await bench.stream.watch_positions()
        assert [(p["symbol"], p["side"], p["contracts"]) for p in held] == [(BTC, "long", 0.01)]
        paths = [request.path for request in bench.sim.requests]
        assert paths[-2:] == ["/fapi/v1/leverageBracket", "/fapi/v3/positionRisk"]

    on_binance(case)


def test_accounts_hear_only_of_themselves() -> None:
    """Orders of another account are not told."""

    async def case(bench: Bench) -> None:
        async def both() -> None:
            bench.rest.apiKey = "another"
            bench.engine.account("another").hedge = True
            await buy(bench, newClientOrderId="theirs")
            bench.rest.apiKey = KEY
            await buy(bench, newClientOrderId="mine")

        assert [order["clientOrderId"] for order in await told(bench, "orders", both)] == ["mine"]

    on_binance(case)


def test_klines() -> None:
    """The minute under way when subscribing, then each minute that ends and the one after it, none left out."""

    async def case(bench: Bench) -> None:
        rows = await bench.stream.watch_ohlcv(BTC, "1m")
        assert [row[0] for row in rows] == [START]
        bench.step(3)
        seen: dict[int, list[float]] = {}
        while START + 3 * MINUTE_MS not in seen:
            seen |= {row[0]: row for row in await bench.stream.watch_ohlcv(BTC, "1m")}
        whole = minutes(BTC, START, START + 2 * MINUTE_MS)
        assert [seen[ts] for ts in sorted(seen)[:3]] == [
            [row["ts"], row["o"], row["h"], row["l"], row["c"], row["bv"]] for row in whole
        ]
        bench.sim.venue.advance(MINUTE_MS // 2)
        assert (await bench.stream.watch_ohlcv(BTC, "1m"))[-1] == (await bench.rest.fetch_ohlcv(BTC, limit=1))[0]

    on_binance(case)


async def both(bench: Bench) -> Any:
    return await asyncio.gather(bench.stream.watch_bids_asks([BTC]), bench.stream.watch_tickers([BTC]))


def futures(bench: Bench) -> list[str]:
    """What the stream client waits for."""
    return [name for client in bench.stream.clients.values() for name in client.futures]


def test_tickers() -> None:
    """Best prices and 24 hours of several symbols as REST has them, again when the price has changed."""

    async def case(bench: Bench) -> None:
        best, ticker = await both(bench)
        while best[BTC]["timestamp"] == START:  # until the price has changed
            later = asyncio.ensure_future(both(bench))
            await until(lambda: len(futures(bench)) == 2)
            bench.step(1)
            best, ticker = await later
        assert best[BTC]["bid"] == best[BTC]["ask"] == bench.last
        by_rest = await bench.rest.fetch_ticker(BTC)
        for name in ("last", "open", "high", "low", "vwap", "baseVolume", "quoteVolume", "timestamp", "change"):
            assert ticker[BTC][name] == by_rest[name], name
        ticker = await bench.stream.watch_ticker(ETH)
        assert ticker["last"] == bench.engine.quotes.last[ETH]

    on_binance(case)


def test_subscriptions() -> None:
    """Calls are answered under their number, unsubscribing too; what makes no sense is an error."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        async with bench.rest.session.ws_connect(f"ws://{bench.sim.address}/ws/7") as ws:
            await ws.send_json({"method": "SUBSCRIBE", "params": ["nope@ticker", "btcusdt@bookTicker"], "id": 5})
            assert await ws.receive_json() == {"result": None, "id": 5}
            assert (await ws.receive_json())["s"] == "BTCUSDT"
            await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 6})
            assert await ws.receive_json() == {"result": ["btcusdt@bookTicker"], "id": 6}
            await ws.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 7})
            assert await ws.receive_json() == {"result": None, "id": 7}
            bench.step(1)
            await ws.send_json({"method": "DANCE", "id": 8})
            assert await ws.receive_json() == {"error": {"code": 2, "msg": "Invalid request: unknown variant"}, "id": 8}
            await ws.send_str("{")
            assert (await ws.receive_json())["error"]["code"] == 3

    on_binance(case)


def test_ends_of_klines() -> None:
    """A kline says when it is over: at the full minute, in the message before that of the next one."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        async with bench.rest.session.ws_connect(f"ws://{bench.sim.address}/ws/0") as ws:
            await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1})
            await ws.receive_json()
            seen = [await ws.receive_json()]
            bench.step(2)
            seen += [await ws.receive_json() for _ in range(3)]
        assert [((m["k"]["t"] - START) // MINUTE_MS, m["k"]["x"]) for m in seen] == [
            (0, False), (0, True), (1, True), (2, False),
        ]  # fmt: skip

    on_binance(case)


def test_closed_stream() -> None:
    """A stream that the venue closes raises a NetworkError out of the watch; the next call connects again."""

    async def case(bench: Bench) -> None:
        hub = bench.sim.venue.sockets
        with pytest.raises(ccxt.NetworkError, match="1001"):
            await told(bench, "orders", lambda: do(lambda: hub.drop(hub.sockets("binance", KEY)[0])))
        assert len(await told(bench, "orders", lambda: buy(bench))) == 1

    on_binance(case)


def test_listen_key_that_ends() -> None:
    """Without its key the stream says so and closes; a stranger's key opens none."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        session = bench.rest.session
        key = (await bench.rest.fapiPrivatePostListenKey())["listenKey"]
        async with session.ws_connect(f"ws://{bench.sim.address}/ws/{key}") as ws:
            await bench.rest.fapiPrivateDeleteListenKey()
            bench.step(1)
            assert await ws.receive_json() == {"e": "listenKeyExpired", "E": START + MINUTE_MS, "listenKey": key}
            assert (await ws.receive()).data == 1001
        async with session.get(f"{bench.sim.url}/ws/{key}", headers={"Upgrade": "websocket"}) as reply:
            assert reply.status == 400

    on_binance(case)


def test_how_long_listen_keys_live() -> None:
    """An hour from the last renewal."""
    clock = ManualClock(0)
    keys = ListenKeys(clock)
    name = keys.open("me")
    clock.advance(LIFETIME_MS - 1)
    assert keys.account(name) == "me"
    assert keys.renew("me") == name
    clock.advance(LIFETIME_MS - 1)
    assert keys.account(name) == "me"
    clock.advance(1)
    assert keys.account(name) is None
    assert keys.renew("me") is None
    assert keys.open("me") != name


def test_start_up_traffic() -> None:
    """The stream client loads markets and asks for a listen key by itself; nothing more."""

    async def case(bench: Bench) -> None:
        await told(bench, "orders", lambda: do(lambda: bench.place("buy", "long", 0.01, bench.price(0.99))))
        assert [request.path for request in bench.sim.requests] == [
            "/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs", "/fapi/v1/exchangeInfo", "/fapi/v1/time",
            "/fapi/v1/listenKey", "/fapi/v1/leverageBracket", "/fapi/v3/positionRisk",
        ]  # fmt: skip

    on_binance(case)
