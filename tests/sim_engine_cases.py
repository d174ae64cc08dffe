"""A small venue for tests of the matching engine: two contracts, short words for orders and candles."""

from __future__ import annotations

from typing import Any

from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.matching import Candle
from exchange_sim.trading.records import BINANCE, Event, Order, OrderRequest, Reject, Rules
from markets.market import Market

A, B = "A/USDT:USDT", "B/USDT:USDT"
KEY, T0 = "key", 1_750_000_000_000


def market(symbol: str, **changes: Any) -> Market:
    numbers = {
        "qty_step": 0.1, "price_step": 0.01, "min_qty": 0.2, "min_cost": 5.0, "c_mult": 1.0,
        "maker_fee": 0.0002, "taker_fee": 0.0005,
    }  # fmt: skip
    return Market(symbol, symbol[0], "venue", "USDT", symbol[0], **{**numbers, **changes})


def venue(rules: Rules = BINANCE, *, hedge: bool = True, last: float = 100.0, **options: Any) -> Engine:
    """An engine whose contracts stand at `last`, with the account `KEY`."""
    engine = Engine({symbol: market(symbol) for symbol in (A, B)}, rules, Options(**options))
    engine.quotes.last.update({A: last, B: last})
    engine.account(KEY).hedge = hedge
    return engine


def order(words: str, symbol: str = A, **changes: Any) -> OrderRequest:
    """`buy long 1 @ 99`; without `@` a market order."""
    side, pside, qty, *price = words.replace("@", "").split()
    kind = {"type": "limit", "price": float(price[0])} if price else {"type": "market"}
    return OrderRequest(**{"symbol": symbol, "side": side, "pside": pside, "qty": float(qty), **kind, **changes})


def place(engine: Engine, words: str, symbol: str = A, now: int = T0, **changes: Any) -> Order:
    """Submit what must be taken."""
    taken = engine.submit(KEY, order(words, symbol, **changes), now)
    assert isinstance(taken, Order), taken
    return taken


def refuse(engine: Engine, words: str, symbol: str = A, **changes: Any) -> str:
    """Submit what must be refused; the reason."""
    refused = engine.submit(KEY, order(words, symbol, **changes), T0)
    assert isinstance(refused, Reject), refused
    return refused.reason


def candle(low: float, high: float, close: float | None = None, ts: int = T0, volume: float = 1000.0) -> Candle:
    return Candle(ts, low, high, low, high if close is None else close, volume)


def listen(engine: Engine) -> list[Event]:
    events: list[Event] = []
    engine.subscribe(events.append)
    return events


def sizes(engine: Engine, key: str = KEY) -> dict[tuple[str, str], tuple[float, float]]:
    """Size and entry price of each position."""
    return {(p.symbol[0], p.pside): (p.size, p.entry) for p in engine.positions(key)}
