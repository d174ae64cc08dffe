"""What others do to an account: faults and controls that act on its state (`exchange_simulator.md` 10, 11).

An order from elsewhere needs nothing here: it is submitted under a client id that the bot did not make.
"""

from __future__ import annotations

from core.errors import DataError
from exchange_sim.trading.booking import Trade
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.records import Fill, Position, Reject


def fill_now(
    engine: Engine, key: str, order_id: int, now_ms: int, qty: float | None = None, price: float | None = None
) -> Fill | Reject:
    """Fill an open order as maker, in full and at its own price unless told otherwise.

    Raises DataError for a quantity that the order does not have left, or a price that is not above 0.
    """
    account = engine.account(key)
    order = account.open_orders.get(order_id)
    if order is None:
        return Reject("unknown_order", f"no open order {order_id}")
    left = order.qty - order.filled
    wanted, at = left if qty is None else qty, order.price if price is None else price
    if not (0.0 < wanted <= left + 1e-12 and at > 0.0):
        raise DataError(f"order {order_id} cannot fill {wanted:g} at {at:g}: {left:g} are left, prices are above 0")
    fill = engine.execute(account, order, Trade(min(wanted, left), at, True, now_ms))
    return fill or Reject("reduce_only", f"order {order_id} had nothing left to reduce and expired")


def put_position(engine: Engine, key: str, position: Position, now_ms: int) -> None:
    """Make a position what it is here, without a trade; size 0 removes it, and the closes of it expire.

    Raises DataError for an unknown symbol, a side that does not suit the position mode, or a bad size or price.
    """
    account = engine.account(key)
    if position.symbol not in engine.quotes.markets:
        raise DataError(f"position of {position.symbol}: the venue does not list it")
    if (position.pside == "both") == account.hedge:
        mode = "hedge" if account.hedge else "one-way"
        raise DataError(f"position of {position.symbol}: side {position.pside} does not suit {mode} mode")
    wrong_sign = position.size < 0.0 and position.pside != "both"
    if wrong_sign or (position.size != 0.0 and not position.entry > 0.0):
        raise DataError(f"position of {position.symbol}: size {position.size:g} at {position.entry:g} makes no sense")
    account.put_position(position)
    engine.changed(account, now_ms, "external", position)
    engine.expire_closes(account, position, now_ms)


def jump_balance(engine: Engine, key: str, delta: float, now_ms: int) -> float:
    """Pay in, or out below 0; the wallet afterwards."""
    account = engine.account(key)
    account.wallet += delta
    engine.changed(account, now_ms, "transfer")
    return account.wallet
