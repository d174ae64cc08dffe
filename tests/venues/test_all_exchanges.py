"""Candles of all nine exchanges through their unmodified ccxt classes, on constructed replies (`candles.md` 11.2).

Each venue below answers as the exchange's interface does: its parameters, its page, its order, its way to write a row.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from candles.sources.rest import RestSource
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from exchanges.clients import EXCHANGES, public_client
from markets import sample
from markets.candle import Candles
from markets.symbols import quote_currency

DAY = date_to_ts("2024-06-01")
NOW = DAY + 2 * DAY_MS
CONTRACT = 0.01
TRUTH = sample.candles("BTC/USDT:USDT", DAY - DAY_MS, NOW - M)
IDS = {
    "okx": "BTC-USDT-SWAP",
    "kucoin": "XBTUSDTM",
    "gateio": "BTC_USDT",
    "paradex": "BTC-USD-PERP",
    "defx": "BTC_USDC",
}

Params = dict[str, str]
Row = tuple[int, str, str, str, str, str]


def rows(start: int, end: int, *, contracts: bool = False) -> list[Row]:
    """The venue's candles of both ends' minutes and between, as texts."""
    part = TRUTH[(TRUTH["ts"] >= start) & (TRUTH["ts"] <= end)]
    size = CONTRACT if contracts else 1.0
    return [
        (int(ts), repr(o), repr(h), repr(low), repr(c), repr(v / size))
        for ts, o, h, low, c, v in part[["ts", "o", "h", "l", "c", "bv"]].tolist()
    ]


def binance(p: Params) -> Any:
    """From startTime on, ascending, at most `limit`."""
    return [list(row) for row in rows(int(p["startTime"]), int(p.get("endTime", NOW)))][: int(p["limit"])]


def bybit(p: Params) -> Any:
    """`limit` candles from start on, newest first."""
    found = rows(int(p["start"]), int(p["start"]) + (int(p["limit"]) - 1) * M)
    return {"retCode": 0, "retMsg": "OK", "result": {"category": p["category"], "list": [list(r) for r in found[::-1]]}}


def bitget(p: Params) -> Any:
    """At most 200, the newest before endTime."""
    found = rows(int(p["startTime"]), int(p["endTime"]) - 1)[-min(int(p["limit"]), 200) :]
    return {"code": "00000", "data": [[str(row[0]), *row[1:], "0"] for row in found]}


def okx(p: Params) -> Any:
    """Between `before` and `after`, both exclusive, at most 300, newest first; contracts and base volume."""
    found = rows(int(p["before"]) + 1, int(p["after"]) - 1)[-min(int(p["limit"]), 300) :]
    return {"code": "0", "data": [[str(row[0]), *row[1:5], "7", row[5], "0", "1"] for row in found[::-1]]}


def kucoin(p: Params) -> Any:
    """After `from`, at most 200; minutes without trades are missing; volume counts contracts."""
    found = [row for row in rows(int(p["from"]) + 1, int(p["to"]), contracts=True) if (row[0] // M) % 7]
    return {"code": "200000", "data": [[row[0], *map(float, row[1:])] for row in found[:200]]}


def gateio(p: Params) -> Any:
    """`from` through `to` in seconds, at most 1999; volume counts contracts."""
    found = rows(int(p["from"]) * 1000, int(p["to"]) * 1000, contracts=True)[:1999]
    return [
        {"t": r[0] // 1000, "o": r[1], "h": r[2], "l": r[3], "c": r[4], "v": float(r[5]), "sum": "0"} for r in found
    ]


def hyperliquid(p: Params) -> Any:
    """`startTime` through `endTime`, of the newest 5000 of all."""
    found = rows(max(int(p["startTime"]), NOW - 5000 * M), int(p["endTime"]))[:5000]
    return [{"t": r[0], "o": r[1], "h": r[2], "l": r[3], "c": r[4], "v": r[5], "n": 1, "s": "BTC"} for r in found]


def paradex(p: Params) -> Any:
    """`start_at` through `end_at`."""
    return {"results": [[row[0], *map(float, row[1:])] for row in rows(int(p["start_at"]), int(p["end_at"]))]}


def defx(p: Params) -> Any:
    """Ascending from startTime on, at most `limit`."""
    found = rows(int(p["startTime"]), int(p["endTime"]))[: int(p["limit"])]
    return [dict(zip(("start", "open", "high", "low", "close", "volume"), row, strict=True)) for row in found]


VENUES: dict[str, Callable[[Params], Any]] = {
    "binance": binance, "bybit": bybit, "bitget": bitget, "okx": okx, "kucoin": kucoin, "gateio": gateio,
    "hyperliquid": hyperliquid, "paradex": paradex, "defx": defx,
}  # fmt: skip


def client_of(name: str, asked: list[Params]) -> Any:
    """The exchange's ccxt class, knowing one market, over the constructed venue."""
    client, quote = public_client(name), quote_currency(name)
    market = {
        "id": IDS.get(name, "BTCUSDT"), "symbol": f"BTC/{quote}:{quote}", "base": "BTC", "quote": quote,
        "settle": quote, "baseId": "BTC", "quoteId": quote, "settleId": quote, "baseName": "BTC", "type": "swap",
        "swap": True, "spot": False, "linear": True, "inverse": False, "contract": True, "active": True, "info": {},
        "contractSize": CONTRACT, "precision": {"price": 0.1, "amount": 0.001},
    }  # fmt: skip
    client.set_markets([client.safe_market_structure(market)])

    async def answer(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        params: Params = dict(parse_qsl(urlsplit(url).query))
        if body:
            params |= json.loads(body)["req"]
        asked.append(params)
        return json.loads(json.dumps(VENUES[name](params)))

    client.fetch, client.enableRateLimit, client.timeout_on_exit = answer, False, 0
    return client


def fetched(name: str, cache: Path, start: int, end: int) -> tuple[Candles, list[Params]]:
    """What a manager of the exchange serves of a range, real rows only, and what was asked for."""
    asked: list[Params] = []

    async def run() -> Candles:
        client = client_of(name, asked)
        manager = CandlestickManager(client, name, cache_dir=cache, clock=ManualClock(NOW), archive_enabled=False)
        quote = quote_currency(name)
        served = await manager.get_candles(f"BTC/{quote}:{quote}", start_ts=start, end_ts=end, strict=True)
        await client.close()
        return served

    return asyncio.run(run()), asked


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_day_and_a_half(name: str, tmp_path: Path) -> None:
    """Every minute arrives once, to the last bit, volumes in base units, however the exchange pages and writes."""
    start, end = DAY - 700 * M, DAY + DAY_MS - M
    served, asked = fetched(name, tmp_path, start, end)
    truth = TRUTH[(TRUTH["ts"] >= start) & (TRUTH["ts"] <= end)]
    if name == "kucoin":  # no trades, no candle
        truth = truth[(truth["ts"] // M) % 7 != 0]
    assert np.array_equal(served["ts"], truth["ts"])
    for field in ("o", "h", "l", "c"):
        assert np.array_equal(served[field], truth[field])
    assert served["bv"] == pytest.approx(truth["bv"], rel=1e-15)
    assert len(asked) <= {"bitget": 13, "okx": 9, "kucoin": 13}.get(name, 5)


def test_all_nine_are_there() -> None:
    """The exchanges of the specification have a venue in this file."""
    assert set(VENUES) == set(EXCHANGES)


@pytest.mark.parametrize("name", ["binance", "bybit", "okx", "hyperliquid"])
def test_newest_candles(name: str) -> None:
    """The page behind the last price ends with the newest minutes the venue has."""

    async def run() -> Candles:
        client = client_of(name, [])
        quote = quote_currency(name)
        page = await RestSource(client, name, ManualClock(NOW)).newest(f"BTC/{quote}:{quote}", 30, NOW - M)
        await client.close()
        return page

    page = asyncio.run(run())
    assert np.array_equal(page["ts"], TRUTH["ts"][-30:])


@pytest.mark.parametrize("name", EXCHANGES)
def test_timeframes_of_the_question_for_the_first_candle(name: str) -> None:
    """Each exchange's class knows the timeframes that it is asked with."""
    from candles.sources import first_candle

    timeframes = {"1M", "1d"} if name == "bitget" else {first_candle._QUERIES.get(name, first_candle._OTHERS)[0]}
    client = public_client(name)
    assert timeframes | {"1m", "1h"} <= set(client.timeframes)
    asyncio.run(client.close())
