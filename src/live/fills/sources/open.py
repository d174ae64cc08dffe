"""Which source of fills serves an exchange (`live.md` 17.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from core.clock import Clock
from live.fills.source import FillSource
from live.fills.sources.binance import BinanceFills
from live.fills.sources.bitget import BitgetFills
from live.fills.sources.bybit import BybitFills
from live.fills.sources.gateio import GateioFills
from live.fills.sources.generic import GenericFills
from live.fills.sources.hyperliquid import HyperliquidFills
from live.fills.sources.kucoin import KucoinFills
from live.fills.sources.newest_first import NewestFirst, by_cursor, by_number
from live.fills.sources.okx import OkxFills
from markets.symbols import short_exchange


def open_source(
    exchange: str,
    client: Any,
    clock: Clock,
    *,
    quote: str,
    symbols: Callable[[], Iterable[str]],
    c_mult: Callable[[str], float] = lambda symbol: 1.0,
) -> FillSource:
    """The fills that an account's ccxt client can fetch; exchanges without a source of their own get the common one.

    `symbols` are asked for where an exchange answers for one symbol at a time, `c_mult` is a symbol's contract size.
    """
    makers: dict[str, Callable[[], FillSource]] = {
        "binance": lambda: BinanceFills(client, symbols),
        "bitget": lambda: BitgetFills(client, clock, quote),
        "bybit": lambda: BybitFills(client, quote),
        "defx": lambda: GenericFills(NewestFirst(client, by_number), symbols, c_mult),
        "gateio": lambda: GateioFills(client, quote),
        "hyperliquid": lambda: HyperliquidFills(client),
        "kucoin": lambda: KucoinFills(client),
        "okx": lambda: OkxFills(client, clock),
        "paradex": lambda: GenericFills(NewestFirst(client, by_cursor), symbols, c_mult),
    }
    return makers.get(short_exchange(exchange), lambda: GenericFills(client, symbols, c_mult))()
