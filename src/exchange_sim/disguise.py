"""Fills that the history shows twice, later or never (`exchange_simulator.md` 10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

from exchange_sim.faults import Fault
from exchange_sim.trading.records import Fill

COPY_OFFSET = 1_000_000_000  # what the id of a copy is above that of its fill


@dataclass(slots=True)
class Disguise:
    """What was done to which fills, by API key and fill id."""

    _hidden_until: dict[tuple[str, int], float] = field(default_factory=dict)
    _copies: dict[tuple[str, int], Fill] = field(default_factory=dict)

    def put(self, key: str, fill: Fill, fault: Fault, now_ms: int) -> None:
        """Treat a fill that has just happened as a fault says."""
        if fault.action == "fill_duplicate":
            copy = fill if fault.parameters["same_id"] else replace(fill, id=fill.id + COPY_OFFSET)
            self._copies[key, fill.id] = copy
            return
        seconds = float(fault.parameters["seconds" if fault.action == "fill_late" else "for"])
        is_forever = fault.action == "fill_missing" and seconds == 0.0
        self._hidden_until[key, fill.id] = inf if is_forever else now_ms + seconds * 1000.0

    def shown(self, key: str, fills: Iterable[Fill], now_ms: int) -> list[Fill]:
        """What of the fills the history shows."""
        found = []
        for fill in fills:
            if now_ms < self._hidden_until.get((key, fill.id), 0.0):
                continue
            found.append(fill)
            if (key, fill.id) in self._copies:
                found.append(self._copies[key, fill.id])
        return found
