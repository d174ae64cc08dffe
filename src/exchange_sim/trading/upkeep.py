"""Funding and liquidation, both off unless asked for (`exchange_simulator.md` 6.6)."""

from __future__ import annotations

from dataclasses import dataclass

from passivbot_rust import qty_to_cost

from core.clock import HOUR_MS
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Position, Quotes

MAINTENANCE = 0.005  # of the notional


@dataclass(frozen=True, slots=True)
class Funding:
    """Longs pay `rate` of their worth to shorts every `interval_hours`, counted from midnight UTC."""

    rate: float
    interval_hours: int = 8

    def is_due(self, ts: int) -> bool:
        return ts % (self.interval_hours * HOUR_MS) == 0

    def cost(self, position: Position, quotes: Quotes) -> float:
        """What a position pays at the last price; below 0 it receives."""
        mark = quotes.last.get(position.symbol, position.entry)
        paid = qty_to_cost(position.size, mark, quotes.markets[position.symbol].c_mult) * self.rate
        return paid if position.signed > 0.0 else -paid


def is_bankrupt(account: Account, quotes: Quotes) -> bool:
    """Whether equity no longer exceeds the maintenance margin of the positions."""
    notional = sum(account.notional(position, quotes) for position in account.positions.values())
    return bool(account.positions) and account.equity(quotes) <= MAINTENANCE * notional
