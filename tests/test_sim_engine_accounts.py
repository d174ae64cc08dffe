"""Accounts of the simulator: booking, modes, upkeep, interventions, state (`exchange_simulator.md` 6.4-6.6, 10, 12)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from core.clock import HOUR_MS
from core.errors import DataError
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.interventions import fill_now, jump_balance, put_position
from exchange_sim.trading.records import BINANCE, BYBIT, Fill, Position, Reject, Rules
from exchange_sim.trading.state import dump_account, load_account, load_record
from exchange_sim.trading.upkeep import Funding
from sim_engine_cases import KEY, T0, A, B, candle, listen, market, order, place, refuse, sizes, venue


def rest_and_fill(engine: Engine, words: str, symbol: str = A, **changes: Any) -> Fill:
    """Place a limit order at the last price and let it be passed a little."""
    engine.on_price(symbol, float(words.split()[-1]), T0)
    resting = place(engine, words, symbol, **changes)
    engine.on_price(symbol, resting.price - 0.01 if resting.side == "buy" else resting.price + 0.01, T0)
    return engine.account(KEY).fills[-1]


# (words, wallet afterwards, size, entry, realized, closed, entry before), from a wallet of 1000 and a price of 100
LONG = [
    ("buy long 1 @ 99", 1000 - 0.0198, 1.0, 99.0, 0.0, 0.0, 0.0),
    ("buy long 1 @ 97", 1000 - 0.0392, 2.0, 98.0, 0.0, 0.0, 99.0),
    ("sell long 0.5 @ 100", 1000 - 0.0492 + 1.0, 1.5, 98.0, 1.0, 0.5, 98.0),
    ("sell long 1.5 @ 101", 1000 - 0.0795 + 5.5, 0.0, 0.0, 4.5, 1.5, 98.0),
]
SHORT = [
    ("sell short 1 @ 101", 1000 - 0.0202, 1.0, 101.0, 0.0, 0.0, 0.0),
    ("sell short 1 @ 103", 1000 - 0.0408, 2.0, 102.0, 0.0, 0.0, 101.0),
    ("buy short 0.5 @ 104", 1000 - 0.0512 - 1.0, 1.5, 102.0, -1.0, 0.5, 102.0),
    ("buy short 1.5 @ 100", 1000 - 0.0812 + 2.0, 0.0, 0.0, 3.0, 1.5, 102.0),
]
ONE_WAY = [
    ("buy both 1 @ 99", 1000 - 0.0198, 1.0, 99.0, 0.0, 0.0, 0.0),
    ("sell both 3 @ 100", 1000 - 0.0798 + 1.0, -2.0, 100.0, 1.0, 1.0, 99.0),  # turned around by one fill
    ("sell both 2 @ 102", 1000 - 0.1206 + 1.0, -4.0, 101.0, 0.0, 0.0, 100.0),
    ("buy both 1 @ 98", 1000 - 0.1402 + 4.0, -3.0, 101.0, 3.0, 1.0, 101.0),
    ("buy both 3 @ 100", 1000 - 0.2002 + 7.0, 0.0, 0.0, 3.0, 3.0, 101.0),
]


@pytest.mark.parametrize("steps", [LONG, SHORT, ONE_WAY], ids=["long", "short", "one_way"])
def test_booking(steps: list[tuple[Any, ...]]) -> None:
    """Fees and profits go to the wallet, entries are weighted by size, closes keep the entry, one-way orders turn."""
    engine = venue(hedge=steps is not ONE_WAY)
    for words, wallet, size, entry, realized, closed, before in steps:
        fill = rest_and_fill(engine, words)
        held = engine.account(KEY).position(A, fill.pside)
        assert engine.balance(KEY) == pytest.approx(wallet, abs=1e-12)
        assert (held.size, held.entry, fill.realized, fill.closed_qty, fill.entry_before) == (
            pytest.approx(size), pytest.approx(entry), pytest.approx(realized), closed, before,
        )  # fmt: skip
        assert fill.fee == pytest.approx(fill.qty * fill.price * 0.0002)


def test_contract_size_counts() -> None:
    """Cost, fee, profit and margin are in units of the contract."""
    engine = Engine({A: market(A, c_mult=0.01)}, BINANCE)
    engine.on_price(A, 100.0, T0)
    fills = [rest_and_fill(engine, "buy both 100 @ 100"), rest_and_fill(engine, "sell both 100 @ 110")]
    assert [(f.fee, f.realized) for f in fills] == [
        (pytest.approx(0.02), 0.0),
        (pytest.approx(0.022), pytest.approx(10.0)),
    ]
    assert refuse(engine, "buy both 4 @ 100") == "min_notional"


def test_sizes_stay_on_the_step() -> None:
    """0.1 + 0.2 is 0.3, and closing in parts leaves nothing behind."""
    engine = venue(last=100.0)
    for _ in range(3):
        rest_and_fill(engine, "buy long 0.3 @ 99")
    assert sizes(engine) == {("A", "long"): (0.9, pytest.approx(99.0))}
    for qty in (0.2, 0.6, 0.1):
        rest_and_fill(engine, f"sell long {qty} @ 101")
    assert sizes(engine) == {}


def test_equity_follows_the_last_price() -> None:
    """Wallet plus unrealised profit of both sides, also without a price for what a human put there."""
    engine = venue()
    put_position(engine, KEY, Position(A, "long", 2.0, 90.0), T0)
    put_position(engine, KEY, Position(A, "short", 1.0, 95.0), T0)
    assert engine.equity(KEY) == 1000.0 + 20.0 - 5.0
    engine.on_price(A, 96.0, T0)
    assert (engine.equity(KEY), engine.balance(KEY)) == (1000.0 + 12.0 - 1.0, 1000.0)
    engine.quotes.last.clear()
    assert engine.equity(KEY) == 1000.0


def test_one_way_closes_expire_when_the_position_turns() -> None:
    """Reduce-only orders of the old direction are gone, those of the new one may come."""
    engine = venue(hedge=False)
    place(engine, "buy both 1")
    close = place(engine, "sell both 1 @ 105", reduce_only=True)
    place(engine, "sell both 3")
    assert engine.account(KEY).closed_orders[close.id].status == "expired"
    assert refuse(engine, "sell both 1 @ 105", reduce_only=True) == "reduce_only"
    place(engine, "buy both 2 @ 95", reduce_only=True)


@pytest.mark.parametrize(("rules", "leverage"), [(BINANCE, 20.0), (BYBIT, 10.0)])
def test_a_new_account(rules: Rules, leverage: float) -> None:
    """One-way mode, cross margin, the venue's leverage."""
    account = Engine({A: market(A)}, rules).account(KEY)
    assert (account.hedge, account.margin_mode, account.leverage_of(A), account.wallet) == (
        False,
        "cross",
        leverage,
        1000.0,
    )


Change = Callable[[Account], Reject | None]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda account: account.set_hedge(True), lambda account: account.set_hedge(False)),
        (lambda account: account.set_margin_mode("isolated"), lambda account: account.set_margin_mode("cross")),
    ],
    ids=["position mode", "margin mode"],
)
def test_modes(change: Change, back: Change) -> None:
    """They change freely when the account is empty, say `unchanged` when they are so, and stay while it is in use."""
    engine = venue(hedge=False)
    account = engine.account(KEY)

    def answer(step: Change) -> str:
        refused = step(account)
        return refused.reason if refused else "done"

    assert [answer(step) for step in (back, change, change, back)] == ["unchanged", "done", "unchanged", "done"]
    resting = place(engine, "buy both 1 @ 99")
    assert [answer(step) for step in (back, change)] == ["unchanged", "has_orders"]
    engine.on_price(A, 98.0, T0)
    assert [answer(step) for step in (back, change)] == ["unchanged", "has_positions"]
    place(engine, "sell both 1", reduce_only=True)
    assert answer(change) == "done"
    assert resting.id in account.closed_orders


def test_leverage() -> None:
    """It belongs to a symbol; the same again is `unchanged`, below 1 is refused."""
    account = venue().account(KEY)
    answers = [account.set_leverage(A, value) for value in (20.0, 5.0, 5.0, 0.5, float("nan"), float("inf"))]
    assert [answer and answer.reason for answer in answers] == ["unchanged", None, "unchanged", *["leverage"] * 3]
    assert (account.leverage_of(A), account.leverage_of(B)) == (5.0, 20.0)


def test_funding() -> None:
    """Every eight hours, at the price before the candle: longs pay, shorts receive."""
    engine = venue(funding=Funding(0.001))
    put_position(engine, KEY, Position(A, "long", 2.0, 90.0), T0)
    put_position(engine, KEY, Position(B, "short", 1.0, 90.0), T0)
    events = listen(engine)
    start = 8 * HOUR_MS
    for hour in range(7, 17):
        engine.on_minute({s: candle(100.0, 100.0, ts=hour * HOUR_MS) for s in (A, B)})
    assert engine.balance(KEY) == pytest.approx(1000.0 - 2 * (0.2 - 0.1))
    assert [(e.kind, e.cause, e.time_ms) for e in events] == [
        ("account", "funding", t) for t in (start, start, 2 * start, 2 * start)
    ]


@pytest.mark.parametrize("hedge", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_liquidation(on: bool, hedge: bool) -> None:
    """At equity of half a percent of the worth all is closed at mark under ids `autoclose-`; off, nothing is."""
    engine = venue(hedge=hedge, liquidation=on, starting_balance=100.0)
    put_position(engine, KEY, Position(A, "long" if hedge else "both", 1.0, 199.5), T0)
    resting = place(engine, "sell long 1 @ 220" if hedge else "sell both 1 @ 220", reduce_only=not hedge)
    engine.on_price(A, 100.01, T0)
    assert engine.fills(KEY) == []
    engine.on_candle(A, candle(100.0, 100.01, 100.0))
    fills = [(f.client_id.partition("-")[0], f.price, f.qty, f.maker) for f in engine.fills(KEY)]
    assert fills == ([("autoclose", 100.0, 1.0, False)] if on else [])
    assert (resting.id in engine.account(KEY).open_orders) is not on
    assert (engine.positions(KEY) == []) is on


def test_positions_know_their_age() -> None:
    """`created` is when the position came about or turned, `updated` when it last changed."""
    engine = venue(hedge=False)
    ages = []
    for n, words in enumerate(("buy both 1", "buy both 1", "sell both 1", "sell both 2", "buy both 1", "buy both 1")):
        place(engine, words, now=T0 + n)
        ages.append([(p.created - T0, p.updated - T0) for p in engine.positions(KEY)])
    assert ages == [[(0, 0)], [(0, 1)], [(0, 2)], [(3, 3)], [], [(5, 5)]]


def test_fill_now() -> None:
    """An order fills on demand, in part or at another price; what it does not have cannot fill."""
    engine = venue()
    resting = place(engine, "buy long 1 @ 99")
    part = fill_now(engine, KEY, resting.id, T0 + 1, qty=0.4)
    assert isinstance(part, Fill)
    assert (part.qty, part.price, part.maker, part.ts) == (0.4, 99.0, True, T0 + 1)
    for wrong in ({"qty": 0.7}, {"qty": 0.0}, {"price": 0.0}):
        with pytest.raises(DataError, match=r"0\.6 are left"):
            fill_now(engine, KEY, resting.id, T0, **wrong)
    fill_now(engine, KEY, resting.id, T0 + 2, price=98.0)
    assert sizes(engine) == {("A", "long"): (1.0, pytest.approx(98.4))}
    assert engine.account(KEY).closed_orders[resting.id].avg == pytest.approx(98.4)
    assert fill_now(engine, KEY, resting.id, T0) == Reject("unknown_order", "no open order 1")


def test_external_position_and_balance() -> None:
    """What a human does is told as an account event; closes of a position that he took away expire."""
    engine = venue()
    put_position(engine, KEY, Position(A, "long", 3.0, 90.0), T0)
    close = place(engine, "sell long 1 @ 101")
    events = listen(engine)
    put_position(engine, KEY, Position(A, "long"), T0 + 1)
    assert jump_balance(engine, KEY, -250.0, T0 + 2) == 750.0
    told = [(e.kind, e.cause or (e.order and e.order.status)) for e in events]
    assert told == [("account", "external"), ("order_cancelled", "expired"), ("account", "transfer")]
    assert (engine.positions(KEY), close.id in engine.account(KEY).open_orders) == ([], False)


@pytest.mark.parametrize(
    ("position", "wrong"),
    [
        (Position("X", "long", 1.0, 1.0), "does not list"),
        (Position(A, "both", 1.0, 1.0), "does not suit hedge mode"),
        (Position(A, "short", -1.0, 1.0), "makes no sense"),
        (Position(A, "long", 1.0, 0.0), "makes no sense"),
    ],
)
def test_external_positions_that_cannot_be(position: Position, wrong: str) -> None:
    """They are refused, and say why."""
    with pytest.raises(DataError, match=wrong):
        put_position(venue(), KEY, position, T0)


def lived() -> Engine:
    """An engine whose account has used everything that is saved."""
    engine = venue(BYBIT)
    engine.account(KEY).set_leverage(A, 7.0)
    place(engine, "buy long 1", client_id="a")
    place(engine, "sell short 0.3", B)
    place(engine, "sell long 0.5 @ 101", client_id="b")
    fill_now(engine, KEY, place(engine, "buy long 2 @ 98", client_id="c").id, T0, qty=0.5)
    return engine


def test_state_survives_json() -> None:
    """Saved and loaded, an account has the same state, and trades on as the one that was not."""
    engine, other = lived(), venue(BYBIT)
    account = engine.account(KEY)
    fills = [load_record(Fill, json.loads(json.dumps(asdict(fill))), "fill") for fill in account.fills]
    other.accounts[KEY] = load_account(json.loads(json.dumps(dump_account(account))), fills)
    assert dump_account(other.account(KEY)) == dump_account(account)
    assert other.fills(KEY) == engine.fills(KEY)
    for each in (engine, other):
        assert refuse(each, "buy long 1 @ 99", client_id="a") == "duplicate_client_id"
        place(each, "sell short 1 @ 103", client_id="d")
        each.on_candle(A, candle(97.0, 104.0))
    assert dump_account(other.account(KEY)) == dump_account(account)
    assert other.fills(KEY) == engine.fills(KEY)
    assert len(engine.fills(KEY)) == 6


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"wallet": "1000"}, "wallet is '1000', float"),
        ({"wallet": float("nan")}, "wallet is nan"),
        ({"hedge": 1}, "hedge is 1, bool"),
        ({"margin_mode": "both"}, "margin_mode is 'both', 'cross' or 'isolated'"),
        ({"last_order_id": 1.5}, "last_order_id is 1.5, int"),
        ({"leverage": {A: None}}, f"leverage of {A} is None"),
        ({"client_ids": [1]}, "client_ids is 1, str"),
        ({"positions": {}}, "positions is {}, list"),
        ({"positions": [{}]}, "position lacks created"),
        ({"open_orders": [7]}, "open order is int"),
        ({"more": 1}, "unknown member more"),
    ],
)
def test_damaged_state(change: dict[str, Any], wrong: str) -> None:
    """What is missing, unknown or of the wrong kind is named."""
    with pytest.raises(DataError) as failure:
        load_account({**dump_account(lived().account(KEY)), **change}, where="account.json")
    assert str(failure.value).startswith("account.json")
    assert wrong in str(failure.value)
    assert "\n" not in str(failure.value)


def test_closed_orders_are_bounded() -> None:
    """The latest 5000 can still be looked up; memory does not grow with the run."""
    engine = venue()
    for _ in range(5001):
        engine.cancel(KEY, T0, order_id=place(engine, "buy long 1 @ 50").id)
    account = engine.account(KEY)
    assert (account.find_order(1), len(account.closed_orders)) == (None, 5000)
    assert account.find_order(5001) is not None


def test_options_default_to_the_specification() -> None:
    """Balance 1000, strict fills, 0.0002 slippage, no funding, no liquidation."""
    options = Options()
    assert (options.starting_balance, options.fill_model.name, options.slippage) == (1000.0, "strict", 0.0002)
    assert (options.funding, options.liquidation, options.fill_model.participation) == (None, False, 0.1)


def test_rejected_requests_are_told_with_their_words() -> None:
    """Subscribers learn what was refused, and why."""
    engine = venue()
    events = listen(engine)
    refuse(engine, "buy long 0.25 @ 99")
    assert events[0].request == order("buy long 0.25 @ 99")
