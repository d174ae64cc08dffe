"""The request to the planner, its answer, and symbols that are left alone (`live.md` 11, D5; `orchestrator.md` 17)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import passivbot_rust
import pytest

from config.load import load_config
from core.paths import TEMPLATE_CONFIG
from core.terms import PSIDES
from live.planning.indicators import NO_EMAS, SymbolEmas
from live.planning.planner import CycleFacts, Plan, PlanRules, bot_params, frozen_symbols, make_plan
from live.records import IdealOrder
from live_cases import book_of, positions_of, symbol

BOT = load_config(TEMPLATE_CONFIG, live_only=True)["bot"]
RULES = PlanRules(BOT, {(symbol(coin), pside): BOT[pside] for coin in "ABX" for pside in PSIDES}, False)
LIMIT = 0.17857143
A, B, X = symbol("A"), symbol("B"), symbol("X")
EMPTY = {"min_since_open": 1.7976931348623157e308, "max_since_min": 0.0, "max_since_open": 0.0,
         "min_since_max": 1.7976931348623157e308}  # fmt: skip


def emas_of(price: float = 100.0) -> SymbolEmas:
    """All closes at a price, hours that did not move."""
    spans, hours = set(), set()
    for side in BOT.values():
        spans |= {side["ema_span_0"], side["ema_span_1"], math.sqrt(side["ema_span_0"] * side["ema_span_1"])}
        hours.add(float(side["entry_volatility_ema_span_hours"]))
    return SymbolEmas(
        dict.fromkeys(spans, price), {9.0: 7.0, 3.0: 5.0}, {8.0: 0.5, 2.0: 0.25}, dict.fromkeys(hours, 0.0)
    )


def facts(held: str = "", mode: Any = "normal", price: float = 100.0, **changes: Any) -> CycleFacts:
    """One symbol, long in a mode, short graceful_stop, as the checked responses have it."""
    modes: Any = {(A, "long"): mode, (A, "short"): "graceful_stop"}
    plain: dict[str, Any] = {
        "balance": 10_000.0, "positions": positions_of(held), "modes": modes, "limits": dict.fromkeys(modes, LIMIT),
        "prices": {A: price}, "old_prices": {}, "emas": {A: emas_of()}, "bundles": {},
        "allowances": {"long": 13.25, "short": 0.0}, "hedge": True,
    }  # fmt: skip
    return CycleFacts(**(plain | changes))


def planned(given: CycleFacts) -> list[tuple[str, float, float]]:
    return [(order.order_type, order.qty, order.price) for order in make_plan(given, RULES, book_of()).orders]


FLAT_NORMAL = [
    ("entry_initial_normal_long", 0.22, 100.0),
    ("entry_grid_normal_long", 0.55, 98.47),
    ("entry_grid_normal_long", 1.92, 97.23),
    ("entry_grid_normal_long", 6.7, 95.47),
    ("entry_grid_cropped_long", 15.54, 91.95),
]
CLOSE, ENTRY = ("close_grid_long", -5.0, 100.56), ("entry_grid_inflated_long", 18.89, 96.95)


@pytest.mark.parametrize(
    ("held", "mode", "price", "orders"),
    [
        ("", "normal", 100.0, FLAT_NORMAL),
        *(("", mode, 100.0, []) for mode in ("graceful_stop", "tp_only", "manual", "panic")),
        ("A=5@100", "normal", 100.5, [CLOSE, ENTRY]),
        ("A=5@100", "graceful_stop", 100.5, [CLOSE, ENTRY]),
        ("A=5@100", "tp_only", 100.5, [CLOSE]),
        ("A=5@100", "manual", 100.5, []),
        ("A=5@100", "panic", 100.5, [("close_panic_long", -5.0, 100.49)]),
    ],
)
def test_checked_responses(held: str, mode: str, price: float, orders: list[Any]) -> None:
    """The template's parameters on one symbol, flat and with a position, in every mode."""
    assert planned(facts(held, mode, price)) == orders


def test_orders_carry_their_symbol() -> None:
    """The answer's numbers of symbols are those of the sorted list."""
    modes: Any = {(name, pside): "normal" for name in (B, A) for pside in PSIDES}
    given = facts(
        modes=modes,
        limits=dict.fromkeys(modes, LIMIT),
        prices={A: 90.0, B: 100.0},
        emas={A: emas_of(90.0), B: emas_of()},
    )
    plan = make_plan(given, RULES, book_of())
    assert plan.orders[0] == IdealOrder(A, "long", 0.25, 90.0, "entry_initial_normal_long")
    assert {order.symbol for order in plan.orders} == {A, B}
    assert plan.request and plan.response
    assert [row["symbol_idx"] for row in plan.request["symbols"]] == [0, 1]
    assert len(plan.response["orders"]) == len(plan.orders)


# --- the request


def test_request() -> None:
    """Every member of 11 for an account of two symbols, one held on both sides."""
    modes: Any = {(A, "long"): "normal", (A, "short"): "tp_only", (B, "long"): "panic", (B, "short"): "manual"}
    limits: Any = {key: 0.1 + i for i, key in enumerate(modes)}
    own = {**RULES.own, (A, "long"): {**BOT["long"], "close_grid_qty_pct": 0.5, "n_positions": 99}}
    plan = make_plan(
        facts(
            "A=2@90 A-=1@110", modes=modes, limits=limits, prices={A: 100.0, B: 0.5}, old_prices={A: 1.0},
            bundles={(A, "long"): (1.0, 2.0, 3.0, 4.0)},
            emas={A: emas_of(), B: SymbolEmas({3.0: 1.0, 2.0: 4.0}, {}, {}, {})}, hedge=False,
            allowances={"long": 1.5, "short": 2.5},
        ),
        PlanRules(BOT, own, True),
        book_of("AB", B={"contractSize": 10.0, "active": False}),
    )  # fmt: skip
    request = plan.request
    assert request is not None
    assert {name: request[name] for name in ("balance", "peek_hints")} == {"balance": 10_000.0, "peek_hints": None}
    totals = {
        side: params.pop("wallet_exposure_limit") for side, params in request["global"]["global_bot_params"].items()
    }
    assert totals == {"long": 1.25, "short": 0.0}
    named = set(passivbot_rust.bot_param_names()) - {"wallet_exposure_limit"}
    assert request["global"] == {
        "filter_by_min_effective_cost": True, "unstuck_allowance_long": 1.5, "unstuck_allowance_short": 2.5,
        "sort_global": True, "hedge_mode": False,
        "global_bot_params": {side: {name: BOT[side][name] for name in named} for side in PSIDES},
    }  # fmt: skip
    first, second = request["symbols"]
    sides = {side: first.pop(side) for side in PSIDES}
    assert first == {
        "symbol_idx": 0,
        "order_book": {"bid": 100.0, "ask": 100.0},
        "exchange": {"qty_step": 0.01, "price_step": 0.01, "min_qty": 0.01, "min_cost": 5.0, "c_mult": 1.0},
        "tradable": True,
        "next_candle": None,
        "effective_min_cost": 5.0,
        "emas": {
            "m1": {
                "close": sorted(emas_of().closes.items()),
                "log_range": [(2.0, 0.25), (8.0, 0.5)],
                "volume": [(3.0, 5.0), (9.0, 7.0)],
            },
            "h1": {"close": [], "log_range": sorted(emas_of().hourly_log_ranges.items()), "volume": []},
        },
    }
    params = {side: sides[side].pop("bot_params") for side in PSIDES}
    assert sides == {
        "long": {
            "mode": "normal", "position": {"size": 2.0, "price": 90.0},
            "trailing": {"min_since_open": 1.0, "max_since_min": 2.0, "max_since_open": 3.0, "min_since_max": 4.0},
        },
        "short": {"mode": "tp_only", "position": {"size": -1.0, "price": 110.0}, "trailing": EMPTY},
    }  # fmt: skip
    assert (params["long"]["close_grid_qty_pct"], params["long"]["n_positions"]) == (0.5, 7)
    assert (params["long"]["wallet_exposure_limit"], params["short"]["wallet_exposure_limit"]) == (0.1, 1.1)
    assert (second["tradable"], second["exchange"]["c_mult"], second["effective_min_cost"]) == (False, 10.0, 5.0)
    assert second["emas"]["m1"]["close"] == [(2.0, 4.0), (3.0, 1.0)]
    assert [second[side]["mode"] for side in PSIDES] == ["panic", "manual"]
    assert plan.orders == tuple(order for order in plan.orders if order.symbol == A)


def test_effective_min_cost() -> None:
    """The smallest quantity's cost where it is more than the smallest cost."""
    plan = make_plan(facts(price=900.0, modes=facts(mode="manual").modes), RULES, book_of())
    assert plan.request and plan.request["symbols"][0]["effective_min_cost"] == 9.0


def test_bot_params() -> None:
    """All of the crate's parameters; four always of the side; null is 0, slots are a whole number, others not."""
    own = dict.fromkeys(BOT["long"], 2.0) | {"close_grid_qty_pct": None}
    found = bot_params(own, dict.fromkeys(BOT["long"], 3.0), 0.5)  # type: ignore[arg-type]
    of_side = {name for name, value in found.items() if value == 3.0}
    assert of_side == {
        "n_positions", "total_wallet_exposure_limit", "risk_twel_enforcer_threshold", "unstuck_loss_allowance_pct",
    }  # fmt: skip
    assert set(found) == set(passivbot_rust.bot_param_names())
    assert (found["close_grid_qty_pct"], found["wallet_exposure_limit"]) == (0.0, 0.5)
    assert isinstance(found["n_positions"], int)
    assert all(isinstance(value, float) for name, value in found.items() if name != "n_positions")


def test_nothing_to_ask() -> None:
    """Without active symbols the planner is not called."""
    assert make_plan(facts(modes={}), RULES, book_of()) == Plan({}, {})


def test_warnings_are_readable() -> None:
    """The planner's warnings name symbol and side: a position on a side that is off, one that cannot be traded."""
    modes: Any = {(name, pside): "manual" for name in (A, B) for pside in PSIDES}
    given = facts("A- B", modes=modes, limits=dict.fromkeys(modes, 0.1), prices={A: 100.0, B: 100.0}, emas={})
    plan = make_plan(given, RULES, book_of("AB", B={"active": False}))
    assert plan.warnings == (
        "A/USDT:USDT short: disabled_pside_has_position",
        "B/USDT:USDT long: non_tradable_has_position",
    )


# --- symbols that are left alone (D5)

LACKING = SymbolEmas({}, {1.0: 1.0}, {1.0: 1.0}, {}, missing="no EMA with span 3 of 1m closes of A")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prices": {}}, "no last price of A/USDT:USDT"),
        ({"prices": {A: 0.0}}, "no last price of A/USDT:USDT"),
        ({"prices": {A: math.nan}}, "no last price of A/USDT:USDT"),
        ({"prices": {A: math.inf}}, "no last price of A/USDT:USDT"),
        ({"emas": {A: LACKING}}, LACKING.missing),
        ({"emas": {}}, None),
        ({"emas": {A: LACKING}, "modes": dict.fromkeys([(A, "long"), (A, "short")], "manual")}, None),
        ({}, None),
    ],
)
def test_frozen(changes: Any, reason: str | None) -> None:
    """No price, or an EMA that is needed and missing; who is manual anyway needs none."""
    assert frozen_symbols(facts(**changes), book_of()) == ({} if reason is None else {A: reason})


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"prices": {A: math.nan}, "old_prices": {A: 95.0}}, 95.0),
        ({"prices": {}, "old_prices": {A: math.nan}}, 100.0),
        ({"emas": {A: LACKING}}, 100.5),
        ({"prices": {}, "old_prices": {A: 0.01}}, 0.01),
    ],
)
def test_frozen_symbols_count(changes: Any, price: float) -> None:
    """Both sides manual, without EMAs, at the last known price or the position's, so that the exposure counts."""
    plan = make_plan(facts("A=5@100", price=100.5, **changes), RULES, book_of())
    assert list(plan.frozen) == [A]
    assert plan.modes == {(A, "long"): "manual", (A, "short"): "manual"}
    assert plan.request
    row = plan.request["symbols"][0]
    assert row["order_book"] == {"bid": price, "ask": price}
    assert row["emas"] == {"m1": {"close": [], "log_range": [], "volume": []},
                           "h1": {"close": [], "log_range": [], "volume": []}}  # fmt: skip
    assert row["long"]["position"] == {"size": 5.0, "price": 100.0}
    assert (row["long"]["mode"], row["short"]["mode"], plan.orders) == ("manual", "manual", ())


def test_the_others_trade() -> None:
    """One symbol without EMAs, one that is not listed, one of which nothing is known at all; the fourth is planned."""
    modes: Any = {(name, pside): "normal" for name in (A, B, X, symbol("C")) for pside in PSIDES}
    own = {key: BOT[key[1]] for key in modes}
    given = facts(
        "X=5@100", modes=modes, limits=dict.fromkeys(modes, LIMIT), prices={A: 100.0, B: 100.0},
        emas={A: emas_of(), B: LACKING, symbol("C"): emas_of()},
    )  # fmt: skip
    plan = make_plan(given, PlanRules(BOT, own, False), book_of("ABC"))
    assert plan.frozen == {
        B: LACKING.missing, symbol("C"): "no last price of C/USDT:USDT", X: "binance does not list X/USDT:USDT",
    }  # fmt: skip
    assert {order.symbol for order in plan.orders} == {A}
    assert len(plan.orders) == 5
    assert plan.request
    rows = plan.request["symbols"]
    assert [row["order_book"]["bid"] for row in rows] == [100.0, 100.0, 100.0]
    assert (rows[2]["tradable"], rows[2]["effective_min_cost"]) == (False, 0.0)
    assert rows[2]["exchange"] == {
        "qty_step": 1e-12, "price_step": 1e-12, "min_qty": 0.0, "min_cost": 0.0, "c_mult": 1.0,
    }  # fmt: skip
    assert plan.modes[A, "long"] == "normal"


def test_only_frozen_symbols_without_any_price() -> None:
    """Then nobody is asked, and still it is said why."""
    plan = make_plan(facts(prices={}), RULES, book_of())
    assert (plan.request, list(plan.frozen), plan.modes[A, "long"]) == (None, [A], "manual")


def test_a_request_that_is_refused() -> None:
    """The planner's error comes through."""
    with pytest.raises(ValueError, match=r"MissingEma \{ symbol_idx: 0"):
        make_plan(replace(facts(), emas={A: NO_EMAS}), RULES, book_of())
