"""One bot: reads, decides, sends, cycle by cycle. When to do so, and what to do about failures, stands in `loop.py`."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from candlestick_manager import CandlestickManager
from config.live_settings import LiveSettings
from core.clock import HOUR_MS, Clock
from core.terms import PSIDES
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.failures import failure_of
from exchanges.market_cache import load_markets_cached
from exchanges.network import ExchangeNetwork
from exchanges.protocol import Key, OpenOrder
from live.account.reader import AccountReader, ReadRules
from live.account.strangers import SortedOrders, StrangerPolicies, sort_by_origin
from live.choice.ages import CoinAges
from live.choice.coin_lists import CoinLists
from live.choice.market_book import MarketBook, market_book
from live.fills.history import FillHistory
from live.fills.record import FillEvent
from live.orders.executor import Context, Executor, Report
from live.orders.order_ids import OrderFacts, OrderIds, minutes_of
from live.orders.symbol_setup import SymbolSetup
from live.planning.decision import Decider, Decision, World
from live.planning.market_data import MarketData
from live.telling.report import CycleLog
from markets.market import Market

logger = logging.getLogger(__name__)

HYPERLIQUID = "hyperliquid"
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a bot is made of; `ages` finds out when coins began (over `network`), `ids` makes client order ids,
    `markets` is filled by the bot with the trading rules that `ids` rounds by."""

    settings: LiveSettings
    exchange: CcxtExchange
    manager: CandlestickManager
    fills: FillHistory
    ages: CoinAges
    ids: OrderIds
    markets: dict[str, Market]
    network: ExchangeNetwork
    cache_dir: Path
    clock: Clock
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Cycle:
    """A finished cycle."""

    decision: Decision
    report: Report = field(default_factory=Report)


class Bot:
    """The bot of one account. Await `prepare` before the first cycle; `may_write` is taken back when it shall stop."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.settings, self.clock, self.exchange = parts.settings, parts.clock, parts.exchange
        self.may_write = not parts.dry_run
        self.offset_ms = 0
        self.book = MarketBook(self.exchange.name, self.exchange.quote)
        self.started_ms = self.clock.now_ms()
        self.data = MarketData(self.exchange, parts.manager, self.clock)
        self.lists = CoinLists(self.settings.coins.approved, self.settings.coins.ignored)
        self.setup = SymbolSetup(self.exchange, self._leverage, self.clock)
        rules = ReadRules(self.settings.balance, self.settings.lookback_days, self.exchange_ms)
        self.reader = AccountReader(self.exchange, parts.fills, rules, self.clock)
        self.executor = Executor(
            self.exchange, parts.ids, self.settings.orders, self.clock, may_write=lambda: self.may_write
        )
        self.decider = Decider(self.settings, self.exchange, self.data, parts.fills, self.clock)
        self.log = CycleLog(self.clock, self.exchange.quote)
        self.active: list[str] = []
        self.on_fills: Callable[[Sequence[FillEvent]], None] = lambda events: None
        self.limits: Mapping[Key, float] = {}
        self._refreshing = asyncio.Lock()  # markets do not change in mid-cycle
        self._prepared_ms: int | None = None

    def exchange_ms(self) -> int:
        """The exchange's time, to the hour; the rest of a difference is that of the way."""
        return self.clock.now_ms() + self.offset_ms

    # --- markets (3.4)

    async def prepare(self) -> None:
        """Position mode, markets, time; once at the start and every hour. Raises what the exchange raises."""
        async with self._refreshing:
            await self._set_up_account()
            await self._load_markets()
            await self._measure_time()
            self._prepared_ms = self.clock.now_ms()
        coins = self.lists.read(self.book)
        logger.info(
            "[mapping] %d markets can be traded; approved: %d long, %d short", len(self.book.eligible),
            *(len(coins.approved[pside]) for pside in PSIDES),
        )  # fmt: skip

    def is_due(self) -> bool:
        """Whether markets should be read again."""
        return self._prepared_ms is None or self.clock.now_ms() - self._prepared_ms > HOUR_MS

    async def _set_up_account(self) -> None:
        if self.parts.dry_run:
            return
        try:
            await self.exchange.set_up_account()
        except Exception as exc:  # a mode that cannot be set shows with the first order, if it matters
            if failure_of(self.exchange.name, exc) == "auth":
                raise
            logger.warning("[config] position mode could not be set: %s", exc)

    async def _load_markets(self) -> None:
        exchange = self.exchange
        entries = await load_markets_cached(
            exchange.rest, self.parts.cache_dir, exchange.name, self.clock, quote=exchange.quote,
            max_age_ms=0,
        )  # fmt: skip
        self.book = market_book(entries, exchange.name, exchange.quote)
        self.parts.markets.clear()
        self.parts.markets.update(self.book.markets)

    async def _measure_time(self) -> None:
        difference = await self.exchange.fetch_time_ms() - self.clock.now_ms()
        self.offset_ms = round(difference / HOUR_MS) * HOUR_MS

    # --- a cycle (4)

    async def run_cycle(self) -> Cycle:
        """Read, decide, send. Raises whatever made that impossible; nothing is sent then."""
        async with self._refreshing:
            decision = await self.plan()
            if self.parts.dry_run:
                self.log.plan(decision, dry=True)
                return Cycle(decision)
            self.log.plan(decision, dry=False)
            context = Context(decision.world.account.balance, decision.world.account.open_orders)
            report = await self.executor.execute(decision.diff, context)
            self._learn(report)
            self.log.report(decision, report)
            return Cycle(decision, report)

    async def plan(self) -> Decision:
        """Everything of a cycle but the sending."""
        before = self.reader.state
        account = await self.reader.read(self.active, self.executor.recent_cancels)
        self.log.account(before, account, self.book, self.data.known_prices)
        coins = self.lists.read(self.book)
        await self._learn_ages([symbol for pside in PSIDES for symbol in coins.approved[pside]])
        orders = self._by_origin(account.open_orders)
        world = World(account, orders, self.book, coins, self.parts.ages.first, self.setup.unready)
        assignment, prices = await self.decider.assign(world)
        self.limits = assignment.limits
        symbols = sorted({symbol for symbol, _ in assignment.modes if symbol in self.book.markets})
        if not self.parts.dry_run:
            await self.setup.ensure([symbol for symbol in symbols if self.book.markets[symbol].active])
            world = World(account, orders, self.book, coins, self.parts.ages.first, self.setup.unready)
        decision = await self.decider.decide(world, assignment, prices)
        self.active = decision.active
        return decision

    async def _learn_ages(self, symbols: list[str]) -> None:
        days = self.settings.coins.minimum_age_days
        if days > 0 and self.is_forager(len(symbols)) and self.parts.ages.lacks(symbols):
            await self.parts.ages.learn(symbols, self.book, days)

    def is_forager(self, n_symbols: int) -> bool:
        """Whether so many symbols have to compete for the slots of a side."""
        slots = [self.settings.side(p)["n_positions"] for p in PSIDES if self.settings.is_enabled(p)]
        return any(n < n_symbols for n in slots)

    def _by_origin(self, orders: Sequence[OpenOrder]) -> SortedOrders:
        policies = StrangerPolicies(
            self.settings.orders.foreign,
            self.settings.orders.second_instance,
            ids_known=self.exchange.capabilities.client_ids,
        )
        reported = self.parts.ids.reported
        sent = {order.custom_id for order in orders if reported(order.custom_id) in self.executor.sent_ids}
        return sort_by_origin(orders, self.is_ours, sent, self.started_ms + self.offset_ms, policies)

    def is_ours(self, order: OpenOrder) -> bool:
        """Whether this account's bot made the order, in this process or an earlier one."""
        custom_id = self.parts.ids.reported(order.custom_id)
        if custom_id in self.executor.sent_ids:
            return True
        facts = OrderFacts(order.symbol, order.side, order.pside, order.qty, order.price)
        return self.parts.ids.is_ours(custom_id, facts, minutes_of(order.ts_ms - self.offset_ms))

    def active_now(self) -> set[str]:
        """Symbols of the last cycle, and before the first one those that the lists approve of."""
        if self.active:
            return set(self.active)
        return {symbol for symbols in self.lists.read(self.book).approved.values() for symbol in symbols}

    def _leverage(self, symbol: str) -> float:
        """As configured; where the exchange takes it so, no higher than the exposure limits need."""
        wanted = self.settings.leverage.get(self.book.coin(symbol), self.settings.default_leverage)
        if not self.exchange.capabilities.least_leverage:
            return wanted
        largest = max(self.limits.get((symbol, pside), 0.0) for pside in PSIDES)
        return min(wanted, float(max(1, math.ceil(1.1 * largest))))

    def _learn(self, report: Report) -> None:
        """Hyperliquid's smallest order is a little more than it says, and moves: a refusal raises it by a tenth."""
        for failed in report.failed:
            if failed.failure == "minimum" and self.exchange.name == HYPERLIQUID:
                symbol = failed.order.symbol
                raised = round(self.book.markets[symbol].min_cost * 1.1, 1)
                logger.info("[config] smallest order of %s is taken to be %g from now on", symbol, raised)
                self.book = self.book.with_min_cost(symbol, raised)

    def stop_writing(self) -> None:
        """No order is sent or cancelled from now on."""
        self.may_write = False

    async def aclose(self) -> None:
        """Close clients and archives."""
        closing = (_without_goodbye(self.exchange.aclose), self.parts.manager.aclose(), self.parts.network.aclose())
        for result in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(result, BaseException):
                logger.warning("[shutdown] %s: %s", type(result).__name__, result)


async def _without_goodbye(close: Callable[[], Awaitable[None]]) -> None:
    """Close connections of which the other side may be dead: its goodbye is not waited for longer than a second, and
    the second attempt closes what the first one was held up before."""
    with suppress(TimeoutError):
        await asyncio.wait_for(close(), CLOSE_S)
        return
    await asyncio.wait_for(close(), CLOSE_S)
