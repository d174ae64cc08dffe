"""Faults that act on an account as a human or another bot would (`exchange_simulator.md` 10)."""

from __future__ import annotations

import logging

from core.errors import ConfigError
from exchange_sim.faults import Fault
from exchange_sim.market import VenueMarket
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.interventions import jump_balance, put_position
from exchange_sim.trading.records import OrderRequest, Position, PositionSide, Reject

logger = logging.getLogger(__name__)


def interfere(engine: Engine, key: str, fault: Fault, market: VenueMarket, now_ms: int) -> None:
    """Change an account as a fault says. Raises ConfigError for a market or a side that makes no sense."""
    p = fault.parameters
    if fault.action == "balance_jump":
        jump_balance(engine, key, float(p["delta"]), now_ms)
        return
    item = market.by_id.get(str(p["market"]))
    if item is None:
        raise ConfigError(f"fault {fault.action}: no market {p['market']!r} here; there are {', '.join(market.by_id)}")
    pside = _pside(engine, key, fault)
    if fault.action == "external_position":
        entry = float(p["entry"]) or engine.quotes.last[item.symbol]
        put_position(engine, key, Position(item.symbol, pside, float(p["size"]), entry, now_ms, now_ms), now_ms)
        return
    price = float(p["price"])
    order = OrderRequest(
        item.symbol, "buy" if p["side"] == "buy" else "sell", pside, "limit" if price else "market", float(p["qty"]),
        price, client_id=f"{p['client_id']}-{fault.id}-{fault.fired}",
    )  # fmt: skip
    placed = engine.submit(key, order, now_ms)
    if isinstance(placed, Reject):
        logger.warning("sim_external_order_refused fault=%d reason=%s", fault.id, placed.detail)


def _pside(engine: Engine, key: str, fault: Fault) -> PositionSide:
    """As stated, else that of the account's position mode."""
    word = str(fault.parameters["pside"]).lower()
    if word not in ("", "long", "short", "both"):
        raise ConfigError(f"fault {fault.action}: pside is {word!r}, long, short or both is needed")
    if word in ("long", "short"):
        return "long" if word == "long" else "short"
    return "long" if engine.account(key).hedge and word == "" else "both"
