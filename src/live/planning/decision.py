"""From a reading of the account to what has to change on the exchange; sends nothing (`live.md` 4, 6-13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from config.live_settings import LiveSettings
from config.settings import SideParams
from core.clock import DAY_MS, Clock
from core.terms import PSIDES, Pside
from exchanges.protocol import Exchange, Key, TargetOrder
from live.account.state import AccountState
from live.account.strangers import SortedOrders
from live.choice.assignment import Assigner, Assignment, Surroundings
from live.choice.coin_lists import CoinSets
from live.choice.market_book import MarketBook
from live.choice.modes import active_symbols, stop_opening
from live.fills.history import FillHistory
from live.planning.indicators import NO_EMAS, EmaNeed, SymbolEmas, ema_need, filter_need, read_emas
from live.planning.market_data import MarketData
from live.planning.planner import CycleFacts, Plan, PlanRules, make_plan
from live.planning.reconcile import reconcile
from live.planning.translate import TranslateRules, Translation, closest, translate
from live.planning.unstuck import UnstuckRules, gross_pnls, unstuck_allowances
from live.records import OrderDiff


@dataclass(frozen=True, slots=True)
class World:
    """What a cycle starts from. `first_ms` are first candles by symbol, `unready` symbols that could not be set up."""

    account: AccountState
    orders: SortedOrders
    book: MarketBook
    coins: CoinSets
    ages: Mapping[str, float]
    unready: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a cycle wants and why: `blocked` are symbols on which nothing may be opened, with the reason."""

    world: World
    assignment: Assignment
    plan: Plan
    translation: Translation
    targets: tuple[TargetOrder, ...]
    diff: OrderDiff
    facts: CycleFacts
    blocked: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> list[str]:
        return active_symbols(self.facts.modes)


class Decider:
    """Decides cycle by cycle. It keeps nothing but prices last seen; all else is rederived."""

    def __init__(
        self, settings: LiveSettings, exchange: Exchange, data: MarketData, fills: FillHistory, clock: Clock
    ) -> None:
        self._settings, self._exchange, self._data, self._fills = settings, exchange, data, fills
        self._clock = clock
        self._assigner = Assigner(settings, data.manager, clock)

    async def assign(self, world: World) -> tuple[Assignment, dict[str, float]]:
        """Modes and limits, and the last prices they were made with."""
        coins, book = world.coins, world.book
        managed = world.account.held_symbols() | world.account.with_orders()
        listed = {symbol for pside in PSIDES for symbol in coins.approved[pside]}
        everything = self._settings.coins.empty_means_all and any(
            coins.names_none[pside] and self._settings.is_enabled(pside) for pside in PSIDES
        )
        wanted = managed | listed | (book.eligible if everything else frozenset())
        prices = await self._data.prices(wanted & set(book.markets), managed & set(book.markets))
        around = Surroundings(
            book,
            coins,
            world.account,
            {**self._data.known_prices, **prices},
            lambda symbol: world.ages.get(symbol, 0.0),
            self._exchange.capabilities.hedge,
        )
        return await self._assigner.assign(around), prices

    async def decide(self, world: World, assignment: Assignment, prices: Mapping[str, float]) -> Decision:
        """The orders that should rest, and the difference to those that do."""
        symbols = active_symbols(assignment.modes)
        listed = [symbol for symbol in symbols if symbol in world.book.markets]
        await self._data.refresh(listed)
        lacking = [symbol for symbol in listed if symbol not in prices]
        if lacking:
            prices = {**prices, **await self._data.prices((), lacking)}
        blocked = self._blocked(world, symbols, listed)
        modes = stop_opening(assignment.modes, blocked)
        assignment = replace(assignment, modes=modes)
        facts = await self._facts(world, assignment, prices)
        rules = self._plan_rules(symbols, world.book)
        plan = make_plan(facts, rules, world.book)
        translation = translate(plan.orders, world.account.positions, prices, self._translate_rules())
        targets = self._fitted(translation, prices)
        diff = reconcile(targets, world.orders.managed, plan.modes, prices, self._settings.orders.match_tolerance)
        return Decision(world, assignment, plan, translation, targets, diff, facts, blocked)

    def _blocked(self, world: World, symbols: list[str], listed: list[str]) -> dict[str, str]:
        """Symbols on which nothing new may be opened, and why."""
        blocked = {symbol: "its leverage could not be set" for symbol in symbols if symbol in world.unready}
        late = self._data.late(listed)
        blocked |= {symbol: f"its newest candle is {minutes} minutes old" for symbol, minutes in late.items()}
        if world.orders.stop_opening:
            blocked |= dict.fromkeys(symbols, world.orders.stop_opening)
        return blocked

    async def _facts(self, world: World, assignment: Assignment, prices: Mapping[str, float]) -> CycleFacts:
        account, book = world.account, world.book
        symbols = active_symbols(assignment.modes)
        needs = {s: self._need(s, assignment, account, book) for s in symbols if s in book.markets}
        wanted = {symbol: need for symbol, need in needs.items() if need != EmaNeed()}
        emas = await read_emas(self._data.manager, wanted, self._clock.now_ms())
        positions = {key: held for key, held in account.positions.items() if key[0] in book.markets}
        params = {key: self._assigner.params(*key, book) for key in positions}
        bundles, untrailed = await self._data.bundles(positions, params, self._fills.events)
        for symbol, reason in untrailed.items():
            known: SymbolEmas = emas.get(symbol, NO_EMAS)
            emas[symbol] = replace(known, missing=known.missing or reason)
        return CycleFacts(
            balance=account.balance,
            positions=account.positions,
            modes=assignment.modes,
            limits=assignment.limits,
            prices=prices,
            old_prices=self._data.known_prices,
            emas=emas,
            bundles=bundles,
            allowances=self._allowances(account, book),
            hedge=self._settings.hedge_mode and self._exchange.capabilities.hedge,
        )

    def _need(self, symbol: str, assignment: Assignment, account: AccountState, book: MarketBook) -> EmaNeed:
        modes = {pside: assignment.modes[symbol, pside] for pside in PSIDES}
        held = [pside for pside in PSIDES if (symbol, pside) in account.positions]
        sides = {pside: self._assigner.params(symbol, pside, book) for pside in PSIDES}
        return ema_need(sides, modes, held, filter_need(self._settings.side(pside) for pside in PSIDES))

    def _allowances(self, account: AccountState, book: MarketBook) -> dict[Pside, float]:
        rules: dict[Pside, UnstuckRules] = {
            pside: UnstuckRules(
                float(self._settings.side(pside)["unstuck_loss_allowance_pct"]),
                float(self._settings.side(pside)["total_wallet_exposure_limit"]),
            )
            for pside in PSIDES
        }
        since = self._clock.now_ms() - int(self._settings.lookback_days * DAY_MS)
        pnls = gross_pnls(self._fills.events, book.c_mult, since if self._settings.unstuck_use_lookback else 0)
        return unstuck_allowances(pnls, account.balance, rules)

    def _plan_rules(self, symbols: Collection[str], book: MarketBook) -> PlanRules:
        own: dict[Key, SideParams] = {
            (symbol, pside): self._assigner.params(symbol, pside, book) for symbol in symbols for pside in PSIDES
        }
        sides = {pside: self._settings.side(pside) for pside in PSIDES}
        return PlanRules(sides, own, self._settings.coins.filter_by_min_effective_cost)

    def _translate_rules(self) -> TranslateRules:
        orders = self._settings.orders
        return TranslateRules(orders.price_distance_threshold, orders.market_orders_allowed)

    def _fitted(self, translation: Translation, prices: Mapping[str, float]) -> tuple[TargetOrder, ...]:
        """As the exchange takes them: prices its way, and no more than it holds."""
        orders = self._exchange.fitted(translation.orders)
        cap = self._exchange.capabilities.max_open_orders
        return tuple(orders if cap is None or len(orders) <= cap else closest(orders, prices, cap))
