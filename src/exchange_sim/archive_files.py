"""Candles as the public archives of exchanges pack them (`candles.md` 12.2, 12.3). Same candles, same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from core.clock import MINUTE_MS
from exchange_sim.market import Instrument, quote_volume
from exchange_sim.wire import decimal, kline_columns
from markets.candle import Candles

BINANCE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
KUCOIN_HEADER = "Time, Open, Close, High, Low, Volume, Turnover"  # an order and a spelling of its own
BYBIT_HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
BITGET_HEADER = ("timestamp", "open", "high", "low", "close", "baseVolume", "quoteVolume")
_TRADE_OFFSETS = ("0.1000", "20.2500", "40.5000", "59.9999")  # seconds into the minute
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def binance_csv(rows: Candles, item: Instrument, *, header: bool) -> str:
    """Older files have no header row, newer ones do."""
    lines = [BINANCE_HEADER] if header else []
    for ts, prices, volume, turnover in _texts(rows, item):
        lines.append(
            f"{ts},{','.join(prices)},{volume},{ts + MINUTE_MS - 1},{turnover:.5f},{1 + int(turnover) // 1000},"
            f"{float(volume) / 2:.{item.qty_decimals}f},{turnover / 2:.5f},0"
        )
    return _text(lines)


def kucoin_csv(rows: Candles, item: Instrument) -> str:
    """Columns in another order; minutes without a trade are left out, as there."""
    lines = [KUCOIN_HEADER]
    for ts, (o, h, low, c), volume, turnover in _texts(rows[rows["bv"] > 0.0], item):
        lines.append(f"{ts},{o},{c},{h},{low},{volume},{turnover:.5f}")
    return _text(lines)


def bybit_trades_csv(rows: Candles, item: Instrument) -> str:
    """Four trades a minute, in order of time, that make up its candle: open, both extremes, close."""
    lines = [BYBIT_HEADER]
    traded = rows[rows["bv"] > 0.0]
    for (ts, (o, h, low, c), _, _), sizes in zip(_texts(traded, item), trade_sizes(traded, item), strict=True):
        path = (o, low, h, c) if float(c) >= float(o) else (o, h, low, c)
        for i, (offset, price, size) in enumerate(zip(_TRADE_OFFSETS, path, sizes, strict=True)):
            whole, fraction = offset.split(".")
            value = float(price) * float(size)
            side, tick = ("Buy", "PlusTick") if i % 2 else ("Sell", "MinusTick")
            lines.append(
                f"{ts // 1000 + int(whole)}.{fraction},{item.id},{side},{size},{price},{tick},"
                f"{_match_id(item.id, ts, i)},{value * 1e8:.0f},{size},{value:.8f}"
            )
    return _text(lines)


def trade_sizes(rows: Candles, item: Instrument) -> list[tuple[str, str, str, str]]:
    """Each minute's volume in four sizes whose sum in floats, in any order, is that volume to the last bit.

    Where a split into three whole numbers and a rest would round, the last trade has it all and the others are 0.
    """
    volume = rows["bv"]
    whole = np.floor(volume / 4.0)
    rest = np.round(volume - 3.0 * whole, item.qty_decimals)
    exact = (whole + whole + whole + rest == volume) & (rest + whole + whole + whole == volume)
    exact &= (whole + rest) + (whole + whole) == volume
    parts = zip(np.where(exact, whole, 0.0).tolist(), np.where(exact, rest, volume).tolist(), strict=True)
    return [(f"{w:.0f}", f"{w:.0f}", f"{w:.0f}", decimal(r, item.qty_decimals)) for w, r in parts]


def bitget_xlsx(rows: Candles, *, seconds: bool) -> bytes:
    """One sheet with a header row; times in seconds or milliseconds."""
    import openpyxl  # 0.2 s, which a venue that serves no such file need not wait for

    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    sheet = book.create_sheet("Sheet1")
    sheet.append(BITGET_HEADER)
    unit = 1000 if seconds else 1
    for row in zip(*_columns(rows), quote_volume(rows).tolist(), strict=True):
        sheet.append((row[0] // unit, *row[1:]))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(name: str, content: bytes | str) -> bytes:
    """A zip archive with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def gzipped(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=1, mtime=0)


def checksum_line(content: bytes, name: str) -> str:
    """The sidecar of a Binance archive: `<sha256>  <file name>`."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def _columns(rows: Candles) -> list[list[float]]:
    return [rows[name].tolist() for name in ("ts", "o", "h", "l", "c", "bv")]


def _texts(rows: Candles, item: Instrument) -> list[tuple[int, tuple[str, str, str, str], str, float]]:
    """`(ts, (open, high, low, close), volume, turnover)` of each row, as texts but the first and the last."""
    o, h, low, c, volume = kline_columns(rows, item.price_decimals, item.qty_decimals)
    return list(
        zip(rows["ts"].tolist(), zip(o, h, low, c, strict=True), volume, quote_volume(rows).tolist(), strict=True)
    )


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _match_id(symbol: str, ts: int, number: int) -> str:
    digest = hashlib.blake2b(f"{symbol}:{ts}:{number}".encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
