"""Balance and equity by the minute, replayed from the fills (`live.md` 23)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.clock import DAY_MS, MINUTE_MS
from exchanges.protocol import HeldPosition, Key
from live.bot import Bot
from live.choice.market_book import MarketBook
from live.fills.record import FillEvent
from live.telling.position_lines import upnl


@dataclass(frozen=True, slots=True)
class EquityHistory:
    """`timeline` has `{timestamp, balance, equity, unrealized_pnl, realized_pnl}` a minute, `metadata` what it rests
    on; balances are in the quote currency."""

    timeline: list[dict[str, float]]
    metadata: dict[str, Any]

    @property
    def balances(self) -> list[float]:
        return [row["balance"] for row in self.timeline]

    @property
    def equities(self) -> list[float]:
        return [row["equity"] for row in self.timeline]


async def equity_history(bot: Bot, lookback_days: float) -> EquityHistory:
    """Replay the fills of the lookback. Raises what the exchange raises where candles or the account are missing."""
    account = bot.reader.state or await bot.reader.read((), ())
    now_ms = bot.clock.now_ms()
    events = bot.parts.fills.events
    closes = await _closes(bot, events, now_ms)
    return replay(events, account.balance, (now_ms, lookback_days), closes, bot.book)


async def _closes(bot: Bot, events: Sequence[FillEvent], now_ms: int) -> dict[str, dict[int, float]]:
    """Closes by minute of every symbol from its first fill on."""
    first: dict[str, int] = {}
    for event in events:
        first.setdefault(event.symbol, event.timestamp)
    found = {}
    for symbol, since_ms in first.items():
        rows = await bot.parts.manager.get_candles(symbol, start_ts=since_ms, end_ts=now_ms)
        found[symbol] = dict(zip(rows["ts"].tolist(), rows["c"].tolist(), strict=True))
    return found


@dataclass
class _Replay:
    book: MarketBook
    balance: float
    realized: float = 0.0
    positions: dict[Key, HeldPosition] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)

    def apply(self, event: FillEvent) -> None:
        earned = event.pnl + fee_of(event)
        self.balance += earned
        self.realized += earned
        sign = -1.0 if event.position_side == "short" else 1.0
        key: Key = (event.symbol, "short" if event.position_side == "short" else "long")
        size = event.psize / self.book.c_mult(event.symbol)
        self.positions[key] = HeldPosition(sign * size, event.pprice)
        if event.psize == 0.0:
            del self.positions[key]

    def row(self, minute: int) -> dict[str, float]:
        open_profit = sum(upnl(key, held, self.prices.get(key[0]), self.book) for key, held in self.positions.items())
        return {
            "timestamp": minute,
            "balance": self.balance,
            "equity": self.balance + open_profit,
            "unrealized_pnl": open_profit,
            "realized_pnl": self.realized,
        }


def replay(
    events: Sequence[FillEvent],
    balance: float,
    span: tuple[int, float],
    closes: dict[str, dict[int, float]],
    book: MarketBook,
) -> EquityHistory:
    """The history that ends with `balance`; `events` ascend in time, `closes` are by symbol and minute.

    `span` is its end in ms and its length in days; it begins with a full minute. A minute without a close
    keeps the last known one; symbols that never had one are listed.
    """
    now_ms, lookback_days = span
    start = (now_ms - int(lookback_days * DAY_MS)) // MINUTE_MS * MINUTE_MS
    state = _Replay(book, balance - sum(event.pnl + fee_of(event) for event in events))
    minute = min(start, events[0].timestamp if events else start) // MINUTE_MS * MINUTE_MS
    timeline, at = [], 0
    while minute <= now_ms:
        while at < len(events) and events[at].timestamp < minute + MINUTE_MS:
            state.apply(events[at])
            at += 1
        for symbol, by_minute in closes.items():
            close = by_minute.get(minute)
            if close is not None and math.isfinite(close):
                state.prices[symbol] = close
        if minute >= start:
            timeline.append(state.row(minute))
        minute += MINUTE_MS
    symbols = sorted({event.symbol for event in events})
    return EquityHistory(
        timeline,
        {
            "lookback_days": lookback_days,
            "resolution_ms": MINUTE_MS,
            "events_used": len(events),
            "symbols_covered": symbols,
            "missing_price_symbols": [symbol for symbol in symbols if symbol not in state.prices],
        },
    )


def fee_of(event: FillEvent) -> float:
    """All fees of a fill with the sign delivered."""
    fees = event.fees if isinstance(event.fees, list) else [event.fees] if event.fees else []
    return sum(float(fee.get("cost") or 0.0) for fee in fees)
