"""Puts a bot together: clients, candle manager, fill history, ids (`live.md` 3.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from candlestick_manager import CandlestickManager
from config.live_settings import LiveSettings
from core import paths
from core.clock import Clock
from exchanges.account_clients import account_clients
from exchanges.accounts import Account, broker_code, load_broker_codes
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.endpoints import Endpoints
from exchanges.network import ExchangeNetwork
from exchanges.registry import open_exchange
from live.bot import Bot, Parts
from live.choice.ages import CoinAges
from live.fills.history import FillHistory
from live.fills.record import FillEvent
from live.fills.report import log_new_fills
from live.fills.sources.open import open_source
from live.fills.store import FillStore
from live.orders.order_ids import OrderIds
from markets.market import Market

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launch:
    """What a bot is started with. `loopback_only`: no URL may leave this machine (paper trading)."""

    settings: LiveSettings
    account: Account
    endpoints: Endpoints
    cache_dir: Path
    clock: Clock
    dry_run: bool = False
    loopback_only: bool = False


class _Desk:
    """What the parts ask of each other while the bot runs."""

    def __init__(self, exchange: CcxtExchange, history: FillHistory | None = None) -> None:
        self.exchange, self.history = exchange, history
        self.markets: dict[str, Market] = {}
        self.bot: Bot | None = None

    def c_mult(self, symbol: str) -> float:
        market = self.markets.get(symbol)
        return market.c_mult if market else 1.0

    def symbols_with_fills(self) -> Iterable[str]:
        """Whom to ask where an exchange answers for one symbol at a time: active symbols and those with fills."""
        known = {event.symbol for event in self.history.events} if self.history else set()
        active = self.bot.active_now() if self.bot else set()
        return sorted((known | active) & set(self.markets))

    def on_new(self, events: Sequence[FillEvent]) -> None:
        if self.bot:
            self.bot.on_fills(events)
            log_new_fills(events, self.bot.book.coin, self.exchange.quote)


def open_bot(launch: Launch) -> Bot:
    """A bot with clients of its own, which it closes. Raises ConfigError for what cannot be right."""
    account, settings, clock = launch.account, launch.settings, launch.clock
    broker = broker_code(load_broker_codes(), account.exchange)
    clients = account_clients(
        account,
        launch.endpoints,
        broker=broker,
        recv_window_ms=settings.recv_window_ms,
        loopback_only=launch.loopback_only,
    )
    exchange = open_exchange(
        account,
        clients,
        post_only=settings.orders.post_only,
        broker=broker,
        bybit_legacy_balance=settings.balance.bybit_legacy,
    )
    desk = _Desk(exchange)
    source = open_source(
        account.exchange, exchange.rest, clock, quote=account.quote, symbols=desk.symbols_with_fills, c_mult=desk.c_mult
    )
    store = FillStore(paths.fills_dir(launch.cache_dir, account.exchange, account.user))
    desk.history = FillHistory(store, source, clock, c_mult=desk.c_mult, on_new=desk.on_new)
    desk.history.load()
    manager = _candle_manager(launch, exchange)
    network = ExchangeNetwork(launch.endpoints, launch.cache_dir, clock)
    desk.bot = Bot(
        Parts(
            settings=settings,
            exchange=exchange,
            manager=manager,
            fills=desk.history,
            ages=CoinAges(manager, network, launch.cache_dir, clock),
            ids=OrderIds(account.exchange, account.user, desk.markets, broker),
            markets=desk.markets,
            network=network,
            cache_dir=launch.cache_dir,
            clock=clock,
            dry_run=launch.dry_run,
        )
    )
    return desk.bot


def _candle_manager(launch: Launch, exchange: CcxtExchange) -> CandlestickManager:
    candles = launch.settings.candles
    return CandlestickManager(
        exchange.rest,
        launch.account.exchange,
        cache_dir=launch.cache_dir,
        clock=launch.clock,
        max_memory_candles_per_symbol=candles.max_memory,
        max_disk_candles_per_symbol_per_tf=candles.max_disk,
        max_concurrent_requests=candles.max_concurrent_requests,
        lock_timeout_seconds=candles.lock_timeout_s,
        archive_enabled=candles.archives,
        rewrite_archive_url=launch.endpoints.archive_url,
    )
