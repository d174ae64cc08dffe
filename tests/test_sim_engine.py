"""The simulator's engine: which orders it takes, how they end, what it tells (`exchange_simulator.md` 3, 6.2, 6.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import ConfigError
from exchange_sim.trading.engine import POST_ONLY_REASON, Engine, Options
from exchange_sim.trading.interventions import fill_now
from exchange_sim.trading.records import BINANCE, BYBIT, Reject, Rules
from sim_engine_cases import KEY, T0, A, B, candle, listen, market, order, place, refuse, sizes, venue

BOTH = pytest.mark.parametrize("rules", [BINANCE, BYBIT], ids=lambda rules: rules.name)


@BOTH
@pytest.mark.parametrize(
    ("words", "changes", "reason"),
    [
        ("buy long 1 @ 99", {"symbol": "X"}, "bad_symbol"),
        ("buy long 0.25 @ 99", {}, "lot_size"),
        ("buy long 0 @ 99", {}, "lot_size"),
        ("buy long -1 @ 99", {}, "lot_size"),
        ("buy long 1e-10 @ 99", {}, "lot_size"),
        ("buy long nan @ 99", {}, "lot_size"),
        ("buy long inf @ 99", {}, "lot_size"),
        ("buy long 1 @ 99.005", {}, "price_filter"),
        ("buy long 1 @ 0", {}, "price_filter"),
        ("buy long 1 @ 99.00001", {}, "price_filter"),
        ("buy both 1 @ 99", {}, "position_side"),
        ("buy long 0.1 @ 99", {}, "min_qty"),
        ("buy long 0.2 @ 24.99", {}, "min_notional"),
        ("buy long 1 @ 99", {"client_id": "used"}, "duplicate_client_id"),
        ("buy long 1 @ 99", {"client_id": "resting"}, "duplicate_client_id"),
        ("sell short 1 @ 101", {"reduce_only": True}, "reduce_only"),
        ("buy short 1 @ 99", {}, "reduce_only"),
        ("buy long 400 @ 99", {}, "insufficient_margin"),
    ],
)
def test_rows_of_acceptance(rules: Rules, words: str, changes: dict[str, Any], reason: str) -> None:
    """Each row of 6.2 refuses for its reason, under both rule sets, and nothing changes."""
    engine = venue(rules)
    place(engine, "buy long 1 @ 50", client_id="resting")
    place(engine, "buy long 1 @ 50", client_id="used")
    engine.cancel(KEY, T0, client_id="used")
    before, events = engine.open_orders(KEY), listen(engine)
    assert refuse(engine, words, **changes) == reason
    assert engine.open_orders(KEY) == before
    assert [(event.kind, event.reject and event.reject.reason) for event in events] == [("order_rejected", reason)]


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("buy long 0.2 @ 25", {}),  # exactly the minima
        ("buy long 0.30000000000000004 @ 99", {}),  # off the step by less than 1e-9
        ("buy long 1 @ 100", {"tif": "post_only"}),  # at the last price is not crossing
        ("buy long 1 @ 100.01", {}),  # crossing without post-only trades
        ("sell short 0.3 @ 100", {"tif": "post_only"}),
    ],
)
def test_what_acceptance_lets_through(words: str, changes: dict[str, Any]) -> None:
    """Limits of the rows belong to what is allowed."""
    place(venue(), words, **changes)


def test_checks_run_in_their_order() -> None:
    """An order that breaks every rule is refused for the first; with each one mended, for the next."""
    engine = venue(replace(BINANCE, max_open_orders=1))
    place(engine, "buy long 1 @ 50", client_id="used")
    worst = order("buy both 0.15 @ 199.995", "X", client_id="used", tif="post_only")
    mends: list[tuple[str, dict[str, Any]]] = [
        ("bad_symbol", {"symbol": A}),
        ("lot_size", {"qty": 0.1}),
        ("price_filter", {"price": 200.0}),
        ("position_side", {"pside": "long"}),
        ("min_qty", {"qty": 900.0}),
        ("duplicate_client_id", {"client_id": "new"}),
        ("too_many_orders", {"symbol": B}),
        ("insufficient_margin", {"qty": 0.2}),
    ]
    for reason, mend in mends:
        refused = engine.submit(KEY, worst, T0)
        assert isinstance(refused, Reject)
        assert refused.reason == reason
        worst = replace(worst, **mend)
    refused = engine.submit(KEY, worst, T0)
    assert isinstance(refused, Reject)
    assert refused.reason == "post_only"


@BOTH
def test_not_trading(rules: Rules) -> None:
    """No order is taken where the entry or the venue says so, no market order where there is no price."""
    halted = Engine({A: replace(market(A), active=False)}, rules)
    told = Engine({A: market(A)}, rules, is_trading=lambda symbol: False)
    quiet = Engine({A: market(A)}, rules)
    for engine, words in ((halted, "buy both 1 @ 99"), (told, "buy both 1 @ 99"), (quiet, "buy both 1")):
        assert refuse(engine, words) == "not_trading"


@BOTH
def test_orders_of_a_symbol_are_limited(rules: Rules) -> None:
    """The 201st (Binance) or 501st (Bybit) open order of a symbol is refused; another symbol still has room."""
    engine = venue(rules, starting_balance=1e6)
    for _ in range({"binance": 200, "bybit": 500}[rules.name]):
        place(engine, "buy long 1 @ 50")
    assert refuse(engine, "buy long 1 @ 50") == "too_many_orders"
    place(engine, "buy long 1 @ 50", B)


def test_client_ids_are_remembered() -> None:
    """The last 1000 ids cannot come again, older ones can; an id of an open order never; an empty one always."""
    engine = venue(starting_balance=1e9)
    place(engine, "buy long 1 @ 50", client_id="open")
    for n in range(1000):
        place(engine, "buy long 1 @ 50", client_id=str(n))
        engine.cancel(KEY, T0, client_id=str(n))
    assert refuse(engine, "buy long 1 @ 50", client_id="open") == "duplicate_client_id"
    assert refuse(engine, "buy long 1 @ 50", client_id="0") == "duplicate_client_id"
    place(engine, "buy long 1 @ 50", client_id="1000")
    place(engine, "buy long 1 @ 50", client_id="0")
    assert place(engine, "buy long 1 @ 50").id + 1 == place(engine, "buy long 1 @ 50").id


@pytest.mark.parametrize(
    ("rules", "hedge", "first", "second", "taken"),
    [
        (BINANCE, True, "sell long 1 @ 110", "sell long 1 @ 111", 1.0),
        (BINANCE, True, "sell long 1 @ 110", "sell long 1.1 @ 111", None),
        (BYBIT, True, "sell long 1 @ 110", "sell long 1.1 @ 111", 1.0),
        (BYBIT, True, "sell long 2 @ 110", "sell long 0.1 @ 111", None),
        (BYBIT, True, "sell long 9 @ 110", "buy short 1 @ 90", None),
        (BINANCE, False, "sell both 1 @ 110", "sell both 1.1 @ 111", None),
        (BYBIT, False, "sell both 1 @ 110", "sell both 1.1 @ 111", 1.0),
        (BYBIT, False, "sell both 1 @ 110", "buy both 1 @ 90", None),
    ],
)
def test_closes_beyond_the_position(rules: Rules, hedge: bool, first: str, second: str, taken: float | None) -> None:
    """More than open closes leave of a position of 2: Binance refuses, Bybit cuts, both refuse if nothing is left."""
    engine = venue(rules, hedge=hedge)
    place(engine, "buy long 2" if hedge else "buy both 2")
    place(engine, first, reduce_only=not hedge)
    if taken is None:
        assert refuse(engine, second, reduce_only=not hedge) == "reduce_only"
    else:
        assert place(engine, second, reduce_only=not hedge).qty == taken


@pytest.mark.parametrize(("rules", "qty"), [(BINANCE, 200.0), (BYBIT, 100.0)], ids=["binance", "bybit"])
def test_margin_binds(rules: Rules, qty: float) -> None:
    """Positions at mark and open entries over leverage may reach the equity of 1000, not pass it; closes are free."""
    engine = venue(rules, last=100.0)
    place(engine, f"buy long {qty / 2} @ 100")
    place(engine, f"buy long {qty / 2} @ 100", B)
    assert refuse(engine, "buy long 0.2 @ 100") == "insufficient_margin"
    engine.account(KEY).set_leverage(A, 50.0)
    place(engine, "buy long 0.2 @ 100")
    engine.on_price(A, 90.0, T0)  # filled, and a loss
    assert refuse(engine, "buy long 10 @ 90", B) == "insufficient_margin"
    place(engine, "sell long 1 @ 110")


def test_what_is_filled_of_an_order_no_longer_counts() -> None:
    """The filled part of an open close covers no position, that of an open entry binds no margin; closes bind none."""
    engine = venue(starting_balance=100.0)
    entry = place(engine, "buy long 10 @ 100")
    fill_now(engine, KEY, entry.id, T0, qty=5.0)
    margin = engine.account(KEY).margin(engine.quotes)
    assert margin == pytest.approx((5 * 100.0 + 5 * 100.0) / 20)
    close = place(engine, "sell long 4 @ 101")
    fill_now(engine, KEY, close.id, T0, qty=3.0)
    assert refuse(engine, "sell long 1.1 @ 102") == "reduce_only"
    place(engine, "sell long 1 @ 102")
    assert engine.account(KEY).margin(engine.quotes) == pytest.approx((2 * 100.0 + 5 * 100.0) / 20)


def test_post_only_that_crosses() -> None:
    """Binance refuses it; Bybit takes it, then cancels it with the reason, so its client id is used."""
    assert refuse(venue(BINANCE), "buy long 1 @ 100.01", tif="post_only") == "post_only"
    engine = venue(BYBIT)
    events = listen(engine)
    ended = place(engine, "sell short 1 @ 99.99", tif="post_only", client_id="c")
    assert (ended.status, ended.reject_reason, ended.filled) == ("cancelled", POST_ONLY_REASON, 0.0)
    assert [event.kind for event in events] == ["order_new", "order_cancelled"]
    assert engine.open_orders(KEY) == []
    assert refuse(engine, "sell short 1 @ 101", client_id="c") == "duplicate_client_id"


@pytest.mark.parametrize(
    ("words", "slippage", "price"),
    [
        ("buy long 1", 0.0002, 100.02),
        ("sell short 1", 0.0002, 99.98),
        ("buy long 1", 0.00025, 100.03),  # the tick that is worse
        ("sell short 1", 0.00025, 99.97),
        ("buy long 1", 0.0, 100.0),
        ("buy long 1 @ 101", 0.0002, 100.02),
        ("buy long 1 @ 100.01", 0.0002, 100.01),  # never beyond the limit
        ("sell short 1 @ 99.99", 0.0002, 99.99),
        ("sell short 1 @ 90", 0.0002, 99.98),
    ],
)
def test_takers_slip(words: str, slippage: float, price: float) -> None:
    """Market orders and crossing limits fill at once at last ± slippage on the worse tick, with the taker's fee."""
    engine = venue(slippage=slippage)
    taken = place(engine, words)
    (fill,) = engine.fills(KEY)
    assert (taken.status, taken.filled, taken.avg) == ("filled", 1.0, price)
    assert (fill.price, fill.maker, fill.fee) == (price, False, price * 0.0005)


@pytest.mark.parametrize(
    ("tif", "status"), [("gtc", "new"), ("post_only", "new"), ("ioc", "expired"), ("fok", "expired")]
)
def test_time_in_force_of_a_limit_that_does_not_cross(tif: str, status: str) -> None:
    """It rests, or expires where it may not; at the last price it does not cross."""
    assert place(venue(), "buy long 1 @ 100", tif=tif).status == status


def test_cancel() -> None:
    """By id or client id; what is not open is unknown; a cancelled order fills no more."""
    engine = venue()
    first, second = place(engine, "buy long 1 @ 99"), place(engine, "buy long 1 @ 98", client_id="c")
    assert engine.cancel(KEY, T0 + 5, order_id=first.id) == replace(first, status="cancelled", updated=T0 + 5)
    cancelled = engine.cancel(KEY, T0 + 5, client_id="c")
    assert not isinstance(cancelled, Reject)
    for again in (
        engine.cancel(KEY, T0, order_id=second.id), engine.cancel(KEY, T0, client_id="c"),
        engine.cancel(KEY, T0, client_id=""), engine.cancel(KEY, T0, order_id=77),
    ):  # fmt: skip
        assert isinstance(again, Reject)
        assert again.reason == "unknown_order"
    engine.on_price(A, 50.0, T0)
    assert engine.fills(KEY) == []
    assert engine.account(KEY).find_order(client_id="c") == cancelled


def test_events_of_a_round_trip() -> None:
    """Each step is told in order, with the state after it; whoever unsubscribed hears nothing."""
    engine = venue()
    events = listen(engine)
    silent: list[object] = []
    engine.subscribe(silent.append)()
    place(engine, "buy long 1 @ 99", client_id="in")
    engine.on_price(A, 98.0, T0 + 1)
    place(engine, "sell long 1 @ 101", now=T0 + 2)
    engine.on_price(A, 102.0, T0 + 3)
    told = [(e.kind, e.time_ms - T0, e.order and e.order.status, e.position and e.position.size) for e in events]
    assert told == [
        ("order_new", 0, "new", None),
        ("fill", 1, "filled", None),
        ("account", 1, None, 1.0),
        ("order_new", 2, "new", None),
        ("fill", 3, "filled", None),
        ("account", 3, None, 0.0),
    ]
    fill = events[1].fill
    assert fill is not None
    assert (fill.client_id, fill.price, fill.ts, fill.maker) == ("in", 99.0, T0 + 1, True)
    assert silent == []


def test_accounts_are_apart() -> None:
    """Each API key has its own account with the starting balance; ids count up in each."""
    engine = venue(starting_balance=500.0)
    place(engine, "buy long 1 @ 99")
    other = engine.submit("other", order("buy both 1 @ 99"), T0)
    assert not isinstance(other, Reject)
    assert other.id == 1
    engine.on_price(A, 98.0, T0)
    engine.cancel("other", T0, order_id=1)
    assert sizes(engine) == {("A", "long"): (1.0, 99.0)}
    assert sizes(engine, "other") == {("A", "both"): (1.0, 99.0)}
    assert (engine.balance("third"), engine.equity("third"), engine.positions("third")) == (500.0, 500.0, [])


def test_fills_can_be_asked_for_in_parts() -> None:
    """Ends are included; with a start the first of them, else the last; candles may be dated before earlier fills."""
    engine = venue()
    for n, symbol in enumerate((A, B, A)):
        place(engine, "buy long 1", symbol, now=T0 + 60_000 * n + 30_000)
    place(engine, "buy long 1 @ 99")
    engine.on_candle(A, candle(98.0, 100.0, ts=T0 + 60_000))
    asked: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [1, 4, 2, 3]),
        ({"since": T0 + 90_000, "symbol": A}, [3]),
        ({"until": T0 + 90_000}, [1, 4, 2]),
        ({"symbol": A}, [1, 4, 3]),
        ({"since": T0 + 60_000, "limit": 2}, [4, 2]),
        ({"limit": 2}, [2, 3]),
        ({"limit": 0}, []),
    ]
    for how, ids in asked:
        assert [fill.id for fill in engine.fills(KEY, **how)] == ids


@pytest.mark.parametrize(
    ("key", "value"), [("starting_balance", -1.0), ("starting_balance", float("nan")), ("slippage", 1.0)]
)
def test_options_that_make_no_sense(key: str, value: float) -> None:
    """They are refused by name."""
    with pytest.raises(ConfigError, match=key.replace("_", " ")):
        Options(**{key: value})  # type: ignore[arg-type]
