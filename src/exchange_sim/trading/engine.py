"""The matching engine: accounts, their orders, and the prices that fill them (`exchange_simulator.md` 3, 6).

Synchronous, without input or output and without a clock: whoever calls it says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite

from passivbot_rust import round_

from core.errors import ConfigError
from core.terms import Side
from exchange_sim.trading.acceptance import Case, accept, is_crossing
from exchange_sim.trading.account import Account
from exchange_sim.trading.booking import Trade, book
from exchange_sim.trading.matching import Candle, FillModel, crossed, fillable, taker_price
from exchange_sim.trading.records import (
    Event,
    Fill,
    Order,
    OrderRequest,
    Position,
    Quotes,
    Reject,
    Rules,
    Status,
)  # fmt: skip
from exchange_sim.trading.upkeep import Funding, is_bankrupt
from markets.market import Market

POST_ONLY_REASON = "EC_PostOnlyWillTakeLiquidity"

Subscriber = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How the venue trades. `slippage` is relative, for takers; `funding` None and `liquidation` False mean none.

    `crossing_rests`: a limit order beyond the last price waits for the next prices, as the backtester has it; real
    venues fill it at once, and so does this one by default.

    Raises ConfigError for a balance or a slippage that makes no sense. Fees are those of the markets.
    """

    starting_balance: float = 1000.0
    fill_model: FillModel = field(default_factory=FillModel)
    slippage: float = 0.0002
    funding: Funding | None = None
    liquidation: bool = False
    crossing_rests: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.starting_balance) and self.starting_balance >= 0.0):
            raise ConfigError(f"starting balance is {self.starting_balance:g}, it must be 0 or more")
        if not 0.0 <= self.slippage < 1.0:
            raise ConfigError(f"slippage is {self.slippage:g}, it must be a fraction in [0, 1)")


class Engine:
    """All accounts of a venue with one set of rules. An account comes into being when its API key is first used.

    `is_trading` says whether a symbol is traded now; without it, its market's `active` does.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        rules: Rules,
        options: Options | None = None,
        is_trading: Callable[[str], bool] | None = None,
    ) -> None:
        self.quotes = Quotes(markets)
        self.rules = rules
        self.options = options or Options()
        self.accounts: dict[str, Account] = {}
        self._is_trading = is_trading or (lambda symbol: markets[symbol].active)
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell of every event from now on; the answer ends that. Subscribers neither trade nor raise."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    # --- what clients ask for ---------------------------------------------------------------------------------------

    def account(self, key: str) -> Account:
        """The account of an API key, created on first use. Modes are set on it directly; orders only through here."""
        if key not in self.accounts:
            self.accounts[key] = Account(key, self.options.starting_balance, self.rules.default_leverage)
        return self.accounts[key]

    def submit(self, key: str, request: OrderRequest, now_ms: int) -> Order | Reject:
        """Place an order: as it stands afterwards (resting, filled, or ended at once), or why it was refused."""
        account = self.account(key)
        trading = request.symbol in self.quotes.markets and self._is_trading(request.symbol)
        taken = accept(Case(request, account, self.quotes, self.rules, trading))
        if isinstance(taken, Reject):
            self._tell(Event("order_rejected", key, now_ms, request=request, reject=taken))
            return taken
        order = account.open(taken, now_ms)
        self._tell(Event("order_new", account.key, now_ms, order=order))
        last = self.quotes.last.get(order.symbol)
        is_market = order.type == "market"
        crosses = is_crossing(order.side, order.price, last) and not self.options.crossing_rests
        if last is None or not (is_market or crosses):
            return self.end(account, order, "expired", now_ms) if order.tif in ("ioc", "fok") else order
        if order.tif == "post_only" and not is_market:
            return self.end(account, order, "cancelled", now_ms, POST_ONLY_REASON)
        self.execute(account, order, self._taker(order, last, now_ms))
        return account.open_orders.get(order.id) or account.closed_orders[order.id]

    def cancel(self, key: str, now_ms: int, *, order_id: int | None = None, client_id: str = "") -> Order | Reject:
        """Take back an open order, found by either id."""
        account = self.account(key)
        order = account.find_order(order_id, client_id)
        if order is None or order.id not in account.open_orders:
            return Reject("unknown_order", f"no open order {order_id if order_id is not None else client_id}")
        return self.end(account, order, "cancelled", now_ms)

    def positions(self, key: str) -> list[Position]:
        return list(self.account(key).positions.values())

    def open_orders(self, key: str, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        return [order for order in self.account(key).open_orders.values() if symbol in (None, order.symbol)]

    def fills(
        self,
        key: str,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Fill]:
        """Fills in ascending order, both ends included; of more than `limit` the first from `since`, else the last."""
        found = [fill for fill in self.account(key).fills_between(since, until) if symbol in (None, fill.symbol)]
        if limit is None or len(found) <= limit:
            return found
        return found[:limit] if since is not None else found[len(found) - limit :]

    def balance(self, key: str) -> float:
        """The wallet: without unrealised profit."""
        return self.account(key).wallet

    def equity(self, key: str) -> float:
        return self.account(key).equity(self.quotes)

    # --- what the market does ---------------------------------------------------------------------------------------

    def on_price(self, symbol: str, price: float, now_ms: int) -> None:
        """A trade at `price`: orders that it passes are filled, it is the last price from now on."""
        candle = Candle(now_ms, price, price, price, price, 0.0)
        self._move({} if self.options.fill_model.needs_candles else {symbol: candle}, {symbol: price}, now_ms)

    def on_candle(self, symbol: str, candle: Candle, fill_ms: int | None = None) -> None:
        """One symbol's minute, see `on_minute`."""
        self.on_minute({symbol: candle}, fill_ms)

    def on_minute(
        self, candles: Mapping[str, Candle], fill_ms: int | None = None, placed_by: int | None = None
    ) -> None:
        """The candles of a minute, by symbol: orders within their ranges are filled, closes are the last prices.

        Fills carry the time `fill_ms`; without it the candle's open time, as the backtester's do. With `placed_by` only
        orders that are not newer are filled. Symbols whose minutes must be booked together, as in the backtester, have
        to come together.
        """
        if not candles:
            return
        first = next(iter(candles.values()))
        if self.options.funding is not None and self.options.funding.is_due(first.ts):
            self._charge(self.options.funding, candles)
        closes = {symbol: candle.close for symbol, candle in candles.items()}
        self._move(candles, closes, first.ts if fill_ms is None else fill_ms, placed_by)

    def _move(
        self, candles: Mapping[str, Candle], closes: Mapping[str, float], now_ms: int, placed_by: int | None = None
    ) -> None:
        model = self.options.fill_model
        for account in list(self.accounts.values()):
            left = {symbol: model.volume(candle) for symbol, candle in candles.items()}
            orders = [o for o in account.open_orders.values() if placed_by is None or o.created <= placed_by]
            for order in crossed(account.key, orders, candles, self.quotes, model):
                left[order.symbol] -= self._fill_resting(account, order.id, left[order.symbol], now_ms)
        self.quotes.last.update(closes)
        if self.options.liquidation:
            for account in list(self.accounts.values()):
                if is_bankrupt(account, self.quotes):
                    self._liquidate(account, now_ms)

    def _fill_resting(self, account: Account, order_id: int, volume_left: float, now_ms: int) -> float:
        """Fill what the volume allows; the quantity traded. Fills before it may have ended or changed the order."""
        order = account.open_orders.get(order_id)
        if order is None:
            return 0.0
        step = self.quotes.markets[order.symbol].qty_step
        qty = fillable(round_(order.qty - order.filled, step), volume_left, step)
        fill = self.execute(account, order, Trade(qty, order.price, True, now_ms)) if qty > 0.0 else None
        return fill.qty if fill else 0.0

    # --- what both lead to ------------------------------------------------------------------------------------------

    def execute(self, account: Account, order: Order, trade: Trade) -> Fill | None:
        """Trade on an open order. A close is cut to what is left of the position; if nothing is, it expires: None."""
        market = self.quotes.markets[order.symbol]
        if order.reduces:
            room = account.reducible(order.symbol, order.side, order.pside)
            if room <= 0.0:
                self.end(account, order, "expired", trade.ts)
                return None
            order = replace(order, qty=min(order.qty, round_(order.filled + room, market.qty_step)))
            trade = replace(trade, qty=min(trade.qty, room))
        order, fill = book(account, order, trade, market)
        position = account.position(order.symbol, order.pside)
        self._tell(Event("fill", account.key, trade.ts, order=order, fill=fill))
        self.changed(account, trade.ts, "order", position)
        self.expire_closes(account, position, trade.ts)
        return fill

    def end(self, account: Account, order: Order, status: Status, now_ms: int, reject_reason: str = "") -> Order:
        """Close an open order without a trade, and tell so."""
        ended = account.close(order, status, now_ms, reject_reason)
        self._tell(Event("order_cancelled", account.key, now_ms, order=ended))
        return ended

    def expire_closes(self, account: Account, position: Position, now_ms: int) -> None:
        """End the closes of a position that is gone, or has turned around."""
        for order in list(account.open_orders.values()):
            is_its = order.reduces and (order.symbol, order.pside) == (position.symbol, position.pside)
            if is_its and account.reducible(order.symbol, order.side, order.pside) <= 0.0:
                self.end(account, order, "expired", now_ms)

    def changed(self, account: Account, now_ms: int, cause: str, position: Position | None = None) -> None:
        """Tell that wallet or position changed, and why."""
        self._tell(Event("account", account.key, now_ms, position=position, cause=cause))

    def _taker(self, order: Order, last: float, now_ms: int) -> Trade:
        limit = order.price if order.type == "limit" else None
        tick = self.quotes.markets[order.symbol].price_step
        return Trade(order.qty, taker_price(order.side, last, self.options.slippage, tick, limit), False, now_ms)

    def _charge(self, funding: Funding, candles: Mapping[str, Candle]) -> None:
        for account in self.accounts.values():
            for position in account.positions.values():
                if candle := candles.get(position.symbol):
                    account.wallet -= funding.cost(position, self.quotes)
                    self.changed(account, candle.ts, "funding", position)

    def _liquidate(self, account: Account, now_ms: int) -> None:
        for order in list(account.open_orders.values()):
            self.end(account, order, "cancelled", now_ms)
        for position in list(account.positions.values()):
            side: Side = "sell" if position.signed > 0.0 else "buy"
            client_id = f"autoclose-{account.last_order_id + 1}"
            request = OrderRequest(
                position.symbol, side, position.pside, "market", abs(position.size), 0.0, "ioc", True, client_id
            )
            order = account.open(request, now_ms)
            self._tell(Event("order_new", account.key, now_ms, order=order))
            mark = self.quotes.last.get(position.symbol, position.entry)
            self.execute(account, order, Trade(order.qty, mark, False, now_ms))

    def _tell(self, event: Event) -> None:
        for subscriber in list(self._subscribers):
            subscriber(event)
