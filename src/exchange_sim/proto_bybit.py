"""Bybit v5: the public half of the protocol (`exchange_simulator.md` 8)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from exchange_sim.klines import INTERVALS, Page
from exchange_sim.market import Instrument, Ticker, quote_volume
from exchange_sim.venue import Venue
from exchange_sim.wire import (
    VenueError,
    bybit_envelope,
    decimal,
    fixed_text,
    integer,
    json_reply,
    kline_columns,
    step_text,
)
from markets.candle import Candles

CATEGORIES = ("spot", "linear", "inverse", "option")
DEFAULT_LIMIT, MAX_LIMIT = 200, 1000
DEFAULT_PAGE, MAX_PAGE = 500, 1000
MAX_STEPS = 10_000_000  # of a price or a quantity
PARAMETER_ERROR = 10001
_MINUTES = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m"}
_HOURS = {"60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h"}
INTERVAL_NAMES = {**_MINUTES, **_HOURS, "D": "1d", "W": "1w", "M": "1M"}


class BybitProtocol:
    """Routes and their translation; the state is the venue's."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v5/market/time", self.time),
            web.get("/v5/market/instruments-info", self.instruments),
            web.get("/v5/market/tickers", self.tickers),
            web.get("/v5/market/kline", self.kline),
            web.get("/v5/asset/coin/query-info", self.coins),
        ]

    async def time(self, request: web.Request) -> web.Response:
        now_ms = self.venue.stated_ms(request)
        return json_reply(bybit_envelope({"timeSecond": str(now_ms // 1000), "timeNano": f"{now_ms}000000"}, now_ms))

    async def coins(self, request: web.Request) -> web.Response:
        return self._reply({"rows": []})

    async def instruments(self, request: web.Request) -> web.Response:
        """A page of what is listed in a category; all but linear, and what is not launched yet, are empty."""
        category = _category(request)
        limit = min(_integer(request, "limit") or DEFAULT_PAGE, MAX_PAGE)
        first = _integer(request, "cursor") or 0
        items = self._asked(request) if category == "linear" else []
        page = items[first : first + limit]
        cursor = str(first + limit) if first + limit < len(items) else ""
        return self._reply(
            {"category": category, "nextPageCursor": cursor, "list": [self._listing(item) for item in page]}
        )

    def _asked(self, request: web.Request) -> list[Instrument]:
        status, name, base = (request.query.get(key) for key in ("status", "symbol", "baseCoin"))
        if name:
            return [self._instrument(request)]
        items = [item for item in self.venue.listed() if base in (None, "", item.market.base)]
        if status:
            return [item for item in items if self._status(item) == status]
        return items

    def _status(self, item: Instrument) -> str:
        return "Trading" if self.venue.is_trading(item) else "Closed"

    def _listing(self, item: Instrument) -> dict[str, Any]:
        m = item.market
        least, tick = step_text(m.min_qty), step_text(m.price_step)
        most = f"{m.qty_step * MAX_STEPS:.{item.qty_decimals}f}"
        return {
            "symbol": item.id,
            "contractType": "LinearPerpetual",
            "status": self._status(item),
            "baseCoin": m.base,
            "quoteCoin": m.quote,
            "settleCoin": m.quote,
            "launchTime": str(item.launch_ms),
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": str(item.price_decimals),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {
                "minPrice": tick, "maxPrice": f"{m.price_step * MAX_STEPS:.{item.price_decimals}f}", "tickSize": tick,
            },
            "lotSizeFilter": {
                "maxOrderQty": most, "minOrderQty": least, "qtyStep": step_text(m.qty_step),
                "postOnlyMaxOrderQty": most, "maxMktOrderQty": most, "minNotionalValue": step_text(m.min_cost),
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 480,
            "copyTrading": "none",
        }  # fmt: skip

    async def tickers(self, request: web.Request) -> web.Response:
        category = _category(request)
        items: list[Instrument] = []
        if category == "linear":
            items = [self._instrument(request)] if request.query.get("symbol") else self.venue.listed()
        now_ms = self.venue.now_ms()
        tickers = [(item, self.venue.market.ticker(item, now_ms)) for item in items]
        rows = [_ticker_row(item, ticker) for item, ticker in tickers if ticker is not None]
        return self._reply({"category": category, "list": rows})

    async def kline(self, request: web.Request) -> web.Response:
        """Newest first; with `start` the candles from there on, else the last ones."""
        category = _category(request)
        interval = INTERVALS.get(INTERVAL_NAMES.get(request.query.get("interval", ""), ""))
        if interval is None:
            raise VenueError(PARAMETER_ERROR, "Invalid period!")
        item = self._instrument(request)
        limit = min(max(_integer(request, "limit") or DEFAULT_LIMIT, 1), MAX_LIMIT)
        page = Page(interval, limit, _integer(request, "start"), _integer(request, "end"))
        rows = self.venue.klines(request, item, page)[::-1]
        return self._reply({"symbol": item.id, "category": category, "list": _kline_rows(rows, item)})

    def _instrument(self, request: web.Request) -> Instrument:
        item = self.venue.market.by_id.get(request.query.get("symbol", ""))
        linear = request.query.get("category") in (None, "linear")
        if item is None or not linear or item.launch_ms > self.venue.now_ms():
            raise VenueError(PARAMETER_ERROR, "params error: symbol invalid")
        return item

    def _reply(self, result: dict[str, Any]) -> web.Response:
        return json_reply(bybit_envelope(result, self.venue.now_ms()))


def _category(request: web.Request) -> str:
    category = request.query.get("category", "linear")
    if category not in CATEGORIES:
        raise VenueError(PARAMETER_ERROR, "params error: category invalid")
    return category


def _integer(request: web.Request, name: str) -> int | None:
    return integer(request.query, name, VenueError(PARAMETER_ERROR, f"params error: {name} invalid"))


def _kline_rows(rows: Candles, item: Instrument) -> list[list[str]]:
    columns = kline_columns(rows, item.price_decimals, item.qty_decimals)
    times = map(str, rows["ts"].tolist())
    return [list(row) for row in zip(times, *columns, fixed_text(quote_volume(rows), 8), strict=True)]


def _ticker_row(item: Instrument, t: Ticker) -> dict[str, Any]:
    """Bid and ask are the last price: the book has no depth, and matching is strict (`additions.md` 13)."""
    price, qty = item.price_decimals, item.qty_decimals
    last, least = decimal(t.last, price), step_text(item.market.min_qty)
    return {
        "symbol": item.id,
        "lastPrice": last,
        "indexPrice": last,
        "markPrice": last,
        "prevPrice24h": decimal(t.open, price),
        "price24hPcnt": f"{t.last / t.open - 1.0:.6f}",
        "highPrice24h": decimal(t.high, price),
        "lowPrice24h": decimal(t.low, price),
        "turnover24h": f"{t.quote_volume:.4f}",
        "volume24h": decimal(t.volume, qty),
        "openInterest": decimal(t.volume, qty),
        "openInterestValue": f"{t.quote_volume:.4f}",
        "fundingRate": "0",
        "nextFundingTime": str((t.close_ms // 28_800_000 + 1) * 28_800_000),
        "bid1Price": last,
        "bid1Size": least,
        "ask1Price": last,
        "ask1Size": least,
    }
