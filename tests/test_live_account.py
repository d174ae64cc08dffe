"""Reading the account, and which readings are not believed at once (`live.md` 5, `additions.md` 14)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from config.live_settings import BalanceSettings
from core.clock import MINUTE_MS, ManualClock
from core.errors import DataError
from exchanges.protocol import HeldPosition, OpenOrder
from live.account.reader import AccountReader, NotReadError, ReadRules
from live.account.state import AccountState, Doubts, doubts_of, sizes_by_fills, vanished_orders, worth_a_look
from live.fills.history import FillHistory
from live.fills.store import FillStore
from live_cases import NOW, FakeVenue, account_of, order, positions_of, symbol
from test_fill_history import FakeSource
from test_fill_records import fill

A_LONG = (symbol("A"), "long")


def bought(ts: int, qty: float = 1.0, **changes: Any) -> Any:
    return fill(**{"id": str(ts), "timestamp": ts, "symbol": symbol("A"), "qty": qty, **changes})


def sold(ts: int, qty: float = 1.0) -> Any:
    return bought(ts, qty, side="sell")


@dataclass
class Bench:
    """A reader over an account and its fills."""

    folder: Path
    venue: FakeVenue = field(default_factory=FakeVenue)
    source: FakeSource = field(default_factory=FakeSource)
    balance: BalanceSettings = field(default_factory=lambda: BalanceSettings(None, 0.02, False))
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    lag_ms: int = 0

    def __post_init__(self) -> None:
        self.fills = FillHistory(FillStore(self.folder), self.source, self.clock)
        self.fills.load()
        rules = ReadRules(self.balance, 1.0, lambda: self.clock.now_ms() + self.lag_ms)
        self.reader = AccountReader(self.venue, self.fills, rules, self.clock)  # type: ignore[arg-type]

    def read(self, active: Collection[str] = (), cancelled: Sequence[OpenOrder] = ()) -> AccountState:
        self.venue.asked.clear()
        self.source.asked.clear()
        return asyncio.run(self.reader.read(active, cancelled))

    def balances(self, *numbers: float) -> list[float]:
        """What is accepted of a series of balances."""
        accepted = []
        for number in numbers:
            self.venue.balance = number
            accepted.append(self.read().balance)
        return accepted


# --- a whole reading


def test_reading(tmp_path: Path) -> None:
    """Positions, balance and orders of one moment, then fills, to the exchange's time; the first is taken as it is."""
    bench = Bench(tmp_path, FakeVenue(1000.0, positions_of("A B-"), [(order("C"),)]), lag_ms=7)
    state = bench.read([symbol("D")])
    assert state == AccountState(NOW, 1000.0, 1000.0, positions_of("A B-"), (order("C"),))
    assert bench.reader.state is state
    assert (state.held_symbols(), state.with_orders()) == ({symbol("A"), symbol("B")}, {symbol("C")})
    assert sorted(bench.venue.asked[:2]) == ["balance", "positions"]
    assert bench.venue.asked[2:] == [("orders", {symbol("A"), symbol("B"), symbol("D")})]
    assert bench.source.asked == [(NOW + 7 - 86_400_000, NOW + 7)]
    assert bench.clock.sleeps == []
    bench.venue.orders = ()
    bench.read()
    assert bench.venue.asked[2] == ("orders", {symbol("A"), symbol("B"), symbol("C")})


def test_balance_is_sticky(tmp_path: Path) -> None:
    """The checked numbers of 5.1, against the balance accepted last; the fetched one is kept beside it."""
    bench = Bench(tmp_path)
    assert bench.balances(1000.0, 1019.99, 1020.0, 1020.01, 1000.0, 999.0) == [
        1000.0, 1000.0, 1000.0, 1020.01, 1020.01, 999.0,
    ]  # fmt: skip
    bench.venue.balance = 1000.0
    assert bench.read().fetched_balance == 1000.0
    plain = Bench(tmp_path, balance=BalanceSettings(None, 0.0, False))
    assert plain.balances(1000.0, 1000.0001) == [1000.0, 1000.0001]


def test_balance_override(tmp_path: Path) -> None:
    """It stands for the exchange's balance, which is not asked for."""
    bench = Bench(tmp_path, FakeVenue(DataError("nobody should ask")), balance=BalanceSettings(55.0, 0.02, False))
    state = bench.read()
    assert (state.balance, state.fetched_balance) == (55.0, 55.0)
    assert bench.venue.asked[0] == "positions"


@pytest.mark.parametrize("number", [math.nan, None, math.inf])
def test_a_balance_that_is_no_number(tmp_path: Path, number: Any) -> None:
    """It fails the cycle, and the old one stays."""
    bench = Bench(tmp_path)
    bench.balances(1000.0)
    bench.venue.balance = [number, 1010.0]
    with pytest.raises(DataError, match="gave the balance"):
        bench.read()
    assert bench.read().balance == 1000.0


def test_failures(tmp_path: Path) -> None:
    """Without positions the exchange's error comes through; without orders or fills the cycle is skipped, no more."""
    bench = Bench(tmp_path)
    bench.venue.positions = [OSError("down"), {}, {}, {}]
    with pytest.raises(OSError, match="down"):
        bench.read()
    bench.venue.orders = [OSError("no orders"), (), ()]
    with pytest.raises(NotReadError, match="open orders could not be read: OSError: no orders"):
        bench.read()
    bench.source.error = OSError("no fills")
    with pytest.raises(NotReadError, match="fills could not be read: OSError: no fills"):
        bench.read()
    assert bench.reader.state is None
    bench.source.error = None
    bench.read()
    assert len(bench.source.asked) == 1


# --- when fills are asked for


def test_fills_are_read_when_something_changed(tmp_path: Path) -> None:
    """At first, when positions or orders are not what they were, on request, and once a minute."""
    bench = Bench(tmp_path)

    def asked() -> int:
        bench.read()
        return len(bench.source.asked)

    assert [asked(), asked()] == [1, 0]
    bench.venue.positions = positions_of("A")
    bench.source.fills = [bought(NOW - 10)]
    assert [asked(), asked()] == [1, 0]
    bench.venue.orders = (order("A"),)
    assert [asked(), asked()] == [1, 0]
    bench.reader.note_change()
    assert [asked(), asked()] == [1, 0]
    bench.clock.advance(MINUTE_MS)
    assert [asked(), asked()] == [1, 0]


# --- vanished orders (5.2)

TWO = (order("A", price=99.0), order("A", price=98.0))


def test_a_vanished_order_is_looked_into(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may have been filled: a moment later positions and balance are read again, and the fills."""
    caplog.set_level(logging.INFO)
    bench = Bench(tmp_path, FakeVenue(orders=TWO))
    bench.read()
    bench.venue.orders = TWO[:1]
    bench.venue.positions = [{}, positions_of("A")]
    bench.venue.balance = [1000.0, 2000.0]
    state = bench.read()
    assert bench.clock.sleeps == [1.5]
    assert (state.positions, state.balance, state.open_orders) == (positions_of("A"), 2000.0, TWO[:1])
    assert len(bench.source.asked) == 1
    assert "[order] missing order, possibly filled: A/USDT:USDT buy long 1@98" in caplog.text


def test_own_cancels_are_no_surprise(tmp_path: Path) -> None:
    """An order that was cancelled here lately, to the last digit, is not looked into."""
    bench = Bench(tmp_path, FakeVenue(orders=TWO))
    bench.read()
    bench.venue.orders = ()
    bench.read(cancelled=TWO)
    assert bench.clock.sleeps == []
    assert len(bench.source.asked) == 1


@pytest.mark.parametrize(("n_gone", "n_new", "looked"), [(20, 20, True), (21, 0, False), (1, 21, False)])
def test_many_orders_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, n_gone: int, n_new: int, looked: bool
) -> None:
    """More than 20 vanished or new ones are a change of everything: counted in the log, and no second look."""
    caplog.set_level(logging.INFO)
    old = tuple(order("A", price=float(i + 1), id=f"old {i}") for i in range(n_gone))
    bench = Bench(tmp_path, FakeVenue(orders=old))
    bench.read()
    bench.venue.orders = tuple(order("B", price=float(i + 1), id=f"new {i}") for i in range(n_new))
    bench.read()
    assert bool(bench.clock.sleeps) is looked
    assert ("[order] 21 orders are missing" in caplog.text) is (n_gone == 21)
    assert caplog.text.count("possibly filled") == (n_gone if n_gone <= 20 else 0)


def test_orders_that_rest_are_not_new(tmp_path: Path) -> None:
    """However many there are, one that vanishes is looked into."""
    many = tuple(order("A", price=float(i + 1)) for i in range(30))
    bench = Bench(tmp_path, FakeVenue(orders=many))
    bench.read()
    bench.venue.orders = many[1:]
    bench.read()
    assert bench.clock.sleeps == [1.5]


def test_which_orders_vanished() -> None:
    """By id; own cancels by symbol, side, position side, price and quantity."""
    assert vanished_orders(TWO, TWO, ()) == []
    assert vanished_orders(TWO, [replace(TWO[0], price=1.0)], ()) == [TWO[1]]
    for change in ({"symbol": "B"}, {"side": "sell"}, {"pside": "short"}, {"price": 97.0}, {"qty": 2.0}):
        changes: Any = change
        assert vanished_orders(TWO[1:], (), [replace(TWO[1], **changes)]) == [TWO[1]]
    assert vanished_orders(TWO[1:], (), [replace(TWO[1], id="x", custom_id="y", ts_ms=1)]) == []
    assert not worth_a_look([], TWO)


# --- doubts (additions 14)


def test_a_vanished_position_is_believed_when_read_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No fill closed it: the cycle is skipped; two equal readings are believed."""
    bench = Bench(tmp_path, FakeVenue(positions=positions_of("A")), FakeSource([bought(NOW - 10)]))
    before = bench.read()
    bench.venue.positions = {}
    with pytest.raises(NotReadError, match="no position A/USDT:USDT long any more, but no fill closed it; it is read"):
        bench.read()
    assert bench.reader.state is before
    assert bench.read().positions == {}
    assert "believed after two equal readings: no position A/USDT:USDT long" in caplog.text
    caplog.clear()
    bench.read()
    assert caplog.text == ""


def test_a_position_that_comes_back_was_never_gone(tmp_path: Path) -> None:
    """The next doubt starts from the beginning; another doubt than the one before is one too."""
    held = positions_of("A B")
    bench = Bench(tmp_path, FakeVenue(positions=held))
    bench.read()
    for positions in ({}, positions_of("A"), {}):
        bench.venue.positions = positions
        with pytest.raises(NotReadError):
            bench.read()
    bench.venue.positions = held
    assert bench.read().positions == held
    bench.venue.positions = {}
    with pytest.raises(NotReadError, match=r"A/USDT:USDT long .*; no position B/USDT:USDT long"):
        bench.read()


def test_a_position_that_a_fill_closed(tmp_path: Path) -> None:
    """It is gone at once, since the fills that are read with it say so."""
    bench = Bench(tmp_path, FakeVenue(positions=positions_of("A")), FakeSource([bought(NOW - 10)]))
    bench.read()
    bench.venue.positions = {}
    bench.source.fills.append(sold(NOW - 5))
    assert bench.read().positions == {}


def test_a_first_reading_is_compared_with_the_fills(tmp_path: Path) -> None:
    """What the fills left open cannot be missing."""
    bench = Bench(tmp_path, source=FakeSource([bought(NOW - 10)]))
    with pytest.raises(NotReadError, match="no position A"):
        bench.read()
    assert bench.read().positions == {}


def test_a_balance_of_nothing(tmp_path: Path) -> None:
    """Where there was one, or there are positions, 0 is believed when read twice, and then stays believed."""
    bench = Bench(tmp_path, FakeVenue(positions=positions_of("A")))
    bench.balances(1000.0)
    with pytest.raises(NotReadError, match="binance shows a balance of 0"):
        bench.balances(0.0)
    assert bench.balances(0.0, 0.0, 0.0) == [0.0, 0.0, 0.0]
    fresh = Bench(tmp_path / "fresh", FakeVenue(positions=positions_of("A")))
    with pytest.raises(NotReadError, match="a balance of 0"):
        fresh.balances(0.0)
    assert fresh.balances(0.0, 0.0) == [0.0, 0.0]
    assert Bench(tmp_path / "empty").balances(0.0, 0.0, 5.0) == [0.0, 0.0, 5.0]


def test_sizes_by_fills() -> None:
    """The newest fill of a position counts; less than dust of it is nothing."""
    events = [
        replace(bought(1), psize=5.0),
        replace(bought(2), psize=2.0),
        replace(bought(3, side="sell", position_side="short"), psize=1e-9),
        replace(bought(4, qty=2.0, symbol=symbol("B")), psize=2.1e-9),
        replace(bought(5, qty=2.0, symbol=symbol("C")), psize=2e-9),
    ]
    b_long, c_long = (symbol("B"), "long"), (symbol("C"), "long")
    assert sizes_by_fills(events) == {A_LONG: 2.0, (symbol("A"), "short"): 0.0, b_long: 2.1e-9, c_long: 0.0}


def test_doubts() -> None:
    """Nothing of an account that never had anything; positions are told apart by side."""
    assert not doubts_of(account_of(balance=0.0), None, {})
    assert not doubts_of(account_of(), account_of("A"), {A_LONG: 0.0})
    assert not doubts_of(account_of("A=2@90"), account_of("A"), {})
    assert not doubts_of(account_of("A"), None, {A_LONG: 1.0, (symbol("B"), "long"): 0.0})
    assert doubts_of(account_of(balance=0.0), account_of(balance=0.5), {}).no_balance
    assert not doubts_of(account_of(balance=0.5), account_of(), {})
    gone = doubts_of(account_of("A-", balance=0.0), account_of("A A-"), {})
    assert gone == Doubts(frozenset({A_LONG}), True)
    assert str(gone) == "a balance of 0; no position A/USDT:USDT long any more, but no fill closed it"
    assert (bool(Doubts()), bool(Doubts(no_balance=True)), str(Doubts())) == (False, True, "")
    assert account_of("A").positions[symbol("A"), "long"] == HeldPosition(1.0, 100.0)
