"""Prices and candles as Bybit writes them (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from typing import Any

from core.clock import HOUR_MS
from exchange_sim.market import Instrument, Ticker, quote_volume
from exchange_sim.wire import decimal, fixed_text, kline_columns, step_text
from markets.candle import Candles

FUNDING_MS = 8 * HOUR_MS
_MINUTES = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m"}
_HOURS = {"60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h"}
INTERVAL_NAMES = {**_MINUTES, **_HOURS, "D": "1d", "W": "1w", "M": "1M"}


def kline_rows(rows: Candles, item: Instrument) -> list[list[str]]:
    """Start, open, high, low, close, volume, turnover."""
    columns = kline_columns(rows, item.price_decimals, item.qty_decimals)
    times = map(str, rows["ts"].tolist())
    return [list(row) for row in zip(times, *columns, fixed_text(quote_volume(rows), 8), strict=True)]


def ticker_row(item: Instrument, t: Ticker) -> dict[str, Any]:
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
        "nextFundingTime": str((t.close_ms // FUNDING_MS + 1) * FUNDING_MS),
        "bid1Price": last,
        "bid1Size": least,
        "ask1Price": last,
        "ask1Size": least,
    }
