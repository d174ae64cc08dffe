"""Log lines about fills, in the words that log monitors look for (`live.md` 22, `gui_compatibility.md`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from live.fills.record import FillEvent
from live.orders.order_ids import UNKNOWN

logger = logging.getLogger(__name__)

MOST_LINES = 20
_ID_LENGTH = 12


def log_new_fills(events: Sequence[FillEvent], coin: Callable[[str], str], quote: str) -> None:
    """A line a fill; many at once are one line with their sum."""
    if len(events) > MOST_LINES:
        logger.info("%s", summary_line(events, quote))
        return
    for event in events:
        logger.info("%s", fill_line(event, coin(event.symbol), quote))


def summary_line(events: Sequence[FillEvent], quote: str) -> str:
    """`[fill] 25 fills, pnl=-1.25 USDT`."""
    return f"[fill] {len(events)} fills, pnl={_signed(sum(event.pnl for event in events))} {quote}"


def fill_line(event: FillEvent, coin: str, quote: str) -> str:
    """`[fill] BTC long close_grid_long -0.01 @ 64000, pnl=+5.5 USDT id=123456789012`."""
    order_type = event.pb_order_type or UNKNOWN
    pnl = f", pnl={_signed(event.pnl)} {quote}" if event.closes or event.pnl else ""
    client_id = f" (coid={event.client_order_id})" if order_type == UNKNOWN and event.client_order_id else ""
    return (
        f"[fill] {coin} {event.position_side} {order_type} {_signed(event.qty)} @ {_plain(event.price)}"
        f"{pnl}{client_id} id={event.id[:_ID_LENGTH]}"
    )


def _plain(number: float) -> str:
    """Without exponent and without zeros at the end; monitors read these numbers."""
    return f"{number:.10f}".rstrip("0").rstrip(".")


def _signed(number: float) -> str:
    return ("" if number < 0.0 else "+") + _plain(number)
