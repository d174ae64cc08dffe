"""What closing orders earned, a row for each order (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from passivbot_rust import qty_to_cost

from exchange_sim.bybit.rows import amount
from exchange_sim.market import Instrument
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Fill
from exchange_sim.wire import decimal, step_text


@dataclass(slots=True)
class Closing:
    """What an order closed so far. `realized` is before fees, `open_fee` the share of those of opening."""

    first: Fill
    last: Fill
    size: float = 0.0
    entry_value: float = 0.0
    exit_value: float = 0.0
    realized: float = 0.0
    open_fee: float = 0.0
    close_fee: float = 0.0
    fills: int = 0


@dataclass(slots=True)
class _Open:
    size: float = 0.0
    fee: float = 0.0


def closings(fills: Iterable[Fill], instruments: Mapping[str, Instrument]) -> list[Closing]:
    """The closing orders among ascending fills. Opening fees leave a position in proportion to what is closed."""
    found: dict[int, Closing] = {}
    held: dict[tuple[str, str], _Open] = {}
    for fill in fills:
        position = held.setdefault((fill.symbol, fill.pside), _Open())
        fee_closing = fill.fee * fill.closed_qty / fill.qty
        if fill.closed_qty > 0.0:
            c_mult = instruments[fill.symbol].market.c_mult
            share = min(fill.closed_qty / position.size, 1.0) if position.size > 0.0 else 1.0
            closing = found.setdefault(fill.order_id, Closing(fill, fill))
            closing.last = fill
            closing.size += fill.closed_qty
            closing.entry_value += qty_to_cost(fill.closed_qty, fill.entry_before, c_mult)
            closing.exit_value += qty_to_cost(fill.closed_qty, fill.price, c_mult)
            closing.realized += fill.realized
            closing.open_fee += position.fee * share
            closing.close_fee += fee_closing
            closing.fills += 1
            position.fee -= position.fee * share
            position.size = max(position.size - fill.closed_qty, 0.0)
        position.size += fill.qty - fill.closed_qty
        position.fee += fill.fee - fee_closing
    return list(found.values())


def closing_row(closing: Closing, account: Account, item: Instrument) -> dict[str, Any]:
    order = account.find_order(closing.first.order_id)
    price, qty = item.price_decimals, item.qty_decimals
    per_price = qty_to_cost(closing.size, 1.0, item.market.c_mult)
    return {
        "symbol": item.id, "orderId": str(closing.first.order_id), "side": closing.first.side.capitalize(),
        "closedPnl": amount(closing.realized - closing.open_fee - closing.close_fee),
        "avgEntryPrice": decimal(closing.entry_value / per_price, price),
        "avgExitPrice": decimal(closing.exit_value / per_price, price),
        "closedSize": decimal(closing.size, qty), "qty": decimal(order.qty if order else closing.size, qty),
        "cumEntryValue": amount(closing.entry_value), "cumExitValue": amount(closing.exit_value),
        "openFee": amount(closing.open_fee), "closeFee": amount(closing.close_fee),
        "createdTime": str(closing.first.ts), "updatedTime": str(closing.last.ts),
        "leverage": step_text(account.leverage_of(item.symbol)),
        "orderType": order.type.capitalize() if order else "Limit",
        "orderPrice": decimal(order.price if order else closing.first.price, price),
        "fillCount": str(closing.fills), "execType": "Trade",
    }  # fmt: skip
