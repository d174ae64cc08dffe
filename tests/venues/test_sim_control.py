"""Accounts, prices and waiting over the control interface; the clock that follows a venue (4, 11)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from trading_cases import BTC, KEY, START, Bench, trade_on
from venue_cases import PROTOCOLS

from core.clock import MINUTE_MS, ManualClock, ScaledClock, SystemClock
from core.errors import RunError
from exchange_sim.clock import VenueClock
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.surfaces import weight_of


async def ask(sim: SimServer, method: str, path: str, body: Any = None) -> Any:
    """What a call is answered; a refusal is its text."""
    async with (
        aiohttp.ClientSession(headers={"X-Sim-Token": sim.token}) as session,
        session.request(method, f"{sim.url}/sim/v1/{path}", json=body) as response,
    ):
        reply = await response.json()
        return reply if response.status == 200 else reply["error"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_state(protocol: str) -> None:
    """Balance, equity, positions, orders and fills of the account; the protocol must be said where there are two."""

    async def case(bench: Bench) -> None:
        fill = bench.hold()
        order = bench.place("sell", "long", 0.01, bench.price(1.1), client_id="mine")
        for asked in (f"protocol={protocol}", f"protocol={protocol}&account={KEY}"):
            state = await ask(bench.sim, "GET", f"state?{asked}")
            assert (state["balance"], state["equity"]) == (
                bench.account.wallet,
                bench.account.equity(bench.engine.quotes),
            )
            assert [(p["symbol"], p["pside"], p["size"]) for p in state["positions"]] == [(BTC, "long", 0.01)]
            assert [(o["id"], o["client_id"]) for o in state["orders"]] == [(order.id, "mine")]
            assert [(f["id"], f["ts"]) for f in state["fills"]] == [(fill.id, START)]
        assert "one of binance, bybit is needed" in await ask(bench.sim, "GET", "state")
        assert "account is 'x', one of the 1" in await ask(bench.sim, "GET", f"state?protocol={protocol}&account=x")

    trade_on(protocol, case)


def test_change_of_an_account() -> None:
    """Balance, mode, positions, orders and fills are put; what is wrong is refused by name."""

    async def case(bench: Bench) -> None:
        body = {
            "key": KEY, "balance": 5000, "hedge": True,
            "positions": [{"symbol": "BTCUSDT", "pside": "short", "size": 0.02, "entry": 90000}],
            "orders": [{"symbol": BTC, "side": "buy", "pside": "short", "type": "limit", "qty": 0.01, "price": 5e4}],
            "fills": [{"symbol": BTC, "side": "sell", "pside": "short", "price": 90000.0, "qty": 0.02, "ts": START}],
        }  # fmt: skip
        state = await ask(bench.sim, "POST", "account", body)
        assert (state["balance"], state["hedge"]) == (5000.0, True)
        assert [(p["size"], p["entry"]) for p in state["positions"]] == [(0.02, 90000.0)]
        assert [o["price"] for o in await bench.rest.fetch_open_orders(BTC)] == [50000.0]
        assert [t["price"] for t in await bench.rest.fetch_my_trades(BTC)] == [90000.0]
        for change, text in (
            ({"hedge": False}, "has_positions"),
            ({"orders": [{**body["orders"][0], "qty": 0.0105}]}, "lot_size"),
            ({"positions": [{"symbol": "NOPE", "size": 1}]}, "no market NOPE here"),
            ({"fills": [{"symbol": BTC}]}, "lacks"),
        ):
            assert text in await ask(bench.sim, "POST", "account", {"key": KEY, **change})

    trade_on("binance", case, hedge=False, protocols=("binance",))


def test_fill_over_control() -> None:
    """An order is filled in part, then in full; one that is not there is refused."""

    async def case(bench: Bench) -> None:
        order = bench.place("buy", "long", 0.01, bench.price(0.9))
        fill = await ask(bench.sim, "POST", f"order/{order.id}/fill", {"qty": 0.004, "price": 95000.0})
        assert (fill["qty"], fill["price"], fill["ts"]) == (0.004, 95000.0, START)
        assert (await ask(bench.sim, "POST", f"order/{order.id}/fill"))["qty"] == pytest.approx(0.006)
        assert await ask(bench.sim, "POST", f"order/{order.id}/fill") == f"ConfigError: no open order {order.id}"
        assert "cannot fill" in await ask(
            bench.sim, "POST", f"order/{bench.place('buy', 'long', 0.01, bench.price(0.9)).id}/fill", {"qty": 9}
        )

    trade_on("bybit", case, protocols=("bybit",))


@pytest.mark.parametrize(("protocol", "offset_ms"), [("binance", 0), ("bybit", 20_000)])
def test_price(protocol: str, offset_ms: int) -> None:
    """Orders that the price passes are filled; every reply states it, until the market goes on by itself."""

    async def case(bench: Bench) -> None:
        order = bench.place("buy", "long", 0.01, bench.price(0.95))
        price = bench.price(0.94)
        assert (await ask(bench.sim, "POST", "price", {"symbol": "BTCUSDT", "price": price}))["price"] == price
        assert [(f.order_id, f.price) for f in bench.account.fills] == [(order.id, order.price)]
        assert (await bench.rest.fetch_ticker(BTC))["last"] == bench.last == price
        assert (await bench.rest.fetch_positions([BTC]))[0]["markPrice"] == price
        bench.step(2)
        assert bench.last > price
        assert "must be above 0" in await ask(bench.sim, "POST", "price", {"symbol": BTC, "price": -1})

    trade_on(protocol, case, clock=ManualClock(START + offset_ms))


def test_advance_matches() -> None:
    """Moving the clock fills what the candles on the way cross."""

    async def case(bench: Bench) -> None:
        bench.place("buy", "long", 0.01, bench.price(0.99999))
        await ask(bench.sim, "POST", "clock/advance", {"minutes": 60})
        assert len(bench.account.fills) == 1

    trade_on("binance", case)


def test_log_of_bodies() -> None:
    """The parameters of forms and of JSON are logged, keys, signatures and listen keys are not."""

    async def case(bench: Bench) -> None:
        await bench.rest.create_order(
            BTC, "limit", "buy", 0.01, bench.price(0.9), {"positionSide": "LONG", "hedged": True}
        )
        (record,) = [r for r in bench.sim.requests if r.path in ("/fapi/v1/order", "/v5/order/create")]
        assert record.params["symbol"] == "BTCUSDT"
        assert record.params.get("quantity", record.params.get("qty")) == "0.01"
        assert not {"signature", "sign", "apiKey"} & set(record.params)
        if bench.protocol == "binance":
            task = bench.soon(bench.stream.watch_orders())
            await ask(bench.sim, "GET", "clock")
            task.cancel()
            assert not any("listenKey" in r.params for r in bench.sim.requests)

    for protocol in PROTOCOLS:
        trade_on(protocol, case)


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    [
        ("GET", "/fapi/v1/klines", {"limit": "99"}, 1),
        ("GET", "/fapi/v1/klines", {}, 5),
        ("GET", "/fapi/v1/klines", {"limit": "1000"}, 5),
        ("GET", "/fapi/v1/klines", {"limit": "1001"}, 10),
        ("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET", "/fapi/v1/openOrders", {}, 40),
        ("GET", "/fapi/v1/positionSide/dual", {}, 30),
        ("POST", "/fapi/v1/positionSide/dual", {}, 1),
        ("GET", "/v5/order/realtime", {}, 1),
    ],
)
def test_weights(method: str, path: str, params: dict[str, str], weight: int) -> None:
    """Binance's weights; on Bybit every call counts once."""
    assert weight_of(method, path, params) == weight


def test_waiting_for_a_later_time() -> None:
    """`after_ms` is answered once it is later than that, not before."""

    async def case(bench: Bench) -> None:
        waiting = bench.soon(ask(bench.sim, "GET", f"clock?after_ms={START}"))
        for _ in range(3):
            assert (await ask(bench.sim, "GET", f"clock?after_ms={START - 1}"))["now_ms"] == START
        assert not waiting.done()
        bench.step()
        assert (await waiting)["now_ms"] == START + MINUTE_MS

    trade_on("binance", case)


def test_clock_of_a_stepped_venue() -> None:
    """It stands still until the venue's clock is advanced; a sleep ends once it went on far enough."""

    async def case() -> None:
        async with (
            SimServer(SimConfig(clock=ManualClock(START))) as sim,
            await VenueClock.connect(sim.url, sim.token) as clock,
        ):
            assert clock.now_ms() == START
            await clock.sleep(0.0)
            sleeping = asyncio.ensure_future(clock.sleep(120.0))
            for minutes in (1, 2):
                assert not sleeping.done()
                sim.venue.advance(MINUTE_MS)
                while clock.now_ms() < START + minutes * MINUTE_MS:
                    await asyncio.sleep(0)
            await sleeping
            assert clock.now_ms() == START + 2 * MINUTE_MS

    asyncio.run(case())


def test_clock_of_a_running_venue() -> None:
    """It is asked once, and runs at the venue's speed from then on."""

    async def case() -> None:
        config = SimConfig(clock=ScaledClock(START, 600.0))
        async with SimServer(config) as sim, await VenueClock.connect(sim.url, sim.token) as clock:
            asked = len(sim.requests)
            await clock.sleep(6.0)  # ten milliseconds
            assert START + 6000 <= clock.now_ms() <= sim.venue.now_ms() + 60_000
            assert clock.speed == 600.0
            assert len(sim.requests) == asked
        async with SimServer(SimConfig()) as sim, await VenueClock.connect(sim.url, sim.token) as clock:
            assert abs(clock.now_ms() - SystemClock().now_ms()) < 5000

    asyncio.run(case())


def test_clock_without_a_venue() -> None:
    """A wrong token, or a venue that has gone, is said in one line."""

    async def case() -> None:
        async with SimServer(SimConfig(clock=ManualClock(START))) as sim:
            with pytest.raises(RunError, match="header X-Sim-Token is missing or wrong"):
                await VenueClock.connect(sim.url, "wrong")
            clock = await VenueClock.connect(sim.url, sim.token)
            sleeping = asyncio.ensure_future(clock.sleep(60.0))
            await asyncio.sleep(0)
        with pytest.raises(RunError, match="is it still running"):
            await sleeping
        await clock.aclose()

    asyncio.run(case())
