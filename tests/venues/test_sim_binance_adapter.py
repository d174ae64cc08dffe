"""The bot's own adapter and source of fills of Binance against the simulated venue (`live.md` 17.4, 20, 21)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from trading_cases import BTC, ETH, KEY, START, Bench, eventually, trade_on, within

from core.clock import DAY_MS
from exchanges.binance import Binance
from exchanges.failures import failure_of
from exchanges.protocol import HeldPosition, OpenOrder, TargetOrder
from live.fills.record import FillEvent
from live.fills.sources.binance import BinanceFills

Case = Callable[[Bench, Binance], Awaitable[None]]


def adapted(case: Case, **config: bool) -> None:
    async def run(bench: Bench) -> None:
        await bench.rest.load_markets()
        await case(bench, Binance("binance", bench.clients, "USDT", post_only=True))

    partial(trade_on, "binance")(run, **config)


def target(side: str, pside: str, qty: float, price: float, **more: str) -> TargetOrder:
    reduces = (side, pside) in (("sell", "long"), ("buy", "short"))
    return TargetOrder(BTC, side, pside, qty, price, reduces, "entry", **more)  # type: ignore[arg-type]


def test_setting_up() -> None:
    """Hedge mode, cross margin and leverage are set; doing it all again is no error."""

    async def case(bench: Bench, exchange: Binance) -> None:
        for _ in range(2):
            await exchange.set_up_account()
            for symbol in (BTC, ETH):
                await exchange.set_up_symbol(symbol, 7.0)
        account = bench.account
        assert (account.hedge, account.margin_mode, account.leverage) == (True, "cross", {BTC: 7.0, ETH: 7.0})

    adapted(case, hedge=False)


def test_reading() -> None:
    """Balance, positions of both sides, orders and tickers are the engine's, to the last bit."""

    async def case(bench: Bench, exchange: Binance) -> None:
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
        orders = [
            OpenOrder(str(o.id), o.symbol, o.side, o.works_for, o.qty, o.price, o.client_id, o.created)
            for o in bench.engine.open_orders(KEY)
        ]
        assert await exchange.fetch_open_orders([BTC, ETH]) == orders
        assert await exchange.fetch_open_orders([ETH]) == orders[1:]
        tickers = await exchange.fetch_tickers([BTC, ETH])
        assert {symbol: ticker.bid for symbol, ticker in tickers.items()} == {
            symbol: bench.engine.quotes.last[symbol] for symbol in (BTC, ETH)
        }
        assert await exchange.fetch_time_ms() == bench.now

    adapted(case)


def test_writing() -> None:
    """Orders of all four kinds and a market order are placed; a cancel is confirmed once, then the order is gone."""

    async def case(bench: Bench, exchange: Binance) -> None:
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
            assert (order.symbol, order.side, order.pside, order.qty, order.price, order.client_id, order.tif) == (
                asked.symbol, asked.side, asked.pside, asked.qty, asked.price, asked.custom_id, "post_only",
            )  # fmt: skip
        await exchange.create_order(target("sell", "long", 0.004, 0.0, kind="market", custom_id="e"))
        assert bench.account.position(BTC, "long").size == 0.006
        first = (await exchange.fetch_open_orders([BTC]))[0]
        assert await exchange.cancel_order(first) is True
        with pytest.raises(Exception, match="-2011") as gone:
            await exchange.cancel_order(first)
        assert failure_of("binance", gone.value) == "gone"

    adapted(case)


@pytest.mark.parametrize(
    ("side", "share", "qty", "custom_id", "failure"),
    [
        ("buy", 0.9, 1.0, "new", "margin"),
        ("buy", 0.9, 0.002, "used", "duplicate_id"),
        ("buy", 0.9, 0.001, "new", "minimum"),
        ("buy", 1.1, 0.002, "new", "post_only"),
        ("sell", 1.1, 0.002, "new", "reduce_only"),
    ],
)
def test_refusals(side: str, share: float, qty: float, custom_id: str, failure: str) -> None:
    """What the bot makes of the venue's refusals."""

    async def case(bench: Bench, exchange: Binance) -> None:
        bench.place("buy", "long", 0.002, bench.price(0.9), client_id="used")
        with pytest.raises(Exception, match="code") as refused:
            await exchange.create_order(target(side, "long", qty, bench.price(share), custom_id=custom_id))
        assert failure_of("binance", refused.value) == failure

    adapted(case)


def test_watching() -> None:
    """The adapter wakes when an order is filled."""

    async def case(bench: Bench, exchange: Binance) -> None:
        order = bench.place("buy", "long", 0.01, bench.price(0.9999))
        waiting = bench.soon(exchange.watch_orders())
        await eventually(lambda: any("orders" in client.futures for client in bench.stream.clients.values()))
        await eventually(lambda: bool(bench.sim.venue.sockets.sockets("binance", KEY)))
        while order.id in bench.account.open_orders:
            bench.step()
        await within(waiting)

    adapted(case)


def test_fill_source() -> None:
    """The bot's fills are the venue's ledger, trade by trade: pnl, fee, side and client id."""

    async def case(bench: Bench, exchange: Binance) -> None:
        for number in range(3):
            bench.fill(bench.place("buy", "long", 0.01, bench.price(0.999), client_id=f"in{number}"))
            bench.fill(bench.place("sell", "long", 0.004, bench.price(1.001), client_id=f"out{number}"))
            bench.step(60)
        bench.hold("short", 0.1, ETH)
        found: list[FillEvent] = []

        def keep(batch: Sequence[FillEvent]) -> None:
            found.extend(batch)

        source: Any = BinanceFills(bench.rest, lambda: [BTC, ETH])
        await source.fetch(START - DAY_MS, bench.now, {}, keep)
        told = sorted(
            (f.timestamp, int(f.id), f.symbol, f.side, abs(f.qty), f.price, f.pnl, f.position_side) for f in found
        )
        assert told == sorted(
            (f.ts, f.id, f.symbol, f.side, f.qty, f.price, f.realized, f.pside) for f in bench.account.fills
        )
        assert {f.client_order_id for f in found} == {"in0", "in1", "in2", "out0", "out1", "out2", ""}

    adapted(case)
