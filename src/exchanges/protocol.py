"""What the bot asks of an exchange, and the records that pass between them (`live.md` 20).

Methods that read never catch: what goes wrong reaches the one place that decides to retry or restart. Methods that
write do not either; `failures.py` says what an error means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from core.terms import Pside, Side

Key: TypeAlias = tuple[str, Pside]  # the symbol and side of a position
OrderKind = Literal["limit", "market"]
TimeSource = Literal["server", "ticker"]


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """`size` is signed, below 0 for a short; flat is (0, 0)."""

    size: float = 0.0
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests on the exchange; `qty` is absolute, `custom_id` empty where the exchange keeps none."""

    id: str
    symbol: str
    side: Side
    pside: Pside
    qty: float
    price: float
    custom_id: str = ""
    ts_ms: int = 0

    @property
    def key(self) -> Key:
        return self.symbol, self.pside

    @property
    def reduce_only(self) -> bool:
        """Whether it closes; derived, since exchanges do not all say it."""
        return (self.pside, self.side) in (("long", "sell"), ("short", "buy"))


@dataclass(frozen=True, slots=True)
class TargetOrder:
    """An order that should rest; `qty` is absolute. It gets its `custom_id` when it is really sent."""

    symbol: str
    side: Side
    pside: Pside
    qty: float
    price: float
    reduce_only: bool
    order_type: str
    kind: OrderKind = "limit"
    custom_id: str = ""

    @property
    def key(self) -> Key:
        return self.symbol, self.pside


@dataclass(frozen=True, slots=True)
class Ticker:
    """Prices of a symbol at one moment; an exchange that states no bid or ask has the last price in their place."""

    bid: float
    ask: float
    last: float


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What differs between exchanges and matters to the bot.

    hedge              long and short of one symbol side by side
    time_source        where the exchange's time comes from
    max_cancels        of one cycle, where the exchange allows fewer than the config; None: no such limit
    max_creates        the same of orders
    max_open_orders    ideal orders that are kept, those nearest to the market; None: all
    one_by_one         orders are sent one after another
    client_ids         the exchange keeps the ids that we give to orders
    least_leverage     leverage is set no higher than the exposure limits need, 1.1 times the larger one, rounded up
    """

    exchange: str
    hedge: bool = True
    time_source: TimeSource = "server"
    max_cancels: int | None = None
    max_creates: int | None = None
    max_open_orders: int | None = None
    one_by_one: bool = False
    client_ids: bool = True
    least_leverage: bool = False


class Exchange(Protocol):
    """One account on one exchange. Quantities are in contracts as CCXT counts them, prices in the quote currency."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def can_watch_orders(self) -> bool:
        """Whether order updates can be waited for."""
        ...

    async def fetch_balance(self) -> float:
        """What positions are sized with, in the quote currency, without open profit."""
        ...

    async def fetch_positions(self) -> Mapping[Key, HeldPosition]:
        """All positions that are not flat."""
        ...

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> Sequence[OpenOrder]:
        """Orders that rest, by time.

        Exchanges where all symbols at once cost much are asked for `symbols` one by one; None is all of them.
        """
        ...

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        """Prices of those of the symbols that have been traded."""
        ...

    async def fetch_time_ms(self) -> int:
        """The exchange's clock."""
        ...

    async def set_up_account(self) -> None:
        """Position mode. An exchange that already is set up so is no error."""
        ...

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        """Cross margin and leverage, as far as the exchange has them."""
        ...

    def fitted(self, orders: Sequence[TargetOrder]) -> Sequence[TargetOrder]:
        """The orders as the exchange takes them: prices rounded its way, where the market's step is not enough."""
        ...

    async def create_order(self, order: TargetOrder) -> str | None:
        """Send an order; the exchange's id of it, None if the answer does not confirm it."""
        ...

    async def cancel_order(self, order: OpenOrder) -> bool:
        """Cancel an order; whether the answer confirms it."""
        ...

    async def watch_orders(self) -> None:
        """Return when something happened to an order. What it was is read from the exchange."""
        ...

    async def reset_stream(self) -> None:
        """Drop the stream's connections; the next wait opens new ones."""
        ...

    async def sync_clock(self) -> None:
        """Measure the difference to the exchange's clock again."""
        ...

    async def aclose(self) -> None: ...
