"""Lines that would repeat every cycle are told when they change, and now and then."""

from __future__ import annotations

from collections.abc import Hashable

from core.clock import Clock


class Throttle:
    """Remembers what was told about a subject, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[Hashable, tuple[int, str]] = {}

    def allows(self, subject: Hashable, text: str, again_ms: int | None = None, at_least_ms: int = 0) -> bool:
        """Whether to tell it: a new text, but not within `at_least_ms` of the last; an old one after `again_ms`."""
        now_ms = self._clock.now_ms()
        known = self._told.get(subject)
        if known is not None:
            at_ms, before = known
            since_ms = now_ms - at_ms
            repeated = before == text
            if since_ms < at_least_ms or (repeated and (again_ms is None or since_ms < again_ms)):
                return False
        self._told[subject] = now_ms, text
        return True

    def forget(self, subject: Hashable) -> None:
        """The next text about it is new."""
        self._told.pop(subject, None)
