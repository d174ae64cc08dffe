"""What Bybit calls the engine's refusals (`exchange_simulator.md` 8.3)."""

from __future__ import annotations

from collections.abc import Mapping

from exchange_sim.trading.engine import POST_ONLY_REASON
from exchange_sim.trading.records import Reject
from exchange_sim.wire import VenueError

PARAMETER_ERROR = 10001
_ORDER: Mapping[str, tuple[int, str]] = {
    "bad_symbol": (PARAMETER_ERROR, "params error: symbol invalid"),
    "not_trading": (110074, "This contract is not live"),
    "lot_size": (PARAMETER_ERROR, "Qty invalid"),
    "price_filter": (PARAMETER_ERROR, "Price invalid"),
    "position_side": (PARAMETER_ERROR, "position idx not match position mode"),
    "min_qty": (PARAMETER_ERROR, "The number of contracts exceeds minimum limit allowed"),
    "min_notional": (110094, "Order does not meet minimum order value"),
    "duplicate_client_id": (110072, "OrderLinkedID is duplicate"),
    "reduce_only": (110017, "current position is zero, cannot fix reduce-only order qty"),
    "too_many_orders": (110020, "Not allowed to have more than 500 active orders"),
    "insufficient_margin": (110007, "ab not enough for new order"),
    "post_only": (PARAMETER_ERROR, POST_ONLY_REASON),  # the engine takes such an order; a fault may refuse it
    "unknown_order": (110001, "order not exists or too late to cancel"),
}
_LEVERAGE: Mapping[str, tuple[int, str]] = {
    "unchanged": (110043, "leverage not modified"),
    "leverage": (PARAMETER_ERROR, "leverage invalid"),
}
_MARGIN_MODE: Mapping[str, tuple[int, str]] = {
    "unchanged": (110026, "Cross/isolated margin mode is not modified"),
    "has_positions": (3400045, "Set margin mode failed: there are positions"),
    "has_orders": (3400045, "Set margin mode failed: there are open orders"),
}
_POSITION_MODE: Mapping[str, tuple[int, str]] = {
    "unchanged": (110025, "Position mode is not modified"),
    "has_positions": (110024, "You have an existing position, so position mode cannot be switched"),
    "has_orders": (110028, "You have existing open orders, so position mode cannot be switched"),
}


def order_refusal(reject: Reject) -> VenueError:
    return VenueError(*_ORDER[reject.reason])


def leverage_refusal(reject: Reject) -> VenueError:
    return VenueError(*_LEVERAGE[reject.reason])


def margin_mode_refusal(reject: Reject) -> VenueError:
    return VenueError(*_MARGIN_MODE[reject.reason])


def position_mode_refusal(reject: Reject) -> VenueError:
    return VenueError(*_POSITION_MODE[reject.reason])


def invalid(name: str) -> VenueError:
    """A parameter that is missing, or not what it may be."""
    return VenueError(PARAMETER_ERROR, f"params error: {name} invalid")
