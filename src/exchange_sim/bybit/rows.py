"""The engine's records as Bybit writes them (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from typing import Any

from passivbot_rust import qty_to_cost

from candles.fill import floor_minute
from exchange_sim.market import Instrument
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Fill, Order, Position, PositionSide, Quotes
from exchange_sim.trading.upkeep import MAINTENANCE
from exchange_sim.wire import decimal, step_text

DECIMALS = 8  # of amounts; more where they have more
STATUS = {
    "new": "New", "partially_filled": "PartiallyFilled", "filled": "Filled", "cancelled": "Cancelled",
    "expired": "Cancelled",
}  # fmt: skip
TIME_IN_FORCE = {"gtc": "GTC", "post_only": "PostOnly", "ioc": "IOC", "fok": "FOK"}
INDEX: dict[PositionSide, int] = {"both": 0, "long": 1, "short": 2}


def amount(value: float) -> str:
    return decimal(value, DECIMALS)


def order_row(order: Order, item: Instrument, account: Account) -> dict[str, Any]:
    """`tpslMode` must be there: ccxt knows a contract by it."""
    quantity, price = item.qty_decimals, item.price_decimals
    worth = qty_to_cost(order.filled, order.avg, item.market.c_mult)
    left = round(order.qty - order.filled, quantity) if order.status in ("new", "partially_filled") else 0.0
    return {
        "orderId": str(order.id), "orderLinkId": order.client_id, "symbol": item.id, "side": order.side.capitalize(),
        "orderType": order.type.capitalize(), "price": decimal(order.price, price), "qty": decimal(order.qty, quantity),
        "leavesQty": decimal(left, quantity),
        "leavesValue": amount(qty_to_cost(left, order.price, item.market.c_mult)),
        "cumExecQty": decimal(order.filled, quantity), "cumExecValue": amount(worth),
        "cumExecFee": amount(_fees(order, account)),
        "avgPrice": decimal(round(order.avg, price + DECIMALS), price) if order.filled > 0.0 else "",
        "orderStatus": STATUS[order.status],
        "timeInForce": TIME_IN_FORCE[order.tif] if order.type == "limit" else "IOC",
        "positionIdx": INDEX[order.pside], "reduceOnly": order.reduce_only, "createdTime": str(order.created),
        "updatedTime": str(order.updated), "rejectReason": order.reject_reason or "EC_NoError",
        "cancelType": _cancel_type(order), "tpslMode": "UNKNOWN", "stopOrderType": "", "triggerPrice": "",
        "triggerDirection": 0, "triggerBy": "", "takeProfit": "", "stopLoss": "", "tpTriggerBy": "", "slTriggerBy": "",
        "closeOnTrigger": False, "isLeverage": "", "lastPriceOnCreated": "", "orderIv": "", "blockTradeId": "",
        "smpType": "None", "smpGroup": 0, "smpOrderId": "", "placeType": "",
    }  # fmt: skip


def _fees(order: Order, account: Account) -> float:
    if order.filled == 0.0:
        return 0.0
    fills = account.fills_between(floor_minute(order.created), order.updated)  # in stepped time a fill has its candle's
    return sum(fill.fee for fill in fills if fill.order_id == order.id)


def _cancel_type(order: Order) -> str:
    if order.status == "expired":
        return "CancelByReduceOnly" if order.reduces else "UNKNOWN"
    return "CancelByUser" if order.status == "cancelled" and not order.reject_reason else "UNKNOWN"


def execution_row(fill: Fill, order: Order | None, item: Instrument) -> dict[str, Any]:
    """`order` is the fill's, None if it is not kept any more. `createType` must be there as `tpslMode` above."""
    worth = qty_to_cost(fill.qty, fill.price, item.market.c_mult)
    whole, price, left = (order.qty, order.price, order.qty - order.filled) if order else (fill.qty, fill.price, 0.0)
    return {
        "symbol": item.id, "orderId": str(fill.order_id), "orderLinkId": fill.client_id,
        "side": fill.side.capitalize(), "orderType": order.type.capitalize() if order else "Limit",
        "orderPrice": decimal(price, item.price_decimals), "orderQty": decimal(whole, item.qty_decimals),
        "leavesQty": decimal(round(left, item.qty_decimals), item.qty_decimals), "createType": "CreateByUser",
        "stopOrderType": "UNKNOWN",
        "execId": str(fill.id), "execPrice": decimal(fill.price, item.price_decimals),
        "execQty": decimal(fill.qty, item.qty_decimals), "execValue": amount(worth), "execFee": amount(fill.fee),
        "feeCurrency": item.market.quote, "feeRate": step_text(_fee_rate(fill, item)), "execTime": str(fill.ts),
        "execType": "Trade", "isMaker": fill.maker, "closedSize": step_text(fill.closed_qty),
        "markPrice": decimal(fill.price, item.price_decimals), "indexPrice": "", "underlyingPrice": "", "tradeIv": "",
        "markIv": "", "blockTradeId": "", "seq": fill.id,
    }  # fmt: skip


def _fee_rate(fill: Fill, item: Instrument) -> float:
    return item.market.maker_fee if fill.maker else item.market.taker_fee


def position_row(position: Position, item: Instrument, account: Account, quotes: Quotes) -> dict[str, Any]:
    """Flat positions have no side."""
    price = item.price_decimals
    is_held = position.size != 0.0
    worth = qty_to_cost(abs(position.size), position.entry, item.market.c_mult)
    leverage = account.leverage_of(position.symbol)
    mark = quotes.last.get(position.symbol, position.entry)
    entry = decimal(position.entry, price) if is_held else "0"
    return {
        "positionIdx": INDEX[position.pside], "symbol": item.id, "size": decimal(abs(position.size), item.qty_decimals),
        "side": ("Buy" if position.signed > 0.0 else "Sell") if is_held else "", "avgPrice": entry, "entryPrice": entry,
        "positionValue": amount(worth), "leverage": step_text(leverage), "markPrice": decimal(mark, price),
        "unrealisedPnl": amount(account.upnl(position, quotes) if is_held else 0.0),
        "positionIM": amount(worth / leverage), "positionMM": amount(worth * MAINTENANCE),
        "positionBalance": amount(worth / leverage), "createdTime": str(position.created),
        "updatedTime": str(position.updated), "tradeMode": 0, "positionStatus": "Normal", "liqPrice": "",
        "bustPrice": "", "cumRealisedPnl": "0", "curRealisedPnl": "0", "autoAddMargin": 0, "adlRankIndicator": 0,
        "riskId": 1, "riskLimitValue": "100000000", "tpslMode": "Full", "takeProfit": "", "stopLoss": "",
        "trailingStop": "0", "isReduceOnly": False, "mmrSysUpdatedTime": "", "leverageSysUpdatedTime": "", "seq": 0,
    }  # fmt: skip


def wallet_row(account: Account, wallet: float, quotes: Quotes, coin: str) -> dict[str, Any]:
    """The whole account in its one currency; `wallet` as the reply shall state it."""
    open_profit = sum(account.upnl(position, quotes) for position in account.positions.values())
    equity = wallet + open_profit
    # As a difference of the stated numbers, so that who takes it from the equity gets the wallet to the last bit.
    open_profit = equity - wallet
    notional = sum(account.notional(position, quotes) for position in account.positions.values())
    held = sum(account.notional(p, quotes) / account.leverage_of(p.symbol) for p in account.positions.values())
    bound = account.margin(quotes)
    free = amount(max(equity - bound, 0.0))
    return {
        "accountType": "UNIFIED", "totalEquity": amount(equity), "totalPerpUPL": amount(open_profit),
        "totalWalletBalance": amount(wallet), "totalMarginBalance": amount(equity), "totalAvailableBalance": free,
        "totalInitialMargin": amount(bound), "totalMaintenanceMargin": amount(notional * MAINTENANCE),
        "accountIMRate": "", "accountMMRate": "", "accountLTV": "0",
        "coin": [{
            "coin": coin, "walletBalance": amount(wallet), "equity": amount(equity), "usdValue": amount(equity),
            "unrealisedPnl": amount(open_profit), "cumRealisedPnl": "0", "marginCollateral": True,
            "collateralSwitch": True, "borrowAmount": "0", "accruedInterest": "0", "availableToBorrow": "",
            "availableToWithdraw": free, "totalPositionIM": amount(held),
            "totalPositionMM": amount(notional * MAINTENANCE), "totalOrderIM": amount(bound - held), "locked": "0",
            "bonus": "0", "spotHedgingQty": "0",
        }],
    }  # fmt: skip
