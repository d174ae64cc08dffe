"""What the bot tells, and how often (`live.md` 22, `gui_compatibility.md`)."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, ManualClock
from exchanges.protocol import HeldPosition, TargetOrder
from live.bot import Cycle
from live.choice.assignment import Assignment, SideChoice
from live.orders.executor import Failed, Report
from live.planning.decision import Decision
from live.planning.planner import Plan
from live.planning.translate import Translation
from live.records import Change, IdealOrder, OrderDiff, SymbolCounts, Withheld
from live.telling.order_lines import change_text, order_text, summary_lines
from live.telling.position_lines import (
    Exposure,
    change_word,
    changed_positions,
    distance,
    exposure_text,
    position_line,
    upnl,
    wallet_exposure,
)
from live.telling.report import CycleLog
from live.telling.status import Counters, StatusLog, health_line, memory_line, status_lines
from live.telling.throttle import Throttle
from live_cases import NOW, account_of, book_of, order, symbol
from live_loops import decision
from markets.candle import CANDLE_DTYPE

A, B = symbol("A"), symbol("B")
FLAT = HeldPosition()


def target(side: Any = "buy", price: float = 99.0, kind: str = "entry_grid_normal_long", **changes: Any) -> TargetOrder:
    return TargetOrder(**{"symbol": A, "side": side, "pside": "long", "qty": 1.5, "price": price,
                          "reduce_only": "close" in kind, "order_type": kind, **changes})  # fmt: skip


# --- throttle


def test_throttle() -> None:
    """A new text at once, an old one after a while, neither too often; each subject for itself."""
    clock = ManualClock(0)
    throttle = Throttle(clock)
    assert throttle.allows("s", "a")
    assert not throttle.allows("s", "a")
    assert throttle.allows("t", "a")
    assert throttle.allows("s", "b")
    clock.advance(999)
    assert not throttle.allows("s", "b", again_ms=1000)
    assert not throttle.allows("s", "c", at_least_ms=1000)
    clock.advance(1)
    assert throttle.allows("s", "b", again_ms=1000)
    clock.advance(1000)
    assert throttle.allows("s", "c", at_least_ms=1000)
    assert not throttle.allows("s", "c")
    throttle.forget("s")
    throttle.forget("unknown")
    assert throttle.allows("s", "c")


# --- orders


def test_order_text() -> None:
    """Side, quantity, price, type; the type of an open order is in its id."""
    assert order_text(target()) == "buy long 1.5@99 entry_grid_normal_long"
    cheap = target("sell", 0.00001234, "close_unstuck_long")
    assert order_text(cheap) == "sell long 1.5@1.234e-05 close_unstuck_long"
    market = TargetOrder(A, "buy", "long", 1.0, 99.0, False, "entry_initial_normal_long", kind="market")
    assert order_text(market) == "buy long 1@99 entry_initial_normal_long (market)"
    assert order_text(order("A", custom_id="x-0x0007abc")) == "buy long 1@99 close_grid_long"
    assert order_text(order("A")) == "buy long 1@99 unknown"


def test_change_text() -> None:
    """Why it changes, with the differences that there are."""
    assert change_text(Change(target(), "new")) == "buy long 1.5@99 entry_grid_normal_long [new]"
    whole = Change(target(), "replace", "price+qty", 0.02, 1.5)
    assert change_text(whole).endswith("[replace reason=price+qty Δp=0.02% Δq=1.5%]")


def test_summary_lines() -> None:
    """One line a symbol: four orders, how many more, and the reasons counted."""
    changes = [Change(target(price=99.0 - n), "replace", "price") for n in range(5)]
    changes += [Change(target(symbol=B), "new"), Change(target(price=50.0), "new")]
    lines = summary_lines("post", changes)
    assert list(lines) == [A, B]
    assert lines[B] == f"[order] post {B}: buy long 1.5@99 entry_grid_normal_long [new] reasons=new:1"
    assert lines[A].startswith(f"[order] post {A}: buy long 1.5@99 ")
    assert lines[A].count("; ") == 3
    assert lines[A].endswith(" +2 more reasons=price:5,new:1")
    four = summary_lines("cancel", changes[:4])[A]
    assert four.startswith(f"[order] cancel {A}: ")
    assert "more" not in four


# --- positions


def test_changes_of_positions() -> None:
    """New, added, reduced, closed, or another entry price alone."""
    words = [change_word(HeldPosition(*b), HeldPosition(*n)) for b, n in (
        ((0.0, 0.0), (1.0, 5.0)), ((1.0, 5.0), (2.0, 5.0)), ((-2.0, 5.0), (-1.0, 5.0)), ((-1.0, 5.0), (0.0, 0.0)),
        ((1.0, 5.0), (1.0, 6.0)),
    )]  # fmt: skip
    assert words == ["new", "added", "reduced", "closed", "changed"]
    before = {(A, "long"): HeldPosition(1.0, 5.0), (B, "long"): HeldPosition(1.0, 5.0)}
    now = {(A, "long"): HeldPosition(1.0, 5.0), (B, "short"): HeldPosition(-1.0, 5.0)}
    assert changed_positions(before, now) == [(B, "long"), (B, "short")]  # type: ignore[arg-type]


def test_position_lines() -> None:
    """Exposure against the position's limit, the limit with its allowance, and the side's total."""
    exposure = Exposure(c_mult=1.0, balance=1000.0, limit=0.5, allowance=0.2, total=1.0)
    held = HeldPosition(-0.001, 64000.0)
    line = position_line(FLAT, held, "BTC", "short", exposure)
    assert line == f"[pos] new     BTC short 0 -> -0.001 @ 64000 {exposure_text(held, exposure)}"
    assert line.endswith(" WE=0.0640 (12.8% of WEL, 10.7% of WEL with allowance, 6.4% of TWEL)")
    assert position_line(held, FLAT, "BTC", "short", exposure) == "[pos] closed  BTC short -0.001 -> 0"
    assert position_line(FLAT, held, "BTC", "short", None) == "[pos] new     BTC short 0 -> -0.001 @ 64000"
    assert exposure_text(held, replace(exposure, limit=0.0, total=0.0)) == "WE=0.0640"
    assert exposure_text(held, replace(exposure, allowance=-0.5)).count("12.8%") == 2
    assert wallet_exposure(held, 10.0, 1000.0) == pytest.approx(0.64)
    assert wallet_exposure(held, 10.0, 0.0) == 0.0


def test_upnl_and_distance() -> None:
    """Open profit by side and contract size; nothing where a price is unknown."""
    book = book_of("A", A={"contractSize": 10.0})
    assert upnl((A, "long"), HeldPosition(2.0, 100.0), 101.0, book) == pytest.approx(20.0)
    assert upnl((A, "short"), HeldPosition(-2.0, 100.0), 101.0, book) == pytest.approx(-20.0)
    assert [upnl((A, "long"), HeldPosition(2.0, 100.0), price, book) for price in (None, math.nan)] == [0.0, 0.0]
    assert distance(101.0, HeldPosition(1.0, 100.0)) == pytest.approx(0.01)
    assert all(math.isnan(distance(*pair)) for pair in ((None, HeldPosition(1.0, 5.0)), (5.0, HeldPosition(1.0, 0.0))))


# --- a cycle's lines


class Teller:
    """A log with its clock; `told` takes the lines since the last time."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        self.caplog, self.clock = caplog, ManualClock(NOW)
        self.log = CycleLog(self.clock, "USDT")

    def told(self, tag: str = "") -> list[str]:
        lines = [f"{r.levelname} {r.message}" for r in self.caplog.records if tag in r.message]
        self.caplog.clear()
        return lines


@pytest.fixture
def teller(caplog: pytest.LogCaptureFixture) -> Teller:
    return Teller(caplog)


def test_balance_lines(teller: Teller) -> None:
    """At first, and when it changes; equity holds open profit. Too low a balance is told, and again after an hour."""
    first, prices = account_of("A=2@100"), {A: 101.0}
    teller.log.account(None, first, book_of(), prices)
    assert teller.told("[balance]") == ["INFO [balance] - -> 1000 equity: 1002 USDT source: REST"]
    teller.log.account(first, first, book_of(), prices)
    assert teller.told() == []
    poor = account_of("A=2@100", balance=0.5)
    teller.log.account(first, poor, book_of(), {})
    assert teller.told("[balance]") == [
        "INFO [balance] 1000 -> 0.5 equity: 0.5 USDT source: REST",
        "INFO [balance] 0.5 USDT is too low to trade; 1 is the least",
    ]
    teller.log.account(poor, poor, book_of(), {})
    assert teller.told() == []
    teller.clock.advance(HOUR_MS)
    teller.log.account(poor, poor, book_of(), {})
    assert teller.told() == ["INFO [balance] 0.5 USDT is too low to trade; 1 is the least"]
    teller.log.account(poor, account_of("A=2@100", balance=1.0), book_of(), {})
    assert len(teller.told()) == 1


def test_position_changes_are_told(teller: Teller) -> None:
    """With distance and open profit where a price is known; a position without an entry price breaks nothing."""
    flat, held = account_of(), account_of("A=2@100")
    teller.log.account(flat, held, book_of(), {A: 101.0})
    assert teller.told() == ["INFO [pos] new     A long 0 -> 2 @ 100 dist=+1.00% upnl=+2"]
    teller.log.account(held, flat, book_of(), {A: 101.0})
    assert teller.told() == ["INFO [pos] closed  A long 2 -> 0"]
    teller.log.account(flat, held, book_of(), {})
    assert teller.told() == ["INFO [pos] new     A long 0 -> 2 @ 100"]
    teller.log.account(flat, account_of("A=2@0"), book_of(), {A: 101.0})
    assert teller.told()[0].startswith("INFO [pos] new     A long 0 -> 2 @ 0 dist=+nan%")


def decided(**changes: Any) -> Decision:
    """A decision with other parts."""
    made = decision()
    modes = changes.pop("modes", None)
    if modes is not None:
        changes["facts"] = replace(made.facts, modes=modes)
    return replace(made, **changes)


def params(limit: float) -> dict[str, Any]:
    values = {"wallet_exposure_limit": limit, "risk_we_excess_allowance_pct": 0.0, "total_wallet_exposure_limit": 1.0}
    return {"bot_params": values}


def test_limits_of_positions(teller: Teller) -> None:
    """Positions are told against the limits of the cycle before."""
    request = {"symbols": [{"long": params(0.5), "short": params(0.2)}]}
    plan = Plan({}, {}, request=request)
    teller.log.plan(decided(modes={(A, "long"): "normal"}, plan=plan), dry=False)
    teller.told()
    teller.log.account(account_of(), account_of("A=2@100 A-=1@100"), book_of(), {})
    assert teller.told() == [
        "INFO [pos] new     A long 0 -> 2 @ 100 WE=0.2000 (40.0% of WEL, 40.0% of WEL with allowance, 20.0% of TWEL)",
        "INFO [pos] new     A short 0 -> -1 @ 100 WE=0.1000 (50.0% of WEL, 50.0% of WEL with allowance, 10.0% of TWEL)",
    ]


def test_mode_lines(teller: Teller) -> None:
    """Added, changed, removed, each side for itself; the same kind not again within two minutes."""
    steps: list[dict[Any, Any]] = [
        {(A, "long"): "normal", (A, "short"): "manual"},
        {(A, "long"): "graceful_stop", (A, "short"): "manual"},
        {(A, "long"): "normal", (A, "short"): "manual"},
        {(A, "short"): "manual"},
    ]
    told = []
    for modes in steps:
        teller.log.plan(decided(modes=modes), dry=False)
        told += teller.told("[mode]")
    assert told == [
        f"INFO [mode] added   long.{A}: normal",
        f"INFO [mode] added   short.{A}: manual",
        f"INFO [mode] changed long.{A}: normal -> graceful_stop",
        f"INFO [mode] removed long.{A}: normal",
    ]
    teller.clock.advance(2 * MINUTE_MS)
    teller.log.plan(decided(modes=steps[0]), dry=False)
    assert teller.told("[mode]") == [f"INFO [mode] added   long.{A}: normal"]


def test_what_is_left_alone(teller: Teller) -> None:
    """Frozen and blocked symbols and warnings, with the reason; the same again after an hour."""
    made = decided(
        plan=Plan({A: "no price"}, {}, warnings=("odd plan",)),
        translation=Translation((), (), ("odd close",)),
        blocked={B: "late candles"},
    )
    expected = [
        f"WARNING [mode] {A} is left alone: no price",
        f"INFO [mode] nothing new is opened on {B}: late candles",
        "WARNING [order] odd plan",
        "WARNING [order] odd close",
    ]
    for wait, lines in ((0, expected), (HOUR_MS - 1, []), (1, expected)):
        teller.clock.advance(wait)
        teller.log.plan(made, dry=False)
        assert teller.told() == lines


def test_why_an_order_waits(teller: Teller) -> None:
    """A first entry or an unstucking close that does not rest, and what is picked for unstucking: seldom."""
    initial = IdealOrder(A, "long", 1.0, 95.0, "entry_initial_normal_long")
    unstuck = IdealOrder(B, "short", 2.0, 104.0, "close_unstuck_short")
    grid = IdealOrder(A, "long", 1.0, 90.0, "entry_grid_normal_long")
    withheld = ((initial, "too far"), (unstuck, "farther"), (grid, "no position"))
    made = decided(plan=Plan({}, {}, orders=(unstuck, initial)), translation=Translation((), withheld, ()))
    expected = [
        f"INFO [order] {A} entry_initial_normal_long 1@95 waits: too far",
        f"INFO [order] {B} close_unstuck_short 2@104 waits: farther",
        f"INFO [order] {B} short is picked for unstucking",
    ]
    nearer = replace(made, translation=Translation((), ((initial, "near"),), ()))
    told_near = [f"INFO [order] {A} entry_initial_normal_long 1@95 waits: near"]
    for wait, what, lines in (
        (0, made, expected), (15 * MINUTE_MS - 1, nearer, []), (1, nearer, told_near),
        (45 * MINUTE_MS - 1, made, expected[:1]), (1, made, expected[1:]),
    ):  # fmt: skip
        teller.clock.advance(wait)
        teller.log.plan(what, dry=False)
        assert teller.told() == lines


def changed_orders() -> OrderDiff:
    cancels, creates = (Change(order("A"), "retire"),), (Change(target(), "new"),)
    return OrderDiff(cancels, creates, (SymbolCounts(A, 1, 1, 0),))


def test_plan_summary_and_dry_run(teller: Teller) -> None:
    """The summary when it changes; in a dry run every order that would be sent, once an hour."""
    made = decided(diff=changed_orders())
    teller.log.plan(made, dry=False)
    (line,) = teller.told()
    assert line.startswith("INFO [order] order plan summary: cancel 1->1 | create 1->1 | skipped=0 |")
    teller.log.plan(made, dry=False)
    assert teller.told() == []
    dry = Teller(teller.caplog)
    expected = [
        f"INFO dry run: [order] would cancel {A} buy long 1@99 unknown",
        f"INFO dry run: [order] would post {A} buy long 1.5@99 entry_grid_normal_long",
    ]
    dry.log.plan(made, dry=True)
    summary, *rest = dry.told()
    assert summary.startswith("INFO dry run: [order] order plan summary")
    assert rest == expected
    dry.log.plan(made, dry=True)
    assert dry.told() == []
    dry.clock.advance(HOUR_MS)
    dry.log.plan(made, dry=True)
    assert dry.told() == expected
    dry.log.plan(decided(), dry=False)
    assert dry.told() == []


def test_sent_orders(teller: Teller) -> None:
    """What was sent, by symbol; the same line is not repeated. What was withheld is for debugging."""
    made = decided(diff=changed_orders())
    sent = Report(cancelled=(order("A"),), created=(replace(target(), custom_id="0x1"),))
    expected = [
        f"INFO [order] cancel {A}: buy long 1@99 unknown [retire] reasons=retire:1",
        f"INFO [order] post {A}: buy long 1.5@99 entry_grid_normal_long [new] reasons=new:1",
    ]
    teller.log.report(made, sent)
    assert teller.told() == expected
    teller.log.report(made, sent)
    assert teller.told() == []
    teller.clock.advance(15 * MINUTE_MS)
    teller.log.report(made, sent)
    assert teller.told() == expected
    teller.log.report(made, Report(withheld=(Withheld(target(), "the cap"),)))
    assert teller.told() == [f"DEBUG [order] not posted now: {A} buy long 1.5@99 entry_grid_normal_long: the cap"]


@pytest.mark.parametrize(
    ("failure", "line", "traceback"),
    [
        ("gone", "INFO [order] cancel {A}: already gone: no", False),
        ("margin", "INFO [order] cancel {A}: refused (margin): no", False),
        ("network", "WARNING [order] cancel {A}: no answer (network: no); the next reading decides", False),
        ("refused", "ERROR [order] cancel {A} failed (refused)", True),
    ],
)
def test_failed_writes(failure: Any, line: str, traceback: bool, teller: Teller) -> None:
    """An order that is gone is no error; a lost answer is a warning; what nobody expects has its traceback."""
    teller.log.report(decided(), Report(failed=(Failed(order("A"), failure, ValueError("no")),)))
    (record,) = teller.caplog.records
    assert f"{record.levelname} {record.message}" == line.replace("{A}", f"{A} buy long 1@99 unknown")
    assert bool(record.exc_info) == traceback


def test_failed_post(teller: Teller) -> None:
    """An order that could not be posted says so."""
    teller.log.report(decided(), Report(failed=(Failed(target(), "post_only", ValueError("no")),)))
    assert teller.told() == [f"INFO [order] post {A} buy long 1.5@99 entry_grid_normal_long: refused (post_only): no"]


# --- status, health, memory


def whole_cycle() -> Cycle:
    """Long A in profit, short B without a price; an entry rests, a close was just posted."""
    made = decision(held="A=2@100 B-=1@50", orders=[order("A", price=99.0, qty=0.5)])
    totals = {"long": {"total_wallet_exposure_limit": 1.5}, "short": {"total_wallet_exposure_limit": 0.0}}
    request = {"global": {"global_bot_params": totals}, "symbols": []}
    facts = replace(made.facts, prices={A: 102.0}, limits={(A, "long"): 0.375})
    four, none = SideChoice(frozenset(), (), 4, False), SideChoice(frozenset(), (), 0, False)
    assigned = Assignment({}, {}, {"long": four, "short": none})
    posted = target("sell", 103.0, "close_grid_long", qty=2.0)
    made = replace(made, facts=facts, plan=Plan({}, {}, request=request), assignment=assigned)
    return Cycle(made, Report(created=(posted,)))


def fill(at_ms: int, pnl: float) -> Any:
    return SimpleNamespace(timestamp=at_ms, pnl=pnl)


def test_status() -> None:
    """Balance, equity, the day's profit, each side's slots and exposure, each position, the orders next in line."""
    midnight = NOW // DAY_MS * DAY_MS
    fills = [fill(midnight - 1, 100.0), fill(midnight, 2.0), fill(NOW, -0.5)]
    assert status_lines(whole_cycle(), fills, NOW) == [
        "[status] balance 1000.00 equity 1004.00 pnl today +1.50 | long 1/4 positions, exposure 0.200 of 1.500 | "
        "short 1/0 positions, exposure 0.050 of 0.000 | 1 open orders",
        "[status] A long 2 @ 100 WE 0.200 of 0.375 price +2.00% upnl +4.00",
        "[status] B short -1 @ 50 WE 0.050 of 0.000 price +nan% upnl +0.00",
        "[status] next entry A long 0.5@99 2.94% away, close A long 2@103 0.98% away",
    ]
    assert status_lines(Cycle(decision()), [], NOW) == [
        "[status] balance 1000.00 equity 1000.00 pnl today +0.00 | no side is enabled | 0 open orders"
    ]


def test_health() -> None:
    """Counts since the last line, errors of the hour, memory."""
    counters = Counters(NOW - 2 * HOUR_MS)
    counters.count(Cycle(decision(), Report(cancelled=(order("A"),), created=(target(), target()))))
    counters.count_fills([fill(NOW, 2.0), fill(NOW, -3.5)])
    counters.reconnects, counters.rate_limits, counters.errors_this_hour, counters.cycle_ms = 2, 3, 4, 1234.0
    line = health_line(whole_cycle(), counters, NOW)
    assert line.startswith(
        "[health] uptime=2.0h cycle=1234ms positions=2 balance=1000.00 orders=+2/-1 fills=2 (pnl -1.50) errors=4/10 "
        "ws_reconnects=2 rate_limits=3 rss="
    )
    assert float(line.rpartition("rss=")[2].removesuffix("MiB")) > 10.0
    counters.restart()
    began = NOW - 2 * HOUR_MS
    assert counters == Counters(began, reconnects=2, errors_this_hour=4, cycle_ms=1234.0)


def test_when_status_and_health_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """After the first cycle, then every five and fifteen minutes."""
    caplog.set_level("INFO")
    clock = ManualClock(NOW)
    counters = Counters(NOW, posted=5)
    bot: Any = SimpleNamespace(parts=SimpleNamespace(fills=SimpleNamespace(events=[])))
    log = StatusLog(bot, counters, clock)
    told = []
    for minute in range(31):
        caplog.clear()
        log.tell(Cycle(decision()))
        told += [(minute, record.message.split()[0]) for record in caplog.records]
        clock.advance(MINUTE_MS)
    assert [minute for minute, tag in told if tag == "[status]"] == [0, 5, 10, 15, 20, 25, 30]
    assert [minute for minute, tag in told if tag == "[health]"] == [0, 15, 30]
    assert counters.posted == 0


def test_memory_line() -> None:
    """What there is, and the change since the line before."""
    mib = 2**20 // CANDLE_DTYPE.itemsize + 1
    rows = {"A": mib, "B": 3 * mib, "C": 2 * mib, "D": mib // 2}
    store = SimpleNamespace(rows_in_memory=lambda: rows)
    parts = SimpleNamespace(fills=SimpleNamespace(events=[1, 2]), manager=SimpleNamespace(store=store))
    bot: Any = SimpleNamespace(parts=parts)

    async def told() -> tuple[str, str]:
        return memory_line(bot, None), memory_line(bot, 1.0)

    first, second = asyncio.run(told())
    assert "candles=6.5MiB (B 3.0, C 2.0, A 1.0) fills=2 tasks=1" in first
    assert "change=" not in first
    assert "change=+" in second
