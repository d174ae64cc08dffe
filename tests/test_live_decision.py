"""From an account to what has to change, over a real candle manager (`live.md` 4, 6-13, `additions.md` 13, 14)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ccxt
import pytest

from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.errors import CandleFetchError, LockTimeoutError
from exchanges.protocol import Capabilities, OpenOrder, TargetOrder
from live.account.strangers import SortedOrders
from live.choice.market_book import MarketBook
from live.fills.history import FillHistory
from live.fills.store import FillStore
from live.planning.decision import Decider, Decision, World
from live.planning.market_data import MarketData
from live_cases import (
    MINUTE,
    NOW,
    FakeVenue,
    account_of,
    book_of,
    coin_sets,
    flat_candles,
    order,
    positions_of,
    settings_of,
    symbol,
)
from markets.candle import Candles
from test_fill_history import FakeSource
from test_fill_records import fill

A, B = symbol("A"), symbol("B")
SPANS = {
    "ema_span_0": 10.0, "ema_span_1": 20.0, "entry_volatility_ema_span_hours": 3.0, "filter_volume_ema_span": 15.0,
    "filter_volatility_ema_span": 15.0, "entry_initial_ema_dist": 0.0, "entry_initial_qty_pct": 0.1,
    "entry_trailing_grid_ratio": 0.0, "close_trailing_grid_ratio": 0.0,
}  # fmt: skip
DEFAULT = (1.7976931348623157e308, 0.0, 0.0, 1.7976931348623157e308)


@dataclass
class CandleFeed:
    """The candles of an exchange: minutes, and hours, without fetching; what a symbol has an error for fails."""

    rows: dict[str, Candles] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    id: str = "binance"
    version: str = ""

    def earliest(self, period_ms: int, last_ts: int) -> int | None:
        return None

    async def first_ts(self, symbol: str) -> int | None:
        return None

    async def fetch(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, keep: Any) -> int:
        self.asked.append((symbol, timeframe))
        if symbol in self.errors:
            raise self.errors[symbol]
        rows = self._rows(symbol, timeframe)
        inside = rows[(rows["ts"] >= start_ts) & (rows["ts"] <= end_ts)]
        await keep(inside)
        return len(inside)

    async def newest(self, symbol: str, count: int, now_ms: int) -> Candles:
        self.asked.append((symbol, "newest"))
        if symbol in self.errors:
            raise self.errors[symbol]
        return self._rows(symbol, "1m")[-count:]

    async def last_price(self, symbol: str) -> float | None:
        return None

    def _rows(self, symbol: str, timeframe: str) -> Candles:
        return self.rows[symbol] if timeframe == "1m" else flat_candles(8, MINUTE - HOUR_MS, period=HOUR_MS)


@dataclass
class Bench:
    """A decider over an account of A and B, whose candles stand still at 100."""

    folder: Path
    long: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    fills: list[Any] = field(default_factory=list)
    venue: FakeVenue = field(default_factory=lambda: FakeVenue(last={A: 100.0, B: 100.0}))
    book: MarketBook = field(default_factory=lambda: book_of("ABCD"))
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    approved: Any = field(default_factory=lambda: coin_sets("AB"))
    source: CandleFeed = field(default_factory=CandleFeed)

    def __post_init__(self) -> None:
        for coin in "ABCD":
            self.source.rows[symbol(coin)] = flat_candles(400)
        self.manager = CandlestickManager(
            self.source, "binance", cache_dir=self.folder, clock=self.clock, archive_enabled=False
        )
        self.data = MarketData(self.venue, self.manager, self.clock)  # type: ignore[arg-type]
        history = FillHistory(FillStore(self.folder / "fills"), FakeSource(self.fills), self.clock)
        history.load()
        asyncio.run(history.refresh(0, NOW))
        settings = settings_of(SPANS | {"n_positions": 2} | self.long, **{"market_orders_allowed": False, **self.live})
        self.decider = Decider(settings, self.venue, self.data, history, self.clock)  # type: ignore[arg-type]

    def decide(
        self, held: str = "", orders: Sequence[OpenOrder] = (), *, stop: str | None = None, unready: str = ""
    ) -> Decision:
        world = World(
            account=account_of(held, orders),
            orders=SortedOrders(tuple(orders), stop_opening=stop),
            book=self.book,
            coins=self.approved,
            ages={},
            unready=[symbol(coin) for coin in unready],
        )

        async def run() -> Decision:
            assignment, prices = await self.decider.assign(world)
            return await self.decider.decide(world, assignment, prices)

        return asyncio.run(run())


def words(orders: Sequence[TargetOrder]) -> list[str]:
    return [f"{o.symbol[0]} {o.order_type} {o.qty:g}@{o.price:g}" for o in orders]


FIRST = ["A entry_initial_normal_long 0.75@100", "B entry_initial_normal_long 0.75@100"]


def test_a_flat_account(tmp_path: Path) -> None:
    """First entries where the candles stand; those far away wait. Candles, EMAs and prices are there for all."""
    bench = Bench(tmp_path)
    decision = bench.decide()
    assert words(decision.targets) == FIRST
    assert [change.order for change in decision.diff.to_create] == list(decision.targets)
    assert decision.diff.to_cancel == ()
    assert decision.active == [A, B]
    assert (decision.blocked, decision.plan.frozen) == ({}, {})
    assert len(decision.translation.withheld) > 2
    assert bench.venue.asked == [("tickers", [A, B])]
    facts = decision.facts
    assert (facts.prices, facts.limits[A, "long"], facts.hedge) == ({A: 100.0, B: 100.0}, 0.75, True)
    assert facts.allowances == {"long": 0.0, "short": 0.0}
    assert facts.bundles == {}
    emas = facts.emas[A]
    assert set(emas.closes) >= {10.0, 20.0, math.sqrt(200.0)}
    assert list(emas.closes.values()) == pytest.approx([100.0] * len(emas.closes))
    assert (set(emas.volumes), set(emas.log_ranges)) == ({15.0, 60.0}, {15.0, 60.0})
    assert {3.0} <= set(emas.hourly_log_ranges)


def test_what_rests_already_stays(tmp_path: Path) -> None:
    """Equal orders are kept, nearly equal ones too (13), others replaced; a foreign side of the account is not seen."""
    resting = (
        order("A", qty=0.75, price=100.0),
        order("B", qty=0.75, price=99.99, id="near"),
        order("A", qty=9.0, price=50.0, id="far"),
    )
    diff = Bench(tmp_path, live={"order_match_tolerance_pct": 0.0002}).decide(orders=resting).diff
    assert [change.order.id for change in diff.to_cancel] == ["far"]
    assert (diff.to_create, diff.skipped) == ((), 1)
    diff = Bench(tmp_path / "exact", live={"order_match_tolerance_pct": 0.0}).decide(orders=resting).diff
    assert [change.order.id for change in diff.to_cancel] == ["near", "far"]
    assert words([change.order for change in diff.to_create]) == FIRST[1:]


def test_only_managed_orders_are_compared(tmp_path: Path) -> None:
    """Orders that were sorted out are neither cancelled nor matched."""
    bench = Bench(tmp_path)
    world = World(account_of("", [order("A")]), SortedOrders(()), bench.book, bench.approved, {})

    async def run() -> Decision:
        return await bench.decider.decide(world, *await bench.decider.assign(world))

    assert asyncio.run(run()).diff.to_cancel == ()


def test_translation_follows_the_settings(tmp_path: Path) -> None:
    """The distance at which orders rest; market orders where allowed; the venue's way and its cap of orders."""
    assert len(Bench(tmp_path, live={"price_distance_threshold": 0.5}).decide().targets) > 2
    kinds = {o.kind for o in Bench(tmp_path / "m", live={"market_orders_allowed": True}).decide().targets}
    assert kinds == {"market"}
    assert {o.kind for o in Bench(tmp_path / "l", live={"market_orders_allowed": False}).decide().targets} == {"limit"}

    class Rounding(FakeVenue):
        def fitted(self, orders: Sequence[TargetOrder]) -> Sequence[TargetOrder]:
            return orders[:1]

    assert words(Bench(tmp_path / "f", venue=Rounding(last={A: 100.0, B: 100.0})).decide().targets) == FIRST[:1]
    for cap, left in ((1, 1), (2, 2), (3, 2)):
        capped = FakeVenue(last={A: 100.0, B: 100.05}, capabilities=Capabilities("okx", max_open_orders=cap))
        found = words(Bench(tmp_path / f"c{cap}", venue=capped).decide().targets)
        assert found == [FIRST[0], "B entry_initial_normal_long 0.75@100"][:left]


@pytest.mark.parametrize(("wanted", "can", "hedge"), [(True, True, True), (False, True, False), (True, False, False)])
def test_hedging(tmp_path: Path, wanted: bool, can: bool, hedge: bool) -> None:
    """Both the config and the exchange have to allow it."""
    venue = FakeVenue(last={A: 100.0, B: 100.0}, capabilities=Capabilities("binance", hedge=can))
    bench = Bench(tmp_path, live={"hedge_mode": wanted}, venue=venue)
    assert bench.decide().facts.hedge is hedge


# --- nothing may be opened


@pytest.mark.parametrize(
    ("given", "blocked", "targets"),
    [
        ({"unready": "A"}, {A: "its leverage could not be set"}, FIRST[1:]),
        ({"unready": "AC"}, {A: "its leverage could not be set"}, FIRST[1:]),
        ({"stop": "a second bot"}, {A: "a second bot", B: "a second bot"}, []),
    ],
)
def test_blocked(tmp_path: Path, given: Any, blocked: dict[str, str], targets: list[str]) -> None:
    """Symbols that could not be set up, or all if a stranger trades here: no new position, and it is said why."""
    decision = Bench(tmp_path).decide(**given)
    assert (decision.blocked, words(decision.targets)) == (blocked, targets)
    assert {decision.facts.modes[name, "long"] for name in blocked} == {"graceful_stop"}
    assert {decision.assignment.modes[name, "long"] for name in blocked} == {"graceful_stop"}


@pytest.mark.parametrize(("minutes", "targets"), [(3, FIRST), (4, FIRST[1:])])
def test_late_candles_block(tmp_path: Path, minutes: int, targets: list[str]) -> None:
    """Candles later than three minutes open nothing; the age is told. A position goes on being managed."""
    bench = Bench(tmp_path)
    bench.source.rows[A] = flat_candles(400)[:-minutes]
    decision = bench.decide()
    assert words(decision.targets) == targets
    assert decision.blocked == ({A: "its newest candle is 4 minutes old"} if minutes > 3 else {})
    bench.venue.last = {A: 106.0, B: 100.0}
    assert any("close" in text for text in words(bench.decide("A=1@100").targets))


def test_no_candles_at_all(tmp_path: Path) -> None:
    """Then the age is that of everything that is looked at."""
    bench = Bench(tmp_path)
    bench.source.rows[A] = bench.source.rows[A][:0]
    decision = bench.decide()
    assert decision.blocked == {A: "its newest candle is 100 minutes old"}
    assert words(decision.targets) == FIRST[1:]
    assert list(decision.plan.frozen) == [A]


# --- symbols that fail


def test_a_symbol_that_fails_is_frozen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its candles do not come: both sides manual, its orders untouched, its exposure counted; the others trade."""
    bench = Bench(tmp_path, live={"approved_coins": []})
    bench.source.errors[A] = CandleFetchError("binance is down")
    decision = bench.decide("A=2@90", [order("A", price=80.0)])
    assert list(decision.plan.frozen) == [A]
    assert decision.plan.frozen[A].startswith("no candles of A/USDT:USDT: binance is down")
    assert (words(decision.targets), decision.diff.to_cancel) == (FIRST[1:], ())
    assert decision.plan.request
    assert decision.plan.request["symbols"][0]["long"]["position"] == {"size": 2.0, "price": 90.0}
    assert "[candle] A/USDT:USDT: binance is down" in caplog.text


def test_a_lock_that_is_held(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another program is fetching the symbol: a warning, no error."""
    bench = Bench(tmp_path)
    bench.source.errors[A] = LockTimeoutError("held by 12")
    asyncio.run(bench.data.refresh([B, A]))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "[candle] A/USDT:USDT: held by 12")
    ]
    assert list(dict.fromkeys(name for name, _ in bench.source.asked)) == [A, B]


def test_a_position_that_is_not_listed(tmp_path: Path) -> None:
    """Nothing is asked about it; it counts, as one of the planner's slots too."""
    bench = Bench(tmp_path)
    decision = bench.decide("X=2@90")
    assert decision.plan.frozen == {symbol("X"): "binance does not list X/USDT:USDT"}
    assert words(decision.targets) == FIRST[:1]
    assert (symbol("X"), "1m") not in bench.source.asked
    assert bench.venue.asked == [("tickers", [A, B])]


def test_a_trailing_state_that_is_not_known(tmp_path: Path) -> None:
    """A position that trails on candles which do not come is left alone; one that does not trail needs none."""
    trailing = {"entry_trailing_grid_ratio": 0.5, "close_trailing_grid_ratio": 0.0}
    bench = Bench(tmp_path, long=trailing)
    bench.decide("A")
    bench.source.errors[A] = CandleFetchError("gone")
    bundles, failed = asyncio.run(
        bench.data.bundles(positions_of("A B"), {(A, "long"): trailing, (B, "long"): trailing}, [])
    )
    assert failed == {A: "the trailing state of A/USDT:USDT is not known: gone"}
    assert bundles == {(B, "long"): (100.0, 100.0, 100.0, 100.0)}
    decision = bench.decide("A")
    assert decision.plan.frozen == {A: "the trailing state of A/USDT:USDT is not known: gone"}
    grid = {"entry_trailing_grid_ratio": 0.0, "close_trailing_grid_ratio": 0.0}
    assert asyncio.run(bench.data.bundles(positions_of("A"), {(A, "long"): grid}, [])) == ({}, {})


def test_trailing_states(tmp_path: Path) -> None:
    """Over the candles that open after the position's last fill; with parameters of the coin itself."""
    fills = [fill(id="1", symbol=A, timestamp=MINUTE - 3 * M, qty=1.0), fill(id="2", symbol=B, timestamp=MINUTE - M)]
    overrides = {coin: {"bot": {"long": {"entry_trailing_grid_ratio": 0.5}}} for coin in "AB"}
    bench = Bench(tmp_path, fills=fills, live={"overrides": overrides}, long={"n_positions": 3})
    bench.source.rows[A]["h"][-2], bench.source.rows[A]["l"][-3] = 103.0, 90.0
    bench.venue.last[symbol("C")] = 100.0
    bundles = bench.decide("A B C").facts.bundles
    assert bundles == {(A, "long"): (100.0, 100.0, 103.0, 100.0), (B, "long"): DEFAULT}


# --- prices


def test_prices(tmp_path: Path) -> None:
    """One snapshot of tickers for approved coins and the account; coins it lacks from candles, if they are needed."""
    bench = Bench(tmp_path, venue=FakeVenue(last={A: 101.0, B: 0.0}))
    prices = asyncio.run(bench.data.prices([B, A, symbol("C")], [B]))
    assert prices == {A: 101.0, B: 100.0}
    assert bench.venue.asked == [("tickers", [A, B, symbol("C")])]
    assert bench.data.known_prices == prices
    bench.venue.last = {A: 0.5}
    asyncio.run(bench.data.prices([A], []))
    assert bench.data.known_prices == {A: 0.5, B: 100.0}
    bench.venue.asked.clear()
    assert asyncio.run(bench.data.prices([], [])) == {}
    assert bench.venue.asked == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ccxt.NetworkError("down"), "network"), (ccxt.ExchangeNotAvailable("busy"), "unavailable"),
     (ccxt.ExchangeError("no"), "refused")],
)  # fmt: skip
def test_no_tickers(tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, kind: str) -> None:
    """The candles stand in; a symbol that they do not know either has no price, and is told."""
    bench = Bench(tmp_path, venue=FakeVenue(last=error))
    bench.source.errors[B] = CandleFetchError("nothing")
    assert asyncio.run(bench.data.prices([A, B], [A, B])) == {A: 100.0}
    assert f"no tickers ({kind}: " in caplog.text
    assert "no price of B/USDT:USDT: nothing" in caplog.text


@pytest.mark.parametrize(
    "error", [ccxt.RateLimitExceeded("slow down"), ccxt.AuthenticationError("keys"), KeyError("x")]
)
def test_errors_that_end_the_cycle(tmp_path: Path, error: Exception) -> None:
    """Who asks too often, has no right, or is wrong itself, does not go on with other prices."""
    bench = Bench(tmp_path, venue=FakeVenue(last=error))
    with pytest.raises(type(error)):
        asyncio.run(bench.data.prices([A], [A]))


def test_a_price_that_nobody_knows(tmp_path: Path) -> None:
    """The symbol is planned at the price of its position, with both sides manual."""
    bench = Bench(tmp_path, venue=FakeVenue(last={B: 100.0}))
    bench.source.rows[A] = bench.source.rows[A][:0]
    decision = bench.decide("A=2@90")
    assert decision.plan.frozen == {A: "no last price of A/USDT:USDT"}
    assert decision.plan.request
    assert decision.plan.request["symbols"][0]["order_book"]["bid"] == 90.0
    bench.venue.last = {A: 95.0, B: 100.0}
    bench.decide("A=2@90")
    bench.venue.last = {B: 100.0}
    decision = bench.decide("A=2@90")
    assert decision.plan.request
    assert decision.plan.request["symbols"][0]["order_book"]["bid"] == 95.0


def test_whose_prices_are_asked_for(tmp_path: Path) -> None:
    """Approved coins, the account, and everything where an empty list means everything on a side that trades."""
    bench = Bench(tmp_path, approved=coin_sets("A"))
    bench.decide("D", [order("C")])
    assert bench.venue.asked == [("tickers", [A, symbol("C"), symbol("D")])]
    empty = coin_sets("", names_none=True)
    for live, asked in (({"empty_means_all_approved": True}, "ABCD"), ({"empty_means_all_approved": False}, "")):
        bench = Bench(tmp_path / asked, approved=empty, live=live)
        bench.decide()
        assert bench.venue.asked == ([("tickers", [symbol(coin) for coin in asked])] if asked else [])
    off = Bench(tmp_path / "off", {"n_positions": 0}, {"empty_means_all_approved": True}, approved=empty)
    assert off.decide().active == []
    assert off.venue.asked == []


def test_forced_coins_get_prices_too(tmp_path: Path) -> None:
    """A coin that only its own mode made active has the price of its candles."""
    overrides = {"D": {"live": {"forced_mode_long": "normal"}}}
    bench = Bench(tmp_path, live={"overrides": overrides}, approved=coin_sets("A"), long={"n_positions": 1})
    decision = bench.decide()
    assert decision.facts.prices == {A: 100.0, symbol("D"): 100.0}
    assert words(decision.targets) == ["D entry_initial_normal_long 1.5@100"]
    assert bench.source.asked[0] == (symbol("D"), "1m")


# --- unstuck (10)


@pytest.mark.parametrize(
    ("live", "long"), [({}, 3.0), ({"unstuck_use_lookback": True, "pnls_max_lookback_days": 2.0}, 43.0)]
)
def test_allowances(tmp_path: Path, live: Any, long: float) -> None:
    """From all known fills, or those of the lookback alone; by share and total limit of the side, gross."""
    fills = [
        fill(id="1", symbol=A, timestamp=NOW - 3 * DAY_MS, qty=4.0, price=100.0),
        fill(id="2", symbol=A, timestamp=NOW - 3 * DAY_MS + 1, qty=2.0, price=90.0, side="sell", pnl=-99.0),
        fill(id="3", symbol=A, timestamp=NOW - DAY_MS, qty=2.0, price=80.0, side="sell", pnl=-99.0),
    ]
    bench = Bench(
        tmp_path, {"unstuck_loss_allowance_pct": 0.06}, live, fills, book=book_of("ABCD", A={"contractSize": 0.5})
    )
    found = bench.decide().facts.allowances
    # 1000 now; peak 1000 + 30 gross over all fills, 1000 + 20 in the last two days; 9 % of the peak less the loss
    peak = {3.0: 1030.0, 43.0: 1020.0}[long]
    assert found == {"long": pytest.approx(max(0.0, peak * (0.06 * 1.5 + 1000.0 / peak - 1.0))), "short": 0.0}


def test_parameters_reach_the_planner(tmp_path: Path) -> None:
    """Of the side, and of the coin; the filter by cost as in the config."""
    overrides = {"A": {"bot": {"long": {"entry_initial_qty_pct": 0.2}}}}
    bench = Bench(tmp_path, live={"overrides": overrides, "filter_by_min_effective_cost": True})
    decision = bench.decide()
    assert words(decision.targets) == ["A entry_initial_normal_long 1.5@100", FIRST[1]]
    assert decision.plan.request
    assert decision.plan.request["global"]["filter_by_min_effective_cost"] is True
    assert decision.plan.request["global"]["global_bot_params"]["long"]["entry_initial_qty_pct"] == 0.1


def test_refreshing_is_quiet_when_nothing_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each symbol once a minute: what is held already costs no request, a candle that is late is asked for again."""
    caplog.set_level(logging.WARNING)
    bench = Bench(tmp_path)
    asyncio.run(bench.data.refresh([A]))
    bench.source.asked.clear()
    asyncio.run(bench.data.refresh([A]))
    assert bench.source.asked == []
    bench.clock.advance(M)
    asyncio.run(bench.data.refresh([A]))
    assert bench.source.asked
    bench.source.asked.clear()
    bench.clock.advance(2_000)
    asyncio.run(bench.data.refresh([A]))
    assert bench.source.asked == []
    bench.clock.advance(4_000)
    asyncio.run(bench.data.refresh([A]))
    assert bench.source.asked
    assert bench.data.late([A, B]) == {B: 100}


def test_how_old_things_may_be(tmp_path: Path) -> None:
    """Newest candles and prices of candles: ten seconds, however late in the minute (`candles.md` 9)."""
    bench = Bench(tmp_path, clock=ManualClock(MINUTE + 40_000))
    bench.source.rows[A] = bench.source.rows[A][:-1]

    def asked(work: Any) -> bool:
        bench.source.asked.clear()
        asyncio.run(work())
        return bool(bench.source.asked)

    for work in (lambda: bench.data.refresh([A]), lambda: bench.data.prices([], [A])):
        assert asked(work)
        bench.clock.advance(10_000)
        assert not asked(work)
        bench.clock.advance(1)
        assert asked(work)
        bench.clock.ms = MINUTE + 40_000
