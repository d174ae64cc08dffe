"""Balance and equity by the minute, replayed from fills (`live.md` 23)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from core.clock import DAY_MS, ManualClock
from core.clock import MINUTE_MS as M
from live.equity_history import EquityHistory, equity_history, fee_of, replay
from live_cases import MINUTE, account_of, book_of, flat_candles, symbol
from test_fill_records import fill

A, B = symbol("A"), symbol("B")
END = MINUTE + 30_000
MINUTES = 4 * M / DAY_MS  # of lookback: the span begins four minutes before MINUTE


def event(ts: int, side: str, qty: float, psize: float, **changes: Any) -> Any:
    """A fill at 100, after which the position has the size `psize` at 100."""
    plain = {"id": str(ts), "timestamp": ts, "symbol": A, "side": side, "qty": qty, "price": 100.0,
             "psize": psize, "pprice": 100.0 if psize else 0.0}  # fmt: skip
    return fill(**(plain | changes))


def history(events: list[Any], closes: Any = None, book: Any = None, balance: float = 1000.0) -> EquityHistory:
    return replay(events, balance, (END, MINUTES), closes or {}, book or book_of("AB"))


CLOSES = {A: {MINUTE - 3 * M: 110.0, MINUTE - M: 90.0, MINUTE: float("nan")}}
EVENTS = [
    event(MINUTE - 3 * M + 59_999, "buy", 2.0, 2.0, fees={"cost": -1.0}),
    event(MINUTE - M, "sell", 1.0, 1.0, pnl=-10.0, fees=[{"cost": -0.5}, {"cost": 0.25}]),
]


def test_replay() -> None:
    """Fills count in their minute; open profit at its close, the last one known where there is none."""
    found = history(EVENTS, CLOSES)
    assert [row["timestamp"] for row in found.timeline] == [MINUTE + i * M for i in range(-4, 1)]
    assert found.balances == [1011.25, 1010.25, 1010.25, 1000.0, 1000.0]
    assert [row["unrealized_pnl"] for row in found.timeline] == [0.0, 20.0, 20.0, -10.0, -10.0]
    assert found.equities == [1011.25, 1030.25, 1030.25, 990.0, 990.0]
    assert [row["realized_pnl"] for row in found.timeline] == [0.0, -1.0, -1.0, -11.25, -11.25]
    assert found.metadata == {
        "lookback_days": MINUTES, "resolution_ms": 60_000, "events_used": 2, "symbols_covered": [A],
        "missing_price_symbols": [],
    }  # fmt: skip


def test_no_fills() -> None:
    """The balance, all the time."""
    found = history([])
    assert (found.balances, found.equities) == ([1000.0] * 5, [1000.0] * 5)
    assert (found.metadata["events_used"], found.metadata["symbols_covered"]) == (0, [])


def test_fills_before_the_lookback() -> None:
    """The walk begins with the first fill, the result with the lookback."""
    old = event(MINUTE - 100 * M, "buy", 3.0, 3.0, symbol=B, pnl=-4.0)
    found = history([old, *EVENTS], CLOSES | {B: {MINUTE - 100 * M: 101.0}})
    assert len(found.timeline) == 5
    assert found.balances[0] == 1011.25
    assert found.timeline[0]["unrealized_pnl"] == 3.0
    assert found.timeline[0]["realized_pnl"] == -4.0


def test_short_positions_and_contracts() -> None:
    """A short gains when the price falls; sizes of the history are in coins, whatever a contract is."""
    events = [event(MINUTE - M, "sell", 20.0, 2.0, position_side="short"), event(MINUTE - M + 1, "buy", 20.0, 2.0)]
    book = book_of("AB", A={"contractSize": 0.1})
    found = history(events[:1], {A: {MINUTE: 95.0}}, book)
    assert [row["unrealized_pnl"] for row in found.timeline[-2:]] == [0.0, pytest.approx(10.0)]
    assert history(events, {A: {MINUTE: 95.0}}, book).equities[-1] == 1000.0


def test_closed_positions_and_missing_prices() -> None:
    """A flat position has no open profit; a symbol that never had a price is named, and counts nothing."""
    events = [
        event(MINUTE - 2 * M, "buy", 2.0, 2.0),
        event(MINUTE - M, "sell", 2.0, 0.0),
        event(MINUTE - M, "buy", 5.0, 5.0, symbol=B),
    ]
    found = history(events, {A: {MINUTE - 2 * M: 105.0}, B: {}})
    assert [row["unrealized_pnl"] for row in found.timeline] == [0.0, 0.0, 10.0, 0.0, 0.0]
    assert (found.metadata["symbols_covered"], found.metadata["missing_price_symbols"]) == ([A, B], [B])


@pytest.mark.parametrize(
    ("fees", "cost"),
    [(None, 0.0), ({"cost": -2.0}, -2.0), ({"cost": None}, 0.0), ({}, 0.0), ([{"cost": 1.0}, {"cost": "2"}], 3.0)],
)
def test_fees(fees: Any, cost: float) -> None:
    """All of them, with the sign delivered."""
    assert fee_of(fill(fees=fees)) == cost


@pytest.mark.parametrize("read_before", [True, False])
def test_of_a_bot(read_before: bool) -> None:
    """Over the account as last read, else as read now, and the candles of each symbol from its first fill on."""
    asked = []

    async def get_candles(name: str, *, start_ts: int, end_ts: int) -> Any:
        asked.append((name, start_ts, end_ts))
        return flat_candles(10, MINUTE - M, 130.0)

    async def read(active: Any, cancelled: Any) -> Any:
        assert (active, cancelled) == ((), ())
        return account_of(balance=500.0)

    reader = SimpleNamespace(state=account_of(balance=500.0) if read_before else None, read=read)
    parts = SimpleNamespace(fills=SimpleNamespace(events=EVENTS), manager=SimpleNamespace(get_candles=get_candles))
    bot: Any = SimpleNamespace(reader=reader, clock=ManualClock(END), parts=parts, book=book_of("AB"))
    found = asyncio.run(equity_history(bot, MINUTES))
    assert asked == [(A, EVENTS[0].timestamp, END)]
    assert (found.balances[-1], found.equities[-1]) == (500.0, 530.0)
