"""The private half of Bybit as the unmodified ccxt client sees it (`exchange_simulator.md` 8.1 to 8.3, 13.1, 14)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import ccxt
import pytest
from trading_cases import BTC, ETH, KEY, SECRET, START, Bench, trade_on

from core.clock import DAY_MS, MINUTE_MS, ScaledClock, SystemClock
from exchange_sim.bybit.refusals import order_refusal
from exchange_sim.bybit.rows import wallet_row
from exchange_sim.sources import sample_market
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import BYBIT, Order, Position, Quotes, Reject
from live.fills.sources.bybit import BybitFills

trade = partial(trade_on, "bybit")
LONG, SHORT = {"positionIdx": 1}, {"positionIdx": 2}


def cost(order: Order) -> float:
    return order.price * order.qty


def test_start_up() -> None:
    """What the account is asked for before the first private call, once."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        await bench.rest.fetch_balance()
        paths = [r.path for r in bench.sim.requests]
        assert paths.count("/v5/user/query-api") == paths.count("/v5/account/info") == 1
        assert bench.rest.options["enableUnifiedAccount"] is True
        assert {r.status for r in bench.sim.requests} == {200}

    trade(case)


def test_balance() -> None:
    """Wallet, equity and open profit; what an adapter takes from the equity leaves the wallet to the last bit."""

    async def case(bench: Bench) -> None:
        bench.hold("long", 0.01)
        bench.place("buy", "long", 0.01, bench.price(0.99))
        bench.step(7)
        balance = await bench.rest.fetch_balance()
        account = balance["info"]["result"]["list"][0]
        coin = account["coin"][0]
        assert balance["USDT"]["total"] == bench.account.wallet
        assert account["accountType"] == "UNIFIED"
        assert float(account["totalEquity"]) == bench.engine.equity(KEY)
        assert float(account["totalEquity"]) - float(account["totalPerpUPL"]) == bench.account.wallet != 1000.0
        assert (coin["coin"], coin["marginCollateral"], coin["collateralSwitch"]) == ("USDT", True, True)
        assert float(coin["equity"]) == float(coin["usdValue"]) == bench.engine.equity(KEY)
        bound = float(coin["totalPositionIM"]) + float(coin["totalOrderIM"])
        assert bound == pytest.approx(bench.account.margin(bench.engine.quotes), abs=1e-7)

    trade(case)


def test_wallet_to_the_last_bit() -> None:
    """Whatever the open profit is, the stated equity less the stated profit is the wallet."""
    market = sample_market().by_symbol[BTC].market
    account = Account(KEY, 0.0, 10.0)
    for i in range(200):
        account.wallet = 1000.0 + 0.1 * i + i / 7.0
        account.put_position(Position(BTC, "long", 0.013 + 0.001 * i, 60_000.0 + i / 3.0))
        row = wallet_row(account, account.wallet, Quotes({BTC: market}, {BTC: 60_123.4}), "USDT")
        assert float(row["totalEquity"]) - float(row["totalPerpUPL"]) == account.wallet
        assert float(row["totalEquity"]) == account.equity(Quotes({BTC: market}, {BTC: 60_123.4}))


@pytest.mark.parametrize("hedge", [True, False], ids=["hedge", "one-way"])
def test_positions(hedge: bool) -> None:
    """Sizes, sides, prices, leverage; flat positions are not listed unless their contract is named."""

    async def case(bench: Bench) -> None:
        long, short = ("long", "short") if hedge else ("both", "both")
        bench.fill(bench.place("buy", long, 0.01, bench.price(0.999)))
        bench.fill(bench.place("sell", short, 0.02, bench.price(1.001, ETH), ETH))
        bench.account.set_leverage(BTC, 7.0)
        bench.step()
        rows = {row["symbol"]: row for row in await bench.rest.fetch_positions()}
        assert set(rows) == {BTC, ETH}
        for symbol, side, pside, index in ((BTC, "long", long, 1), (ETH, "short", short, 2)):
            held, row = bench.account.position(symbol, pside), rows[symbol]
            assert (row["side"], row["contracts"], row["entryPrice"]) == (side, abs(held.size), held.entry)
            assert row["info"]["positionIdx"] == str(index if hedge else 0)
            assert row["markPrice"] == bench.engine.quotes.last[symbol]
            assert row["unrealizedPnl"] == pytest.approx(bench.account.upnl(held, bench.engine.quotes), abs=1e-7)
            assert row["leverage"] == bench.account.leverage_of(symbol)
            assert row["hedged"] is hedge
            assert row["notional"] == pytest.approx(abs(held.size) * held.entry)
        named = await bench.rest.fetch_positions(["SOL/USDT:USDT"])
        assert [row["contracts"] for row in named] == [0.0] * (2 if hedge else 1)
        assert await bench.rest.fetch_positions(None, {"subType": "inverse"}) == []

    trade(case, hedge=hedge)


def test_create_order() -> None:
    """Limit, post-only and market orders of both sides reach the engine as asked for; the answer is their ids."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        await rest.load_markets()
        first = await rest.create_order(
            BTC, "limit", "buy", 0.01, bench.price(0.99), {**LONG, "timeInForce": "postOnly", "orderLinkId": "one"}
        )
        order = bench.account.open_orders[int(first["id"])]
        assert (order.symbol, order.side, order.pside, order.type, order.qty) == (BTC, "buy", "long", "limit", 0.01)
        assert (order.price, order.tif, order.client_id, order.created) == (
            bench.price(0.99),
            "post_only",
            "one",
            START,
        )
        assert (first["clientOrderId"], first["status"], first["price"]) == ("one", None, None)
        await rest.create_order(BTC, "market", "sell", 0.002, None, {**SHORT, "orderLinkId": "two"})
        fill = bench.account.fills[-1]
        assert (fill.client_id, fill.pside, fill.qty, fill.maker) == ("two", "short", 0.002, False)
        await rest.create_order(BTC, "limit", "buy", 0.002, bench.price(0.9), {**SHORT, "reduceOnly": True})
        close = list(bench.account.open_orders.values())[-1]
        assert (close.pside, close.tif, close.reduces, close.reduce_only) == ("short", "gtc", True, True)
        assert set(bench.account.open_orders) == {order.id, close.id}

    trade(case)


def test_one_way_orders() -> None:
    """Without an index an order is for the one position of a contract."""

    async def case(bench: Bench) -> None:
        await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(0.99))
        (order,) = bench.account.open_orders.values()
        assert (order.pside, order.tif) == ("both", "gtc")
        with pytest.raises(ccxt.BadRequest, match="position idx not match position mode"):
            await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(0.99), LONG)

    trade(case, hedge=False)


def test_post_only_that_would_trade() -> None:
    """It is taken, then cancelled for its reason; only the list of orders shows it (trap of section 14)."""

    async def case(bench: Bench) -> None:
        placed = await bench.rest.create_order(
            BTC, "limit", "buy", 0.01, bench.price(1.01), {**LONG, "timeInForce": "postOnly"}
        )
        assert await bench.rest.fetch_open_orders() == []
        order = await bench.rest.fetch_open_order(placed["id"], BTC)
        assert (order["status"], order["filled"]) == ("canceled", 0.0)
        assert order["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"

    trade(case)


def test_open_orders() -> None:
    """Each field that is read; partly filled orders state what they did; a contract can be asked for alone."""

    async def case(bench: Bench) -> None:
        bench.hold("long", 0.02)
        partly = bench.place("buy", "long", 0.03, bench.price(0.99), client_id="mine")
        fill = bench.fill(partly, 0.01)
        bench.place("sell", "long", 0.02, bench.price(1.01))
        other = bench.place("sell", "short", 0.1, bench.price(1.02, ETH), ETH)
        rows = {row["id"]: row for row in await bench.rest.fetch_open_orders()}
        assert set(rows) == {str(number) for number in bench.account.open_orders}
        for number, order in bench.account.open_orders.items():
            row = rows[str(number)]
            assert (row["symbol"], row["side"], row["price"], row["amount"]) == (
                order.symbol, order.side, order.price, order.qty,
            )  # fmt: skip
            assert (row["clientOrderId"] or "", row["timestamp"], row["type"]) == (
                order.client_id, order.created, "limit",
            )  # fmt: skip
            assert row["info"]["positionIdx"] == {"long": "1", "short": "2"}[order.pside]
            assert not row["info"].get("nextPageCursor")
            assert row["reduceOnly"] is False
        row = rows[str(partly.id)]
        assert (row["filled"], row["remaining"], row["status"]) == (0.01, 0.02, "open")
        assert row["info"]["orderStatus"] == "PartiallyFilled"
        assert row["average"] == fill.price
        assert row["cost"] == pytest.approx(fill.price * fill.qty)
        assert float(row["info"]["cumExecFee"]) == pytest.approx(fill.fee, abs=1e-8)
        assert [r["id"] for r in await bench.rest.fetch_open_orders(ETH)] == [str(other.id)]

    trade(case)


def test_cancel() -> None:
    """By either id; what is gone is not found."""

    async def case(bench: Bench) -> None:
        first, second = (bench.place("buy", "long", 0.01, bench.price(0.99), client_id=name) for name in ("a", "b"))
        assert (await bench.rest.cancel_order(str(first.id), BTC))["id"] == str(first.id)
        await bench.rest.cancel_order("", BTC, {"orderLinkId": "b"})
        assert bench.account.open_orders == {}
        assert bench.account.closed_orders[second.id].status == "cancelled"
        for gone in (str(first.id), "77", "no-number"):
            with pytest.raises(ccxt.OrderNotFound):
                await bench.rest.cancel_order(gone, BTC)
        third = bench.place("buy", "long", 0.01, bench.price(0.99))
        with pytest.raises(ccxt.OrderNotFound):
            await bench.rest.cancel_order(str(third.id), ETH)

    trade(case)


def test_cancel_all() -> None:
    """Of one contract, or of all with the currency."""

    async def case(bench: Bench) -> None:
        for symbol in (BTC, BTC, ETH):
            bench.place("buy", "long", 0.02, bench.price(0.9, symbol), symbol)
        ended = await bench.rest.cancel_all_orders(BTC)
        assert [row["id"] for row in ended] == ["1", "2"]
        assert [order.symbol for order in bench.account.open_orders.values()] == [ETH]
        await bench.rest.cancel_all_orders(None, {"settleCoin": "USDT"})
        assert bench.account.open_orders == {}

    trade(case)


def test_batches() -> None:
    """Each part on its own; what failed has an entry, and its code stands beside (trap of section 14)."""

    async def case(bench: Bench) -> None:
        def part(qty: float, name: str, price: float) -> dict[str, Any]:
            params = {**LONG, "orderLinkId": name}
            return {"symbol": BTC, "type": "limit", "side": "buy", "amount": qty, "price": price, "params": params}

        await bench.rest.load_markets()
        placed = await bench.rest.create_orders(
            [
                part(0.01, "a", bench.price(0.99)),
                part(100.0, "b", bench.price(0.99)),
                part(0.01, "c", bench.price(0.98)),
            ]
        )
        assert {row["clientOrderId"]: row["id"] for row in placed if row["id"]} == {"a": "1", "c": "2"}
        assert [row["info"]["code"] for row in placed if not row["id"]] == ["110007"]
        assert [order.client_id for order in bench.account.open_orders.values()] == ["a", "c"]
        ended = await bench.rest.cancel_orders(["1", "99"], BTC)
        assert [row["id"] for row in ended] == ["1", "99"]
        reply = await bench.rest.privatePostV5OrderCancelBatch(
            {"category": "linear", "request": [{"symbol": "BTCUSDT", "orderId": number} for number in ("2", "99")]}
        )
        assert [part["code"] for part in reply["retExtInfo"]["list"]] == ["0", "110001"]
        assert bench.account.open_orders == {}

    trade(case)


def test_my_trades() -> None:
    """Each field of an execution, newest first; opening ones close nothing."""

    async def case(bench: Bench) -> None:
        opened = bench.hold("long", 0.01)
        bench.step()
        close = bench.place("sell", "long", 0.01, bench.price(1.001), client_id="close")
        closed = bench.fill(close)
        rows = await bench.rest.fetch_my_trades(BTC)
        assert [row["id"] for row in rows] == ["1", "2"]  # ccxt sorts by time
        for row, fill in zip(rows, (opened, closed), strict=True):
            assert (row["order"], row["side"], row["price"], row["amount"], row["timestamp"]) == (
                str(fill.order_id), fill.side, fill.price, fill.qty, fill.ts,
            )  # fmt: skip
            assert row["takerOrMaker"] == "maker"
            assert row["fee"]["cost"] == pytest.approx(fill.fee, abs=1e-8)
            assert row["fee"]["rate"] == bench.engine.quotes.markets[BTC].maker_fee
            assert float(row["info"]["closedSize"]) == fill.closed_qty
        assert rows[0]["info"]["closedSize"] == "0"
        assert rows[1]["info"]["orderLinkId"] == "close"
        raw = await bench.rest.privateGetV5ExecutionList({"category": "linear"})
        assert [row["execId"] for row in raw["result"]["list"]] == ["2", "1"]
        assert await bench.rest.fetch_my_trades(ETH) == []

    trade(case)


def test_windows_of_history() -> None:
    """A week at most: a start alone reaches a week from there, an end alone a week back; both ends belong to it."""

    async def case(bench: Bench) -> None:
        bench.hold()
        for _ in range(9):
            bench.sim.venue.advance(DAY_MS)
            bench.hold()

        async def ids(**window: int) -> list[int]:
            reply = await bench.rest.privateGetV5ExecutionList({"category": "linear", **window})
            return [int(row["execId"]) for row in reply["result"]["list"]][::-1]

        times = {fill.id: fill.ts for fill in bench.account.fills}
        assert await ids() == [3, 4, 5, 6, 7, 8, 9, 10]
        assert await ids(startTime=times[1]) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert await ids(endTime=times[4]) == [1, 2, 3, 4]
        assert await ids(startTime=times[2], endTime=times[3]) == [2, 3]
        assert await ids(startTime=times[2] + 1, endTime=times[3] - 1) == []
        for wrong in ({"startTime": times[1], "endTime": times[9]}, {"startTime": times[2], "endTime": times[1]}):
            with pytest.raises(ccxt.BadRequest):
                await ids(**wrong)

    trade(case)


def test_closed_pnl() -> None:
    """One row a closing order: net of both fees, mean prices, its own side; partial closes add up."""

    async def case(bench: Bench) -> None:
        bench.hold("long", 0.01)
        entry = bench.hold("long", 0.03)
        held = bench.account.position(BTC, "long")
        opening = sum(fill.fee for fill in bench.account.fills)
        bench.step()
        first = bench.place("sell", "long", 0.03, bench.price(1.002), client_id="x")
        parts = [bench.fill(first, 0.01), bench.fill(bench.account.open_orders[first.id], 0.02)]
        bench.step()
        last = bench.fill(bench.place("sell", "long", 0.01, bench.price(1.003)))
        newest, oldest = (await bench.rest.privateGetV5PositionClosedPnl({"category": "linear"}))["result"]["list"]
        assert (oldest["orderId"], newest["orderId"]) == (str(first.id), str(last.order_id))
        assert oldest["side"] == "Sell"
        assert float(oldest["avgEntryPrice"]) == pytest.approx(held.entry)
        assert float(oldest["avgExitPrice"]) == pytest.approx(first.price)
        assert (float(oldest["closedSize"]), float(oldest["qty"]), oldest["fillCount"]) == (0.03, 0.03, "2")
        assert (oldest["createdTime"], oldest["updatedTime"]) == (str(parts[0].ts), str(parts[1].ts))
        net = [float(row["closedPnl"]) for row in (newest, oldest)]
        assert sum(net) == pytest.approx(bench.account.wallet - 1000.0, abs=1e-7)
        assert float(oldest["openFee"]) == pytest.approx(opening * 0.75, abs=1e-8)
        assert float(newest["closeFee"]) == pytest.approx(last.fee, abs=1e-8)
        assert entry.closed_qty == 0.0
        (position,) = (await bench.rest.fetch_positions_history([BTC], START + MINUTE_MS + 1))[:1]
        assert position["symbol"] == BTC

    trade(case)


def test_turning_around() -> None:
    """In one-way mode the part of a trade that closes is what the record is about."""

    async def case(bench: Bench) -> None:
        bench.fill(bench.place("buy", "both", 0.01, bench.price(0.999)))
        fill = bench.fill(bench.place("sell", "both", 0.03, bench.price(1.001)))
        (row,) = (await bench.rest.privateGetV5PositionClosedPnl({"category": "linear"}))["result"]["list"]
        assert (float(row["closedSize"]), float(row["qty"])) == (0.01, 0.03)
        assert float(row["closeFee"]) == pytest.approx(fill.fee / 3.0, abs=1e-8)
        (position,) = await bench.rest.fetch_positions()
        assert (position["side"], position["contracts"]) == ("short", 0.02)

    trade(case, hedge=False)


def test_pages() -> None:
    """All lists page by a cursor that is empty on the last page, and miss nothing while orders come and go."""

    async def case(bench: Bench) -> None:
        bench.hold("long", 0.005)
        bench.hold("short", 0.005)
        bench.hold("long", 0.05, ETH)
        for _ in range(3):
            bench.fill(bench.place("sell", "long", 0.001, bench.price(1.001)))
            bench.place("buy", "long", 0.002, bench.price(0.99))
        calls = {
            "PositionList": (3, {"settleCoin": "USDT"}), "OrderRealtime": (3, {"settleCoin": "USDT"}),
            "ExecutionList": (6, {}), "PositionClosedPnl": (3, {}),
        }  # fmt: skip
        for name, (count, params) in calls.items():
            rows: list[str] = []
            cursor: str | None = None
            pages = 0
            while cursor != "":
                asked = {"category": "linear", "limit": 2, **params, **({"cursor": cursor} if cursor else {})}
                result = (await getattr(bench.rest, f"privateGetV5{name}")(asked))["result"]
                rows += [str(row) for row in result["list"]]
                cursor, pages = result["nextPageCursor"], pages + 1
                bench.place("buy", "long", 0.002, bench.price(0.98))  # newer than all that is paged through
            assert (len(rows), len(set(rows)), pages) == (count, count, (count + 1) // 2), name
            calls_left = [order for order in bench.account.open_orders.values() if order.price == bench.price(0.98)]
            for order in calls_left:
                bench.engine.cancel(KEY, bench.now, order_id=order.id)

    trade(case)


def test_settings() -> None:
    """Position mode, margin mode, leverage: set, and refused for what already is so or cannot change."""

    async def case(bench: Bench) -> None:
        rest, account = bench.rest, bench.account
        await rest.load_markets()
        with pytest.raises(ccxt.NoChange, match="110025"):
            await rest.set_position_mode(False)
        await rest.set_position_mode(True)
        assert account.hedge
        await rest.set_leverage(5, BTC)
        assert account.leverage == {BTC: 5.0}
        with pytest.raises(ccxt.BadRequest, match="110043"):
            await rest.set_leverage(5, BTC)
        with pytest.raises(ccxt.ExchangeError, match="110026"):
            await rest.set_margin_mode("cross", BTC)
        assert (await rest.set_margin_mode("isolated", BTC))["result"] == {"reasons": []}
        assert account.margin_mode == "isolated"
        assert (await rest.privateGetV5AccountInfo())["result"]["marginMode"] == "ISOLATED_MARGIN"
        order = bench.place("buy", "long", 0.01, bench.price(0.99))
        with pytest.raises(ccxt.BadRequest, match="110028"):
            await rest.set_position_mode(False)
        bench.fill(order)
        with pytest.raises(ccxt.BadRequest, match="110024"):
            await rest.set_position_mode(False)

    trade(case, hedge=False)


ORDER = {"side": "buy", "amount": 0.01, "share": 0.99, "params": {**LONG}}


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"amount": 10.0}, ccxt.InsufficientFunds, 110007),
        ({"amount": 0.001, "share": 0.5}, ccxt.InvalidOrder, 110094),
        ({"params": {**LONG, "orderLinkId": "used"}}, ccxt.InvalidOrder, 110072),
        ({"params": {**LONG, "orderLinkId": "x" * 37}}, ccxt.BadRequest, 10001),
        ({"side": "sell", "params": {**LONG, "reduceOnly": True}}, ccxt.InvalidOrder, 110017),
        ({"params": {"positionIdx": 0}}, ccxt.BadRequest, 10001),
        ({"params": {"positionIdx": 9}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "qty": "0.00055"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "qty": "many"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "price": "50000.123"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "side": "Hold"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "symbol": "NOUSDT"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "category": "inverse"}}, ccxt.BadRequest, 10001),
        ({"params": {**LONG, "category": "cash"}}, ccxt.BadRequest, 10001),
    ],
)
def test_orders_that_are_refused(changes: dict[str, Any], error: type[Exception], code: int) -> None:
    """Each refusal has its code, which ccxt knows; the engine took nothing."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        bench.place("buy", "long", 0.002, bench.price(0.9), client_id="used")
        asked: dict[str, Any] = {**ORDER, **changes}
        with pytest.raises(error, match=f'"retCode":{code},'):
            await bench.rest.create_order(
                BTC, "limit", asked["side"], asked["amount"], bench.price(asked["share"]), asked["params"]
            )
        assert len(bench.account.open_orders) == 1

    trade(case)


@pytest.mark.parametrize(
    "reason",
    ["bad_symbol", "not_trading", "lot_size", "price_filter", "position_side", "min_qty", "min_notional", "post_only",
     "duplicate_client_id", "reduce_only", "too_many_orders", "insufficient_margin"],
)  # fmt: skip
def test_every_reason_has_a_code(reason: str) -> None:
    """Each reason of section 6.2 can be stated, also by a fault."""
    assert order_refusal(Reject(reason, "")).code in (10001, 110007, 110017, 110020, 110072, 110074, 110094)


def test_too_many_orders() -> None:
    """At most so many orders of a contract."""

    async def case(bench: Bench) -> None:
        bench.engine.rules = replace(BYBIT, max_open_orders=1)
        bench.place("buy", "long", 0.002, bench.price(0.9))
        with pytest.raises(ccxt.InvalidOrder, match="110020"):
            await bench.rest.create_order(BTC, "limit", "buy", 0.002, bench.price(0.9), LONG)

    trade(case)


def test_not_trading() -> None:
    """A contract that was delisted takes no orders."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        bench.sim.faults.add("delist", symbol="BTCUSDT", count=0)
        with pytest.raises(ccxt.ExchangeError, match="110074"):
            await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(0.99), LONG)

    trade(case)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"action": "ret", "code": 10006, "msg": "Too many visits!"}, ccxt.RateLimitExceeded),
        ({"action": "http", "status": 429}, ccxt.RateLimitExceeded),
        ({"action": "http", "status": 403, "body": {"retCode": 10006, "retMsg": ""}}, ccxt.RateLimitExceeded),
        ({"action": "ret", "code": 10016, "msg": "Server error."}, ccxt.ExchangeError),
        ({"action": "ret", "code": 10002, "msg": "time"}, ccxt.InvalidNonce),
        ({"action": "http", "status": 503}, ccxt.ExchangeNotAvailable),
    ],
)
def test_faulty_replies(fault: dict[str, Any], error: type[Exception]) -> None:
    """The classes that ccxt makes of the other codes of section 8.3; the next call is answered."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        await bench.rest.fetch_balance()
        bench.sim.faults.add_mapping({**fault, "match": {"path": "/v5/position/*"}})
        with pytest.raises(error):
            await bench.rest.fetch_positions()
        assert await bench.rest.fetch_positions() == []

    trade(case)


def test_parameters_that_are_refused() -> None:
    """What cannot be read is said, never guessed."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.01", "orderType": "Limit"}
        calls = [
            (rest.privatePostV5OrderCreate, {**order, "price": "60000", "timeInForce": "SOMETIME"}),
            (rest.privatePostV5OrderCreate, {**order, "price": "60000", "orderType": "Guess"}),
            (rest.privatePostV5OrderCreate, order),
            (rest.privateGetV5OrderRealtime, {"category": "linear"}),
            (rest.privateGetV5PositionList, {"category": "linear"}),
            (rest.privateGetV5PositionList, {"settleCoin": "USDT"}),
            (rest.privateGetV5OrderRealtime, {"category": "linear", "settleCoin": "USDT", "cursor": "x"}),
            (rest.privateGetV5OrderRealtime, {"category": "linear", "settleCoin": "USDT", "limit": "0"}),
            (rest.privateGetV5ExecutionList, {"category": "linear", "startTime": "soon"}),
            (rest.privateGetV5AccountWalletBalance, {"accountType": "SPOT"}),
            (rest.privatePostV5PositionSwitchMode, {"category": "linear", "mode": 1}),
            (rest.privatePostV5AccountSetMarginMode, {"setMarginMode": "WILD"}),
            (rest.privatePostV5PositionSetLeverage, {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5",
                                                     "sellLeverage": "6"}),
            (rest.privatePostV5PositionSetLeverage, {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "101",
                                                     "sellLeverage": "101"}),
            (rest.privatePostV5PositionSetLeverage, {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "0.5",
                                                     "sellLeverage": "0.5"}),
            (rest.privatePostV5OrderCancel, {"category": "linear", "symbol": "BTCUSDT"}),
            (rest.privatePostV5OrderCreateBatch, {"category": "linear", "request": []}),
            (rest.privatePostV5OrderCreateBatch, {"category": "linear", "request": "all"}),
        ]  # fmt: skip
        for call, params in calls:
            with pytest.raises(ccxt.BadRequest, match='"retCode":10001,'):
                await call(params)

    trade(case)


def test_strict_keys() -> None:
    """Where secrets are known, another key or a wrong signature is refused; otherwise every pair is taken."""

    async def right(bench: Bench) -> None:
        await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(0.99), LONG)
        assert len(await bench.rest.fetch_open_orders()) == 1

    async def wrong(bench: Bench) -> None:
        await bench.rest.load_markets()
        with pytest.raises(ccxt.AuthenticationError, match="10004"):
            await bench.rest.fetch_balance()

    async def unknown(bench: Bench) -> None:
        with pytest.raises(ccxt.AuthenticationError, match="10003"):
            await bench.rest.fetch_balance()

    trade(right, secrets={KEY: SECRET})
    trade(right)
    trade(right, secret="whatever")
    trade(wrong, secrets={KEY: SECRET}, secret="guessed")
    trade(unknown, secrets={"another": SECRET})


def test_the_clock_of_requests() -> None:
    """In real time a request may be neither older than its window nor ahead; in other times that cannot be judged."""

    async def strict(bench: Bench) -> None:
        await bench.rest.load_markets()
        await bench.rest.fetch_balance()
        for shift in (20_000, -5_000):
            bench.rest.nonce = lambda shift=shift: SystemClock().now_ms() - shift
            with pytest.raises(ccxt.InvalidNonce):
                await bench.rest.fetch_balance()

    async def lenient(bench: Bench) -> None:
        await bench.rest.fetch_balance()

    trade(strict, clock=SystemClock())
    trade(lenient, clock=ScaledClock(START, 60.0))
    trade(lenient)


def test_accounts_are_apart() -> None:
    """Each key has its own account, in each protocol."""

    async def case(bench: Bench) -> None:
        bench.hold()
        bench.rest.apiKey = "somebody else"
        assert (await bench.rest.fetch_balance())["USDT"]["total"] == 1000.0
        assert await bench.rest.fetch_positions() == []
        assert bench.sim.venue.engine("binance").accounts == {}

    trade(case)


def test_fills_of_the_bot() -> None:
    """The bot's own reader of fills sees every fill once, with the profit that the wallet shows."""

    async def case(bench: Bench) -> None:
        bench.hold("long", 0.01)
        bench.hold("short", 0.01)
        bench.step()
        bench.fill(bench.place("sell", "long", 0.01, bench.price(1.002)))
        bench.fill(bench.place("buy", "short", 0.005, bench.price(0.998)))
        got: list[Any] = []
        await BybitFills(bench.rest).fetch(START - MINUTE_MS, bench.now, lambda _: None, got.extend)
        assert sorted(fill.id for fill in got) == ["1", "2", "3", "4"]
        closed = {fill.id: fill for fill in got if fill.pnl != 0.0}
        assert set(closed) == {"3", "4"}
        left = sum(f.fee for f in bench.account.fills if f.id == 2) / 2.0  # the opening fee of what is still held
        assert sum(fill.pnl for fill in closed.values()) == pytest.approx(
            bench.account.wallet - 1000.0 + left, abs=1e-6
        )

    trade(case)


def test_running_time_fills_by_itself() -> None:
    """In running time the venue looks at its market of its own accord."""

    async def case(bench: Bench) -> None:
        order = bench.place("buy", "long", 0.01, bench.price(0.9999))
        for _ in range(400):
            if order.id in bench.account.closed_orders:
                break
            await asyncio.sleep(0.01)
        assert bench.account.closed_orders[order.id].status == "filled"

    trade(case, clock=ScaledClock(START, 20_000.0))
