"""The bot on both protocols, from candles to fills (`exchange_simulator.md` 13.2, `additions.md` 14)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bot_cases import DOGE, LIVELY, SOL, Yard, with_bot
from trading_cases import KEY, SECRET, eventually, within
from venue_cases import PROTOCOLS

from core.clock import ScaledClock
from exchange_sim.trading.interventions import fill_now
from exchange_sim.trading.records import Fill, OrderRequest, Reject
from live.bot import Cycle
from live.loop import KeysRefusedError, Loop
from live.orders.order_ids import OrderFacts


@pytest.mark.parametrize(("protocol", "hedge"), [("bybit", True), ("binance", False)])
def test_two_hours(protocol: str, hedge: bool, tmp_path: Path) -> None:
    """120 minutes: orders are posted, filled and closed, nothing fails, the fill history is the venue's ledger."""

    async def case(yard: Yard) -> None:
        both_sides = 0
        for _ in range(120):
            for cycle in await yard.settle():
                assert cycle.report.failed == ()
            wanted = {(o.symbol, o.side, o.pside, o.qty, o.price) for o in cycle.decision.targets}
            resting = {(o.symbol, o.side, o.works_for, o.qty, o.price) for o in yard.orders}
            assert len(wanted) == len(resting)
            assert {order[:3] for order in wanted} == {order[:3] for order in resting}
            held = [(p.symbol, p.pside) for p in yard.engine.positions(KEY)]
            both_sides += len(held) > len({symbol for symbol, _ in held})
            yard.step()
        await yard.settle()
        ledger = yard.engine.fills(KEY)
        closes = [fill for fill in ledger if (fill.pside, fill.side) in (("long", "sell"), ("short", "buy"))]
        assert closes
        assert len(closes) < len(ledger)
        known = yard.bot.parts.fills.events
        assert sum(abs(event.qty) for event in known) == pytest.approx(sum(fill.qty for fill in ledger))
        assert all(event.pb_order_type.startswith(("entry_", "close_")) for event in known)
        assert list(tmp_path.glob(f"fill_events/{protocol}/alice/2025-06-02.json"))
        assert (both_sides > 0) == hedge

    with_bot(protocol, tmp_path, case, hedge_mode=hedge)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_update_wakes_the_loop(protocol: str, tmp_path: Path) -> None:
    """In real time: a fill is told by the stream, and known long before the next cycle was due."""

    async def case(yard: Yard) -> None:
        cycles: list[Cycle] = []
        bot, run_cycle = yard.bot, yard.bot.run_cycle

        async def noted() -> Cycle:
            cycles.append(await run_cycle())
            return cycles[-1]

        bot.run_cycle = noted  # type: ignore[method-assign]
        loop = Loop(bot, yard.clock)
        running = asyncio.create_task(loop.run())
        await eventually(lambda: bool(yard.orders) and bool(cycles) and not cycles[-1].report.acted)
        order = yard.orders[0]
        assert isinstance(fill_now(yard.engine, KEY, order.id, yard.sim.venue.now_ms()), Fill)
        await eventually(lambda: any(event.client_order_id == order.client_id for event in bot.parts.fills.events))
        await eventually(lambda: loop.counters.fills > 0)
        assert loop.counters.errors_this_hour == 0
        assert loop.counters.reconnects == 0
        loop.stop()
        await within(running)

    with_bot(protocol, tmp_path, case, clock=ScaledClock(LIVELY), execution_delay_seconds=0.05)


# --- strangers


def place(yard: Yard, client_id: str, price: float | None = None) -> Any:
    """A buy order far below the market that the bot did not send."""
    at = price or round(yard.engine.quotes.last[SOL] * 0.9, 2)
    request = OrderRequest(SOL, "buy", "long", "limit", 0.5, at, client_id=client_id)
    placed = yard.engine.submit(KEY, request, yard.sim.venue.now_ms())
    assert not isinstance(placed, Reject), placed
    return placed


def entries(yard: Yard) -> list[Any]:
    return [order for order in yard.orders if order.side == ("buy" if order.works_for == "long" else "sell")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_foreign_order_is_cancelled(protocol: str, tmp_path: Path) -> None:
    """The default: what nobody wants on a managed symbol goes; the bot's own orders come all the same."""

    async def case(yard: Yard) -> None:
        await yard.settle()
        foreign = place(yard, "web-1")
        await yard.settle()
        assert foreign.id not in {order.id for order in yard.orders}
        assert entries(yard)

    with_bot(protocol, tmp_path, case)


def test_foreign_order_is_left(tmp_path: Path) -> None:
    """With `leave` it stays, and nothing else changes."""

    async def case(yard: Yard) -> None:
        await yard.settle()
        before = {order.id for order in yard.orders}
        foreign = place(yard, "web-1")
        await yard.settle()
        assert {order.id for order in yard.orders} == before | {foreign.id}

    with_bot("bybit", tmp_path, case, foreign_orders="leave")


def test_foreign_order_stops_opening(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `stop_opening` no position is opened while it is there, and the log says why."""
    caplog.set_level("INFO")

    async def case(yard: Yard) -> None:
        foreign = place(yard, "web-1")
        await yard.settle()
        assert [order.id for order in yard.orders] == [foreign.id]
        yard.engine.cancel(KEY, yard.sim.venue.now_ms(), order_id=foreign.id)
        await yard.settle()
        assert entries(yard)

    with_bot("bybit", tmp_path, case, foreign_orders="stop_opening")
    assert "is not ours" in caplog.text


@pytest.mark.parametrize("policy", ["stop_opening", "ignore"])
def test_second_bot(policy: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An order as ours, newer than our start, that this process did not send: another bot has the account."""
    caplog.set_level("INFO")

    async def case(yard: Yard) -> None:
        yard.step()
        now = yard.sim.venue.now_ms()
        price = round(yard.engine.quotes.last[SOL] * 0.9, 2)
        facts = OrderFacts(SOL, "buy", "long", 0.5, price)
        place(yard, yard.bot.parts.ids.make(facts, "entry_grid_normal_long", now), price)
        await yard.cycle()
        assert bool(entries(yard)) == (policy == "ignore")

    with_bot("bybit", tmp_path, case, second_instance=policy)
    assert ("a second bot" in caplog.text) == (policy == "stop_opening")


def test_own_orders_after_a_restart(tmp_path: Path) -> None:
    """A new process on the same account knows its orders, and leaves them."""

    async def case(yard: Yard) -> None:
        await yard.settle()
        before = {order.id for order in yard.orders}
        assert before
        await yard.passivbot.close()
        await yard.passivbot.start()
        cycles = await yard.settle()
        assert {order.id for order in yard.orders} == before
        world = cycles[-1].decision.world
        assert (world.orders.foreign, world.orders.second_bot) == ((), ())

    with_bot("bybit", tmp_path, case)


# --- what else may go wrong, or be asked for

LEVERAGE = {"bybit": ("/v5/position/set-leverage", 110013), "binance": ("/fapi/v1/leverage", -4028)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_leverage_failure(protocol: str, tmp_path: Path) -> None:
    """Nothing is opened on a symbol that cannot be set up; the other one trades, and the first as soon as it can."""

    async def case(yard: Yard) -> None:
        path, code = LEVERAGE[protocol]
        yard.sim.faults.add("ret", code=code, msg="no", path=path, symbol="DOGEUSDT", count=0)
        await yard.settle()
        assert {order.symbol for order in yard.orders} == {SOL}
        assert yard.engine.account(KEY).leverage == {SOL: 5.0}
        yard.sim.faults.clear()
        yard.step()
        await yard.settle()
        assert DOGE in {order.symbol for order in yard.orders}
        assert yard.engine.account(KEY).leverage == {SOL: 5.0, DOGE: 5.0}

    with_bot(protocol, tmp_path, case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dry_run(protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing but reading is asked of the exchange."""
    caplog.set_level("INFO")

    async def case(yard: Yard) -> None:
        await yard.cycle()
        assert yard.orders == []
        assert {request.method for request in yard.sim.requests} == {"GET"}

    with_bot(protocol, tmp_path, case, options={"dry_run": True})
    assert "dry run: [order] would post SOL/USDT:USDT buy long" in caplog.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrong_keys(protocol: str, tmp_path: Path) -> None:
    """The program ends at once with what to check, and without the keys."""

    async def case(yard: Yard) -> None:
        with pytest.raises(KeysRefusedError) as raised:
            await within(yard.passivbot._run())
        text = str(raised.value)
        assert text.startswith(f"{protocol} refuses the keys of ")
        assert "check key, secret and permissions" in text
        assert SECRET not in text

    with_bot(protocol, tmp_path, case, start=False, sim={"secrets": {KEY: "another"}})


def test_no_write_after_stop(tmp_path: Path) -> None:
    """Once writing has ended a cycle still reads, and sends nothing."""

    async def case(yard: Yard) -> None:
        yard.bot.stop_writing()
        cycle = await yard.cycle()
        assert cycle.decision.diff.to_create
        assert yard.orders == []

    with_bot("bybit", tmp_path, case)


def test_debug_cycle_and_history(tmp_path: Path) -> None:
    """A plan without sending, with the planner's words in it; balance and equity by the minute."""

    async def case(yard: Yard) -> None:
        decision = await yard.passivbot.debug_cycle()
        assert decision.plan.request is not None
        assert decision.plan.response is not None
        assert decision.diff.to_create
        assert yard.orders == []
        await yard.settle()
        fill_now(yard.engine, KEY, yard.orders[0].id, yard.sim.venue.now_ms())
        yard.step(3)
        await yard.settle()
        history = await yard.passivbot.get_balance_equity_history()
        assert history.timeline[-1]["balance"] == pytest.approx(yard.engine.account(KEY).wallet)
        assert history.metadata["events_used"] >= 1

    with_bot("bybit", tmp_path, case, start=False)


def test_hourly_refresh(tmp_path: Path) -> None:
    """After an hour markets are read again; what the exchange lists then is what is traded."""

    async def case(yard: Yard) -> None:
        assert not yard.bot.is_due()
        yard.step(61)
        assert yard.bot.is_due()
        yard.sim.faults.add("delist", symbol="DOGEUSDT", count=0)
        await yard.bot.prepare()
        assert not yard.bot.is_due()
        await yard.settle()
        assert {order.symbol for order in yard.orders} == {SOL}

    with_bot("bybit", tmp_path, case)
