"""Bybit v5: the routes, and the public half of the protocol (`exchange_simulator.md` 8)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from exchange_sim.bybit.market_rows import INTERVAL_NAMES, kline_rows, ticker_row
from exchange_sim.bybit.private import private_routes
from exchange_sim.bybit.refusals import PARAMETER_ERROR, invalid
from exchange_sim.bybit.signed import CATEGORIES
from exchange_sim.bybit.streams import PrivateStream, PublicStream
from exchange_sim.desk import Desk
from exchange_sim.klines import INTERVALS, Page
from exchange_sim.market import Instrument
from exchange_sim.venue import Venue
from exchange_sim.wire import VenueError, bybit_envelope, integer, json_reply, step_text

DEFAULT_LIMIT, MAX_LIMIT = 200, 1000
DEFAULT_PAGE, MAX_PAGE = 500, 1000
MAX_STEPS = 10_000_000  # of a price or a quantity


class BybitProtocol:
    """Routes and their translation; the state is the venue's."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.desk = Desk(venue, venue.engine("bybit"))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v5/market/time", self.time),
            web.get("/v5/market/instruments-info", self.instruments),
            web.get("/v5/market/tickers", self.tickers),
            web.get("/v5/market/kline", self.kline),
            web.get("/v5/asset/coin/query-info", self.coins),
            web.get("/v5/private", self.private_stream),
            web.get("/v5/public/{category}", self.public_stream),
            *private_routes(self.desk),
        ]

    async def private_stream(self, request: web.Request) -> web.StreamResponse:
        return await self.venue.sockets.serve(request, "bybit", PrivateStream(self.desk))

    async def public_stream(self, request: web.Request) -> web.StreamResponse:
        return await self.venue.sockets.serve(request, "bybit", PublicStream(self.venue))

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
        rows = [ticker_row(item, ticker) for item, ticker in tickers if ticker is not None]
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
        rows = (await self.venue.klines(request, item, page))[::-1]
        return self._reply({"symbol": item.id, "category": category, "list": kline_rows(rows, item)})

    def _instrument(self, request: web.Request) -> Instrument:
        item = self.venue.market.by_id.get(request.query.get("symbol", ""))
        linear = request.query.get("category") in (None, "linear")
        if item is None or not linear or item.launch_ms > self.venue.now_ms():
            raise invalid("symbol")
        return item

    def _reply(self, result: dict[str, Any]) -> web.Response:
        return json_reply(bybit_envelope(result, self.venue.now_ms()))


def _category(request: web.Request) -> str:
    category = request.query.get("category", "linear")
    if category not in CATEGORIES:
        raise invalid("category")
    return category


def _integer(request: web.Request, name: str) -> int | None:
    return integer(request.query, name, invalid(name))
