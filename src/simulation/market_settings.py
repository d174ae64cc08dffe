"""What market settings of a run hold besides the markets themselves: facts about the data, rows with real candles."""

from __future__ import annotations

from dataclasses import dataclass

META = "__meta__"
"""The key of the facts about the data, beside the coins."""


@dataclass(frozen=True, slots=True)
class ValidRows:
    """Rows of a coin's real candles, inclusive, and what it needs before it may trade. `first > last`: never."""

    first: int
    last: int
    warmup: int

    @property
    def trade_start(self) -> int:
        """The first row at which the coin may trade."""
        return self.first if self.first > self.last else min(self.last, self.first + self.warmup)
