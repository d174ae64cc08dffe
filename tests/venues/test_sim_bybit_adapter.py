"""The bot's own adapter of Bybit against the simulated venue (`live.md` 20, 21; `exchange_simulator.md` 8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from trading_cases import BTC, ETH, KEY, Bench, eventually, trade_on, within

from exchange_sim.trading.records import Order
from exchanges.bybit import Bybit
from exchanges.failures import failure_of
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder

Case = Callable[[Bench, Bybit], Awaitable[None]]


def adapted(case: Case, **config: bool) -> None:
    async def run(bench: Bench) -> None:
        await bench.rest.load_markets()
        await case(bench, Bybit("bybit", bench.clients, "USDT", post_only=True))

    partial(trade_on, "bybit")(run, **config)


def target(side: str, pside: str, qty: float, price: float, **more: str) -> TargetOrder:
    reduces = (side, pside) in (("sell", "long"), ("buy", "short"))
    return TargetOrder(BTC, side, pside, qty, price, reduces, "entry", **more)  # type: ignore[arg-type]


def test_setting_up() -> None:
    """Hedge mode, cross margin and leverage are set; doing it all again is no error."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        for _ in range(2):
            await exchange.set_up_account()
            for symbol in (BTC, ETH):
                await exchange.set_up_symbol(symbol, 7.0)
        account = bench.account
        assert (account.hedge, account.margin_mode, account.leverage) == (True, "cross", {BTC: 7.0, ETH: 7.0})

    adapted(case, hedge=False)


def test_reading() -> None:
    """Balance, positions of both sides, orders and tickers are the engine's, to the last bit."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        bench.hold("long", 0.01)
        bench.hold("long", 0.004)
        bench.hold("short", 0.02, ETH)
        bench.place("buy", "long", 0.01, bench.price(0.99), client_id="0x0001")
        bench.step()
        bench.place("buy", "short", 0.02, bench.price(0.98, ETH), ETH)
        assert await exchange.fetch_balance() == bench.account.wallet
        assert await exchange.fetch_positions() == {
            (p.symbol, p.pside): HeldPosition(p.signed, p.entry) for p in bench.engine.positions(KEY)
        }
        assert await exchange.fetch_open_orders([BTC]) == [
            OpenOrder(str(o.id), o.symbol, o.side, o.works_for, o.qty, o.price, o.client_id, o.created)
            for o in bench.engine.open_orders(KEY)
        ]
        tickers = await exchange.fetch_tickers([BTC, ETH])
        assert {symbol: ticker.bid for symbol, ticker in tickers.items()} == {
            symbol: bench.engine.quotes.last[symbol] for symbol in (BTC, ETH)
        }
        assert await exchange.fetch_time_ms() == bench.now

    adapted(case)


def test_reading_more_than_a_page() -> None:
    """Sixty orders come in two pages, each once."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        for number in range(60):
            bench.place("buy", "long", 0.002, bench.price(0.9 - number / 1000.0), client_id=f"{number}")
        orders = await exchange.fetch_open_orders([BTC])
        assert sorted(int(order.custom_id) for order in orders) == list(range(60))

    adapted(case)


def test_writing() -> None:
    """Orders of all four kinds and a market order are placed; a cancel is confirmed once, then the order is gone."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        bench.hold("long", 0.01)
        bench.hold("short", 0.01)
        targets = [
            target("buy", "long", 0.01, bench.price(0.99), custom_id="a"),
            target("sell", "long", 0.006, bench.price(1.01), custom_id="b"),
            target("sell", "short", 0.01, bench.price(1.01), custom_id="c"),
            target("buy", "short", 0.01, bench.price(0.99), custom_id="d"),
        ]
        ids = [await exchange.create_order(each) for each in targets]
        placed = [bench.account.open_orders[int(str(number))] for number in ids]
        for asked, order in zip(targets, placed, strict=True):
            assert isinstance(order, Order)
            assert (order.symbol, order.side, order.pside, order.qty, order.price, order.client_id, order.tif) == (
                asked.symbol, asked.side, asked.pside, asked.qty, asked.price, asked.custom_id, "post_only",
            )  # fmt: skip
        await exchange.create_order(target("sell", "long", 0.004, 0.0, kind="market", custom_id="e"))
        assert bench.account.position(BTC, "long").size == 0.006
        first = (await exchange.fetch_open_orders([BTC]))[0]
        assert await exchange.cancel_order(first) is True
        with pytest.raises(Exception, match="110001") as gone:
            await exchange.cancel_order(first)
        assert failure_of("bybit", gone.value) == "gone"

    adapted(case)


@pytest.mark.parametrize(
    ("qty", "custom_id", "failure"),
    [(1.0, "new", "margin"), (0.002, "used", "duplicate_id"), (0.001, "new", "minimum")],
)
def test_refusals(qty: float, custom_id: str, failure: str) -> None:
    """What the bot makes of the venue's refusals."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        bench.place("buy", "long", 0.002, bench.price(0.9), client_id="used")
        with pytest.raises(Exception, match="retCode") as refused:
            await exchange.create_order(target("buy", "long", qty, bench.price(0.9), custom_id=custom_id))
        assert failure_of("bybit", refused.value) == failure

    adapted(case)


def test_watching() -> None:
    """The adapter wakes when an order is filled."""

    async def case(bench: Bench, exchange: Bybit) -> None:
        order = bench.place("buy", "long", 0.01, bench.price(0.9999))
        waiting = bench.soon(exchange.watch_orders())
        hub = bench.sim.venue.sockets
        await eventually(lambda: any("order" in socket.topics for socket in hub.sockets("bybit", KEY)))
        while order.id in bench.account.open_orders:
            bench.step()
        await within(waiting)

    adapted(case)
