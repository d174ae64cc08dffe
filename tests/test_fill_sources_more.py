"""Fills of hyperliquid, okx and bitget on constructed replies (`live.md` 17.4, 21.4 and D2)."""

from __future__ import annotations

from typing import Any

import pytest

from core.clock import DAY_MS, ManualClock
from live.fills.book import KnownOrder
from live.fills.sources.bitget import BitgetFills, direction
from live.fills.sources.hyperliquid import HyperliquidFills
from live.fills.sources.okx import RECENT_MS, OkxFills
from test_fill_sources import BTC, CLOSE, GRID, NOW, Row, T, Trades, facts, fetched, trade


class Rows(Trades):
    """Raw rows with a time each, the newest first."""

    time = "ts"

    def raw(self, low: int, high: int, below: int | None = None) -> list[Row]:
        self.asked.append((low, high, below))
        rows = [row for row in self.rows if low <= int(row[self.time]) <= high]
        rows = [row for row in rows if below is None or int(row["billId"]) < below]
        return sorted(rows, key=lambda row: -int(row.get("billId") or row[self.time]))[:100]

    def safe_symbol(self, market_id: str, market: Any, delimiter: Any, market_type: str) -> str:
        assert market_type == "swap"
        return BTC if market_id in ("BTC-USDT-SWAP", "BTCUSDT") else market_id


# --- hyperliquid


class Hyperliquid(Trades):
    async def fetch_my_trades(self, symbol: str | None, since: int, limit: int, params: Row | None = None) -> list[Row]:
        return await super().fetch_my_trades(symbol, since, limit, {"endTime": (params or {})["until"]})


def test_hyperliquid() -> None:
    """The position side from `dir`, pnl as stated, fills of a moment as one, no spot pairs."""
    rows = [
        trade("1", T, "buy", 1.0, 100.0, dir="Open Long", closedPnl="0.0", cloid=GRID),
        trade("2", T + 1, "sell", 1.0, 110.0, dir="Close Long", closedPnl="4", cloid=CLOSE),
        trade("3", T + 1, "sell", 3.0, 114.0, dir="Close Long", closedPnl="6", cloid=CLOSE),
        trade("4", T + 2, "sell", 2.0, 110.0, dir="Long > Short", closedPnl="1"),
        trade("5", T + 3, "buy", 1.0, 110.0, dir="Close Short", closedPnl="1"),
        trade("6", T + 4, "buy", 1.0, 110.0, closedPnl="1"),
        trade("7", T + 5, "buy", 1.0, 1.0, dir="Buy") | {"symbol": "PURR/USDC"},
    ]
    assert [facts(event) for event in fetched(HyperliquidFills(Hyperliquid(rows)))] == [
        ("1", "buy", "long", 1.0, 100.0, 0.0, "entry_grid_normal_long"),
        ("2+3", "sell", "long", -4.0, 113.0, 10.0, "close_grid_long"),
        ("4", "sell", "long", -2.0, 110.0, 1.0, "unknown"),
        ("5", "buy", "short", 1.0, 110.0, 1.0, "unknown"),
        ("6", "buy", "short", 1.0, 110.0, 1.0, "unknown"),
    ]


def test_hyperliquid_pages() -> None:
    """Pages go on from the last time until nothing new comes."""
    client = Hyperliquid([trade(f"{i:05}", T + i // 2, "buy", 1.0, 1.0, dir="Open Long") for i in range(1200)])
    assert sum(event.qty for event in fetched(HyperliquidFills(client))) == 1200.0
    assert len(set(client.asked)) == len(client.asked)


# --- okx


class Okx(Rows):
    def __init__(self, rows: list[Row]) -> None:
        super().__init__(rows)
        self.endpoints: list[str] = []

    async def privateGetTradeFills(self, params: Row) -> Row:  # noqa: N802
        return self.reply("recent", params)

    async def privateGetTradeFillsHistory(self, params: Row) -> Row:  # noqa: N802
        return self.reply("history", params)

    def reply(self, endpoint: str, params: Row) -> Row:
        assert (params["instType"], params["limit"]) == ("SWAP", "100")
        self.endpoints.append(endpoint)
        below = int(params["after"]) if "after" in params else None
        return {"data": self.raw(int(params["begin"]), int(params["end"]), below)}


def okx_row(number: int, ts: int, **changes: str) -> Row:
    return {
        "tradeId": str(number), "billId": str(1000 + number), "instId": "BTC-USDT-SWAP", "side": "buy",
        "posSide": "long", "fillSz": "2", "fillPx": "100", "fillPnl": "0", "fee": "-0.2", "feeCcy": "USDT",
        "clOrdId": GRID, "ts": str(ts),
    } | changes  # fmt: skip


def test_okx() -> None:
    """Gross pnl, fees without sign; in net mode profit or loss tells a close; old fills come from the archive."""
    rows = [
        okx_row(1, T),
        okx_row(2, NOW - 3, side="sell", fillPnl="5", clOrdId=CLOSE),
        okx_row(3, NOW - 2, posSide="net", clOrdId=""),
        okx_row(4, NOW - 1, posSide="net", fillPnl="-1", clOrdId=""),
    ]
    client = Okx(rows)
    events = fetched(OkxFills(client, ManualClock(NOW)))
    assert [facts(event) for event in events] == [
        ("1", "buy", "long", 2.0, 100.0, 0.0, "entry_grid_normal_long"),
        ("2", "sell", "long", -2.0, 100.0, 5.0, "close_grid_long"),
        ("3", "buy", "long", 2.0, 100.0, 0.0, "unknown"),
        ("4", "buy", "short", 2.0, 100.0, -1.0, "unknown"),
    ]
    assert events[0].fees == {"currency": "USDT", "cost": 0.2}
    recent = NOW - RECENT_MS
    assert list(zip(client.endpoints, client.asked, strict=True)) == [
        ("recent", (recent, NOW, None)),
        ("history", (T, recent, None)),
    ]
    late, old = Okx(rows), Okx(rows)
    fetched(OkxFills(late, ManualClock(NOW)), start=NOW - DAY_MS)
    fetched(OkxFills(old, ManualClock(NOW)), end=T + DAY_MS)
    assert (late.endpoints, old.endpoints) == (["recent"], ["history"])


def test_okx_pages() -> None:
    """Pages follow the bill ids; one moment is one event."""
    client = Okx([okx_row(i, NOW - 300 + i // 2) for i in range(250)])
    events = fetched(OkxFills(client, ManualClock(NOW)))
    assert (len(events), sum(event.qty for event in events)) == (125, 500.0)
    assert [below for _, _, below in client.asked] == [None, 1150, 1050, None]


# --- bitget


class Bitget(Rows):
    time = "cTime"

    async def privateMixGetV2MixOrderFillHistory(self, params: Row) -> Row:  # noqa: N802
        assert (params["productType"], params["limit"]) == ("USDT-FUTURES", 100)
        return {"data": {"fillList": self.raw(params["startTime"], params["endTime"])}}


def bitget_row(name: str, ts: int, **changes: Any) -> Row:
    return {
        "tradeId": name, "symbol": "BTCUSDT", "orderId": f"o{name}", "price": "100", "baseVolume": "2", "side": "buy",
        "profit": "0", "tradeSide": "open", "posMode": "hedge_mode", "cTime": str(ts),
        "feeDetail": [{"feeCoin": "USDT", "totalFee": "-0.02"}],
    } | changes  # fmt: skip


def test_bitget() -> None:
    """Pnl is `profit`; client ids come from the orders, each asked for once and at most 120 a minute."""
    rows = [
        bitget_row("1", T),
        bitget_row("2", T + 1, tradeSide="close", profit="3.5"),
        bitget_row("3", T + 2, tradeSide="close", profit="1", orderId="o2"),
        bitget_row("4", T + 3),
    ]
    client, clock = Bitget(rows), ManualClock(NOW)
    client.orders = {"o1": GRID, "o2": CLOSE}
    known = {(BTC, "4"): KnownOrder(GRID, "entry_grid_normal_long")}
    assert [facts(event) for event in fetched(BitgetFills(client, clock), known=known)] == [
        ("1", "buy", "long", 2.0, 100.0, 0.0, "entry_grid_normal_long"),
        ("2", "sell", "long", -2.0, 100.0, 3.5, "close_grid_long"),
        ("3", "sell", "long", -2.0, 100.0, 1.0, "close_grid_long"),
        ("4", "buy", "long", 2.0, 100.0, 0.0, "entry_grid_normal_long"),
    ]
    assert sorted(client.orders_asked) == ["o1", "o2"]
    assert clock.sleeps == [0.5, 0.5]


def test_bitget_pages() -> None:
    """Backwards in days; nothing lost, nothing asked for twice."""
    client = Bitget([bitget_row(f"{i:04}", NOW - 500 + i // 3, orderId="o") for i in range(450)])
    assert len(fetched(BitgetFills(client, ManualClock(NOW)), start=NOW - 2 * DAY_MS)) == 450
    assert max(high - low for low, high, _ in client.asked) <= DAY_MS
    assert len(set(client.asked)) == len(client.asked)


HEDGED, ONE_WAY = "hedge_mode", "one_way_mode"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("open", "buy", HEDGED), ("buy", "long")), (("open", "sell", HEDGED), ("sell", "short")),
        (("close", "buy", HEDGED), ("sell", "long")), (("close", "sell", HEDGED), ("buy", "short")),
        (("reduce_close_long", "buy", HEDGED), ("sell", "long")),
        (("burst_close_short", "sell", HEDGED), ("buy", "short")),
        (("buy_single", "buy", ONE_WAY), ("buy", "long")), (("sell_single", "sell", ONE_WAY), ("sell", "short")),
        (("odd", "sell", HEDGED), ("sell", "long")),
    ],
)  # fmt: skip
def test_bitget_directions(words: tuple[str, str, str], expected: tuple[str, str]) -> None:
    """The table of 21.4, with decision D2."""
    assert direction(*words) == expected
