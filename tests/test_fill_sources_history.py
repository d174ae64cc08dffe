"""Fills of gateio and kucoin, whose pnl stands beside the trades, on constructed replies (`live.md` 17.4)."""

from __future__ import annotations

from typing import Any

from core.clock import DAY_MS
from live.fills.sources.gateio import GateioFills
from live.fills.sources.kucoin import KucoinFills
from test_fill_sources import BTC, CLOSE, GRID, NOW, Row, T, Trades, facts, fetched, trade


class Gateio(Trades):
    def __init__(self, rows: list[Row], orders: list[Row]) -> None:
        super().__init__(rows)
        self.finished = orders

    async def privateFuturesGetSettleMyTradesTimerange(self, params: Row) -> list[Row]:  # noqa: N802
        assert (params["settle"], params["limit"]) == ("usdt", 100)
        self.asked.append((params["from"], params["to"], params["offset"]))
        rows = [row for row in self.rows if params["from"] <= row["create_time"] <= params["to"]]
        return rows[params["offset"] :][:100]

    async def privateFuturesGetSettleOrdersTimerange(self, params: Row) -> list[Row]:  # noqa: N802
        return self.finished[params["offset"] :][:100]

    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str:
        return BTC


def gate_row(name: str, ts: int, size: int, **changes: Any) -> Row:
    return {
        "trade_id": name, "create_time": ts / 1000, "contract": "BTC_USDT", "order_id": f"o{name}", "size": size,
        "price": "100", "text": f"t-{GRID}", "fee": "0.02", "close_size": 0,
    } | changes  # fmt: skip


def test_gateio() -> None:
    """An order's pnl is shared by quantity; closes are known by size, reduce-only or pnl."""
    rows = [
        gate_row("1", T + 5, 4),
        gate_row("2", T + 6, -3, order_id="o", text=f"t-{CLOSE}", close_size=-3),
        gate_row("3", T + 7, -1, order_id="o", text=f"t-{CLOSE}"),
        gate_row("4", T + 8, 2, order_id="r", text="web"),
        gate_row("5", T - 1, 2),
    ]
    orders = [
        {"id": "o", "size": -6, "left": -2, "pnl": "8"},
        {"id": "r", "size": 2, "left": 0, "is_reduce_only": True},
    ]
    assert [facts(event) for event in fetched(GateioFills(Gateio(rows, orders)))] == [
        ("1", "buy", "long", 4.0, 100.0, 0.0, "entry_grid_normal_long"),
        ("2", "sell", "long", -3.0, 100.0, 6.0, "close_grid_long"),
        ("3", "sell", "long", -1.0, 100.0, 2.0, "close_grid_long"),
        ("4", "buy", "short", 2.0, 100.0, 0.0, "unknown"),
    ]


def test_gateio_pages() -> None:
    """Pages by offset."""
    client = Gateio([gate_row(str(i), T + i, 1) for i in range(250)], [])
    assert len(fetched(GateioFills(client), end=T + DAY_MS)) == 250
    assert [offset for _, _, offset in client.asked] == [0, 100, 200]


class Kucoin(Trades):
    def __init__(self, rows: list[Row], closed: list[Row]) -> None:
        super().__init__(rows)
        self.closed = closed

    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int, params: Row | None = None) -> list[Row]:
        given = params or {}
        self.asked.append((since, given["until"], given["currentPage"]))
        rows = self.served(self.rows, lambda row: int(row["timestamp"]), since, given["until"])
        return rows[limit * (given["currentPage"] - 1) :][:limit]

    async def futuresPrivateGetHistoryPositions(self, params: Row) -> Row:  # noqa: N802
        assert params["limit"] == 200
        return {"data": {"items": self.closed[200 * (params["pageId"] - 1) :][:200]}}

    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str:
        return BTC


def closed_position(name: str, ts: int, pnl: str, kind: str = "CLOSE_LONG") -> Row:
    return {"closeId": name, "symbol": "XBTUSDTM", "closeTime": ts, "pnl": pnl, "type": kind}


def test_kucoin() -> None:
    """Closes near a record share its pnl by quantity, others get 0, opens cost their fee."""
    minute = 60_000
    rows = [
        trade("1", T, "buy", 4.0, 100.0, positionSide="LONG"),
        trade("2", T + minute, "sell", 1.0, 110.0, positionSide="LONG"),
        trade("3", T + 2 * minute, "sell", 3.0, 110.0, closeFeePay="0.1"),
        trade("4", T + 2 * minute, "buy", 1.0, 110.0, positionSide="SHORT"),
        trade("5", T + 9 * minute, "sell", 1.0, 110.0, positionSide="LONG"),
    ]
    client = Kucoin(rows, [closed_position("a", T + 3 * minute, "8"), closed_position("b", T, "5", "LIQUID_SHORT")])
    client.orders = {"o1": GRID, "o2": CLOSE}
    assert [facts(event) for event in fetched(KucoinFills(client))] == [
        ("1", "buy", "long", 4.0, 100.0, -0.1, "entry_grid_normal_long"),
        ("2", "sell", "long", -1.0, 110.0, 2.0, "close_grid_long"),
        ("3", "sell", "long", -3.0, 110.0, 6.0, "unknown"),
        ("4", "buy", "short", 1.0, 110.0, 5.0, "unknown"),
        ("5", "sell", "long", -1.0, 110.0, 0.0, "unknown"),
    ]


def test_kucoin_pages() -> None:
    """Windows stay under a day; pages by number, each once."""
    rows = [trade(str(i), T + i, "buy", 1.0, 1.0, positionSide="LONG") | {"order": "o"} for i in range(2200)]
    client = Kucoin(rows, [closed_position(str(i), NOW, "1") for i in range(350)])
    assert len(fetched(KucoinFills(client), end=T + 3 * DAY_MS)) == 2200
    assert max(high - low for low, high, _ in client.asked) < DAY_MS
    assert [page for _, _, page in client.asked[:4]] == [1, 2, 3, 1]
    assert client.orders_asked == ["o"]


def test_kucoin_shares_are_the_same_however_a_fetch_is_cut() -> None:
    """A fetch that begins between two fills of one close gives the second the share it had."""
    rows = [trade(str(i), T + i, "sell", 1.0, 1.0, positionSide="LONG") for i in range(2)]
    client = Kucoin(rows, [closed_position("a", T + 5, "8")])
    assert [(event.id, event.pnl) for event in fetched(KucoinFills(client), start=T + 1)] == [("1", 4.0)]
