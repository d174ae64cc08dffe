"""What accounts looked like a while ago, for replies that lag behind (`exchange_simulator.md` 10, `stale`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from core.clock import MINUTE_MS
from exchange_sim.trading.account import Account
from exchange_sim.trading.records import Order, Position

KEPT_MS = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account from `ts` on, until the next snapshot."""

    ts: int
    wallet: float
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]


@dataclass(slots=True)
class Past:
    """Snapshots by API key; of the last ten minutes all, and the one before them."""

    _snapshots: dict[str, deque[Snapshot]] = field(default_factory=dict)

    def is_known(self, key: str) -> bool:
        return key in self._snapshots

    def note(self, account: Account, now_ms: int) -> None:
        """Remember the account as it is; at one moment the last state counts."""
        snapshots = self._snapshots.setdefault(account.key, deque())
        if snapshots and snapshots[-1].ts == now_ms:
            snapshots.pop()
        positions, orders = tuple(account.positions.values()), tuple(account.open_orders.values())
        snapshots.append(Snapshot(now_ms, account.wallet, positions, orders))
        while len(snapshots) > 1 and snapshots[1].ts < now_ms - KEPT_MS:
            snapshots.popleft()

    def at(self, key: str, ts: int) -> Snapshot:
        """The account as it was at a time, or as it was first seen."""
        snapshots = self._snapshots[key]
        return next((snapshot for snapshot in reversed(snapshots) if snapshot.ts <= ts), snapshots[0])
