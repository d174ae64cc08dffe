"""Faults of orders, fills and accounts, through unmodified clients of both protocols (`exchange_simulator.md` 10)."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from trading_cases import BTC, ETH, KEY, START, Bench, eventually, trade_on, within
from venue_cases import PROTOCOLS

from core.clock import MINUTE_MS, SystemClock
from core.errors import ConfigError
from exchange_sim.disguise import COPY_OFFSET
from exchange_sim.faults import FaultBook, Target
from exchange_sim.past import KEPT_MS, Past
from exchange_sim.surfaces import kind_of
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Position

both = pytest.mark.parametrize("protocol", PROTOCOLS)


async def buy(bench: Bench, name: str = "mine", share: float = 0.99) -> Any:
    """A post-only order of the long side."""
    side = {"binance": {"positionSide": "LONG", "timeInForce": "GTX", "newClientOrderId": name},
            "bybit": {"positionIdx": 1, "timeInForce": "PostOnly", "orderLinkId": name}}[bench.protocol]  # fmt: skip
    return await bench.rest.create_order(BTC, "limit", "buy", 0.01, bench.price(share), side)


def fault(bench: Bench, action: str, **options: Any) -> Any:
    return bench.sim.faults.add(action, **options)


def names(bench: Bench) -> list[str]:
    """Client ids of the open orders."""
    return [order.client_id for order in bench.account.open_orders.values()]


@both
@pytest.mark.parametrize("applied", [True, False])
def test_lost_answers(protocol: str, applied: bool) -> None:
    """A write without an answer was carried out, or not, as the fault says; sent again under its id it is refused."""
    code = {"binance": "-4116", "bybit": "110072"}[protocol]

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        bench.rest.timeout = 100
        for action, options in (
            ("timeout", {}), ("reset", {}), ("http", {"status": 503}), ("disconnect", {"count": 2}),
        ):  # fmt: skip
            name = f"after-{action}"
            fault(bench, action, method="POST", applied=applied, **options)
            with pytest.raises(ccxt.BaseError):
                await buy(bench, name)
            assert (name in names(bench)) is applied
            bench.sim.faults.clear()
            if applied:
                with pytest.raises(ccxt.BaseError, match=code):
                    await buy(bench, name)

    trade_on(protocol, case)


@both
def test_lost_cancel(protocol: str) -> None:
    """A cancel whose answer is lost has happened, or not."""

    async def case(bench: Bench) -> None:
        orders = [await buy(bench, name) for name in ("a", "b")]
        bench.rest.timeout = 100
        for order, applied, left in ((orders[0], True, ["b"]), (orders[1], False, ["b"])):
            fault(bench, "timeout", applied=applied)
            with pytest.raises(ccxt.RequestTimeout):
                await bench.rest.cancel_order(order["id"], BTC)
            assert names(bench) == left

    trade_on(protocol, case)


@pytest.mark.parametrize(
    ("protocol", "reason", "code"),
    [
        ("binance", "insufficient_margin", "-2019"),
        ("binance", "min_notional", "-4164"),
        ("binance", "too_many_orders", "-2025"),
        ("bybit", "insufficient_margin", "110007"),
        ("bybit", "min_notional", "110094"),
        ("bybit", "reduce_only", "110017"),
    ],
)
def test_reject(protocol: str, reason: str, code: str) -> None:
    """Every n-th order is refused for the reason given, those of other symbols are not."""

    async def case(bench: Bench) -> None:
        fault(bench, "reject", reason=reason, every=2, symbol="BTCUSDT", count=0)
        for n in range(4):
            if n % 2:
                with pytest.raises(ccxt.BaseError, match=code):
                    await buy(bench, str(n))
            else:
                await buy(bench, str(n))
        assert names(bench) == ["0", "2"]

    trade_on(protocol, case)


@both
def test_post_only_race(protocol: str) -> None:
    """The price is beyond the order when it comes: Binance refuses it, Bybit takes it and cancels; others stay."""

    async def case(bench: Bench) -> None:
        await buy(bench, "before", 0.999)
        last = bench.last
        fault(bench, "post_only_race")
        if protocol == "binance":
            with pytest.raises(ccxt.BaseError, match='"code":-5022'):
                await buy(bench, "late")
        else:
            await buy(bench, "late")
            (gone,) = bench.account.closed_orders.values()
            assert (gone.status, gone.reject_reason) == ("cancelled", "EC_PostOnlyWillTakeLiquidity")
        assert (names(bench), bench.last, bench.account.fills) == (["before"], last, [])
        await buy(bench, "again")
        assert names(bench) == ["before", "again"]

    trade_on(protocol, case)


@both
def test_cancel_race(protocol: str) -> None:
    """The order is filled first, and the cancel finds nothing."""

    async def case(bench: Bench) -> None:
        order = await buy(bench)
        fault(bench, "cancel_race")
        with pytest.raises(ccxt.OrderNotFound):
            await bench.rest.cancel_order(order["id"], BTC)
        assert [(fill.client_id, fill.maker) for fill in bench.account.fills] == [("mine", True)]
        assert [p["contracts"] for p in await bench.rest.fetch_positions()] == [0.01]

    trade_on(protocol, case)


@both
def test_stale_replies(protocol: str) -> None:
    """Orders, positions and balance as they were so long ago, each on its own surface only; then as they are."""

    async def case(bench: Bench) -> None:
        async def surfaces() -> tuple[int, int, float]:
            orders = await bench.rest.fetch_open_orders(BTC)
            positions = [row for row in await bench.rest.fetch_positions() if row["contracts"]]
            balance = await bench.rest.fetch_balance()
            info = balance["info"]
            wallet = info["totalCrossWalletBalance"] if protocol == "binance" else balance_of(info)
            return len(orders), len(positions), float(wallet)

        first = await surfaces()
        assert first == (0, 0, 1000.0)
        bench.step()
        bench.hold()
        await buy(bench)
        now = await surfaces()
        assert now[:2] == (1, 1)
        assert now[2] < 1000.0
        for number, surface in enumerate(("orders", "positions", "balance")):
            fault(bench, "stale", surface=surface, seconds=60)
            found = await surfaces()
            assert found[number] == first[number]
            assert [x for i, x in enumerate(found) if i != number] == [x for i, x in enumerate(now) if i != number]
        assert await surfaces() == now
        fault(bench, "stale", surface="orders", seconds=59)
        bench.step()
        assert await surfaces() == now

    trade_on(protocol, case)


def balance_of(info: Any) -> Any:
    return info["result"]["list"][0]["coin"][0]["walletBalance"]


@both
def test_fills_in_the_history(protocol: str) -> None:
    """A fill is shown twice (under its id or another), later, never, or for a while not; the engine knows it well."""

    async def case(bench: Bench) -> None:
        async def shown() -> list[int]:
            trades = await bench.rest.fetch_my_trades(BTC, START - 1000)
            return sorted(int(trade["id"]) for trade in trades)

        for action, options in (
            ("fill_duplicate", {}),
            ("fill_duplicate", {"same_id": False}),
            ("fill_late", {"seconds": 90}),
            ("fill_missing", {}),
            ("fill_missing", {"for": 60}),
        ):
            fault(bench, action, symbol="BTCUSDT", **options)
            bench.hold(symbol=ETH, qty=0.1)  # a fill that the fault is not for
            bench.hold()
        assert len(bench.account.fills) == 10
        assert await shown() == [2, 2, 4, 4 + COPY_OFFSET]
        bench.step()
        assert await shown() == [2, 2, 4, 10, 4 + COPY_OFFSET]
        bench.step()
        assert await shown() == [2, 2, 4, 6, 10, 4 + COPY_OFFSET]
        bench.step(1000)
        assert await shown() == [2, 2, 4, 6, 10, 4 + COPY_OFFSET]

    trade_on(protocol, case)


@both
def test_gap_in_a_page(protocol: str) -> None:
    """Every n-th fill of one page is left out."""

    async def case(bench: Bench) -> None:
        for _ in range(4):
            bench.hold()
        fault(bench, "history_page_gap", every=2)
        ids = [sorted(int(t["id"]) for t in await bench.rest.fetch_my_trades(BTC, START - 1000)) for _ in range(2)]
        assert ids == [[1, 3], [1, 2, 3, 4]]

    trade_on(protocol, case)


@both
def test_others_on_the_account(protocol: str) -> None:
    """Balance, an order and a position change by themselves, just before a request of that account is handled."""

    async def case(bench: Bench) -> None:
        await bench.rest.fetch_balance()
        fault(bench, "balance_jump", delta=-100, account="someone")
        assert bench.account.wallet == 1000.0
        fault(bench, "balance_jump", delta=-100, account=KEY)
        await bench.rest.fetch_balance()
        assert bench.account.wallet == 900.0
        fault(bench, "external_order", market="BTCUSDT", side="buy", qty=0.01, price=bench.price(0.9))
        (order,) = await bench.rest.fetch_open_orders(BTC)
        assert (order["side"], order["clientOrderId"][:4]) == ("buy", "web-")
        fault(bench, "external_position", market="ETHUSDT", size=0.5, entry=2000.0, pside="short")
        await bench.rest.fetch_balance()
        assert [(p.symbol, p.pside, p.size, p.entry) for p in bench.engine.positions(KEY)] == [
            (ETH, "short", 0.5, 2000.0)
        ]
        fault(bench, "external_order", market="ETHUSDT", side="buy", qty=0.5, pside="short")
        await bench.rest.fetch_balance()
        assert bench.engine.positions(KEY) == []

    trade_on(protocol, case)


@both
@pytest.mark.parametrize("real_time", [True, False])
def test_clock_skew(protocol: str, real_time: bool) -> None:
    """Signed calls are refused while the skew is new; after the client has measured again they pass."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        await rest.load_markets()
        await rest.load_time_difference()
        await rest.fetch_balance()
        for ms in (-5000, 30_000):
            fault(bench, "clock_skew", ms=ms, count=0)
            with pytest.raises(ccxt.InvalidNonce):
                await rest.fetch_balance()
            await rest.load_time_difference()
            await rest.fetch_balance()
            await buy(bench, f"at{ms}")
            bench.sim.faults.clear()
            await rest.load_time_difference()
        await rest.fetch_balance()

    trade_on(protocol, case, clock=SystemClock() if real_time else None)


def test_listen_key_expires() -> None:
    """The stream of the account ends, and its key with it; another one opens under a new key."""

    async def case(bench: Bench) -> None:
        rest = bench.rest
        key = (await rest.fapiPrivatePostListenKey())["listenKey"]
        async with rest.session.ws_connect(f"ws://{bench.sim.address}/ws/{key}") as ws:
            fault(bench, "listen_key_expire")
            await rest.fetch_balance()
            assert (await ws.receive_json())["e"] == "listenKeyExpired"
            assert (await ws.receive()).data == 1001
        with pytest.raises(ccxt.BaseError, match="-1125"):
            await rest.fapiPrivatePutListenKey()
        new = (await rest.fapiPrivatePostListenKey())["listenKey"]
        assert new != key
        async with rest.session.ws_connect(f"ws://{bench.sim.address}/ws/{new}") as ws:
            await buy(bench)
            assert (await ws.receive_json())["o"]["c"] == "mine"

    trade_on("binance", case)


def test_listen_key_of_a_stream_client() -> None:
    """The client keeps to its dead key, and is refused, until it is made to ask for another."""

    async def case(bench: Bench) -> None:
        stream, hub = bench.stream, bench.sim.venue.sockets
        watch = bench.soon(stream.watch_orders())
        await eventually(lambda: bool(hub.sockets("binance", KEY)))
        fault(bench, "listen_key_expire")
        await bench.rest.fetch_balance()
        with pytest.raises(ccxt.NetworkError, match="1001"):
            await within(watch)
        with pytest.raises(ccxt.NetworkError, match="400"):
            await within(stream.watch_orders())
        stream.options["future"]["lastAuthenticatedTime"] = 0
        watch = bench.soon(stream.watch_orders())
        await eventually(lambda: bool(hub.sockets("binance", KEY)))
        await buy(bench)
        assert [order["clientOrderId"] for order in await within(watch)] == ["mine"]

    trade_on("binance", case)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "external_order", "market": "NOPE", "side": "buy", "qty": 1}, "no market 'NOPE' here"),
        ({"action": "external_position", "market": "BTCUSDT", "size": 1, "pside": "up"}, "pside is 'up'"),
    ],
)
def test_faults_that_cannot_act(options: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a fault cannot do is an error of the server, which names it; the request fails."""

    async def case(bench: Bench) -> None:
        await bench.rest.load_markets()
        bench.sim.faults.add_mapping(options)
        with pytest.raises(ccxt.BaseError):
            await bench.rest.fetch_balance()

    trade_on("binance", case)
    assert message in caplog.text


def test_which_requests_are_meant() -> None:
    """Faults of orders, cancels and fills meet no other request; those of accounts only requests of one."""
    book = FaultBook()
    for action, options in (
        ("reject", {"reason": "post_only"}), ("cancel_race", {}), ("stale", {"surface": "orders", "seconds": 1}),
        ("history_page_gap", {}), ("fill_missing", {}), ("balance_jump", {"delta": 1}),
    ):  # fmt: skip
        book.add(action, count=0, **options)
    expected = {
        ("POST", "/fapi/v1/order"): "reject", ("POST", "/v5/order/create-batch"): "reject",
        ("DELETE", "/fapi/v1/batchOrders"): "cancel_race", ("POST", "/v5/order/cancel-all"): "cancel_race",
        ("GET", "/fapi/v1/openOrders"): "stale", ("GET", "/v5/order/realtime"): "stale",
        ("GET", "/fapi/v1/income"): "history_page_gap", ("GET", "/v5/position/closed-pnl"): "history_page_gap",
        ("GET", "/fapi/v3/account"): "balance_jump", ("GET", "/v5/position/list"): "balance_jump",
    }  # fmt: skip
    for (method, path), action in expected.items():
        met = book.take(Target(method, path, "", kind_of(method, path), KEY), 0)
        assert met is not None
        assert met.action == action
    assert book.take(Target("GET", "/fapi/v1/time", "", "other"), 0) is None
    met = book.take(Target("", "", "BTCUSDT", "fill", KEY), 0)
    assert met is not None
    assert met.action == "fill_missing"


def test_how_far_back_the_past_goes() -> None:
    """The state of any moment of ten minutes, and before that the oldest one known."""
    past, account = Past(), Account(KEY, 1000.0, 20.0)
    assert not past.is_known(KEY)
    for minute in range(30):
        account.put_position(Position(BTC, "long", minute + 1.0, 100.0))
        past.note(account, minute * MINUTE_MS)
    account.wallet = 5.0
    past.note(account, 29 * MINUTE_MS)

    def size(ts: int) -> float:
        return past.at(KEY, ts).positions[0].size

    assert past.at(KEY, 29 * MINUTE_MS).wallet == 5.0
    assert [size(29 * MINUTE_MS), size(29 * MINUTE_MS - 1), size(25 * MINUTE_MS + 7)] == [30.0, 29.0, 26.0]
    assert size(29 * MINUTE_MS - KEPT_MS) == 20.0
    assert size(0) == 19.0


def test_unknown_surface() -> None:
    """Only orders, positions and balance can lag behind."""
    with pytest.raises(ConfigError, match="surface"):
        FaultBook().add("stale", surface="fills", seconds=1)
