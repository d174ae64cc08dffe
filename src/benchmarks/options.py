"""What the measuring command was asked to do."""

from __future__ import annotations

from dataclasses import dataclass

SECTIONS = ("engine", "planner", "dataset", "candles", "startup", "batch", "search")
YEAR = 525_600  # minutes
BATCH_MINUTES = 90 * 1440


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes and repeats. `quick` is for trying out: a tenth of the data, few repeats."""

    coins: tuple[int, ...] = (1, 5, 20)
    minutes: int = YEAR
    sections: tuple[str, ...] = SECTIONS
    quick: bool = False
    with_floor: bool = True

    @property
    def repeats(self) -> int:
        return 2 if self.quick else 5

    @property
    def seconds_a_call(self) -> float:
        """How long a short call is repeated to be timed."""
        return 0.05 if self.quick else 0.5

    @property
    def batch_minutes(self) -> int:
        return min(self.minutes, BATCH_MINUTES // 10 if self.quick else BATCH_MINUTES)

    @property
    def candidates(self) -> int:
        return 4 if self.quick else 16

    @property
    def live_symbols(self) -> int:
        return 5 if self.quick else 50

    @property
    def dataset_days(self) -> int:
        return 9 if self.quick else 365
