"""The engine's records as Binance writes them; which fields ccxt reads stands in `exchange_simulator.md` 7.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passivbot_rust import qty_to_cost

from exchange_sim.market import Instrument
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Fill, Order, Position, Quotes
from exchange_sim.trading.upkeep import MAINTENANCE
from exchange_sim.wire import decimal

ASSET_DECIMALS = 8
STATUS = {
    "new": "NEW", "partially_filled": "PARTIALLY_FILLED", "filled": "FILLED", "cancelled": "CANCELED",
    "expired": "EXPIRED",
}  # fmt: skip
TIME_IN_FORCE = {"gtc": "GTC", "post_only": "GTX", "ioc": "IOC", "fok": "FOK"}


def amount(value: float) -> str:
    """An amount of the quote currency, to the last bit: parity runs size orders with it (`additions.md` 13)."""
    return decimal(value, ASSET_DECIMALS)


def time_in_force(order: Order) -> str:
    return TIME_IN_FORCE[order.tif] if order.type == "limit" else "GTC"


def is_reduce_only(order: Order) -> bool:
    """As stated: hedge mode has no such flag."""
    return order.reduce_only and order.pside == "both"


def order_row(order: Order, item: Instrument) -> dict[str, Any]:
    quantity = item.qty_decimals
    kind = order.type.upper()
    return {
        "orderId": order.id, "symbol": item.id, "status": STATUS[order.status], "clientOrderId": order.client_id,
        "price": decimal(order.price, item.price_decimals), "avgPrice": decimal(order.avg, item.price_decimals),
        "origQty": decimal(order.qty, quantity), "executedQty": decimal(order.filled, quantity),
        "cumQty": decimal(order.filled, quantity),
        "cumQuote": amount(qty_to_cost(order.filled, order.avg, item.market.c_mult)),
        "timeInForce": time_in_force(order), "type": kind, "origType": kind, "reduceOnly": is_reduce_only(order),
        "closePosition": False, "side": order.side.upper(), "positionSide": order.pside.upper(), "stopPrice": "0",
        "workingType": "CONTRACT_PRICE", "priceProtect": False, "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0, "time": order.created, "updateTime": order.updated,
    }  # fmt: skip


def trade_row(fill: Fill, item: Instrument) -> dict[str, Any]:
    quote = item.market.quote
    return {
        "id": fill.id, "orderId": fill.order_id, "symbol": item.id, "side": fill.side.upper(),
        "price": decimal(fill.price, item.price_decimals), "qty": decimal(fill.qty, item.qty_decimals),
        "quoteQty": amount(qty_to_cost(fill.qty, fill.price, item.market.c_mult)),
        "realizedPnl": amount(fill.realized), "commission": amount(fill.fee), "commissionAsset": quote,
        "marginAsset": quote, "positionSide": fill.pside.upper(), "buyer": fill.side == "buy", "maker": fill.maker,
        "time": fill.ts,
    }  # fmt: skip


def income_row(fill: Fill, item: Instrument, kind: str) -> dict[str, Any]:
    """Of the profit or the commission of a fill; `tranId` is unique within a kind."""
    return {
        "symbol": item.id, "incomeType": kind,
        "income": amount(-fill.fee if kind == "COMMISSION" else fill.realized),
        "asset": item.market.quote, "info": str(fill.id), "time": fill.ts, "tranId": fill.id,
        "tradeId": str(fill.id),
    }  # fmt: skip


def signed_size(position: Position, item: Instrument) -> str:
    """The size, shorts below 0."""
    return decimal(position.signed, item.qty_decimals)


def mark_price(position: Position, quotes: Quotes) -> float:
    return quotes.last.get(position.symbol, position.entry)


def position_row(position: Position, item: Instrument, account: Account, quotes: Quotes) -> dict[str, Any]:
    notional = account.notional(position, quotes)
    leverage = account.leverage_of(position.symbol)
    margin, least = notional / leverage, notional * MAINTENANCE
    return {
        "symbol": item.id, "positionSide": position.pside.upper(), "positionAmt": signed_size(position, item),
        "entryPrice": decimal(position.entry, item.price_decimals), "breakEvenPrice": amount(position.entry),
        "markPrice": amount(mark_price(position, quotes)),
        "unRealizedProfit": amount(account.upnl(position, quotes)), "liquidationPrice": "0", "isolatedMargin": "0",
        "notional": amount(notional if position.signed > 0.0 else -notional), "marginAsset": item.market.quote,
        "isolatedWallet": "0", "initialMargin": amount(margin), "maintMargin": amount(least),
        "positionInitialMargin": amount(margin), "openOrderInitialMargin": "0", "adl": 1, "bidNotional": "0",
        "askNotional": "0", "updateTime": position.updated,
    }  # fmt: skip


def older_position_row(position: Position, item: Instrument, account: Account, quotes: Quotes) -> dict[str, Any]:
    """As the second version of the call has it; it also lists flat positions."""
    return {
        **position_row(position, item, account, quotes),
        "leverage": f"{account.leverage_of(position.symbol):.0f}", "maxNotionalValue": "100000000",
        "marginType": account.margin_mode, "isAutoAddMargin": "false",
    }  # fmt: skip


def account_row(account: Account, wallet: float, quotes: Quotes, asset: str) -> dict[str, Any]:
    """The whole account in its one currency; `wallet` as the reply shall state it."""
    open_profit = sum(account.upnl(position, quotes) for position in account.positions.values())
    held = sum(account.notional(p, quotes) / account.leverage_of(p.symbol) for p in account.positions.values())
    least = sum(account.notional(p, quotes) for p in account.positions.values()) * MAINTENANCE
    bound = account.margin(quotes)
    free = max(wallet + open_profit - bound, 0.0)
    shared: Mapping[str, float] = {
        "initialMargin": bound, "maintMargin": least, "positionInitialMargin": held,
        "openOrderInitialMargin": bound - held, "crossWalletBalance": wallet, "walletBalance": wallet,
        "marginBalance": wallet + open_profit, "unrealizedProfit": open_profit, "crossUnPnl": open_profit,
    }  # fmt: skip
    totals = {f"total{name[0].upper()}{name[1:]}": amount(value) for name, value in shared.items()}
    row = {name: amount(value) for name, value in shared.items()}
    limits = {"availableBalance": amount(free), "maxWithdrawAmount": amount(free)}
    assets = [{"asset": asset, **row, **limits, "updateTime": 0}]
    return {**totals, **limits, "assets": assets, "positions": []}
