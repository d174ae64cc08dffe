"""What a user sees of downloads: a bar over coins with how far each has got, and counts of requests afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.progress import Progress

ANSWERED = ("ok", "not_found", "error")
MOST_OF_ERROR = 80  # characters


class FetchDisplay:
    """Hears the events of feeds (`on_event`) and the steps of preparations (`step`), and shows both in one bar.

    `count_requests` (`--cm-remote`) has the bar move with every request.
    """

    def __init__(self, *, count_requests: bool = False) -> None:
        self._count_requests = count_requests
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """Answered requests by (exchange, symbol, kind)."""
        self._bar: Progress | None = None
        self._step = ("", 0, 1)

    def show_in(self, bar: Progress) -> None:
        """Use this bar from now on."""
        self._bar, self._step = bar, ("", 0, 1)

    def step(self, what: str, done: int, total: int) -> None:
        """A coin is done."""
        self._step = (what, done, total)
        self._show(what)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """A request was answered or failed, or a long download has got further."""
        market, stage = f"{event.get('symbol')} {event.get('exchange')}", event["stage"]
        if stage in ANSWERED and event["kind"] != "archive_prefetch":
            self.requests[str(event.get("exchange")), str(event.get("symbol")), str(event["kind"])] += 1
            if self._count_requests:
                self._show(market)
        if stage == "progress" and (total := event.get("total") or event.get("days")):
            self._show(f"{market} {event['done']}/{total} days")
        elif stage == "error":
            self._show(f"{market} did not answer: {str(event.get('error'))[:MOST_OF_ERROR]}")

    def _show(self, what: str) -> None:
        if self._bar is not None:
            counted = f" {self.requests.total()} requests" if self._count_requests else ""
            self._bar(f"{what}{counted}", *self._step[1:])
