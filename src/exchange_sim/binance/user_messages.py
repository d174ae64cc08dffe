"""The messages of an account's stream; which fields ccxt reads stands in `exchange_simulator.md` 7.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchange_sim.binance.rows import STATUS, amount, is_reduce_only, signed_size, time_in_force
from exchange_sim.market import Instrument
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.records import Event, Order, Position
from exchange_sim.wire import decimal

_CAUSES = {"order": "ORDER", "funding": "FUNDING_FEE", "transfer": "DEPOSIT", "external": "ADJUSTMENT"}


def order_update(event: Event, order: Order, item: Instrument, now_ms: int) -> dict[str, Any]:
    """An order is new, was filled, or ended."""
    fill = event.fill
    price, quantity = item.price_decimals, item.qty_decimals
    status = STATUS[order.status]
    execution = {"order_new": "NEW", "fill": "TRADE"}.get(event.kind, status)
    row = {
        "s": item.id, "c": order.client_id, "S": order.side.upper(), "o": order.type.upper(),
        "f": time_in_force(order), "q": decimal(order.qty, quantity), "p": decimal(order.price, price),
        "ap": decimal(order.avg, price), "sp": "0", "x": execution, "X": status, "i": order.id,
        "l": decimal(fill.qty if fill else 0.0, quantity), "z": decimal(order.filled, quantity),
        "L": decimal(fill.price if fill else 0.0, price), "N": item.market.quote,
        "n": amount(fill.fee if fill else 0.0), "T": event.time_ms, "t": fill.id if fill else 0, "b": "0", "a": "0",
        "m": fill.maker if fill else False, "R": is_reduce_only(order), "wt": "CONTRACT_PRICE",
        "ot": order.type.upper(), "ps": order.pside.upper(), "cp": False,
        "rp": amount(fill.realized if fill else 0.0),
    }  # fmt: skip
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": event.time_ms, "o": row}


def account_update(event: Event, engine: Engine, by_symbol: Mapping[str, Instrument], now_ms: int) -> dict[str, Any]:
    """Wallet and position changed, and why."""
    account, held = engine.account(event.key), event.position
    asset = next(iter(by_symbol.values())).market.quote
    wallet = amount(account.wallet)
    positions = []
    if held is not None:
        item, profit = by_symbol[held.symbol], account.upnl(held, engine.quotes) if held.size else 0.0
        positions = [_position(held, item, profit)]
    balances = [{"a": asset, "wb": wallet, "cw": wallet, "bc": "0"}]
    content = {"m": _CAUSES[event.cause], "B": balances, "P": positions}
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": event.time_ms, "a": content}


def _position(held: Position, item: Instrument, profit: float) -> dict[str, Any]:
    return {
        "s": item.id, "pa": signed_size(held, item), "ep": decimal(held.entry, item.price_decimals), "cr": "0",
        "up": amount(profit), "mt": "cross", "iw": "0", "ps": held.pside.upper(),
    }  # fmt: skip
