"""What a trade does to wallet, position and order; the numbers are the backtester's (`exchange_simulator.md` 6.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from passivbot_rust import calc_new_psize_pprice, calc_pnl_long, calc_pnl_short, qty_to_cost, round_

from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Fill, Order, Position
from markets.market import Market


@dataclass(frozen=True, slots=True)
class Trade:
    """So much of an order at such a price; `maker` decides the fee."""

    qty: float
    price: float
    maker: bool
    ts: int


def book(account: Account, order: Order, trade: Trade, market: Market) -> tuple[Order, Fill]:
    """Charge, move the position, and count the order as filled so far; both records are in the account afterwards.

    In one-way mode a trade beyond the position's size turns it around: one fill, of which `closed_qty` closed.
    """
    held = account.position(order.symbol, order.pside)
    position, closed, realized = _moved(held, order, trade, market)
    # Two additions as in `backtest_engine.md` 7.1; also the fee's sign is part of the bits.
    fee = -(
        qty_to_cost(trade.qty, trade.price, market.c_mult) * (market.maker_fee if trade.maker else market.taker_fee)
    )
    account.wallet += fee
    account.wallet += realized
    account.put_position(position)
    fill = Fill(
        account.last_fill_id + 1, order.id, order.client_id, order.symbol, order.side, order.pside, trade.price,
        trade.qty, realized, -fee, trade.maker, trade.ts, closed, held.entry,
    )  # fmt: skip
    account.add_fill(fill)
    return _progress(account, order, trade, market), fill


def _moved(held: Position, order: Order, trade: Trade, market: Market) -> tuple[Position, float, float]:
    """The position afterwards, how much of the trade closed, and the profit of that."""
    signed, delta = held.signed, trade.qty if order.side == "buy" else -trade.qty
    if signed * delta >= 0.0:
        size, entry = calc_new_psize_pprice(signed, held.entry, delta, trade.price, market.qty_step)
        return _held(held, size, entry, trade.ts), 0.0, 0.0
    closed = min(trade.qty, abs(signed))
    pnl = calc_pnl_long if signed > 0.0 else calc_pnl_short
    realized = pnl(held.entry, trade.price, closed, market.c_mult)
    rest = round_(signed + delta, market.qty_step)
    turned = rest * signed < 0.0
    return _held(held, rest, trade.price if turned else held.entry, trade.ts), closed, realized


def _held(before: Position, signed: float, entry: float, ts: int) -> Position:
    size = signed if before.pside == "both" else abs(signed)
    is_new = before.signed * signed <= 0.0
    return Position(before.symbol, before.pside, size, entry, ts if is_new else before.created, ts)


def _progress(account: Account, order: Order, trade: Trade, market: Market) -> Order:
    filled = round_(order.filled + trade.qty, market.qty_step)
    average = (order.avg * order.filled + trade.price * trade.qty) / (order.filled + trade.qty)
    order = replace(order, filled=filled, avg=average, status="partially_filled", updated=trade.ts)
    if filled > order.qty - market.qty_step / 2.0:
        return account.close(order, "filled", trade.ts)
    account.open_orders[order.id] = order
    return order
