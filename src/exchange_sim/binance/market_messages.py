"""The messages of market streams: klines, best prices, tickers of 24 hours (`exchange_simulator.md` 7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchange_sim.klines import INTERVALS, Interval, Page, klines
from exchange_sim.market import Instrument, Ticker, quote_volume
from exchange_sim.venue import Venue
from exchange_sim.wire import decimal, fixed_text, kline_columns, step_text

MOST_KLINES = 1500  # of one topic at once, however far time went on
_KLINE = "kline_"

Change = tuple[Any, list[dict[str, Any]]]
"""What to remember as sent, and the messages."""


class MarketMessages:
    """Topics are `btcusdt@kline_1m`, `btcusdt@bookTicker`, `btcusdt@ticker`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def is_known(self, topic: str) -> bool:
        item, name = self._parts(topic)
        return item is not None and (name in ("bookTicker", "ticker") or _interval(name) is not None)

    def since(self, topic: str, sent: Any) -> Change:
        """What is new of a known topic; `sent` is what was remembered the last time, None at first."""
        item, name = self._parts(topic)
        assert item is not None
        interval = _interval(name)
        if interval is not None:
            return self._klines(item, interval, sent)
        price = self.venue.market.price(item, self.venue.now_ms())
        ticker = self.venue.market.ticker(item, self.venue.now_ms()) if price not in (None, sent) else None
        if ticker is None:
            return sent, []
        return price, [(_book if name == "bookTicker" else _ticker)(item, ticker)]

    def _parts(self, topic: str) -> tuple[Instrument | None, str]:
        symbol, _, name = topic.partition("@")
        return self.venue.market.by_id.get(symbol.upper()), name

    def _klines(self, item: Instrument, interval: Interval, sent: Any) -> Change:
        """Those that ended since the one sent last, and the one under way; `sent` is that one as it was sent."""
        now_ms = self.venue.now_ms()
        start = interval.start(now_ms) if sent is None else sent[0]
        start = max(start, interval.shift(interval.start(now_ms), 1 - MOST_KLINES))
        rows = klines(self.venue.market, item, Page(interval, MOST_KLINES, start), now_ms)
        columns = kline_columns(rows, item.price_decimals, item.qty_decimals)
        turnover = fixed_text(quote_volume(rows), 8)
        texts = list(zip(rows["ts"].tolist(), *columns, turnover, strict=True))
        if not texts or texts[-1] == sent:
            return sent, []
        return texts[-1], [_kline(item, interval, text, now_ms) for text in texts]


def _interval(name: str) -> Interval | None:
    return INTERVALS.get(name.removeprefix(_KLINE)) if name.startswith(_KLINE) else None


def _kline(item: Instrument, interval: Interval, texts: Sequence[Any], now_ms: int) -> dict[str, Any]:
    start, first, high, low, last, volume, turnover = texts
    end = interval.shift(start, 1)
    kline = {
        "t": start, "T": end - 1, "s": item.id, "i": interval.name, "f": 1, "L": 1, "o": first, "c": last, "h": high,
        "l": low, "v": volume, "n": 1, "x": end <= now_ms, "q": turnover, "V": "0", "Q": "0", "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": now_ms, "s": item.id, "k": kline}


def _book(item: Instrument, t: Ticker) -> dict[str, Any]:
    """Bid and ask are the last price, as in the replies of the public half."""
    price, least = decimal(t.last, item.price_decimals), step_text(item.market.min_qty)
    return {
        "e": "bookTicker", "u": t.close_ms, "E": t.close_ms, "T": t.close_ms, "s": item.id, "b": price, "B": least,
        "a": price, "A": least,
    }  # fmt: skip


def _ticker(item: Instrument, t: Ticker) -> dict[str, Any]:
    price = item.price_decimals
    mean = t.quote_volume / t.volume if t.volume else t.last
    return {
        "e": "24hrTicker", "E": t.close_ms, "s": item.id, "p": f"{t.last - t.open:.{price}f}",
        "P": f"{(t.last / t.open - 1.0) * 100.0:.3f}", "w": f"{mean:.{price}f}", "c": decimal(t.last, price),
        "Q": step_text(item.market.min_qty), "o": decimal(t.open, price), "h": decimal(t.high, price),
        "l": decimal(t.low, price), "v": decimal(t.volume, item.qty_decimals), "q": f"{t.quote_volume:.2f}",
        "O": t.open_ms, "C": t.close_ms, "F": 1, "L": 1, "n": 1,
    }  # fmt: skip
