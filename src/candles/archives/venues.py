"""The public archives: where a day or month of a market is, and how to read it (`candles.md` 12.1-12.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from candles.archives import formats
from markets.candle import Candles

BITGET_MOVED_AFTER = "2024-04-18"

Url = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Archive:
    """`day_url(market_id, "YYYY-MM-DD")`, `month_url(market_id, "YYYY-MM")`, `parse(content, contract_size)`.

    With `checksums` a file may have a neighbour `{url}.CHECKSUM` with its SHA-256.
    """

    day_url: Url
    parse: Callable[[bytes, float], Candles]
    month_url: Url | None = None
    checksums: bool = False


def _binance(period: str) -> Url:
    root = f"https://data.binance.vision/data/futures/um/{period}/klines"
    return lambda market_id, date: f"{root}/{market_id}/1m/{market_id}-1m-{date}.zip"


def _bybit(market_id: str, date: str) -> str:
    return f"https://public.bybit.com/trading/{market_id}/{market_id}{date}.csv.gz"


def _bitget(market_id: str, date: str) -> str:
    root, day = f"https://img.bitgetimg.com/online/kline/{market_id}", date.replace("-", "")
    return f"{root}/UMCBL/{day}.zip" if date > BITGET_MOVED_AFTER else f"{root}/{market_id}_UMCBL_1min_{day}.zip"


def _kucoin(market_id: str, date: str) -> str:
    root = "https://historical-data.kucoin.com/data/futures/daily/klines"
    return f"{root}/{market_id}/1m/{market_id}-1m-{date}.zip"


ARCHIVES = {
    "binance": Archive(
        _binance("daily"),
        lambda content, _: formats.klines(content),
        month_url=_binance("monthly"),
        checksums=True,
    ),
    "bitget": Archive(_bitget, lambda content, _: formats.spreadsheets(content)),
    "bybit": Archive(_bybit, lambda content, _: formats.trades(content)),
    "kucoin": Archive(_kucoin, formats.named_klines),
}
"""By short exchange name; other exchanges have none."""
