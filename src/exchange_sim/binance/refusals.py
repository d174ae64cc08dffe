"""What Binance calls the engine's refusals (`exchange_simulator.md` 7.3)."""

from __future__ import annotations

from collections.abc import Mapping

from exchange_sim.trading.records import Reject
from exchange_sim.wire import VenueError

_TEXTS: Mapping[str, tuple[int, str]] = {
    "bad_symbol": (-1121, "Invalid symbol."),
    "not_trading": (-4108, "This contract is not available for trading."),
    "lot_size": (-1111, "Precision is over the maximum defined for this asset."),
    "price_filter": (-4014, "Price not increased by tick size."),
    "min_qty": (-4003, "Quantity less than or equal to zero."),
    "min_notional": (-4164, "Order's notional is too small (unless you choose reduce only)."),
    "post_only": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    "duplicate_client_id": (-4116, "ClientOrderId is duplicated."),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "insufficient_margin": (-2019, "Margin is insufficient."),
    "position_side": (-4061, "Order's position side does not match user's setting."),
    "too_many_orders": (-2025, "Reach max open order limit."),
    "leverage": (-4028, "Leverage is not valid"),
}
_MARGIN_TYPE: Mapping[str, tuple[int, str]] = {
    "unchanged": (-4046, "No need to change margin type."),
    "has_orders": (-4047, "Margin type cannot be changed if there exists open orders."),
    "has_positions": (-4048, "Margin type cannot be changed if there exists position."),
}
_POSITION_MODE: Mapping[str, tuple[int, str]] = {
    "unchanged": (-4059, "No need to change position side."),
    "has_orders": (-4067, "Position side cannot be changed if there exists open orders."),
    "has_positions": (-4068, "Position side cannot be changed if there exists position."),
}
UNKNOWN_CANCEL = VenueError(-2011, "Unknown order sent.")
UNKNOWN_QUERY = VenueError(-2013, "Order does not exist.")


def refusal(reject: Reject) -> VenueError:
    """Of an order or a leverage."""
    return VenueError(*_TEXTS[reject.reason])


def margin_type_refusal(reject: Reject) -> VenueError:
    return VenueError(*_MARGIN_TYPE[reject.reason])


def position_mode_refusal(reject: Reject) -> VenueError:
    return VenueError(*_POSITION_MODE[reject.reason])
