"""What the translations of all exchanges share: numbers as texts, sides, the record of a ccxt trade, page guards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from core.clock import DAY_MS
from live.orders.order_ids import order_type_of

logger = logging.getLogger(__name__)

Reply: TypeAlias = Mapping[str, Any]
Item: TypeAlias = dict[str, Any]
"""A fill as `live.fills.record.parse_fill` takes it."""


class Pages:
    """Ends a paginated fetch that would ask the same again, or that goes on beyond what is plausible."""

    def __init__(self, what: str, most: int) -> None:
        self._what, self._most = what, most
        self._asked: set[tuple[object, ...]] = set()

    def next(self, *parameters: object) -> bool:
        """Whether a page with these parameters should be asked for."""
        if parameters in self._asked:
            return False
        if len(self._asked) >= self._most:
            logger.warning("[fills] %s: stopped after %d pages; older fills are missing", self._what, self._most)
            return False
        self._asked.add(parameters)
        return True


def number(value: Any) -> float:
    """A number from what exchanges write; 0 where they write nothing."""
    return float(value) if value not in (None, "") else 0.0


def windows(start_ms: int, end_ms: int, days: float) -> Iterator[tuple[int, int]]:
    """Stretches of at most `days` from start to end, both inclusive, none overlapping."""
    step = int(days * DAY_MS)
    for low in range(start_ms, end_ms + 1, step):
        yield low, min(low + step - 1, end_ms)


def swap_symbol(trade: Reply, quote: str) -> str:
    """The contract's symbol; ccxt takes a trade without certain fields for a spot trade."""
    symbol = str(trade.get("symbol") or "")
    return symbol if ":" in symbol or not symbol else f"{symbol}:{quote}"


def item_of(trade: Reply, *, source: str, position_side: str, pnl: float, client_order_id: str) -> Item:
    """The fill of a ccxt trade."""
    return {
        "id": trade.get("id"),
        "timestamp": trade.get("timestamp"),
        "symbol": trade.get("symbol"),
        "side": trade.get("side"),
        "position_side": position_side,
        "qty": trade.get("amount"),
        "price": trade.get("price"),
        "pnl": pnl,
        "fees": trade.get("fee") or trade.get("fees") or None,
        "pb_order_type": order_type_of(client_order_id),
        "client_order_id": client_order_id,
        "raw": [{"source": source, "data": trade.get("info")}],
    }
