"""Which orders the venue takes: the checks of `exchange_simulator.md` 6.2, one function a row, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite

from passivbot_rust import qty_to_cost, round_

from core.terms import Side
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import OrderRequest, Quotes, Reject, Rules
from markets.market import Market


@dataclass(frozen=True, slots=True)
class Case:
    """A request and all that decides whether it is taken. `trading`: whether the venue trades the symbol now."""

    request: OrderRequest
    account: Account
    quotes: Quotes
    rules: Rules
    trading: bool

    @property
    def market(self) -> Market:
        return self.quotes.markets[self.request.symbol]

    @property
    def last(self) -> float | None:
        return self.quotes.last.get(self.request.symbol)

    @property
    def cost(self) -> float:
        """Worth of the order at its price, a market order at the last price."""
        price = self.request.price if self.request.type == "limit" else self.last or 0.0
        return qty_to_cost(self.request.qty, price, self.market.c_mult)

    @property
    def room(self) -> float:
        """What of the position no open close covers yet."""
        request = self.request
        covered = sum(
            order.qty - order.filled
            for order in self.account.open_orders.values()
            if order.reduces and (order.symbol, order.pside) == (request.symbol, request.pside)
        )
        reducible = self.account.reducible(request.symbol, request.side, request.pside)
        return round_(reducible - covered, self.market.qty_step)


def accept(case: Case) -> OrderRequest | Reject:
    """The request as the venue takes it, a close perhaps cut to what is left; or why it does not."""
    for check in _CHECKS:
        if refusal := check(case):
            return refusal
    request = case.request
    if request.reduces and request.qty > case.room and case.rules.shrinks_reducing:
        return replace(request, qty=case.room)
    return request


def is_crossing(side: Side, price: float, last: float | None) -> bool:
    """Whether a limit order would trade on arrival: strictly beyond the last price (`additions.md` 13)."""
    return last is not None and (price > last if side == "buy" else price < last)


def _symbol(case: Case) -> Reject | None:
    symbol = case.request.symbol
    if symbol not in case.quotes.markets:
        return Reject("bad_symbol", f"{symbol} is not listed")
    if not case.trading or (case.request.type == "market" and case.last is None):
        return Reject("not_trading", f"{symbol} is not trading")
    return None


def _steps(case: Case) -> Reject | None:
    request, market = case.request, case.market
    if not _is_multiple(request.qty, market.qty_step):
        return Reject("lot_size", f"qty {request.qty:g} is not a positive multiple of {market.qty_step:g}")
    if request.type == "limit" and not _is_multiple(request.price, market.price_step):
        return Reject("price_filter", f"price {request.price:g} is not a positive multiple of {market.price_step:g}")
    return None


def _is_multiple(value: float, step: float) -> bool:
    if not (isfinite(value) and value > 0.0):
        return False
    return abs(value - round(value / step) * step) <= min(1e-9, step / 1000.0) + value * 1e-15 and value > step / 2.0


def _position_side(case: Case) -> Reject | None:
    if (case.request.pside == "both") != case.account.hedge:
        return None
    mode = "hedge" if case.account.hedge else "one-way"
    return Reject("position_side", f"position side {case.request.pside} does not suit {mode} mode")


def _minima(case: Case) -> Reject | None:
    request, market = case.request, case.market
    if request.reduces:
        return None
    if request.qty < market.min_qty - 1e-9 * market.qty_step:
        return Reject("min_qty", f"qty {request.qty:g} is below {market.min_qty:g}")
    if case.cost < market.min_cost * (1.0 - 1e-9):
        return Reject("min_notional", f"notional {case.cost:g} is below {market.min_cost:g}")
    return None


def _client_id(case: Case) -> Reject | None:
    client_id, account = case.request.client_id, case.account
    used = client_id in account.client_ids or any(o.client_id == client_id for o in account.open_orders.values())
    return Reject("duplicate_client_id", f"client id {client_id} was used before") if client_id and used else None


def _reducing(case: Case) -> Reject | None:
    request = case.request
    if request.reduce_only and not request.reduces:
        return Reject("reduce_only", f"{request.side} on {request.pside} cannot reduce a position")
    enough = 0.0 if case.rules.shrinks_reducing else request.qty - case.market.qty_step / 2.0
    if not request.reduces or case.room > max(enough, 0.0):
        return None
    return Reject("reduce_only", f"qty {request.qty:g} is more than the {max(case.room, 0.0):g} left to reduce")


def _open_orders(case: Case) -> Reject | None:
    count = sum(order.symbol == case.request.symbol for order in case.account.open_orders.values())
    if count < case.rules.max_open_orders:
        return None
    return Reject("too_many_orders", f"{case.request.symbol} has {count} open orders already")


def _margin(case: Case) -> Reject | None:
    """Closes free margin, so that only entries need it."""
    if case.request.reduces:
        return None
    needed = case.account.margin(case.quotes) + case.cost / case.account.leverage_of(case.request.symbol)
    equity = case.account.equity(case.quotes)
    return Reject("insufficient_margin", f"margin {needed:g} exceeds equity {equity:g}") if needed > equity else None


def _post_only(case: Case) -> Reject | None:
    request = case.request
    if case.rules.acknowledges_post_only or request.type == "market" or request.tif != "post_only":
        return None
    if not is_crossing(request.side, request.price, case.last):
        return None
    return Reject("post_only", f"{request.side} at {request.price:g} would trade at once, last is {case.last:g}")


_CHECKS: tuple[Callable[[Case], Reject | None], ...] = (
    _symbol, _steps, _position_side, _minima, _client_id, _reducing, _open_orders, _margin, _post_only,
)  # fmt: skip
