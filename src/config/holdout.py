"""`optimize.holdout`: what of the data a search may not see (`additions.md` 6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from config.check import is_number
from config.scenarios import Window
from core.clock import MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import ConfigError

KINDS = ("fraction", "windows", "scenarios")


@dataclass(frozen=True, slots=True)
class Holdout:
    """One of: the last `fraction` of the dates (0: none), date ranges, or scenarios of the suite."""

    fraction: float = 0.0
    windows: tuple[Window, ...] = ()
    scenarios: tuple[str, ...] = ()

    def held_out(self, base: Window) -> tuple[Window, ...]:
        """The date ranges, given the range of the config."""
        if not self.fraction:
            return self.windows
        length = base.end_ms - base.start_ms
        start = base.end_ms - int(length * self.fraction) // MINUTE_MS * MINUTE_MS
        return (_window(start, base.end_ms),)


def parse_holdout(value: Any, path: str = "optimize.holdout") -> Holdout | None:
    """What the config says, None for nothing; a text is read as JSON. Raises ConfigError naming `path`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as exc:
            raise ConfigError(f"{path} is {value!r}, which is no JSON: {exc}") from exc
    if not value:
        return None
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in KINDS:
        raise ConfigError(f"{path} is {value!r}: it must have one of {', '.join(KINDS)}")
    ((kind, given),) = value.items()
    if kind == "fraction":
        if not is_number(given) or not 0 < given < 1:
            raise ConfigError(f"{path}.fraction is {given!r}: it must be between 0 and 1, such as 0.2")
        return Holdout(fraction=float(given))
    if kind == "windows":
        return Holdout(windows=_windows(given, f"{path}.windows"))
    if not isinstance(given, list) or not given or not all(isinstance(label, str) for label in given):
        raise ConfigError(f"{path}.scenarios is {given!r}: it must list labels of the suite")
    return Holdout(scenarios=tuple(given))


def _windows(given: Any, path: str) -> tuple[Window, ...]:
    if not isinstance(given, list) or not given:
        raise ConfigError(f"{path} is {given!r}: it must list [from, to] pairs of dates")
    windows = []
    for number, pair in enumerate(given, start=1):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ConfigError(f"{path} entry {number} is {pair!r}: it must be a pair [from, to] of dates")
        window = Window(str(pair[0]), str(pair[1]))
        if window.end_ms <= window.start_ms:
            raise ConfigError(f"{path} entry {number}: {pair[1]} is not after {pair[0]}")
        windows.append(window)
    return tuple(sorted(windows, key=lambda window: window.start_ms))


def left_over(window: Window, held_out: Iterable[Window]) -> tuple[Window, ...]:
    """The parts of a window that no held-out range touches; all of it, unchanged, when there is none."""
    parts: list[Window] = [window]
    for held in held_out:
        parts = [rest for part in parts for rest in _without(part, held)]
    return tuple(parts)


def _without(part: Window, held: Window) -> Sequence[Window]:
    if held.end_ms < part.start_ms or held.start_ms > part.end_ms:
        return [part]
    before = _window(part.start_ms, held.start_ms - MINUTE_MS)
    after = _window(held.end_ms + MINUTE_MS, part.end_ms)
    return [rest for rest in (before, after) if rest.end_ms > rest.start_ms]


def overlap(window: Window, other: Window) -> Window | None:
    """What both windows have in common."""
    start, end = max(window.start_ms, other.start_ms), min(window.end_ms, other.end_ms)
    return _window(start, end) if end > start else None


def window_label(window: Window) -> str:
    """`2025-01-01..2025-03-01`, with times of day where there are any."""
    return "..".join(ts_to_date(ms).removesuffix("T00:00:00") for ms in (window.start_ms, window.end_ms))


def consecutive(window: Window, count: int) -> tuple[Window, ...]:
    """So many windows of the same length, one after the other, whole minutes each."""
    start, end = date_to_ts(window.start_date), date_to_ts(window.end_date)
    edges = [start + (end - start) * at // count // MINUTE_MS * MINUTE_MS for at in range(count + 1)]
    return tuple(_window(a + (MINUTE_MS if at else 0), b) for at, (a, b) in enumerate(pairwise(edges)))


def _window(start_ms: int, end_ms: int) -> Window:
    return Window(ts_to_date(start_ms), ts_to_date(end_ms))
