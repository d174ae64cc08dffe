"""What the matching engine takes and gives: requests, orders, positions, fills, events (`exchange_simulator.md` 6.1).

Prices are in quote currency, quantities above 0 in contracts, times in ms.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Literal

from core.terms import Side
from markets.market import Market

PositionSide = Literal["long", "short", "both"]
OrderType = Literal["limit", "market"]
TimeInForce = Literal["gtc", "post_only", "ioc", "fok"]
Status = Literal["new", "partially_filled", "filled", "cancelled", "expired"]
MarginMode = Literal["cross", "isolated"]
EventKind = Literal["order_new", "fill", "order_cancelled", "order_rejected", "account"]


@dataclass(frozen=True, slots=True)
class Rules:
    """In what the venues differ. `shrinks_reducing`: a close that is too large is cut to what is left, not refused;
    `acknowledges_post_only`: a post-only order that crosses is taken and then cancelled, not refused."""

    name: str
    shrinks_reducing: bool
    acknowledges_post_only: bool
    max_open_orders: int  # of one symbol
    default_leverage: float


BINANCE = Rules("binance", False, False, 200, 20.0)
BYBIT = Rules("bybit", True, True, 500, 10.0)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as asked for. `pside` is "both" in one-way mode; `price` is 0 for market orders."""

    symbol: str
    side: Side
    pside: PositionSide
    type: OrderType
    qty: float
    price: float = 0.0
    tif: TimeInForce = "gtc"
    reduce_only: bool = False
    client_id: str = ""

    @property
    def reduces(self) -> bool:
        """Whether it can only make a position smaller: by its sides in hedge mode, by its flag in one-way mode."""
        return reduces(self.side, self.pside, self.reduce_only)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was taken. `filled` of `qty` is done, at `avg` on average; `reject_reason`: why it was ended."""

    id: int
    client_id: str
    symbol: str
    side: Side
    pside: PositionSide
    type: OrderType
    price: float
    qty: float
    filled: float
    avg: float
    tif: TimeInForce
    reduce_only: bool
    status: Status
    created: int
    updated: int
    reject_reason: str = ""

    @property
    def reduces(self) -> bool:
        return reduces(self.side, self.pside, self.reduce_only)

    @property
    def works_for(self) -> Literal["long", "short"]:
        """The side whose entry or close this is, also in one-way mode."""
        return "long" if (self.side == "buy") != self.reduces else "short"


def reduces(side: Side, pside: PositionSide, reduce_only: bool) -> bool:
    return reduce_only if pside == "both" else (side == "sell") == (pside == "long")


@dataclass(frozen=True, slots=True)
class Position:
    """Size and mean entry price; `size` is signed for pside "both", else at least 0."""

    symbol: str
    pside: PositionSide
    size: float = 0.0
    entry: float = 0.0
    created: int = 0
    updated: int = 0

    @property
    def signed(self) -> float:
        """The size with the sign of its direction: short below 0."""
        return -self.size if self.pside == "short" else self.size


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade. `realized` is before fees, `fee` above 0 was paid; `closed_qty` of `qty` made a position smaller,
    `entry_before` is the price of that position, 0 if there was none."""

    id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    pside: PositionSide
    price: float
    qty: float
    realized: float
    fee: float
    maker: bool
    ts: int
    closed_qty: float
    entry_before: float


@dataclass(frozen=True, slots=True)
class Reject:
    """A refusal: `reason` is one of section 6.2, `unknown_order`, or that of a mode that cannot change."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to the account of an API key. A fill comes with its order; `account` events say why in `cause`
    and which position changed, if one did."""

    kind: EventKind
    key: str
    time_ms: int
    order: Order | None = None
    fill: Fill | None = None
    request: OrderRequest | None = None
    reject: Reject | None = None
    position: Position | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Quotes:
    """The contracts and their last prices (bid = ask = mark = last); a contract that never traded has none."""

    markets: Mapping[str, Market]
    last: MutableMapping[str, float] = field(default_factory=dict)
