"""From coin lists, positions and rankings to a mode and an exposure limit for every symbol (`live.md` 6, 7).

The rules stand in `eligibility` and `modes`; here they get what they ask for, once a cycle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from candles.first_timestamps import is_old_enough
from config.live_settings import LiveSettings
from config.modes import ForcedModes
from config.settings import SideParams
from core.clock import Clock
from core.terms import PSIDES, Pside
from exchanges.protocol import Key
from live.account.state import AccountState
from live.choice.coin_lists import CoinSets
from live.choice.eligibility import (
    NOT_LISTED,
    SlotRules,
    approved_symbols,
    effective_min_cost,
    exposure_limit,
    ideal_coins,
    initial_entry_fits,
    is_forager,
    max_positions,
)
from live.choice.market_book import MarketBook
from live.choice.modes import ModeRules, SideState, assign_modes
from live.choice.ranking import RankingLog, RankingNeed, Scores, read_scores
from live.planning.indicators import EmaSource
from live.records import Modes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SideChoice:
    """What a side may open: the approved symbols, those that deserve a slot (best first), and how many slots."""

    approved: frozenset[str]
    ideal: tuple[str, ...]
    max_positions: int
    forager: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """A cycle's modes and wallet exposure limits, by symbol and side, and how they came about."""

    modes: Modes
    limits: Mapping[Key, float]
    sides: Mapping[Pside, SideChoice]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cycle knows: markets, coin lists, the account, last prices, first candles by symbol (0: unknown)."""

    book: MarketBook
    coins: CoinSets
    account: AccountState
    prices: Mapping[str, float]
    first_ms: Callable[[str], float]
    can_hedge: bool


class Assigner:
    """Decides modes and limits; `emas` ranks coins where they compete."""

    def __init__(self, settings: LiveSettings, emas: EmaSource, clock: Clock) -> None:
        self._settings, self._emas, self._clock = settings, emas, clock
        self._log = RankingLog(clock)
        self._told_none_fit: set[Pside] = set()

    def params(self, symbol: str, pside: Pside, book: MarketBook) -> SideParams:
        """A symbol's parameters, its coin's overrides included."""
        return self._settings.of_coin(book.coin(symbol), pside)

    async def assign(self, around: Surroundings) -> Assignment:
        """The modes of all symbols that are active, and the limits of these."""
        sides = {pside: await self._choose(pside, around) for pside in PSIDES}
        held = {pside: _held(around.account, pside) for pside in PSIDES}
        states = {
            pside: SideState(
                ideal=sides[pside].ideal,
                held=held[pside],
                held_opposite=held["short" if pside == "long" else "long"],
                max_positions=sides[pside].max_positions,
                stop=self._settings.stop_mode,
            )
            for pside in PSIDES
        }
        modes = assign_modes(states, around.account.with_orders(), self._mode_rules(around))
        limits = {key: self._limit(*key, around, len(sides[key[1]].approved)) for key in modes}
        return Assignment(modes, limits, sides)

    def _mode_rules(self, around: Surroundings) -> ModeRules:
        book, account = around.book, around.account
        known = account.held_symbols() | account.with_orders()
        unlisted = {symbol: NOT_LISTED for symbol in known if symbol not in book.markets}
        overridden = {book.symbol(coin) for coin in self._settings.parameters if book.symbols_of.get(coin)}
        return ModeRules(
            forced=_by_symbol(self._settings.forced_modes, book),
            overridden=overridden,
            ineligible={**unlisted, **book.ineligible},
            exchange_can_hedge=around.can_hedge,
        )

    async def _choose(self, pside: Pside, around: Surroundings) -> SideChoice:
        rules = self._slot_rules(pside)
        approved = approved_symbols(
            around.coins.approved[pside],
            around.coins.ignored[pside],
            around.book.eligible,
            rules,
            empty_means_all=self._settings.coins.empty_means_all and around.coins.names_none[pside],
        )
        forager = is_forager(rules, len(approved))
        slots = max_positions(rules, len(approved))
        if rules.forced or not slots:
            return SideChoice(approved, (), slots, forager)
        fitting = self._fitting(pside, approved, around, forager=forager)
        scores = Scores(None, {})
        if forager and fitting:
            scores = await self._scores(self._ranking_need(pside, fitting, rules))
            self._log.tell(pside, scores, {symbol: around.book.coin(symbol) for symbol in fitting})
        ideal = ideal_coins(approved, fitting, rules, scores.volumes, scores.volatilities)
        return SideChoice(approved, tuple(ideal), slots, forager)

    async def _scores(self, need: RankingNeed) -> Scores:
        started_ms = self._clock.now_ms()
        scores = await read_scores(self._emas, need, started_ms)
        seconds = (self._clock.now_ms() - started_ms) / 1000.0
        level = logging.INFO if seconds > self._settings.slow_ranking_s else logging.DEBUG
        logger.log(level, "[ranking] volumes and ranges of %d coins took %.1f s", len(need.symbols), seconds)
        return scores

    def _slot_rules(self, pside: Pside) -> SlotRules:
        side = self._settings.side(pside)
        return SlotRules(
            total_limit=float(side["total_wallet_exposure_limit"]),
            n_positions=int(side["n_positions"]),
            forced=self._settings.forced_modes.everywhere[pside] is not None,
            volume_drop_pct=float(side["filter_volume_drop_pct"]),
            volatility_drop_pct=float(side["filter_volatility_drop_pct"]),
        )

    def _ranking_need(self, pside: Pside, symbols: frozenset[str], rules: SlotRules) -> RankingNeed:
        side = self._settings.side(pside)
        volume_span = float(side["filter_volume_ema_span"]) if rules.volume_drop_pct > 0.0 else None
        return RankingNeed(symbols, volume_span, float(side["filter_volatility_ema_span"]))

    def _fitting(
        self, pside: Pside, approved: frozenset[str], around: Surroundings, *, forager: bool
    ) -> frozenset[str]:
        """Approved symbols that are old enough and whose first entry is large enough."""
        coins, now_ms = self._settings.coins, self._clock.now_ms()
        old = approved
        if forager:
            old = frozenset(s for s in approved if is_old_enough(around.first_ms(s), now_ms, coins.minimum_age_days))
        if not coins.filter_by_min_effective_cost:
            return old
        fitting = frozenset(s for s in old if self._is_large_enough(s, pside, around, len(approved)))
        if old and not fitting and pside not in self._told_none_fit:
            self._told_none_fit.add(pside)
            logger.info(
                "[mode] no coin's first %s entry reaches the exchange's minimum with a balance of %.2f: raise the "
                "balance, set live.filter_by_min_effective_cost to false, or lower bot.%s.n_positions",
                pside, around.account.balance, pside,
            )  # fmt: skip
        return fitting

    def _is_large_enough(self, symbol: str, pside: Pside, around: Surroundings, n_approved: int) -> bool:
        price = around.prices.get(symbol)
        if price is None or not price > 0.0:
            return False
        limit = self._limit(symbol, pside, around, n_approved)
        min_cost = effective_min_cost(around.book.markets[symbol], price)
        return initial_entry_fits(around.account.balance, limit, self.params(symbol, pside, around.book), min_cost)

    def _limit(self, symbol: str, pside: Pside, around: Surroundings, n_approved: int) -> float:
        own = self.params(symbol, pside, around.book).get("wallet_exposure_limit")
        n_held = len(_held(around.account, pside))
        return exposure_limit(self._slot_rules(pside), n_approved, n_held, None if own is None else float(own))


def _held(account: AccountState, pside: Pside) -> frozenset[str]:
    return frozenset(symbol for symbol, side in account.positions if side == pside)


def _by_symbol(forced: ForcedModes, book: MarketBook) -> ForcedModes:
    own = {(book.symbol(coin), pside): mode for (coin, pside), mode in forced.own.items()}
    return ForcedModes(forced.everywhere, own)
