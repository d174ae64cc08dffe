"""Binance USD-M futures: the routes, and the public half of the protocol (`exchange_simulator.md` 7)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from core.clock import SystemClock
from exchange_sim.binance.listen_keys import ListenKeys
from exchange_sim.binance.private import private_routes
from exchange_sim.binance.streams import Streams
from exchange_sim.desk import Desk
from exchange_sim.klines import INTERVALS, Page
from exchange_sim.market import Instrument, Ticker, quote_volume
from exchange_sim.venue import Venue
from exchange_sim.wire import VenueError, decimal, fixed_text, integer, json_reply, kline_columns, step_text
from markets.candle import Candles

DEFAULT_LIMIT, MAX_LIMIT = 500, 1500
DELIVERY_MS = 4133404800000  # what perpetuals state
MAX_PRICE_STEPS, MAX_QTY_STEPS = 10_000_000, 10_000_000
EMPTY: dict[str, Any] = {
    "/sapi/v1/capital/config/getall": [],
    "/sapi/v1/margin/allPairs": [],
    "/sapi/v1/margin/isolated/allPairs": [],
    "/api/v3/exchangeInfo": {"symbols": []},
    "/dapi/v1/exchangeInfo": {"symbols": []},
    "/eapi/v1/exchangeInfo": {"optionSymbols": []},
    "/fapi/v1/ping": {},
}

_MISSING_SYMBOL = VenueError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")


class BinanceProtocol:
    """Routes and their translation; the state is the venue's."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.desk = Desk(venue, venue.engine("binance"))
        self.listen_keys = ListenKeys(SystemClock())
        self.streams = Streams(self.desk, self.listen_keys)

    def routes(self) -> list[web.RouteDef]:
        handlers = {
            "/fapi/v1/time": self.time,
            "/fapi/v1/exchangeInfo": self.exchange_info,
            "/fapi/v1/klines": self.klines,
            "/fapi/v1/ticker/24hr": self.ticker_24h,
            "/fapi/v1/ticker/price": self.ticker_price,
            "/fapi/v2/ticker/price": self.ticker_price,
            "/fapi/v1/ticker/bookTicker": self.book_ticker,
            "/fapi/v1/premiumIndex": self.premium_index,
        }
        return [*(web.get(path, handler) for path, handler in handlers.items()),
                *(web.get(path, self.empty) for path in EMPTY),
                *private_routes(self.desk, self.listen_keys), *self.streams.routes()]  # fmt: skip

    async def empty(self, request: web.Request) -> web.Response:
        return json_reply(EMPTY[request.path])

    async def time(self, request: web.Request) -> web.Response:
        return json_reply({"serverTime": self.venue.stated_ms(request)})

    async def exchange_info(self, request: web.Request) -> web.Response:
        symbols = [self._listing(item) for item in self.venue.listed()]
        limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}]
        return json_reply({
            "timezone": "UTC", "serverTime": self.venue.stated_ms(request), "futuresType": "U_MARGINED",
            "rateLimits": limits, "exchangeFilters": [], "symbols": symbols,
        })  # fmt: skip

    def _listing(self, item: Instrument) -> dict[str, Any]:
        m = item.market
        return {
            "symbol": item.id,
            "pair": item.id,
            "contractType": "PERPETUAL",
            "deliveryDate": DELIVERY_MS,
            "onboardDate": item.launch_ms,
            "status": "TRADING" if self.venue.is_trading(item) else "SETTLING",
            "baseAsset": m.base,
            "quoteAsset": m.quote,
            "marginAsset": m.quote,
            "pricePrecision": item.price_decimals,
            "quantityPrecision": item.qty_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "triggerProtect": "0.0500",
            "filters": _filters(item),
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }

    async def klines(self, request: web.Request) -> web.Response:
        item = self._instrument(request)
        interval = INTERVALS.get(request.query.get("interval", ""))
        if interval is None:
            raise VenueError(-1120, "Invalid interval.")
        limit = _integer(request, "limit") or DEFAULT_LIMIT
        if not 1 <= limit <= MAX_LIMIT:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        start, end = _integer(request, "startTime"), _integer(request, "endTime")
        if start is not None and end is not None and start > end:
            raise VenueError(-1023, "Start time is greater than end time.")
        rows = await self.venue.klines(request, item, Page(interval, limit, start, end))
        ends = [interval.shift(ts, 1) - 1 for ts in rows["ts"].tolist()]
        return json_reply(_kline_rows(rows, ends, item))

    async def ticker_24h(self, request: web.Request) -> web.Response:
        return self._of_each(request, _ticker_row)

    async def ticker_price(self, request: web.Request) -> web.Response:
        return self._of_each(request, lambda item, ticker: {
            "symbol": item.id, "price": decimal(ticker.last, item.price_decimals), "time": ticker.close_ms,
        })  # fmt: skip

    async def book_ticker(self, request: web.Request) -> web.Response:
        """Bid and ask are the last price: the book has no depth, and matching is strict (`additions.md` 13)."""
        return self._of_each(request, lambda item, ticker: {
            "symbol": item.id,
            "bidPrice": decimal(ticker.last, item.price_decimals), "bidQty": step_text(item.market.min_qty),
            "askPrice": decimal(ticker.last, item.price_decimals), "askQty": step_text(item.market.min_qty),
            "time": ticker.close_ms, "lastUpdateId": ticker.close_ms,
        })  # fmt: skip

    async def premium_index(self, request: web.Request) -> web.Response:
        return self._of_each(request, lambda item, ticker: {
            "symbol": item.id,
            "markPrice": decimal(ticker.last, item.price_decimals),
            "indexPrice": decimal(ticker.last, item.price_decimals),
            "estimatedSettlePrice": decimal(ticker.last, item.price_decimals),
            "lastFundingRate": "0.00000000", "interestRate": "0.00000000",
            "nextFundingTime": (ticker.close_ms // 28_800_000 + 1) * 28_800_000, "time": ticker.close_ms,
        })  # fmt: skip

    def _of_each(self, request: web.Request, row: Any) -> web.Response:
        """One object for a symbol, a list without one."""
        now_ms = self.venue.now_ms()
        items = [self._instrument(request)] if request.query.get("symbol") else self.venue.listed()
        tickers = [(item, self.venue.market.ticker(item, now_ms)) for item in items]
        rows = [row(item, ticker) for item, ticker in tickers if ticker is not None]
        return json_reply(rows[0] if request.query.get("symbol") and rows else rows)

    def _instrument(self, request: web.Request) -> Instrument:
        name = request.query.get("symbol")
        if not name:
            raise _MISSING_SYMBOL
        item = self.venue.market.by_id.get(name)
        if item is None or item.launch_ms > self.venue.now_ms():
            raise VenueError(-1121, "Invalid symbol.")
        return item


def _integer(request: web.Request, name: str) -> int | None:
    return integer(request.query, name, VenueError(-1102, f"Mandatory parameter '{name}' was malformed."))


def _filters(item: Instrument) -> list[dict[str, Any]]:
    m = item.market
    tick, step, least = step_text(m.price_step), step_text(m.qty_step), step_text(m.min_qty)
    lot = {"minQty": least, "maxQty": f"{m.qty_step * MAX_QTY_STEPS:.{item.qty_decimals}f}", "stepSize": step}
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick,
         "maxPrice": f"{m.price_step * MAX_PRICE_STEPS:.{item.price_decimals}f}", "tickSize": tick},
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "MARKET_LOT_SIZE", **lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": step_text(m.min_cost)},
    ]  # fmt: skip


def _kline_rows(rows: Candles, ends: list[int], item: Instrument) -> list[list[Any]]:
    turnover = quote_volume(rows)
    columns = [
        rows["ts"].tolist(),
        *kline_columns(rows, item.price_decimals, item.qty_decimals),
        ends,
        fixed_text(turnover, 8),
        (1 + turnover // 1000.0).astype(int).tolist(),
        fixed_text(rows["bv"] / 2.0, item.qty_decimals),
        fixed_text(turnover / 2.0, 8),
    ]
    return [[*row, "0"] for row in zip(*columns, strict=True)]


def _ticker_row(item: Instrument, t: Ticker) -> dict[str, Any]:
    price = item.price_decimals
    mean = t.quote_volume / t.volume if t.volume else t.last
    return {
        "symbol": item.id,
        "priceChange": f"{t.last - t.open:.{price}f}",
        "priceChangePercent": f"{(t.last / t.open - 1.0) * 100.0:.3f}",
        "weightedAvgPrice": f"{mean:.{price}f}",
        "lastPrice": decimal(t.last, price),
        "lastQty": step_text(item.market.min_qty),
        "openPrice": decimal(t.open, price),
        "highPrice": decimal(t.high, price),
        "lowPrice": decimal(t.low, price),
        "volume": decimal(t.volume, item.qty_decimals),
        "quoteVolume": f"{t.quote_volume:.2f}",
        "openTime": t.open_ms,
        "closeTime": t.close_ms,
        "firstId": 1,
        "lastId": 1 + int(t.quote_volume) // 1000,
        "count": 1 + int(t.quote_volume) // 1000,
    }
