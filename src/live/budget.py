"""How many errors, how long to wait, how many restarts: the rules of `live.md` 16, without a clock of their own."""

from __future__ import annotations

from collections.abc import Sequence

from core.clock import DAY_MS, HOUR_MS
from exchanges.failures import Failure

ERRORS_PER_HOUR = 10
SILENT_FAILURES = 10  # skipped cycles in a row that do not count
LONGEST_WAIT_S = 30.0
RATE_LIMIT_WAIT_S = 5.0
RESTART_COUNTDOWN_S, LONGEST_COUNTDOWN_S = 60.0, 900.0
# An exchange that asks to be left alone is no fault of the bot: waiting is the answer.
_UNCOUNTED = frozenset({"rate_limit"})


class ErrorBudget:
    """The errors of the last hour."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def register(self, now_ms: int) -> bool:
        """Count an error; whether the budget is used up."""
        self._times = [*_later_than(self._times, now_ms - HOUR_MS), now_ms]
        return len(self._times) >= ERRORS_PER_HOUR

    def count(self, now_ms: int) -> int:
        """Errors of the last hour."""
        return len(_later_than(self._times, now_ms - HOUR_MS))


class Backoff:
    """Waiting times after failures in a row: 1, 2, 4 ... 30 s."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_s(self, at_least: float = 0.0) -> float:
        """Seconds to wait after one more failure."""
        self.failures += 1
        return max(min(2.0 ** (self.failures - 1), LONGEST_WAIT_S), at_least)


class RestartBudget:
    """The restarts of the last 24 hours; `allowed` of them."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._times: list[int] = []

    def register(self, now_ms: int) -> bool:
        """Count a restart; whether it may still take place."""
        self._times = [*_later_than(self._times, now_ms - DAY_MS), now_ms]
        return len(self._times) <= self._allowed

    def countdown_s(self, now_ms: int) -> float:
        """How long to wait before the next one: a minute, twice as long after each other one of the last hour."""
        recent = len(_later_than(self._times, now_ms - HOUR_MS))
        return min(RESTART_COUNTDOWN_S * 2.0**recent, LONGEST_COUNTDOWN_S)

    @property
    def used(self) -> int:
        return len(self._times)


def counts(failure: Failure, failures_in_a_row: int, *, skipped: bool) -> bool:
    """Whether a failed cycle is entered as an error. A skipped one could not read the account; it counts from the
    eleventh in a row on."""
    if failure in _UNCOUNTED:
        return False
    return not skipped or failures_in_a_row > SILENT_FAILURES


def wait_of(failure: Failure, retry_after_s: float) -> float:
    """The least time to leave the exchange alone after a failure: what it asked for, else by kind."""
    return max(retry_after_s, RATE_LIMIT_WAIT_S if failure == "rate_limit" else 0.0)


def _later_than(times: Sequence[int], limit_ms: int) -> list[int]:
    return [time for time in times if time > limit_ms]
