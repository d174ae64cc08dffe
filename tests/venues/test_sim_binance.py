"""Binance's private half as the unmodified ccxt class sees it (`exchange_simulator.md` 7, 13.1, 14)."""

from __future__ import annotations

from functools import partial
from typing import Any

import ccxt
import pytest
from binance_cases import buy, on_binance, take
from trading_cases import BTC, ETH, KEY, SECRET, START, Bench

from core.clock import DAY_MS, MINUTE_MS, SystemClock
from exchange_sim.binance.signed import sign
from exchange_sim.trading.engine import Options
from exchange_sim.trading.records import OrderRequest


def test_balance() -> None:
    """Wallet, what is bound, what is free, and the total with open profit are the engine's."""

    async def case(bench: Bench) -> None:
        await take(bench, qty=0.01)
        bench.step(30)
        balance = await bench.rest.fetch_balance()
        account, quotes = bench.account, bench.engine.quotes
        assert balance["USDT"]["total"] == pytest.approx(account.equity(quotes), abs=1e-8)
        assert balance["USDT"]["used"] == pytest.approx(account.margin(quotes), abs=1e-8)
        assert balance["USDT"]["free"] == pytest.approx(account.equity(quotes) - account.margin(quotes), abs=1e-8)
        assert float(balance["info"]["totalCrossWalletBalance"]) == pytest.approx(account.wallet, abs=1e-8)
        assert account.equity(quotes) != account.wallet != 1000.0

    on_binance(case)


@pytest.mark.parametrize("hedge", [True, False])
def test_positions(hedge: bool) -> None:
    """Side, size, entry, mark and open profit of each position; one-way positions by their sign."""

    async def case(bench: Bench) -> None:
        sides = [("buy", "LONG"), ("sell", "SHORT")] if hedge else [("sell", "BOTH")]
        for side, pside in sides:
            await take(bench, side, pside, 0.003)
        bench.step(5)
        found = {row["side"]: row for row in await bench.rest.fetch_positions()}
        assert set(found) == ({"long", "short"} if hedge else {"short"})
        for position in bench.engine.positions(KEY):
            row = found["long" if position.signed > 0 else "short"]
            assert (row["symbol"], row["contracts"], row["hedged"]) == (BTC, abs(position.size), hedge)
            assert (row["entryPrice"], row["markPrice"]) == (position.entry, bench.last)
            assert row["unrealizedPnl"] == pytest.approx(bench.account.upnl(position, bench.engine.quotes), abs=1e-8)
            assert row["initialMargin"] == pytest.approx(bench.last * 0.003 / 20.0, abs=1e-7)
            assert row["marginMode"] == "cross"
            assert row["timestamp"] == position.updated
        older = await bench.rest.fetch_positions(params={"useV2": True})
        assert {(r["side"], r["contracts"], r["leverage"]) for r in older} == {
            (r["side"], r["contracts"], 20.0) for r in found.values()
        }
        assert [r["symbol"] for r in await bench.rest.fetch_positions([ETH])] == []

    on_binance(case, hedge=hedge)


def test_order_life() -> None:
    """A resting order is shown wherever orders are asked for, by both ids, and is gone after it was cancelled."""

    async def case(bench: Bench) -> None:
        placed = await buy(bench, newClientOrderId="mine-1")
        order = bench.account.open_orders[int(placed["id"])]
        assert (placed["clientOrderId"], placed["price"], placed["amount"]) == ("mine-1", order.price, 0.01)
        assert (placed["side"], placed["type"], placed["timeInForce"]) == ("buy", "limit", "PO")
        assert (placed["status"], placed["filled"], placed["timestamp"]) == ("open", 0.0, START)
        assert placed["info"]["positionSide"] == "LONG"
        assert placed["info"]["reduceOnly"] is False
        other = await bench.rest.create_order(
            ETH, "limit", "buy", 0.5, bench.price(0.99, ETH), {"positionSide": "LONG"}
        )
        assert [o["id"] for o in await bench.rest.fetch_open_orders(BTC)] == [placed["id"]]
        assert [o["id"] for o in await bench.rest.fetch_open_orders()] == [placed["id"], other["id"]]
        assert (await bench.rest.fetch_order(placed["id"], BTC))["price"] == order.price
        by_client_id = await bench.rest.fetch_order("0", BTC, {"origClientOrderId": "mine-1"})
        assert by_client_id["id"] == placed["id"]
        assert (await bench.rest.fetch_open_order(placed["id"], BTC))["id"] == placed["id"]
        cancelled = await bench.rest.cancel_order(placed["id"], BTC)
        assert (cancelled["id"], cancelled["status"]) == (placed["id"], "canceled")
        assert (await bench.rest.fetch_order(placed["id"], BTC))["status"] == "canceled"
        assert await bench.rest.fetch_open_orders(BTC) == []
        await bench.rest.cancel_all_orders(ETH)
        assert not bench.account.open_orders

    on_binance(case)


def test_fills() -> None:
    """An order that the candle goes through is filled as maker; trades and income tell the same as the engine."""

    async def case(bench: Bench) -> None:
        placed = await buy(bench, 0.99999)
        bench.step(60)
        assert (await bench.rest.fetch_order(placed["id"], BTC))["status"] == "closed"
        await take(bench, "sell", "LONG", 0.004)
        trades = await bench.rest.fetch_my_trades(BTC)
        fills = bench.engine.fills(KEY)
        assert len(fills) == 2
        for trade, fill in zip(trades, fills, strict=True):
            assert (trade["id"], trade["order"], trade["timestamp"]) == (str(fill.id), str(fill.order_id), fill.ts)
            assert (trade["side"], trade["price"], trade["amount"]) == (fill.side, fill.price, fill.qty)
            assert (trade["fee"]["cost"], trade["fee"]["currency"]) == (pytest.approx(fill.fee, abs=1e-8), "USDT")
            assert trade["takerOrMaker"] == ("maker" if fill.maker else "taker")
            assert float(trade["info"]["realizedPnl"]) == pytest.approx(fill.realized, abs=1e-8)
            assert trade["info"]["positionSide"] == "LONG"
        assert [fill.maker for fill in fills] == [True, False]
        profits = await bench.rest.fapiPrivateGetIncome({"incomeType": "REALIZED_PNL", "startTime": START})
        assert [(row["symbol"], row["tradeId"], row["time"]) for row in profits] == [
            ("BTCUSDT", str(fills[1].id), str(fills[1].ts))
        ]
        assert float(profits[0]["income"]) == pytest.approx(fills[1].realized, abs=1e-8)
        kinds = [row["incomeType"] for row in await bench.rest.fapiPrivateGetIncome()]
        assert kinds == ["COMMISSION", "REALIZED_PNL", "COMMISSION"]

    on_binance(case)


def test_pages_of_history() -> None:
    """From a start the first rows, else the last ones; at most a week; by id from that id on."""

    async def case(bench: Bench) -> None:
        for _ in range(6):
            await take(bench, qty=0.002)
            bench.step(1)

        async def ids(**params: Any) -> list[int]:
            rows = await bench.rest.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", **params})
            return [int(row["id"]) for row in rows]

        assert await ids() == [1, 2, 3, 4, 5, 6]
        assert await ids(limit=2) == [5, 6]
        assert await ids(limit=2, startTime=START + MINUTE_MS) == [2, 3]
        assert await ids(startTime=START + MINUTE_MS, endTime=START + 3 * MINUTE_MS) == [2, 3, 4]
        assert await ids(endTime=START + MINUTE_MS) == [1, 2]
        assert await ids(fromId=4, limit=2) == [4, 5]
        assert await ids(startTime=START - 8 * DAY_MS) == []
        income = await bench.rest.fapiPrivateGetIncome({"incomeType": "COMMISSION", "startTime": START, "limit": 2})
        assert [row["tradeId"] for row in income] == ["1", "2"]
        for wrong, code in (
            ({"startTime": START - 8 * DAY_MS, "endTime": START}, "-4165"),
            ({"startTime": START, "endTime": START - 1}, "-1023"),
            ({"limit": -1}, "-1130"),
            ({"limit": "many"}, "-1102"),
        ):
            with pytest.raises(ccxt.BaseError, match=code):
                await ids(**wrong)

    on_binance(case)


def test_settings() -> None:
    """Position mode, margin type and leverage are set, told, and say so when they already stand so."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        await rest.load_markets()
        assert (await rest.fetch_position_mode(BTC))["hedged"] is False
        await rest.set_position_mode(True)
        assert (await rest.fetch_position_mode(BTC))["hedged"] is True
        assert bench.account.hedge
        await rest.set_leverage(7, BTC)
        await rest.set_leverage(7, BTC)
        assert bench.account.leverage == {BTC: 7.0}
        with pytest.raises(ccxt.BaseError, match='"code":-4059'):
            await rest.set_position_mode(True)
        assert (await rest.set_margin_mode("cross", BTC))["code"] == -4046  # ccxt makes a reply of this refusal
        assert await rest.set_margin_mode("isolated", BTC) == {"code": "200", "msg": "success"}
        with pytest.raises(ccxt.BaseError, match='"code":-4028'):
            await rest.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})
        order = await buy(bench)
        for call, code in ((rest.set_position_mode(False), -4067), (rest.set_margin_mode("cross", BTC), -4047)):
            with pytest.raises(ccxt.BaseError, match=f'"code":{code}'):
                await call
        await rest.cancel_order(order["id"], BTC)
        await take(bench)
        for call, code in ((rest.set_position_mode(False), -4068), (rest.set_margin_mode("cross", BTC), -4048)):
            with pytest.raises(ccxt.BaseError, match=f'"code":{code}'):
                await call
        fees = await rest.fetch_trading_fee(BTC)
        market = bench.engine.quotes.markets[BTC]
        assert (fees["maker"], fees["taker"]) == (market.maker_fee, market.taker_fee)

    on_binance(case, hedge=False)


def test_batches() -> None:
    """Each order of a batch for itself: what is refused is an error without a client id, sorted first by ccxt."""

    async def case(bench: Bench) -> None:
        wanted = [
            {"symbol": BTC, "type": "limit", "side": "buy", "amount": qty, "price": bench.price(0.99),
             "params": {"positionSide": "LONG", "newClientOrderId": name}}
            for name, qty in (("a", 0.01), ("a", 0.02), ("b", 0.03))
        ]  # fmt: skip
        placed = await bench.rest.create_orders(wanted)
        assert [order["clientOrderId"] for order in placed] == [None, "a", "b"]
        assert placed[0]["info"]["code"] == "-4116"
        ids = [order["id"] for order in placed[1:]]
        assert sorted(bench.account.open_orders) == sorted(map(int, ids))
        gone = await bench.rest.fapiPrivateDeleteBatchOrders({"symbol": "BTCUSDT", "orderidlist": [ids[0], "999"]})
        assert [row.get("status", row.get("code")) for row in gone] == ["CANCELED", "-2011"]
        assert [row["id"] for row in await bench.rest.cancel_orders([ids[1], "999"], BTC)] == [ids[1]]
        assert not bench.account.open_orders
        named = await buy(bench, newClientOrderId="c")
        await bench.rest.cancel_orders([], BTC, {"origClientOrderIdList": ["c"]})
        assert int(named["id"]) not in bench.account.open_orders

    on_binance(case)


def order(bench: Bench, **changes: Any) -> dict[str, Any]:
    base = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "positionSide": "LONG",
        "quantity": "0.010", "price": str(bench.price(0.99)),
    }  # fmt: skip
    return {name: value for name, value in (base | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"quantity": "0.0105"}, -1111),
        ({"price": "50000.05"}, -4014),
        ({"quantity": "0.001", "price": "50.0"}, -4164),
        ({"timeInForce": "GTX", "price": "150000.0"}, -5022),
        ({"newClientOrderId": "twice"}, -4116),
        ({"side": "SELL"}, -2022),
        ({"quantity": "5"}, -2019),
        ({"positionSide": "BOTH"}, -4061),
        ({"positionSide": None}, -4061),
        ({"positionSide": "UP"}, -1128),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP"}, -1116),
        ({"timeInForce": "GTD"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"price": None}, -1102),
        ({"quantity": "nan"}, -1102),
        ({"reduceOnly": "true"}, -1106),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -1100),
    ],
)  # fmt: skip
def test_refused_orders(changes: dict[str, Any], code: int) -> None:
    """Every refusal has its code, as HTTP 400 in compact JSON, and leaves no order behind."""

    async def case(bench: Bench) -> None:
        await buy(bench, newClientOrderId="twice")
        with pytest.raises(ccxt.BaseError, match=f'"code":{code},'):
            await bench.rest.fapiPrivatePostOrder(order(bench, **changes))
        assert [o.client_id for o in bench.account.open_orders.values()] == ["twice"]
        assert bench.sim.requests[-1].status == 400

    on_binance(case)


def test_too_many_orders() -> None:
    """The 201st open order of a symbol is refused."""

    async def case(bench: Bench) -> None:
        for _ in range(200):
            bench.account.open(OrderRequest(BTC, "buy", "long", "limit", 0.001, 1.0), START)
        with pytest.raises(ccxt.BaseError, match='"code":-2025'):
            await buy(bench)

    on_binance(case)


def test_minimum_quantity() -> None:
    """A quantity below the step never leaves the client; one below the minimum is refused by the venue."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        asked = len(bench.sim.requests)
        with pytest.raises(ccxt.InvalidOrder):
            await buy(bench, qty=0.0001)
        assert len(bench.sim.requests) == asked
        with pytest.raises(ccxt.BaseError, match='"code":-1111'):
            await bench.rest.fapiPrivatePostOrder(order(bench, quantity="0"))

    on_binance(case)


def test_delisted() -> None:
    """No orders of a contract that does not trade."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        bench.sim.faults.add("delist", symbol="BTCUSDT", count=0)
        with pytest.raises(ccxt.BaseError, match='"code":-4108'):
            await buy(bench)

    on_binance(case)


def test_unknown_orders() -> None:
    """What is not there is -2011 for cancels, which ccxt knows on every host, and -2013 for queries."""

    async def case(bench: Bench) -> None:
        for order_id in ("999", str((await take(bench))["id"])):
            with pytest.raises(ccxt.OrderNotFound, match='"code":-2011'):
                await bench.rest.cancel_order(order_id, BTC)
        with pytest.raises(ccxt.OrderNotFound, match='"code":-2013'):
            await bench.rest.fetch_order("999", BTC)
        elsewhere = await buy(bench)
        with pytest.raises(ccxt.OrderNotFound, match='"code":-2011'):
            await bench.rest.cancel_order(elsewhere["id"], ETH)
        with pytest.raises(ccxt.BaseError, match='"code":-1102'):
            await bench.rest.fapiPrivateGetOrder({"symbol": "BTCUSDT"})

    on_binance(case)


def test_one_way() -> None:
    """One-way mode: side BOTH, reduce-only closes, a sell that turns the position around."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        await rest.create_order(BTC, "market", "buy", 0.01)
        close = await rest.create_order(BTC, "limit", "sell", 0.01, bench.price(1.01), {"reduceOnly": True})
        assert (close["reduceOnly"], close["info"]["positionSide"]) == (True, "BOTH")
        with pytest.raises(ccxt.BaseError, match='"code":-2022'):
            await rest.create_order(BTC, "limit", "sell", 0.01, bench.price(1.02), {"reduceOnly": True})
        with pytest.raises(ccxt.BaseError, match='"code":-4061'):
            await buy(bench)
        await rest.create_order(BTC, "market", "sell", 0.03)
        (row,) = await rest.fetch_positions()
        assert (row["side"], row["contracts"], row["hedged"]) == ("short", 0.02, False)
        assert await rest.fetch_open_orders(BTC) == []

    on_binance(case, hedge=False)


def test_signatures() -> None:
    """With secrets only their signatures pass, for queries, bodies and the JSON of batches; else any pair does."""
    strict = {KEY: SECRET}

    async def passes(bench: Bench) -> None:
        first = await buy(bench)
        await bench.rest.cancel_order(first["id"], BTC)
        wanted = [{"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": bench.price(0.99),
                   "params": {"positionSide": "LONG"}}]  # fmt: skip
        (placed,) = await bench.rest.create_orders(wanted)
        await bench.rest.cancel_orders([placed["id"]], BTC)

    async def fails(bench: Bench) -> None:
        for call in (bench.rest.fetch_balance, partial(buy, bench)):
            with pytest.raises(ccxt.AuthenticationError, match='"code":-1022'):
                await call()
        bench.rest.apiKey = "a-stranger"
        with pytest.raises(ccxt.AuthenticationError, match='"code":-2014'):
            await bench.rest.fetch_balance()

    on_binance(passes, secrets=strict)
    on_binance(passes, secret="whatever")
    on_binance(fails, secrets=strict, secret="wrong")


def test_what_must_be_signed() -> None:
    """No key, no signature, no time: each is named."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        session = bench.rest.session
        for query, headers, code in (
            ("timestamp=1&signature=x", {}, -2014),
            ("timestamp=1", {"X-MBX-APIKEY": KEY}, -1102),
            ("a=1&signature=x", {"X-MBX-APIKEY": KEY}, -1102),
        ):
            async with session.get(f"{bench.sim.url}/fapi/v3/account?{query}", headers=headers) as reply:
                assert (reply.status, (await reply.json())["code"]) == (400, code)

    on_binance(case)
    assert sign("symbol=LTCBTC&side=BUY", "k") == sign("symbol=LTCBTC&side=BUY", "k") != sign("symbol=LTCBTC", "k")


def test_clock() -> None:
    """In real time a request from the future or too old is refused; a venue in another time judges none."""

    async def case(bench: Bench) -> None:
        await bench.rest.fetch_balance()
        for shift in (3000, -60_000):
            bench.rest.options["timeDifference"] = -shift
            with pytest.raises(ccxt.InvalidNonce, match='"code":-1021'):
                await bench.rest.fetch_balance()

    async def stepped(bench: Bench) -> None:
        await bench.rest.fetch_balance()

    on_binance(case, clock=SystemClock())
    on_binance(stepped)


def test_accounts_are_apart() -> None:
    """Each key has an account of its own, with the starting balance."""

    async def case(bench: Bench) -> None:
        await buy(bench)
        bench.rest.apiKey = "another"
        assert (await bench.rest.fetch_balance())["USDT"]["total"] == 250.0
        assert await bench.rest.fetch_open_orders() == []
        assert len(bench.account.open_orders) == 1

    on_binance(case, trading=Options(starting_balance=250.0))


def test_listen_keys() -> None:
    """One key an account, renewed while it lasts; without one there is nothing to renew."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        with pytest.raises(ccxt.BaseError, match='"code":-1125'):
            await rest.fapiPrivatePutListenKey()
        first = (await rest.fapiPrivatePostListenKey())["listenKey"]
        assert (await rest.fapiPrivatePostListenKey())["listenKey"] == first
        assert (await rest.fapiPrivatePutListenKey())["listenKey"] == first
        await rest.fapiPrivateDeleteListenKey()
        assert (await rest.fapiPrivatePostListenKey())["listenKey"] != first

    on_binance(case)


def test_traps() -> None:
    """Numbers arrive as texts in `info`; without a symbol ccxt asks for open orders only if it is told to."""

    async def case(bench: Bench) -> None:
        placed = await buy(bench)
        assert isinstance(placed["info"]["orderId"], str)
        assert len(await bench.rest.fetch_open_orders()) == 1
        bench.rest.options["warnOnFetchOpenOrdersWithoutSymbol"] = True
        with pytest.raises(ccxt.ExchangeError, match="WARNING"):
            await bench.rest.fetch_open_orders()

    on_binance(case)


def test_brackets() -> None:
    """Leverage tiers of every contract, or of one; the second version of positions lists flat ones too."""

    async def case(bench: Bench) -> None:
        tiers = await bench.rest.fetch_leverage_tiers([BTC])
        assert [(tier["maxLeverage"], tier["maintenanceMarginRate"]) for tier in tiers[BTC]] == [(125.0, 0.005)]
        assert len(await bench.rest.fapiPrivateGetLeverageBracket()) == 12
        rows = await bench.rest.fapiPrivateV2GetPositionRisk()
        assert len(rows) == 24
        assert {float(row["positionAmt"]) for row in rows} == {0.0}
        wallet = (await bench.rest.fapiPrivateV2GetAccount())["totalWalletBalance"]
        assert float(wallet) == bench.account.wallet

    on_binance(case)
