"""Translation of each exchange's fills and the paging around it, on constructed replies (`live.md` 17.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt
import pytest

from core.clock import DAY_MS
from live.fills.book import KnownOrder, KnownOrders
from live.fills.record import FillEvent
from live.fills.source import FillSource
from live.fills.sources.binance import BinanceFills
from live.fills.sources.bybit import BybitFills, pnl_of
from live.fills.sources.generic import GenericFills
from live.fills.sources.translation import Pages, windows

T = 1_700_000_000_000
NOW = T + 30 * DAY_MS
BTC = "BTC/USDT:USDT"
GRID, CLOSE = "0x0004abcdef", "0x0007abcdef"
Row = dict[str, Any]


def fetched(source: FillSource, start: int = T, end: int = NOW, known: KnownOrders | None = None) -> list[FillEvent]:
    """Every event of a fetch, in time order."""
    events: list[FillEvent] = []
    asyncio.run(source.fetch(start, end, known or {}, events.extend))
    return sorted(events, key=lambda event: (event.timestamp, event.id))


def trade(name: str, ts: int, side: str, qty: float, price: float, **info: Any) -> Row:
    """A trade as ccxt gives it: quantities as numbers, the exchange's own row in `info`."""
    return {
        "id": name, "timestamp": ts, "symbol": BTC, "order": f"o{name}", "side": side, "amount": qty, "price": price,
        "fee": {"currency": "USDT", "cost": 0.1}, "info": info,
    }  # fmt: skip


def facts(event: FillEvent) -> tuple[Any, ...]:
    return event.id, event.side, event.position_side, event.qty, event.price, event.pnl, event.pb_order_type


class Trades:
    """A client with trades. It records the times asked for and serves at most `page` rows, the oldest or newest."""

    def __init__(self, rows: list[Row], *, page: int = 10**9, newest: bool = False, wants_symbol: bool = False) -> None:
        self.rows, self.page, self.newest, self.wants_symbol = rows, page, newest, wants_symbol
        self.asked: list[tuple[Any, ...]] = []
        self.orders: dict[str, str] = {}
        self.orders_asked: list[str] = []

    def served(self, rows: list[Row], key: Callable[[Row], int], low: int, high: int) -> list[Row]:
        found = sorted((row for row in rows if low <= key(row) <= high), key=key)
        return found[-self.page :] if self.newest else found[: self.page]

    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int, params: Row | None = None) -> list[Row]:
        if self.wants_symbol and symbol is None:
            raise ccxt.ArgumentsRequired("fetchMyTrades() requires a symbol argument")
        high = (params or {}).get("endTime", 2**62)
        self.asked.append((symbol, since, high))
        self.page = min(self.page, limit)
        rows = [row for row in self.rows if symbol in (None, row["symbol"])]
        return self.served(rows, lambda row: int(row["timestamp"]), since, high)

    async def fetch_order(self, id: str, symbol: str) -> Row:  # noqa: A002
        self.orders_asked.append(id)
        if id not in self.orders:
            raise ccxt.OrderNotFound("-2013")
        return {"id": id, "clientOrderId": self.orders[id]}


# --- paging


def test_pages_end(caplog: pytest.LogCaptureFixture) -> None:
    """The same parameters are not asked for twice; beyond the cap it says so."""
    pages = Pages("x", 2)
    assert [pages.next(1, None), pages.next(1, None), pages.next(2, None), pages.next(3, None)] == [
        True,
        False,
        True,
        False,
    ]
    assert caplog.messages == ["[fills] x: stopped after 2 pages; older fills are missing"]


def test_windows() -> None:
    """Stretches cover the range once."""
    assert list(windows(0, 2 * DAY_MS, 1.0)) == [(0, DAY_MS - 1), (DAY_MS, 2 * DAY_MS - 1), (2 * DAY_MS, 2 * DAY_MS)]
    assert list(windows(5, 5, 1.0)) == [(5, 5)]


# --- binance


class Binance(Trades):
    def __init__(self, rows: list[Row], income: list[Row], **options: Any) -> None:
        super().__init__(rows, **options)
        self.income = income
        self.income_asked: list[tuple[int, int]] = []

    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str:
        return market_id.replace("USDT", "/USDT:USDT")

    async def fapiPrivateGetIncome(self, params: Row) -> list[Row]:  # noqa: N802
        assert (params["incomeType"], params["limit"]) == ("REALIZED_PNL", 1000)
        self.income_asked.append((params["startTime"], params["endTime"]))
        page = self.served(self.income, lambda row: int(row["time"]), params["startTime"], params["endTime"])
        return page[:1000]


def income(name: str, ts: int, pnl: str, market_id: str = "BTCUSDT") -> Row:
    return {"symbol": market_id, "tradeId": name, "time": str(ts), "income": pnl, "incomeType": "REALIZED_PNL"}


def test_binance() -> None:
    """Trades with the pnl of the income history, symbols with income included, client ids from the orders."""
    rows = [
        trade("1", T, "buy", 2.0, 100.0, positionSide="LONG", realizedPnl="0"),
        trade("2", T + 1, "sell", 1.0, 110.0, positionSide="LONG", realizedPnl="9"),
        trade("3", T + 2, "sell", 1.0, 110.0, positionSide="BOTH", realizedPnl="8"),
        trade("1", T + 3, "sell", 5.0, 7.0, positionSide="SHORT") | {"symbol": "ETH/USDT:USDT", "order": "oE"},
    ]
    client = Binance(rows, [income("2", T + 1, "9.5"), income("1", T + 3, "0.5", "ETHUSDT")])
    client.orders = {"o1": GRID, "o2": CLOSE}
    events = fetched(BinanceFills(client, lambda: [BTC]))
    assert [facts(event) for event in events] == [
        ("1", "buy", "long", 2.0, 100.0, 0.0, "entry_grid_normal_long"),
        ("2", "sell", "long", -1.0, 110.0, 9.5, "close_grid_long"),
        ("3", "sell", "long", -1.0, 110.0, 8.0, "unknown"),
        ("1", "sell", "short", -5.0, 7.0, 0.5, "unknown"),
    ]
    assert [payload["source"] for payload in events[1].raw] == ["fetch_my_trades", "income"]
    assert events[0].fees == {"currency": "USDT", "cost": 0.1}
    assert sorted(client.orders_asked) == ["o1", "o2", "o3", "oE"]


def test_binance_knows_orders() -> None:
    """An order is asked for once: not again for its other trades, nor for trades that are known."""
    rows = [trade(name, T + i, "buy", 1.0, 1.0, positionSide="LONG") | {"order": "o"} for i, name in enumerate("ab")]
    client = Binance([*rows, trade("c", T + 9, "buy", 1.0, 1.0, positionSide="LONG")], [])
    client.orders = {"o": GRID}
    events = fetched(BinanceFills(client, lambda: [BTC]), known={(BTC, "c"): KnownOrder(CLOSE, "close_grid_long")})
    assert [event.client_order_id for event in events] == [GRID, GRID, CLOSE]
    assert client.orders_asked == ["o"]


def test_binance_pages() -> None:
    """Windows stay under a week; a full page goes on where it ended, and none is lost or asked for twice."""
    rows = [trade(str(i), T + i // 3, "buy", 1.0, 1.0, positionSide="LONG", realizedPnl="0") for i in range(2500)]
    client = Binance(rows, [income(str(i), T + i, "1") for i in range(2500)])
    events = fetched(BinanceFills(client, lambda: [BTC]))
    assert len({event.id for event in events}) == len(events) == 2500
    assert all(event.pnl == 1.0 for event in events)
    assert max(high - low for low, high in client.income_asked) < 6.95 * DAY_MS
    assert max(high - low for _, low, high in client.asked) < 6.993 * DAY_MS
    assert [low - T for low, _ in client.income_asked[:3]] == [0, 1000, 2000]
    assert len(set(client.asked)) == len(client.asked)


# --- bybit


class Bybit(Trades):
    def __init__(self, rows: list[Row], closed: list[Row], **options: Any) -> None:
        super().__init__(rows, newest=True, **options)
        self.closed = closed
        self.closed_asked: list[Row] = []

    async def privateGetV5PositionClosedPnl(self, params: Row) -> Row:  # noqa: N802
        self.closed_asked.append(params)
        at = int(params.get("cursor") or 0)
        rows = [r for r in self.closed if params["startTime"] <= int(r["updatedTime"]) <= params["endTime"]]
        more = at + 1 < len(rows)
        return {"result": {"list": rows[at : at + 1], "nextPageCursor": str(at + 1) if more else ""}}


def closed_pnl(order: str, ts: int, **changes: str) -> Row:
    return {
        "orderId": order, "updatedTime": str(ts), "avgEntryPrice": "100", "closedSize": "3", "openFee": "0.3",
        "closeFee": "0.3", "closedPnl": "31.4",
    } | changes  # fmt: skip


def test_bybit_pnl() -> None:
    """The checked example: exits 2@110 and 1@112 of one order, entry 100, fees 0.3 + 0.3 -> 19.6 and 11.8."""
    record = closed_pnl("o", T)
    assert [pnl_of(110.0, 2.0, "long", record), pnl_of(112.0, 1.0, "long", record)] == pytest.approx([19.6, 11.8])
    assert pnl_of(90.0, 3.0, "short", record) == pytest.approx(29.4)
    assert pnl_of(110.0, 3.0, "long", record | {"avgEntryPrice": ""}) == 31.4


def test_bybit() -> None:
    """Sides from the closed size, pnl by the record of the order, fills of one moment as one event."""
    rows = [
        trade("1", T, "buy", 3.0, 100.0, closedSize="0", orderLinkId=GRID),
        trade("2", T + 5, "sell", 2.0, 110.0, closedSize="2", orderLinkId=CLOSE) | {"order": "o"},
        trade("3", T + 5, "sell", 1.0, 112.0, closedSize="1", orderLinkId=CLOSE) | {"order": "o"},
        trade("4", T + 6, "buy", 1.0, 90.0, closedSize="1", orderLinkId=""),
        trade("5", T + 7, "sell", 1.0, 90.0, closedSize="") | {"symbol": "BTC/USDT"},
    ]
    client = Bybit(rows, [closed_pnl("o", T + 5)])
    events = fetched(BybitFills(client))
    assert [facts(event)[:4] for event in events] == [
        ("1", "buy", "long", 3.0), ("2+3", "sell", "long", -3.0), ("4", "buy", "short", 1.0),
        ("5", "sell", "short", -1.0),
    ]  # fmt: skip
    assert events[1].pnl == pytest.approx(31.4)
    assert events[1].price == pytest.approx(332 / 3)
    assert [payload["source"] for payload in events[1].raw] == ["fetch_my_trades", "closed_pnl"] * 2
    assert [event.pb_order_type for event in events[:3]] == ["entry_grid_normal_long", "close_grid_long", "unknown"]
    assert events[2].pnl == 0.0
    assert events[3].symbol == BTC


def test_bybit_pages() -> None:
    """Backwards in steps under a week; records by cursor within windows; nothing lost, nothing asked for twice."""
    rows = [trade(f"{i:04}", T + i // 3, "buy", 1.0, 1.0, closedSize="0") for i in range(450)]
    closed = [closed_pnl(str(i), T + i) for i in range(3)]
    client = Bybit(rows, closed)
    events = fetched(BybitFills(client))
    assert sum(event.qty for event in events) == 450.0
    assert len(events) == 150
    assert max(high - low for _, low, high in client.asked) <= 6.5 * DAY_MS
    assert len(set(client.asked)) == len(client.asked)
    assert [asked.get("cursor") for asked in client.closed_asked[:4]] == [None, "1", "2", None]
    assert client.closed_asked[0] == {
        "category": "linear", "limit": 100, "startTime": T, "endTime": T + int(6.5 * DAY_MS) - 1,
    }  # fmt: skip


# --- any other


def test_generic() -> None:
    """Pnl as stated, else from the fills before; the side as stated, by client id, else by side and pnl."""
    rows = [
        trade("1", T, "buy", 2.0, 100.0),
        trade("2", T + 1, "buy", 2.0, 110.0),
        trade("3", T + 2, "sell", 1.0, 120.0, positionSide="LONG"),
        trade("4", T + 3, "sell", 1.0, 120.0, realized_pnl="7", client_id="web"),
        trade("5", T + 4, "sell", 1.0, 50.0),
        trade("6", T + 5, "buy", 4.0, 40.0, clientOrderId="0x0012abcd"),
        trade("7", T + 6, "sell", 1.0, 60.0, clientOrderId="my_short"),
    ]
    events = fetched(GenericFills(Trades(rows), c_mult=lambda symbol: 0.1))
    assert [(e.position_side, round(e.pnl, 9)) for e in events] == [
        ("long", 0.0), ("long", 0.0), ("long", 1.5), ("long", 7.0), ("short", 0.0), ("short", 1.0), ("short", 0.0),
    ]  # fmt: skip
    assert events[5].pb_order_type == "close_grid_short"


def test_generic_pages() -> None:
    """Pages follow each other by time until nothing new comes; symbols one after the other where one is wanted."""
    rows = [trade(str(i), T + i // 2, "buy", 1.0, 1.0) for i in range(25)]
    client = Trades(rows, page=10)
    assert len(fetched(GenericFills(client))) == 25
    assert len(fetched(GenericFills(Trades(rows, wants_symbol=True), lambda: ["A", BTC]))) == 25
    assert [asked[1] - T for asked in client.asked] == [0, 4, 8, 12]
    assert len(fetched(GenericFills(Trades(rows)), T + 1, T + 2)) == 4
