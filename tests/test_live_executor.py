"""Sending a cycle's changes: caps, answers that are lost, refusals, who may write (`live.md` 14, `reliability.md`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ccxt
import pytest

from config.live_settings import OrderSettings
from core.clock import HOUR_MS, MINUTE_MS, ManualClock
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder
from live.orders.executor import Context, Executor, Report
from live.orders.order_ids import OrderIds
from live.orders.refusals import FIRST_WAIT_MS, LONGEST_WAIT_MS, Refusals
from live.orders.symbol_setup import SymbolSetup
from live.records import Change, OrderDiff
from live_cases import book_of

NOW = 1_700_000_040_000  # 20 s into its minute
A, B = "A/USDT:USDT", "B/USDT:USDT"
SETTINGS = OrderSettings(0.002, 0.0002, False, False, 5, 3, "cancel", "stop_opening")
LOST = ccxt.RequestTimeout("no answer")


def wants(
    price: float, symbol: str = A, side: Any = "buy", qty: float = 1.0, kind: str = "entry_grid_normal_long"
) -> TargetOrder:
    return TargetOrder(symbol, side, "long", qty, price, side == "sell", kind)


def rests(price: float, symbol: str = A, side: Any = "buy", qty: float = 1.0, custom_id: str = "") -> OpenOrder:
    return OpenOrder(f"{symbol[0]}{side}{price:g}", symbol, side, "long", qty, price, custom_id)


@dataclass
class FakeVenue:
    """Takes orders; `answers` by price: an exception is raised, None is a reply that confirms nothing."""

    clock: ManualClock
    capabilities: Capabilities = field(default_factory=lambda: Capabilities("bybit"))
    answers: dict[float, Any] = field(default_factory=dict)
    sent: list[tuple[str, float]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    takes_ms: int = 0

    async def create_order(self, order: TargetOrder) -> str | None:
        self.ids.append(order.custom_id)
        return await self._answer("create", order.price, f"id-{order.price:g}")

    async def cancel_order(self, order: OpenOrder) -> bool:
        return await self._answer("cancel", order.price, True)

    async def _answer(self, what: str, price: float, usual: Any) -> Any:
        self.sent.append((what, price))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.clock.advance(self.takes_ms)
        answer = self.answers.get(price, usual)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def take(self) -> list[tuple[str, float]]:
        taken, self.sent = self.sent, []
        return taken


class Desk:
    """An executor with its exchange and clock."""

    def __init__(self, **capabilities: Any) -> None:
        self.clock = ManualClock(NOW)
        self.venue = FakeVenue(self.clock, Capabilities(**{"exchange": "bybit", **capabilities}))
        self.allowed = True
        ids = OrderIds("bybit", "alice", book_of("ABC").markets)
        self.executor = Executor(self.venue, ids, SETTINGS, self.clock, may_write=lambda: self.allowed)  # type: ignore[arg-type]

    def run(
        self,
        creates: list[TargetOrder],
        cancels: Sequence[OpenOrder] = (),
        open_orders: Sequence[OpenOrder] = (),
        balance: float = 1000.0,
    ) -> Report:
        diff = OrderDiff(tuple(Change(o, "retire") for o in cancels), tuple(Change(o, "new") for o in creates))
        return asyncio.run(self.executor.execute(diff, Context(balance, open_orders)))

    def later(self, seconds: float) -> None:
        self.clock.advance(int(seconds * 1000))


def test_cancels_first() -> None:
    """All cancels are answered before anything is posted; each kind goes out together."""
    desk = Desk()
    report = desk.run([wants(90.0), wants(80.0)], [rests(99.0, B), rests(98.0, B)])
    assert desk.venue.take() == [("cancel", 99.0), ("cancel", 98.0), ("create", 90.0), ("create", 80.0)]
    assert desk.venue.most_at_once == 2
    assert ([o.price for o in report.cancelled], [o.price for o in report.created]) == ([99.0, 98.0], [90.0, 80.0])
    assert (report.n_wanted, report.acted, report.failed, report.withheld) == (4, True, (), ())
    assert [order.price for order in desk.executor.recent_cancels] == [99.0, 98.0]
    desk.later(15)
    assert desk.executor.recent_cancels == []
    assert not desk.run([]).acted


def test_caps() -> None:
    """The config's caps hold for the account; an exchange that allows fewer wins, one that allows more does not."""
    many = [wants(90.0 - n) for n in range(5)]
    cancels = [rests(50.0 + n, B) for n in range(7)]
    report = Desk().run(many, cancels)
    assert (len(report.cancelled), len(report.created), report.n_wanted) == (5, 3, 12)
    assert [w.reason for w in report.withheld] == ["the cap of 3 creations in a cycle"] * 2
    fewer = Desk(max_cancels=2, max_creates=1).run(many, cancels)
    assert (len(fewer.cancelled), len(fewer.created)) == (2, 1)
    more = Desk(max_cancels=20, max_creates=10).run(many, cancels)
    assert (len(more.cancelled), len(more.created)) == (5, 3)


def test_one_by_one() -> None:
    """Where the exchange wants it, no two requests are under way."""
    desk = Desk(one_by_one=True)
    desk.run([wants(90.0), wants(80.0)], [rests(99.0, B), rests(98.0, B)])
    assert desk.venue.most_at_once == 1
    assert desk.venue.take() == [("cancel", 99.0), ("cancel", 98.0), ("create", 90.0), ("create", 80.0)]


def test_may_write() -> None:
    """After the permission is taken back nothing is sent, and nothing is believed to have been."""
    desk = Desk()
    desk.allowed = False
    report = desk.run([wants(90.0)], [rests(99.0, B)])
    assert desk.venue.take() == []
    assert (report.cancelled, report.created, report.failed) == ((), (), ())
    assert desk.executor.sent_ids == {}


def test_permission_taken_back_in_between() -> None:
    """It is asked before every single request."""
    desk = Desk(one_by_one=True)
    asked = iter([True, True, False, False])
    desk.executor.may_write = lambda: next(asked)
    desk.run([wants(90.0), wants(80.0)], [rests(99.0, B)])
    assert desk.venue.take() == [("cancel", 99.0), ("create", 90.0)]


def test_unconfirmed_cancel() -> None:
    """A cancel that was not confirmed, or failed, keeps its symbol from new orders; others go on."""
    for answer, failures in ((False, []), (LOST, ["network"]), (ccxt.OrderNotFound("gone"), ["gone"])):
        desk = Desk()
        desk.venue.answers[99.0] = answer
        report = desk.run([wants(90.0), wants(80.0, B)], [rests(99.0)])
        assert [o.price for o in report.created] == [80.0]
        assert report.cancelled == ()
        assert [w.reason for w in report.withheld] == ["the open orders of the symbol have to be read again"]
        assert [f.failure for f in report.failed] == failures


def test_lost_answer() -> None:
    """After a time-out nothing like it is sent for 15 s from then on; and then once more."""
    desk = Desk()
    desk.venue.answers[90.0] = LOST
    desk.venue.takes_ms = 20_000
    report = desk.run([wants(90.0)])
    assert [(f.order.price, f.failure) for f in report.failed] == [(90.0, "network")]
    desk.venue.takes_ms = 0
    del desk.venue.answers[90.0]
    desk.venue.take()
    desk.later(14.9)
    for similar in (wants(90.0), wants(90.1), wants(90.0, qty=1.005)):
        report = desk.run([similar])
        assert "a similar order was posted just now" in report.withheld[0].reason
    assert desk.venue.take() == []
    desk.later(0.2)
    assert [o.price for o in desk.run([wants(90.0)]).created] == [90.0]


def test_ids() -> None:
    """The same intent has the same id within its minute, so that the exchange recognises one it took; another after."""
    desk = Desk()
    desk.venue.answers[90.0] = LOST
    for _ in range(2):
        desk.run([wants(90.0)])
        desk.executor.forget_recent()
        desk.executor.refusals = Refusals()
    assert desk.venue.ids[0] == desk.venue.ids[1]
    del desk.venue.answers[90.0]
    desk.run([wants(90.0)])
    desk.executor.forget_recent()
    assert desk.venue.ids[2] == desk.venue.ids[0]
    desk.run([wants(90.0)])
    assert desk.venue.ids[3] != desk.venue.ids[0], "it was confirmed: the next one is another order"
    desk.later(60)
    desk.executor.forget_recent()
    desk.run([wants(90.0)])
    assert len(set(desk.venue.ids)) == 3


def test_resting_ids() -> None:
    """An order that rests keeps its id for itself."""
    first, second = Desk(), Desk()
    first.run([wants(90.0)])
    second.run([wants(90.0)], open_orders=[rests(90.0, custom_id=first.venue.ids[0])])
    assert second.venue.ids[0] != first.venue.ids[0]


def test_known_ids_are_forgotten() -> None:
    """Ids are kept for an hour, and as long as their order rests; confirmed ones are among them."""
    desk = Desk()
    desk.run([wants(90.0), wants(80.0)])
    kept, dropped = desk.venue.ids
    desk.clock.advance(HOUR_MS - 1)
    desk.run([])
    assert set(desk.executor.sent_ids) == {kept, dropped}
    desk.clock.advance(1)
    desk.run([], open_orders=[rests(90.0, custom_id=kept)])
    assert set(desk.executor.sent_ids) == desk.executor.confirmed_ids == {kept}


def test_reply_without_id() -> None:
    """A reply that confirms nothing is no success, and no failure either: the next reading decides."""
    desk = Desk()
    desk.venue.answers[90.0] = None
    report = desk.run([wants(90.0)])
    assert (report.created, report.failed, desk.executor.confirmed_ids) == ((), (), set())
    assert "posted just now" in desk.run([wants(90.0)]).withheld[0].reason


def test_part_of_a_batch() -> None:
    """Of several orders those that failed are looked at again; the others are not repeated."""
    desk = Desk()
    desk.venue.answers = {90.0: ccxt.ExchangeError("price out of range"), 80.0: LOST}
    report = desk.run([wants(90.0), wants(80.0), wants(70.0)])
    assert [o.price for o in report.created] == [70.0]
    assert [(f.order.price, f.failure) for f in report.failed] == [(90.0, "refused"), (80.0, "network")]
    desk.venue.take()
    desk.later(15.1)
    report = desk.run([wants(90.0), wants(80.0)])
    assert desk.venue.take() == [("create", 80.0)]
    assert [w.reason for w in report.withheld] == ["refused 1 times (refused); 15 s remain"]


def test_rate_limit() -> None:
    """A cancel that comes too often ends the cycle: nothing is posted after it."""
    desk = Desk()
    desk.venue.answers[99.0] = ccxt.RateLimitExceeded("slow down")
    report = desk.run([wants(80.0, B)], [rests(99.0)])
    assert desk.venue.take() == [("cancel", 99.0)]
    assert [f.failure for f in report.failed] == ["rate_limit"]


def test_poor_account() -> None:
    """Below a balance of 1 only cancels are sent."""
    desk = Desk()
    report = desk.run([wants(90.0, B)], [rests(99.0)], balance=0.99)
    assert desk.venue.take() == [("cancel", 99.0)]
    assert "too low to trade" in report.withheld[0].reason


# --- refusals


def waits(refusals: Refusals, order: TargetOrder, now_ms: int) -> bool:
    return refusals.objection(order, now_ms) is not None


def test_growing_waits() -> None:
    """30 s, a minute, two ... 15 minutes; the order as it is waits, another price does not."""
    refusals, now = Refusals(), NOW
    for wait_s in (30, 60, 120, 240, 480, 900, 900):
        refusals.note(wants(90.0), "minimum", now)
        assert waits(refusals, wants(90.0), now + wait_s * 1000 - 1)
        assert not waits(refusals, wants(90.0), now + wait_s * 1000)
        assert not any(waits(refusals, other, now) for other in (wants(90.1), wants(90.0, B), wants(90.0, qty=2.0)))
        now += wait_s * 1000
    assert (FIRST_WAIT_MS, LONGEST_WAIT_MS) == (30_000, 900_000)


def test_margin() -> None:
    """Too little margin keeps the symbol from opening, at any price; its closes and other symbols go on."""
    refusals = Refusals()
    refusals.note(wants(90.0), "margin", NOW)
    assert refusals.objection(wants(85.0), NOW + 10_000) == "refused 1 times (margin); 20 s remain"
    assert not waits(refusals, wants(95.0, side="sell"), NOW)
    assert not waits(refusals, wants(90.0, B), NOW)
    refusals.clear(wants(70.0))
    assert not waits(refusals, wants(85.0), NOW)


def test_cleared() -> None:
    """Once it was taken an order starts again with the short wait."""
    refusals = Refusals()
    for _ in range(3):
        refusals.note(wants(90.0), "refused", NOW)
    refusals.clear(wants(90.0))
    refusals.note(wants(90.0), "refused", NOW)
    assert not waits(refusals, wants(90.0), NOW + FIRST_WAIT_MS)


def test_duplicate_id() -> None:
    """An id that was used before is another one in the next minute: until then the order waits."""
    desk = Desk()
    desk.venue.answers[90.0] = ccxt.DuplicateOrderId("used")
    desk.run([wants(90.0)])
    del desk.venue.answers[90.0]
    desk.clock.ms = (NOW // MINUTE_MS + 1) * MINUTE_MS - 1
    assert "duplicate_id" in desk.run([wants(90.0)]).withheld[0].reason
    desk.clock.advance(1)
    assert len(desk.run([wants(90.0)]).created) == 1
    assert desk.venue.ids[0] != desk.venue.ids[1]


@pytest.mark.parametrize("failure", ["post_only", "reduce_only", "gone", "network", "unavailable", "rate_limit"])
def test_no_refusal(failure: Any) -> None:
    """What the next cycle answers by itself does not wait here."""
    refusals = Refusals()
    refusals.note(wants(90.0), failure, NOW)
    assert not waits(refusals, wants(90.0), NOW)


def test_old_refusals() -> None:
    """After as long a silence as the longest wait a refusal is forgotten."""
    refusals = Refusals()
    for _ in range(3):
        refusals.note(wants(90.0), "refused", NOW)
    quiet = NOW + 4 * FIRST_WAIT_MS + LONGEST_WAIT_MS
    refusals.forget_old(quiet - 1)
    assert waits(replaced(refusals), wants(90.0), quiet + 8 * FIRST_WAIT_MS - 1)
    refusals.forget_old(quiet)
    refusals.note(wants(90.0), "refused", quiet)
    assert not waits(refusals, wants(90.0), quiet + FIRST_WAIT_MS)


def replaced(refusals: Refusals) -> Refusals:
    """A copy that has met the fourth refusal."""
    copy = Refusals()
    copy._known = dict(refusals._known)
    copy.note(wants(90.0), "refused", NOW + 4 * FIRST_WAIT_MS + LONGEST_WAIT_MS)
    return copy


def test_refusals_are_cleaned_up() -> None:
    """A cycle drops old ones."""
    desk = Desk()
    desk.venue.answers[90.0] = ccxt.ExchangeError("no")
    desk.run([wants(90.0)])
    desk.later(930)
    desk.run([])
    assert desk.executor.refusals._known == {}


def test_taken_order_clears() -> None:
    """The executor tells when the exchange has taken an order."""
    desk = Desk()
    desk.venue.answers[90.0] = ccxt.InsufficientFunds("no")
    desk.run([wants(90.0)])
    desk.later(31)
    desk.run([wants(80.0)])
    desk.later(16)
    desk.venue.answers[80.5] = ccxt.InsufficientFunds("no")
    desk.run([wants(80.5)])
    desk.later(31)
    assert len(desk.run([wants(70.0)]).created) == 1, "the second refusal is a first one again"


# --- leverage and margin mode


class FakeSetup:
    """An exchange whose set-up of some symbols fails."""

    capabilities = Capabilities("bybit")

    def __init__(self) -> None:
        self.failing: dict[str, Exception] = {}
        self.calls: list[tuple[str, float]] = []

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        self.calls.append((symbol, leverage))
        if symbol in self.failing:
            raise self.failing[symbol]


def test_setup_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each symbol once, with its own leverage."""
    caplog.set_level("INFO")
    venue, leverages = FakeSetup(), {A: 10.0, B: 3.0}
    setup = SymbolSetup(venue, leverages.__getitem__, ManualClock(NOW))  # type: ignore[arg-type]
    for _ in range(2):
        asyncio.run(setup.ensure([B, A]))
    assert venue.calls == [(A, 10.0), (B, 3.0)]
    assert setup.unready == frozenset()
    assert "[config] B/USDT:USDT: cross margin, leverage 3" in caplog.text


def test_setup_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A symbol that cannot be set up is not ready, and tried again after 30 s, a minute, ... 15 minutes; others are."""
    clock, venue = ManualClock(NOW), FakeSetup()
    venue.failing[A] = ccxt.ExchangeError("leverage too high")
    setup = SymbolSetup(venue, lambda symbol: 10.0, clock)  # type: ignore[arg-type]
    for wait_s in (30, 60, 120, 240, 480, 900, 900):
        asyncio.run(setup.ensure([A, B]))
        assert setup.unready == {A}
        tried = len(venue.calls)
        clock.advance(wait_s * 1000 - 1)
        asyncio.run(setup.ensure([A, B]))
        assert len(venue.calls) == tried
        clock.advance(1)
    assert venue.calls.count((B, 10.0)) == 1
    assert "could not be set (refused: leverage too high); nothing is opened on it, next try in 30 s" in caplog.text
    venue.failing.clear()
    asyncio.run(setup.ensure([A]))
    assert setup.unready == frozenset()
