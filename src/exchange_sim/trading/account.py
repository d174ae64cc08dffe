"""One account: wallet, modes, positions, orders, fills (`exchange_simulator.md` 6.4, 6.5)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass, field, replace
from math import inf

from passivbot_rust import calc_pnl_long, calc_pnl_short, qty_to_cost

from core.terms import Side
from exchange_sim.trading.records import (
    Fill,
    MarginMode,
    Order,
    OrderRequest,
    Position,
    PositionSide,
    Quotes,
    Reject,
    Status,
)  # fmt: skip

CLIENT_IDS_KEPT = 1000
CLOSED_ORDERS_KEPT = 5000


@dataclass(slots=True)
class Account:
    """The account of one API key. Ids count up from 1; orders are keyed by id in the order of creation.

    `fills` ascends by time, then by booking. Changes come from the engine, which also tells its subscribers.
    """

    key: str
    wallet: float
    default_leverage: float
    hedge: bool = False
    margin_mode: MarginMode = "cross"
    leverage: dict[str, float] = field(default_factory=dict)
    positions: dict[tuple[str, PositionSide], Position] = field(default_factory=dict)
    open_orders: dict[int, Order] = field(default_factory=dict)
    closed_orders: dict[int, Order] = field(default_factory=dict)  # the latest 5000
    fills: list[Fill] = field(default_factory=list)
    client_ids: deque[str] = field(default_factory=lambda: deque(maxlen=CLIENT_IDS_KEPT))
    last_order_id: int = 0
    last_fill_id: int = 0

    def position(self, symbol: str, pside: PositionSide) -> Position:
        """The position of a side, of size 0 if there is none."""
        return self.positions.get((symbol, pside)) or Position(symbol, pside)

    def reducible(self, symbol: str, side: Side, pside: PositionSide) -> float:
        """How much an order of this side can take off the position."""
        signed = self.position(symbol, pside).signed
        return max(signed if side == "sell" else -signed, 0.0)

    def put_position(self, position: Position) -> None:
        """Hold this instead of what was held; a size below 1e-12 is none."""
        key = position.symbol, position.pside
        if abs(position.size) < 1e-12:
            self.positions.pop(key, None)
        else:
            self.positions[key] = position

    def find_order(self, order_id: int | None = None, client_id: str = "") -> Order | None:
        """An order, open or closed, by either id; the latest of those with this client id."""
        if order_id is not None:
            return self.open_orders.get(order_id) or self.closed_orders.get(order_id)
        orders = [*self.closed_orders.values(), *self.open_orders.values()]
        return max((order for order in orders if client_id and order.client_id == client_id), key=_id, default=None)

    def open(self, request: OrderRequest, now_ms: int) -> Order:
        """Take an order: it rests until it is filled or closed."""
        self.last_order_id += 1
        order = Order(
            self.last_order_id, request.client_id, request.symbol, request.side, request.pside, request.type,
            request.price, request.qty, 0.0, 0.0, request.tif, request.reduce_only, "new", now_ms, now_ms,
        )  # fmt: skip
        self.open_orders[order.id] = order
        if order.client_id:
            self.client_ids.append(order.client_id)
        return order

    def close(self, order: Order, status: Status, now_ms: int, reject_reason: str = "") -> Order:
        """End an order; it moves from the open ones to the closed ones."""
        del self.open_orders[order.id]
        ended = replace(order, status=status, updated=now_ms, reject_reason=reject_reason)
        self.closed_orders[ended.id] = ended
        if len(self.closed_orders) > CLOSED_ORDERS_KEPT:
            del self.closed_orders[next(iter(self.closed_orders))]
        return ended

    def add_fill(self, fill: Fill) -> None:
        self.last_fill_id = max(self.last_fill_id, fill.id)
        insort(self.fills, fill, key=_time)

    def fills_between(self, since: int | None, until: int | None) -> list[Fill]:
        """Fills from `since` through `until`, both included."""
        first = bisect_left(self.fills, -inf if since is None else since, key=_time)
        return self.fills[first : bisect_right(self.fills, inf if until is None else until, key=_time)]

    def set_hedge(self, hedge: bool) -> Reject | None:
        """Choose hedge or one-way mode; None if done, else why not."""
        if self.hedge != hedge and (refusal := self._in_use("position mode")):
            return refusal
        return self._change("hedge", hedge)

    def set_margin_mode(self, mode: MarginMode) -> Reject | None:
        """Choose the margin mode; None if done, else why not. It is told to clients and changes no number."""
        if self.margin_mode != mode and (refusal := self._in_use("margin mode")):
            return refusal
        return self._change("margin_mode", mode)

    def set_leverage(self, symbol: str, leverage: float) -> Reject | None:
        """Choose the leverage of a symbol; None if done, else why not."""
        if not 1.0 <= leverage < inf:
            return Reject("leverage", f"leverage {leverage:g} of {symbol} is not 1 or more")
        if self.leverage_of(symbol) == leverage:
            return Reject("unchanged", f"leverage of {symbol} is {leverage:g} already")
        self.leverage[symbol] = leverage
        return None

    def leverage_of(self, symbol: str) -> float:
        return self.leverage.get(symbol, self.default_leverage)

    def upnl(self, position: Position, quotes: Quotes) -> float:
        """Unrealised profit of a position at the last price."""
        pnl = calc_pnl_long if position.signed > 0.0 else calc_pnl_short
        mark = quotes.last.get(position.symbol, position.entry)
        return pnl(position.entry, mark, position.size, quotes.markets[position.symbol].c_mult)

    def equity(self, quotes: Quotes) -> float:
        """Wallet and unrealised profit at the last prices."""
        return self.wallet + sum(self.upnl(position, quotes) for position in self.positions.values())

    def notional(self, position: Position, quotes: Quotes) -> float:
        """Worth of a position at the last price, above 0."""
        mark = quotes.last.get(position.symbol, position.entry)
        return qty_to_cost(position.size, mark, quotes.markets[position.symbol].c_mult)

    def margin(self, quotes: Quotes) -> float:
        """What positions and open entries bind: their worth over their leverage (6.2, row 8)."""
        held = sum(self.notional(p, quotes) / self.leverage_of(p.symbol) for p in self.positions.values())
        entries = (order for order in self.open_orders.values() if not order.reduces)
        return held + sum(
            qty_to_cost(o.qty - o.filled, o.price, quotes.markets[o.symbol].c_mult) / self.leverage_of(o.symbol)
            for o in entries
        )

    def _in_use(self, what: str) -> Reject | None:
        if self.positions:
            return Reject("has_positions", f"{what} cannot change while there are positions")
        if self.open_orders:
            return Reject("has_orders", f"{what} cannot change while there are open orders")
        return None

    def _change(self, name: str, value: object) -> Reject | None:
        if getattr(self, name) == value:
            return Reject("unchanged", f"{name} is {value} already")
        setattr(self, name, value)
        return None


def _id(order: Order) -> int:
    return order.id


def _time(fill: Fill) -> int:
    return fill.ts
