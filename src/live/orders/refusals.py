"""What the exchange refused, so that the same is not sent again in a loop (`reliability.md`, scenarios 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import MINUTE_MS
from exchanges.failures import Failure
from exchanges.protocol import TargetOrder

FIRST_WAIT_MS, LONGEST_WAIT_MS = 30_000, 900_000
# Refusals of one order as it is: another price or quantity may pass. The rest concerns the symbol as a whole.
_OF_THE_ORDER = frozenset({"minimum", "refused", "other", "duplicate_id"})
_OF_THE_SYMBOL = frozenset({"margin"})

Subject = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often in a row, why, and until when to wait."""

    count: int
    failure: Failure
    until_ms: int


class Refusals:
    """Waiting times by order and by symbol, each twice as long as the one before, up to 15 minutes."""

    def __init__(self) -> None:
        self._known: dict[Subject, Refusal] = {}

    def note(self, order: TargetOrder, failure: Failure, now_ms: int) -> None:
        """Enter a refusal. Those that the next cycle answers by itself (post-only, reduce-only, gone) do not count."""
        subject = _subject(order, failure)
        if subject is not None:
            count = self._known[subject].count + 1 if subject in self._known else 1
            self._known[subject] = Refusal(count, failure, _until(failure, count, now_ms))

    def clear(self, order: TargetOrder) -> None:
        """The exchange took it."""
        for subject in (_order(order), _symbol(order)):
            self._known.pop(subject, None)

    def objection(self, order: TargetOrder, now_ms: int) -> str | None:
        """Why the order is not sent now; None if nothing speaks against it. Closes never wait for margin."""
        for subject in (_order(order), _symbol(order)):
            refusal = self._known.get(subject)
            if refusal is None or now_ms >= refusal.until_ms:
                continue
            if subject == _order(order) or not order.reduce_only:
                remaining = (refusal.until_ms - now_ms) / 1000
                return f"refused {refusal.count} times ({refusal.failure}); {remaining:.0f} s remain"
        return None

    def forget_old(self, now_ms: int) -> None:
        """Drop what has been quiet for as long as the longest waiting time."""
        self._known = {
            subject: refusal for subject, refusal in self._known.items() if now_ms < refusal.until_ms + LONGEST_WAIT_MS
        }


def _subject(order: TargetOrder, failure: Failure) -> Subject | None:
    if failure in _OF_THE_ORDER:
        return _order(order)
    return _symbol(order) if failure in _OF_THE_SYMBOL else None


def _until(failure: Failure, count: int, now_ms: int) -> int:
    """An id that was used is another one in the next minute; everything else takes longer each time."""
    if failure == "duplicate_id":
        return (now_ms // MINUTE_MS + 1) * MINUTE_MS
    return now_ms + int(min(FIRST_WAIT_MS * 2.0 ** (count - 1), LONGEST_WAIT_MS))


def _order(order: TargetOrder) -> Subject:
    return order.symbol, order.side, order.pside, order.qty, order.price


def _symbol(order: TargetOrder) -> Subject:
    return (order.symbol,)
