"""Whatever is submitted, cancelled and traded: the engine's books agree (`exchange_simulator.md` 6)."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from math import fsum
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_sim.trading.engine import Engine
from exchange_sim.trading.matching import Candle, FillModel, ModelName
from exchange_sim.trading.records import BINANCE, BYBIT, Event, Order, OrderRequest
from exchange_sim.trading.state import dump_account, load_account
from sim_engine_cases import KEY, T0, A, B, venue

Step = tuple[str, Any]

symbols = st.sampled_from([A, B])
ticks = st.integers(9_700, 10_300).map(lambda ticks: round(ticks * 0.01, 2))
requests = st.builds(
    OrderRequest,
    symbol=symbols,
    side=st.sampled_from(["buy", "sell"]),
    pside=st.sampled_from(["long", "short", "both"]),
    type=st.sampled_from(["limit", "limit", "limit", "market"]),
    qty=st.integers(1, 60).map(lambda steps: round(steps * 0.1, 1)),
    price=ticks,
    tif=st.sampled_from(["gtc", "post_only", "ioc", "fok"]),
    reduce_only=st.booleans(),
    client_id=st.sampled_from(["", "", "a", "b", "c"]),
)
candles = st.tuples(symbols, ticks, ticks, ticks, ticks, st.integers(0, 400).map(float))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), requests),
        st.tuples(st.just("submit"), requests),
        st.tuples(st.just("cancel"), st.integers(1, 30)),
        st.tuples(st.just("price"), st.tuples(symbols, ticks)),
        st.tuples(st.just("candle"), candles),
    ),
    min_size=5,
    max_size=60,
)
setups = st.fixed_dictionaries(
    {
        "rules": st.sampled_from([BINANCE, BYBIT]),
        "hedge": st.booleans(),
        "fill_model": st.sampled_from([FillModel(name, probability=0.5) for name in get_args(ModelName)]),
    }
)


def do(engine: Engine, step: Step, now: int) -> None:
    what, how = step
    if what == "submit":
        suits = (
            {"pside": how.pside if how.pside != "both" else "long"} if engine.account(KEY).hedge else {"pside": "both"}
        )
        engine.submit(KEY, OrderRequest(**{**asdict(how), **suits}), now)
    elif what == "cancel":
        engine.cancel(KEY, now, order_id=how)
    elif what == "price":
        engine.on_price(*how, now)
    else:
        symbol, *prices, volume = how
        engine.on_candle(symbol, Candle(now, prices[0], max(prices), min(prices), prices[-1], volume))


def play(setup: dict[str, Any], story: list[Step]) -> tuple[Engine, list[Event]]:
    engine, events = venue(**setup), list[Event]()
    engine.subscribe(events.append)
    for n, step in enumerate(story):
        do(engine, step, T0 + n * 60_000)
    return engine, events


@settings(max_examples=150, deadline=None)
@given(setups, steps)
def test_money_is_conserved(setup: dict[str, Any], story: list[Step]) -> None:
    """Equity is what the trades cost and what they brought is worth now, less the fees: nothing appears or is lost."""
    engine, _ = play(setup, story)
    flows = [-(f.qty if f.side == "buy" else -f.qty) * f.price - f.fee for f in engine.fills(KEY)]
    worth = [p.signed * engine.quotes.last[p.symbol] for p in engine.positions(KEY)]
    assert engine.equity(KEY) == pytest.approx(fsum([1000.0, *flows, *worth]), abs=1e-6)
    realized = fsum([1000.0, *(f.realized for f in engine.fills(KEY)), *(-f.fee for f in engine.fills(KEY))])
    assert engine.balance(KEY) == pytest.approx(realized, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(setups, steps)
def test_positions_have_their_sign_and_follow_from_the_fills(setup: dict[str, Any], story: list[Step]) -> None:
    """Hedge sides are above 0, one-way sizes are what was bought less what was sold; all on the step, with a price."""
    engine, _ = play(setup, story)
    for (symbol, pside), position in engine.account(KEY).positions.items():
        mine = [f for f in engine.fills(KEY) if (f.symbol, f.pside) == (symbol, pside)]
        assert position.signed == pytest.approx(fsum(f.qty if f.side == "buy" else -f.qty for f in mine), abs=1e-9)
        assert position.size > 0.0 or pside == "both"
        assert position.size == round(position.size, 1) != 0.0
        assert 96.0 < position.entry < 104.0


@settings(max_examples=150, deadline=None)
@given(setups, steps)
def test_closes_never_enlarge(setup: dict[str, Any], story: list[Step]) -> None:
    """A fill of a reducing order closes all that it trades; the position only shrinks, and never changes its sign."""
    _, events = play(setup, story)
    size: dict[tuple[str, str], float] = {}
    for told, after in pairwise(events):
        if told.kind != "fill":
            continue
        assert told.fill is not None and told.order is not None and after.position is not None
        key = told.fill.symbol, told.fill.pside
        before, size[key] = size.get(key, 0.0), after.position.signed
        if told.order.reduces:
            assert told.fill.closed_qty == told.fill.qty
            assert abs(size[key]) < abs(before)
            assert size[key] * before >= 0.0


@settings(max_examples=150, deadline=None)
@given(setups, steps)
def test_orders_are_open_or_ended(setup: dict[str, Any], story: list[Step]) -> None:
    """What is open can still fill; what ended is never told of again; fills add up to `filled`, none beyond a limit."""
    engine, events = play(setup, story)
    account = engine.account(KEY)
    assert not set(account.open_orders) & set(account.closed_orders)
    everything: list[Order] = [*account.open_orders.values(), *account.closed_orders.values()]
    assert sorted(order.id for order in everything) == list(range(1, account.last_order_id + 1))
    for order in everything:
        mine = [f for f in account.fills if f.order_id == order.id]
        assert order.filled == pytest.approx(fsum(f.qty for f in mine), abs=1e-9)
        is_open = order.id in account.open_orders
        assert is_open == (order.status in ("new", "partially_filled")) and (order.filled < order.qty or not is_open)
        assert not (is_open and order.reduces) or account.reducible(order.symbol, order.side, order.pside) > 0.0
        statuses = [e.order.status for e in events if e.order and e.order.id == order.id]
        ended = [status for status in statuses if status in ("filled", "cancelled", "expired")]
        assert ended == ([] if is_open else [order.status]) and (is_open or statuses[-1] == order.status)
        limit = order.price if order.type == "limit" else None
        worse = [f for f in mine if limit and (f.price > limit if f.side == "buy" else f.price < limit)]
        assert worse == []


@settings(max_examples=60, deadline=None)
@given(setups, steps, st.integers(0, 60))
def test_equal_histories_give_equal_states(setup: dict[str, Any], story: list[Step], pause: int) -> None:
    """The same steps again give the same books, bit for bit, also when the account is saved and loaded in between."""
    engine, _ = play(setup, story)
    again = venue(**setup)
    for n, step in enumerate(story):
        if n == pause:
            account = again.account(KEY)
            again.accounts[KEY] = load_account(json.loads(json.dumps(dump_account(account))), account.fills)
        do(again, step, T0 + n * 60_000)
    assert dump_account(again.account(KEY)) == dump_account(engine.account(KEY))
    assert again.fills(KEY) == engine.fills(KEY)
