"""Modes and limits of a cycle through the whole chain: lists, ages, costs, ranking, slots (`live.md` 6-8)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from core.clock import DAY_MS, ManualClock
from core.errors import DataError
from live.choice.assignment import Assigner, Assignment, Surroundings
from live.choice.coin_lists import CoinSets
from live.choice.ranking import RankingLog, RankingNeed, Scores, read_scores
from live_cases import NOW, FakeEmas, account_of, book_of, coin_sets, order, settings_of, symbol, symbols

VOLUMES = {symbol(coin): 4.0 - i for i, coin in enumerate("ABCD")}
RANGES = {symbol(coin): 1.0 + i for i, coin in enumerate("ABCD")}


def run(
    account: Any = None, book: Any = None, coins: CoinSets | None = None, emas: Any = None, **given: Any
) -> Assignment:
    """One assignment; `n` slots, `drop` of volume, `config` for settings, `hedge`, `prices`, `first` candles."""
    config = dict(given.get("config", {}))
    long = {"n_positions": given.get("n", 4), "filter_volume_drop_pct": given.get("drop", 0.0)}
    config["long"] = long | config.get("long", {})
    source = emas or FakeEmas({"qv": VOLUMES, "log_range": RANGES})
    assigner = Assigner(settings_of(**config), source, given.get("clock", ManualClock(NOW)))
    around = Surroundings(
        book=book or book_of(),
        coins=coins or coin_sets(),
        account=account or account_of(),
        prices=given.get("prices", dict.fromkeys(symbols("ABCDEG"), 100.0)),
        first_ms=lambda name: given.get("first", {}).get(name, 0.0),
        can_hedge=given.get("hedge", True),
    )
    return asyncio.run(assigner.assign(around))


def modes_of(found: Assignment, pside: str) -> dict[str, str]:
    """`{mode: coins}` of a side."""
    words: dict[str, str] = {}
    for (name, side), mode in sorted(found.modes.items()):
        if side == pside:
            words[mode] = words.get(mode, "") + name[0]
    return words


FORCED = {"live": {"forced_mode_long": "normal"}}
SHORT_ON = {"total_wallet_exposure_limit": 1.5, "n_positions": 2, "filter_volume_drop_pct": 0.5}


@pytest.mark.parametrize(
    ("given", "long", "limit", "forager"),
    [
        ({}, {"normal": "ABCD"}, 0.375, False),
        ({"n": 2, "drop": 0.5}, {"normal": "AB"}, 0.75, True),
        ({"n": 2}, {"normal": "CD"}, 0.75, True),
        ({"n": 2, "drop": 0.5, "account": account_of("G")}, {"graceful_stop": "G", "normal": "B"}, 0.75, True),
        (
            {"n": 2, "drop": 0.5, "account": account_of("G"), "config": {"auto_gs": False}},
            {"manual": "G", "normal": "B"}, 0.75, True,
        ),
        ({"n": 2, "account": account_of("A B C")}, {"graceful_stop": "ABC"}, 0.5, True),
        ({"account": account_of(orders=[order("E")])}, {"normal": "ABCD", "graceful_stop": "E"}, 0.375, False),
        ({"account": account_of("A"), "config": {"forced_mode_long": "gs"}}, {"graceful_stop": "A"}, 0.375, False),
        ({"config": {"forced_mode_long": "p"}}, {}, None, False),
        ({"n": 1, "config": {"overrides": {"G": FORCED}}}, {"normal": "G"}, 1.5, True),
        (
            {"config": {"overrides": {"A": {"live": {"forced_mode_long": "m"}}}}},
            {"manual": "A", "normal": "BCD"}, 0.375, False,
        ),
        (
            {"account": account_of("A"), "book": book_of(A={"active": False})},
            {"tp_only": "A", "normal": "BCD"}, 0.5, False,
        ),
        (
            {"account": account_of("A"), "book": book_of(A={"linear": False})},
            {"manual": "A", "normal": "BC"}, 0.5, False,
        ),
        ({"account": account_of("X")}, {"manual": "X", "normal": "ABCD"}, 0.375, False),
        ({"coins": coin_sets("ABCD", "D")}, {"normal": "ABC"}, 0.5, False),
    ],
)  # fmt: skip
def test_scenarios(given: Any, long: dict[str, str], limit: float | None, forager: bool) -> None:
    """The table of 7.3, with the limit of a side shared as the crate counts it, and who is not listed at all."""
    found = run(**given)
    assert modes_of(found, "long") == long
    assert {found.limits[key] for key in found.modes if key[1] == "long"} == ({limit} if long else set())
    assert found.sides["long"].forager is forager
    assert set(modes_of(found, "short")) <= {found_stop(given)}


def found_stop(given: Any) -> str:
    """What a coin does on the side that is off."""
    return "manual" if given.get("config", {}).get("auto_gs") is False else "graceful_stop"


def test_both_sides_where_one_is_held_at_a_time() -> None:
    """The last row of 7.3: a coin that is long is not opened short; the limits of the sides are apart."""
    given: Any = {"n": 2, "drop": 0.5, "account": account_of("A"), "config": {"short": SHORT_ON}}
    found = run(**given, hedge=False)
    assert modes_of(found, "long") == {"normal": "AB"}
    assert modes_of(found, "short") == {"graceful_stop": "A", "normal": "B"}
    assert modes_of(run(**given), "short") == {"normal": "AB"}
    short_first = run(**given | {"account": account_of("A-")}, hedge=False)
    assert modes_of(short_first, "long") == {"graceful_stop": "A", "normal": "B"}
    assert found.sides["long"].ideal == (symbol("B"), symbol("A"))
    assert (found.sides["long"].max_positions, len(found.sides["long"].approved)) == (2, 4)


def test_a_side_that_is_off() -> None:
    """Its positions and orders are wound down; nothing is shared, as nobody may open."""
    found = run(account_of("A A-", [order("B")]), config={"short": {"n_positions": 3}})
    assert modes_of(found, "short") == {"graceful_stop": "ABCD"}
    assert found.limits[symbol("A"), "short"] == 0.0
    assert found.sides["short"].approved == frozenset()


def test_limits_count_what_each_side_holds() -> None:
    """Shared among the slots or the positions of the own side, whichever are more; a coin's own limit wins."""
    overrides = {"B": {"bot": {"long": {"wallet_exposure_limit": 0.2}}}}
    short = {"total_wallet_exposure_limit": 0.9, "n_positions": 1}
    found = run(account_of("A B C D- E-"), n=2, config={"short": short, "overrides": overrides})
    assert {key: found.limits[key] for key in [(symbol("A"), "long"), (symbol("B"), "long"), (symbol("D"), "short")]} \
        == {(symbol("A"), "long"): 0.5, (symbol("B"), "long"): 0.2, (symbol("D"), "short"): 0.45}  # fmt: skip


def test_everything_is_approved_only_by_an_empty_list() -> None:
    """An empty list may mean all coins; one that names only coins that cannot be traded approves nothing."""
    config = {"empty_means_all_approved": True}
    assert modes_of(run(n=6, coins=coin_sets("", "B", names_none=True), config=config), "long") == {"normal": "ACDEG"}
    assert run(coins=coin_sets("", names_none=False), config=config).modes == {}
    assert run(coins=coin_sets("", names_none=True)).modes == {}


FIRST = {symbol("A"): NOW - 8.0 * DAY_MS, symbol("B"): NOW - 7.0 * DAY_MS, symbol("C"): NOW - 9.0 * DAY_MS}


@pytest.mark.parametrize(
    ("n", "days", "normal"), [(3, 7.0, "AC"), (3, 0.0, "BCD"), (4, 7.0, "ABCD"), (3, 8.0, "C"), (1, 10.0, "")]
)
def test_ages(n: int, days: float, normal: str) -> None:
    """Where coins compete, they have to be older than the minimum; unknown ones (D) are too young."""
    found = run(n=n, first=FIRST, config={"minimum_coin_age_days": days})
    assert modes_of(found, "long").get("normal", "") == normal


@pytest.mark.parametrize(
    ("initial", "prices", "normal"),
    [
        (0.02, {"A": 100.0, "B": 750.0, "C": 751.0}, "AB"),
        (0.02, {"A": float("nan"), "B": 0.0, "C": 5.0, "D": 5.0}, "CD"),
        (0.0133, {"A": 100.0, "B": 100.0}, ""),
    ],
)
def test_first_entries_that_are_too_small(
    caplog: pytest.LogCaptureFixture, initial: float, prices: Any, normal: str
) -> None:
    """Balance x limit x share of the first entry reaches the smallest order's cost, or equals it; else not chosen.

    Where no coin is left, one line says what may be done. A coin without a price is not chosen either.
    """
    caplog.set_level(logging.INFO)
    limits = {"amount": {"min": 0.01}, "cost": {"min": 5.0}}
    book = book_of("ABCD", **{coin: {"limits": limits, "contractSize": 1.0} for coin in "ABCD"})
    found = run(
        account_of(balance=1000.0), book, n=4, prices={symbol(coin): price for coin, price in prices.items()},
        config={"filter_by_min_effective_cost": True, "long": {"entry_initial_qty_pct": initial}},
    )  # fmt: skip
    assert modes_of(found, "long").get("normal", "") == normal
    assert ("no coin's first long entry" in caplog.text) is not normal


def test_none_fits_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not in every cycle; with the balance and the names of the settings."""
    caplog.set_level(logging.INFO)
    settings = settings_of(filter_by_min_effective_cost=True)
    assigner = Assigner(settings, FakeEmas(), ManualClock(NOW))
    around = Surroundings(book_of(), coin_sets(), account_of(balance=10.0), {}, lambda name: 0.0, True)
    for _ in range(2):
        asyncio.run(assigner.assign(around))
    assert [record.getMessage() for record in caplog.records] == [
        "[mode] no coin's first long entry reaches the exchange's minimum with a balance of 10.00: raise the balance, "
        "set live.filter_by_min_effective_cost to false, or lower bot.long.n_positions"
    ]


def test_parameters_of_a_coin() -> None:
    """Overrides go by the coin, whatever its symbol is called."""
    overrides = {"PEPE": {"bot": {"long": {"entry_initial_qty_pct": 0.5}}}}
    assigner = Assigner(settings_of(overrides=overrides), FakeEmas(), ManualClock(NOW))
    book = book_of(["1000PEPE", "A"])
    assert assigner.params("1000PEPE/USDT:USDT", "long", book)["entry_initial_qty_pct"] == 0.5
    assert assigner.params(symbol("A"), "long", book)["entry_initial_qty_pct"] == 0.00592
    forced = Assigner(settings_of(overrides={"PEPE": FORCED, "NONE": FORCED}), FakeEmas(), ManualClock(NOW))
    around = Surroundings(book, coin_sets(""), account_of(), {}, lambda name: 0.0, True)
    assert modes_of(asyncio.run(forced.assign(around)), "long") == {"normal": "1"}


# --- ranking (8)


def test_what_is_asked_for_ranking() -> None:
    """Spans as they are, never rounded, no older than the minute; volumes only if a share of them is dropped."""
    emas = FakeEmas()
    spans = {"filter_volume_ema_span": 10.5, "filter_volatility_ema_span": 20.5}
    run(emas=emas, n=2, drop=0.5, config={"long": spans})
    assert emas.asked[0] == (symbol("A"), "1m", {"log_range": [20.5], "qv": [10.5]}, 2500)
    assert [name for name, *_ in emas.asked] == sorted(symbols("ABCD"))
    emas = FakeEmas()
    run(emas=emas, n=2, config={"long": spans})
    assert emas.asked[0][2] == {"log_range": [20.5]}
    emas = FakeEmas()
    run(emas=emas, n=4)
    assert emas.asked == []


@pytest.mark.parametrize(("ms", "told"), [(30_000, False), (32_000, True)])
def test_slow_ranking(ms: int, told: bool, caplog: pytest.LogCaptureFixture) -> None:
    """How long it took, at info where that is more than `volume_refresh_info_threshold_seconds`, 30."""
    clock = ManualClock(NOW)

    class Slow(FakeEmas):
        async def get_deep_emas(self, *args: Any, **options: Any) -> dict[tuple[str, float], float]:
            clock.advance(ms // 4)
            return await super().get_deep_emas(*args, **options)

    caplog.set_level(logging.INFO)
    run(emas=Slow(), n=2, clock=clock)
    assert ("[ranking] volumes and ranges of 4 coins took 32.0 s" in caplog.text) is told


def test_scores_without_value(caplog: pytest.LogCaptureFixture) -> None:
    """What is not finite, and what fails, counts as 0: that coin is the last one, the others are ranked."""
    nan = float("nan")
    emas = FakeEmas({"qv": {"A": 3.0, "B": nan, "C": DataError("no")}, "log_range": {"A": nan, "B": 2.0}})
    scores = asyncio.run(read_scores(emas, RankingNeed("ABC", 10.0, 20.0), NOW))
    assert scores == Scores({"A": 3.0, "B": 0.0, "C": 0.0}, {"A": 0.0, "B": 2.0, "C": 0.0})
    assert "[ranking] C counts as the last one: no" in caplog.text
    assert asyncio.run(read_scores(emas, RankingNeed("A", None, 20.0), NOW)) == Scores(None, {"A": 0.0})


def test_ranking_log(caplog: pytest.LogCaptureFixture) -> None:
    """The first eight of each metric and side, when their order has changed, at most every five minutes."""
    caplog.set_level(logging.INFO)
    clock = ManualClock(NOW)
    log = RankingLog(clock)
    names = {f"{i}/X": str(i) for i in range(10)}
    rising = {name: float(i) for i, name in enumerate(names)}
    falling = {name: -value for name, value in rising.items()}

    def told(scores: Scores, pside: Any = "long") -> list[str]:
        caplog.clear()
        log.tell(pside, scores, names)
        return [record.getMessage() for record in caplog.records]

    assert told(Scores(rising, {})) == ["[ranking] long by volume: 9 9, 8 8, 7 7, 6 6, 5 5, 4 4, 3 3, 2 2"]
    assert told(Scores(None, {"0/X": 0.125})) == ["[ranking] long by log range: 0 0.125"]
    assert len(told(Scores(falling, {}), "short")) == 1
    clock.advance(299_999)
    assert told(Scores(falling, {})) == []
    clock.advance(1)
    assert told(Scores(rising, {})) == []
    assert len(told(Scores(falling, {}))) == 1
    assert told(Scores(rising, {})) == []
