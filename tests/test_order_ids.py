"""Client order ids (`live.md` 15 and D10, `additions.md` 4 and 14)."""

from __future__ import annotations

import dataclasses
from typing import Any

import passivbot_rust
import pytest

from core.clock import MINUTE_MS
from core.errors import ConfigError
from core.rng import digest
from live.orders.order_ids import MOST_EQUAL_ORDERS, OrderFacts, OrderIds, id_rules, minutes_of, order_type_of
from markets import sample
from markets.market import Market, market_of

MINUTE = 1_700_000_040_000
ORDER = OrderFacts("BTC/USDT:USDT", "buy", "long", 0.003, 64_123.4)
TYPE = "entry_grid_normal_long"
VENUES = {
    "binance": "CODE", "bybit": "CODE", "bitget": "CODE", "okx": "0123456789abcdef", "gateio": "CODE",
    "hyperliquid": "CODE", "kucoin": {"futures": {}}, "defx": "", "paradex": "", "other": "",
}  # fmt: skip


def markets() -> dict[str, Market]:
    entries = sample.ccxt_markets()
    steps = {"price_step": 0.1, "qty_step": 0.001, "symbol": ORDER.symbol}
    return {ORDER.symbol: dataclasses.replace(market_of(next(iter(entries.values())), "sample"), **steps)}


def ids_of(exchange: str = "binance", user: str = "alice", broker: object = "") -> OrderIds:
    return OrderIds(exchange, user, markets(), broker)


TABLE = [
    "entry_initial_normal_long",
    "entry_initial_partial_long",
    "entry_trailing_normal_long",
    "entry_trailing_cropped_long",
    "entry_grid_normal_long",
    "entry_grid_cropped_long",
    "entry_grid_inflated_long",
    "close_grid_long",
    "close_trailing_long",
    "close_unstuck_long",
    "close_auto_reduce_twel_long",
    "entry_initial_normal_short",
    "entry_initial_partial_short",
    "entry_trailing_normal_short",
    "entry_trailing_cropped_short",
    "entry_grid_normal_short",
    "entry_grid_cropped_short",
    "entry_grid_inflated_short",
    "close_grid_short",
    "close_trailing_short",
    "close_unstuck_short",
    "close_auto_reduce_twel_short",
    "close_panic_long",
    "close_panic_short",
    "close_auto_reduce_wel_long",
    "close_auto_reduce_wel_short",
]


def test_type_ids() -> None:
    """The table of `live.md` 15."""
    expected = dict(enumerate(TABLE)) | {65535: "empty"}
    assert expected == passivbot_rust.all_order_types_ids()
    assert {order_type_of(f"0x{i:04x}") for i in expected} == set(expected.values())


@pytest.mark.parametrize(
    ("custom_id", "expected"),
    [
        ("x-ABC0x0004b36c", TABLE[4]), ("Name#0x000a11", TABLE[10]), ("0004abc", TABLE[4]), ("0e7fzz", "unknown"),
        ("0x00", "unknown"), ("hello", "unknown"), ("", "unknown"), ("t-0X0016ff", TABLE[22]), ("0xFFFF", "empty"),
        ("x-ABC0" + "0x0004", TABLE[4]),
    ],
)  # fmt: skip
def test_decoding(custom_id: str, expected: str) -> None:
    """The checked examples of `live.md` 15."""
    assert order_type_of(custom_id) == expected


@pytest.mark.parametrize(("exchange", "broker"), VENUES.items())
@pytest.mark.parametrize("order_type", ["entry_grid_normal_long", "close_auto_reduce_wel_short"])
def test_ids_fit_the_venue(exchange: str, broker: object, order_type: str) -> None:
    """Length and alphabet of each venue hold, the type can be read back, and the id is recognised."""
    ids = ids_of(exchange, broker=broker)
    made = ids.make(ORDER, order_type, MINUTE)
    assert len(made) <= ids.rules.max_len
    assert ids.rules.alphabet.fullmatch(made)
    assert order_type_of(made) == order_type
    assert ids.is_ours(made, ORDER, minutes_of(MINUTE + 59_999))


def test_lengths_and_prefixes() -> None:
    """`live.md` 21.1, and 38 characters where 64 are allowed."""
    lengths = {name: id_rules(name).max_len for name in VENUES}
    assert lengths == {
        "binance": 36, "bybit": 36, "bitget": 64, "okx": 32, "gateio": 28, "hyperliquid": 34, "kucoin": 40,
        "defx": 36, "paradex": 36, "other": 36,
    }  # fmt: skip
    assert len(ids_of("bitget").make(ORDER, TYPE, MINUTE)) == 38
    prefixes = {name: id_rules(name, broker).prefix for name, broker in VENUES.items()}
    assert {name: prefix for name, prefix in prefixes.items() if prefix} == {
        "binance": "x-CODE", "bitget": "CODE#", "okx": "0123456789abcdef",
    }  # fmt: skip
    assert id_rules("binanceusdm", "A").prefix == "x-A"


@pytest.mark.parametrize(("exchange", "broker"), [("okx", "with-dash"), ("okx", "a" * 20), ("binance", "ä")])
def test_broker_codes_that_do_not_fit(exchange: str, broker: str) -> None:
    """A code that the venue refuses is named at the start, not by the first order."""
    with pytest.raises(ConfigError, match="broker code"):
        id_rules(exchange, broker)


def test_ids_are_pinned() -> None:
    """The digest never changes between versions: a restarted bot recognises what an older one placed."""
    assert digest("a", 1, 0.1) == "36233dca79d8a2a9a88aa54875027e6d"
    assert ids_of().make(ORDER, TYPE, MINUTE) == "0x00042361d738aaa900093356525ff07469"


@pytest.mark.parametrize(
    "other",
    [
        {"symbol": "ETH/USDT:USDT"}, {"side": "sell"}, {"position_side": "short"}, {"qty": 0.004}, {"price": 64_123.5},
    ],
)  # fmt: skip
def test_other_facts_other_ids(other: dict[str, Any]) -> None:
    """Every fact counts; what differs is not ours."""
    ids = OrderIds("bybit", "alice", {name: markets()[ORDER.symbol] for name in (ORDER.symbol, "ETH/USDT:USDT")})
    changed = dataclasses.replace(ORDER, **other)
    made = ids.make(ORDER, TYPE, MINUTE)
    assert ids.make(changed, TYPE, MINUTE) != made
    assert not ids.is_ours(made, changed, minutes_of(MINUTE))


def test_other_users_minutes_types_and_counters() -> None:
    """User, minute, type and counter count as well; within a minute nothing changes."""
    ids, other = ids_of(), ids_of(user="bob")
    made = {
        ids.make(ORDER, TYPE, MINUTE),
        other.make(ORDER, TYPE, MINUTE),
        ids.make(ORDER, TYPE, MINUTE + MINUTE_MS),
        ids.make(ORDER, "entry_grid_cropped_long", MINUTE),
        ids.make(ORDER, TYPE, MINUTE, 1),
    }
    assert len(made) == 5
    assert ids.make(ORDER, TYPE, MINUTE + 59_999) in made
    assert not ids.is_ours(other.make(ORDER, TYPE, MINUTE), ORDER, minutes_of(MINUTE))


def test_minutes_of_an_order() -> None:
    """An id is checked against the minutes m and m - 1, no more."""
    ids = ids_of()
    made = ids.make(ORDER, TYPE, MINUTE)
    assert minutes_of(MINUTE + 61_000) == (MINUTE + MINUTE_MS, MINUTE)
    assert [ids.is_ours(made, ORDER, minutes_of(MINUTE + m * MINUTE_MS)) for m in (-1, 0, 1, 2)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_numbers_as_the_exchange_reports_them() -> None:
    """Noise below the steps, and a sign, do not change the id."""
    ids = ids_of()
    noisy = dataclasses.replace(ORDER, qty=-(0.001 + 0.002), price=64_123.399999999994)
    assert ids.make(noisy, TYPE, MINUTE) == ids.make(ORDER, TYPE, MINUTE)


def test_equal_orders_of_a_plan() -> None:
    """Equal orders get different ids, also beside an open one of this minute; all are recognised."""
    ids = ids_of("gateio")
    first, second = ids.make_all([(ORDER, TYPE)] * 2, MINUTE)
    assert first == ids.make(ORDER, TYPE, MINUTE)
    more = ids.make_all([(ORDER, TYPE)] * (MOST_EQUAL_ORDERS - 1), MINUTE, resting=["t-" + first])
    assert len({first, *more}) == MOST_EQUAL_ORDERS
    assert second in more
    assert all(ids.is_ours("t-" + made, ORDER, minutes_of(MINUTE)) for made in more)
    assert ids.make_all([(ORDER, TYPE)], MINUTE) == [first]


@pytest.mark.parametrize("custom_id", ["", "web_abc", "0x0004", "0x0004" + "0" * 30, "0xeeee" + "0" * 30])
def test_strangers(custom_id: str) -> None:
    """A marker alone does not make an order ours, nor does an unknown symbol."""
    assert not ids_of().is_ours(custom_id, ORDER, minutes_of(MINUTE))
    made = ids_of().make(ORDER, TYPE, MINUTE)
    assert not OrderIds("binance", "alice", {}).is_ours(made, ORDER, minutes_of(MINUTE))


def test_unknown_type() -> None:
    """An order type the crate does not have is an error."""
    with pytest.raises(ValueError, match="order type"):
        ids_of().make(ORDER, "no_such_type", MINUTE)
