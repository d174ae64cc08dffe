"""A stand-in for CoinGecko's list of coins by market capitalisation (`candles.md` 21.2), under `/coingecko`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from core.dates import ts_to_date
from exchange_sim.market import Ticker
from exchange_sim.venue import Venue
from exchange_sim.wire import json_reply

PREFIX = "/coingecko"
MARKETS = f"{PREFIX}/api/v3/coins/markets"
DEFAULT_PAGE, MAX_PAGE = 100, 250


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin of the list. `total` and `most` are supplies as far as they are known; `price` if no market has it."""

    id: str
    symbol: str
    circulating: float
    total: float | None = None
    most: float | None = None
    price: float | None = None


# Round numbers of the right size; the last ones are stablecoins, and coins that the venue does not list.
COINS = (
    Coin("bitcoin", "btc", 19.7e6, 21e6, 21e6),
    Coin("ethereum", "eth", 120e6, 120e6),
    Coin("solana", "sol", 440e6, 570e6),
    Coin("ripple", "xrp", 54e9, 100e9, 100e9),
    Coin("binancecoin", "bnb", 150e6, 150e6, 200e6),
    Coin("dogecoin", "doge", 143e9, 143e9),
    Coin("cardano", "ada", 35e9, 45e9, 45e9),
    Coin("tron", "trx", 88e9, 88e9),
    Coin("avalanche-2", "avax", 380e6, 440e6, 720e6),
    Coin("chainlink", "link", 590e6, 1e9, 1e9),
    Coin("litecoin", "ltc", 74e6, 84e6, 84e6),
    Coin("polkadot", "dot", 1.4e9, 1.5e9),
    Coin("tether", "usdt", 95e9, 99e9, None, 1.0),
    Coin("usd-coin", "usdc", 28e9, 28e9, None, 0.9999),
    Coin("dai", "dai", 5e9, 5e9, None, 1.0001),
    Coin("true-usd", "tusd", 2e9, 2e9, None, 0.985),
    Coin("leo-token", "leo", 930e6, 985e6, None, 4.1),
    Coin("monero", "xmr", 18.4e6, None, None, 160.0),
    Coin("sample-dust", "dust", 1e6, 1e7, 1e7, 0.5),
)


class CoinGecko:
    """Prices are those of the venue, at its time."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[web.RouteDef]:
        return [web.get(MARKETS, self.markets)]

    async def markets(self, request: web.Request) -> web.Response:
        """Pages by market capitalisation, the largest first; behind the last there are empty ones."""
        query = request.query
        try:
            page, size = int(query.get("page", 1)), min(int(query.get("per_page", DEFAULT_PAGE)), MAX_PAGE)
        except ValueError:
            page, size = 0, 0
        if query.get("vs_currency") != "usd" or page < 1 or size < 1:
            return json_reply({"error": "invalid vs_currency, page or per_page"}, 422)
        rows = [row for coin in COINS if (row := self._row(coin)) is not None]
        rows.sort(key=lambda row: -row["market_cap"])
        for rank, row in enumerate(rows, 1):
            row["market_cap_rank"] = rank
        return json_reply(rows[(page - 1) * size : page * size])

    def _row(self, coin: Coin) -> dict[str, Any] | None:
        ticker = self._ticker(coin)
        if ticker is None:
            return None
        change = ticker.last / ticker.open - 1.0
        valuation = ticker.last * (coin.most or coin.total or coin.circulating)
        return {
            "id": coin.id,
            "symbol": coin.symbol,
            "name": coin.id.replace("-", " ").title(),
            "current_price": ticker.last,
            "market_cap": round(ticker.last * coin.circulating),
            "market_cap_rank": None,
            "fully_diluted_valuation": round(valuation),
            "total_volume": round(ticker.quote_volume),
            "high_24h": ticker.high,
            "low_24h": ticker.low,
            "price_change_24h": ticker.last - ticker.open,
            "price_change_percentage_24h": change * 100.0,
            "circulating_supply": coin.circulating,
            "total_supply": coin.total,
            "max_supply": coin.most,
            "last_updated": f"{ts_to_date(ticker.close_ms)[:19]}.000Z",
        }

    def _ticker(self, coin: Coin) -> Ticker | None:
        now_ms, price = self.venue.now_ms(), coin.price
        if price is not None:
            turnover = 0.05 * price * coin.circulating
            return Ticker(price, price, price, price, turnover / price, turnover, now_ms, now_ms)
        items = (item for item in self.venue.listed() if item.market.base.lower() == coin.symbol)
        item = next(items, None)
        return None if item is None else self.venue.market.ticker(item, now_ms)
