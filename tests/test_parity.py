"""What live bot and backtest are compared on, and how (`exchange_simulator.md` 13.3)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from config.load import load_config
from core.clock import HOUR_MS
from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import ConfigError, DataError
from core.paths import SOURCE_ROOT
from exchange_sim.sources import sample_market
from runs.parity.backtest_side import backtest_trades
from runs.parity.span import UNHINDERED, parity_span
from runs.parity.trades import Trade, compare

START = date_to_ts("2025-03-01T12:30")
CONFIG = load_config(SOURCE_ROOT / "configs/examples/sample.json")
MARKET = sample_market()


def config_of(coins: Any = ("DOGE", "BTC"), **live: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["live"] |= {"approved_coins": {"long": list(coins), "short": []}, "warmup_ratio": 0.0, **live}
    return config


# --- the span


def test_span() -> None:
    """From the hour before the warm-up to the last minute; coins sorted; the config made comparable."""
    given = config_of(warmup_ratio=0.1)
    given["coin_overrides"] = {"BTCUSDT": {"live": {"leverage": 3}}}
    given["backtest"] |= {"btc_collateral_cap": 0.7, "maker_fee_override": 0.001}
    given["backtest"]["filter_by_min_effective_cost"] = not given["live"]["filter_by_min_effective_cost"]
    before = copy.deepcopy(given)
    span = parity_span(given, MARKET, START, 0.25)
    assert given == before
    warmup = int(0.1 * 120 * 60)  # of the longest span, 120 hours
    assert span.first_ms == (START - warmup * M - M) // HOUR_MS * HOUR_MS
    assert (span.planned_ms, span.last_ms, span.minutes) == (START, START + 6 * HOUR_MS, 360)
    assert span.coins == ["BTC", "DOGE"]
    live = span.config["live"]
    assert {name: live[name] for name in UNHINDERED} == UNHINDERED
    assert set(UNHINDERED) <= set(given["live"])
    assert live["approved_coins"] == {"long": ["BTC", "DOGE"], "short": []}
    assert live["user"] == given["live"]["user"]
    backtest = span.config["backtest"]
    assert (backtest["btc_collateral_cap"], backtest["maker_fee_override"]) == (0.0, None)
    assert backtest["filter_by_min_effective_cost"] is live["filter_by_min_effective_cost"]
    assert "_coins_sources" not in span.config
    assert span.config["coin_overrides"]["BTC"]["live"] == {"leverage": 3}


def test_a_start_within_a_minute() -> None:
    """Orders are planned after a whole minute."""
    span = parity_span(config_of(), MARKET, START + 30_000, 0.01)
    assert (span.planned_ms, span.first_ms, span.minutes) == (START, START // HOUR_MS * HOUR_MS, 14)


def test_what_the_market_lacks() -> None:
    """Coins that it does not list, and minutes that it does not have."""
    with pytest.raises(ConfigError, match="the market has no XYZ; it has ADA, AVAX, BNB"):
        parity_span(config_of(["BTC", "XYZ"]), MARKET, START, 1.0)
    launch = MARKET.find("BTC/USDT:USDT").launch_ms
    with pytest.raises(DataError, match=r"BTC/USDT:USDT has .* of the minutes that the span needs"):
        parity_span(config_of(["BTC"]), MARKET, launch, 0.1)
    assert parity_span(config_of(["BTC"]), MARKET, -(-launch // HOUR_MS) * HOUR_MS + M, 0.1).first_ms >= launch


def test_backtest_side() -> None:
    """The engine's fills of the span, signed, in its order, none after the last minute."""
    span = parity_span(config_of(["BTC", "ETH", "DOGE"], warmup_ratio=0.2), MARKET, START, 2.0)
    trades = backtest_trades(span)
    assert len(trades) > 10
    assert [trade.ts for trade in trades] == sorted(trade.ts for trade in trades)
    assert all(span.planned_ms < trade.ts <= span.last_ms and trade.ts % M == 0 for trade in trades)
    assert {trade.coin for trade in trades} <= set(span.coins)
    assert all((trade.qty > 0) == trade.order_type.startswith("entry") for trade in trades if trade.pside == "long")
    assert {trade.pside for trade in trades} == {trade.order_type.rpartition("_")[2] for trade in trades}
    assert {trade.pside for trade in trades} == {"long"}
    longer = parity_span(config_of(["BTC", "ETH", "DOGE"], warmup_ratio=0.2), MARKET, START, 2.5)
    assert backtest_trades(longer)[: len(trades)] == trades
    assert backtest_trades(replace(span, last_ms=trades[-1].ts)) == trades
    assert [trade for trade in trades if trade.ts < trades[-1].ts] == backtest_trades(
        replace(span, last_ms=trades[-1].ts - M)
    )


def test_both_sides_of_a_backtest() -> None:
    """Shorts are told by the name of their orders."""
    config = config_of(["BTC", "ETH"], warmup_ratio=0.2)
    config["live"]["approved_coins"]["short"] = ["BTC", "ETH"]
    config["bot"]["short"] |= {"total_wallet_exposure_limit": 1.0, "n_positions": 2}
    trades = backtest_trades(parity_span(config, MARKET, START, 2.0))
    assert {trade.pside for trade in trades} == {"long", "short"}
    assert all(trade.order_type.endswith(trade.pside) for trade in trades)


# --- trades


STEPS = {"A": (0.01, 0.1), "B": (0.01, 0.1)}


def trade(minute: int = 0, coin: str = "A", **changes: Any) -> Trade:
    plain: dict[str, Any] = {"pside": "long", "qty": 1.0, "price": 100.0, "order_type": "entry_grid_normal_long"}
    return Trade(minute * M, coin, **(plain | changes))


def causes(backtest: list[Trade], live: list[Trade]) -> list[tuple[Any, Any, str]]:
    return [(d.backtest, d.live, d.cause) for d in compare(backtest, live, STEPS).differences]


def test_equal_trades() -> None:
    """Every trade counts once, two equal ones twice."""
    same = [trade(), trade(1), trade(1)]
    found = compare(same, list(reversed(same)), STEPS)
    assert (found.equal, found.n_backtest, found.n_live, found.differences) == (3, 3, 3, ())
    assert (found.by_cause, found.unexplained) == ({}, 0)
    kinds = ["close_unstuck_long", "entry_initial_normal_long", "close_auto_reduce_twel_short", "close_unstuck_short"]
    both = [trade(order_type=name) for name in kinds]
    assert compare(both, both, STEPS).kinds == {"unstuck": 2, "initial": 1, "auto": 1}
    assert compare(both, [], STEPS).kinds == {}
    found = compare(same, same[:2], STEPS)
    assert (found.equal, found.n_backtest, found.n_live, found.unexplained) == (2, 3, 2, 1)
    assert (found.differences[0].backtest, found.differences[0].live) == (trade(1), None)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"price": 100.01}, "rounded the other way"),
        ({"qty": 0.9, "price": 99.99}, "rounded the other way"),
        ({"price": 100.02}, "unexplained"),
        ({"qty": 1.2}, "unexplained"),
    ],
)
def test_pairs(changes: Any, cause: str) -> None:
    """Trades of the same minute, coin, side and type belong together; a step more or less has a cause."""
    live = trade(**changes)
    assert causes([trade()], [live]) == [(trade(), live, cause)]
    short: dict[str, Any] = {"qty": -1.0}
    assert causes([trade(**short)], [trade(**short, price=100.01)])[0][2] == "rounded the other way"


@pytest.mark.parametrize(
    "changes", [{"coin": "B"}, {"pside": "short"}, {"order_type": "entry_initial_normal_long"}, {"minute": 1}]
)
def test_strangers(changes: Any) -> None:
    """Otherwise each stands alone."""
    found = causes([trade()], [trade(**changes)])
    assert {(bool(ours), bool(theirs)) for ours, theirs, _ in found} == {(True, False), (False, True)}


def test_what_follows() -> None:
    """After the first difference balance and positions differ: later trades have no reason of their own to agree."""
    backtest = [trade(1, "B"), trade(1), trade(3), trade(4, pside="short")]
    live = [trade(1, price=101.0), trade(3, price=100.01)]
    assert causes(backtest, live) == [
        (trade(1, "B"), None, "unexplained"),
        (trade(1), trade(1, price=101.0), "unexplained"),
        (trade(3), trade(3, price=100.01), "follows from an earlier difference"),
        (trade(4, pside="short"), None, "follows from an earlier difference"),
    ]
    found = compare(backtest, live, STEPS)
    assert found.by_cause == {"unexplained": 2, "follows from an earlier difference": 2}
    assert (found.unexplained, found.differences[0].trade) == (2, trade(1, "B"))


def test_each_trade_has_one_partner() -> None:
    """Two of the same place are paired one by one."""
    live = [trade(price=101.0), trade(price=102.0)]
    assert causes([trade(price=99.0), trade(price=98.0), trade(price=97.0)], live) == [
        (trade(price=99.0), live[0], "unexplained"),
        (trade(price=98.0), live[1], "follows from an earlier difference"),
        (trade(price=97.0), None, "follows from an earlier difference"),
    ]
