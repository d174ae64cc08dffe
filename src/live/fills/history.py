"""The account's fill history: kept on disk, brought up to date from the exchange (`live.md` 17.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, Clock
from live.fills.book import FillBook
from live.fills.gaps import add_gap, clear_range
from live.fills.record import FillEvent
from live.fills.source import FillSource
from live.fills.store import FillMetadata, FillStore

logger = logging.getLogger(__name__)

OVERLAP_EVENTS = 20
OVERLAP_MS = 10 * MINUTE_MS
REFRESH_EVERY_MS = 60_000
LONG_SILENCE_MS = 12 * HOUR_MS
NO_FILLS = "no_fills"

Span = tuple[int, int]


class FillHistory:
    """Every fill that is known. `on_new` gets the events of each refresh that hold trades unknown before it.

    `c_mult` gives the contract size of a symbol. Load it once before use.
    """

    def __init__(
        self,
        store: FillStore,
        source: FillSource,
        clock: Clock,
        *,
        c_mult: Callable[[str], float] = lambda symbol: 1.0,
        on_new: Callable[[Sequence[FillEvent]], None] = lambda events: None,
    ) -> None:
        self._store, self._source, self._clock, self._on_new = store, source, clock, on_new
        self._book = FillBook(c_mult)
        self.metadata = FillMetadata()
        self._refreshed_ms: int | None = None  # by this process

    @property
    def events(self) -> tuple[FillEvent, ...]:
        """Ascending in time."""
        return self._book.events

    def load(self) -> None:
        """Read what is on disk. Where something of it is lost, nothing counts as covered and all is fetched again."""
        logger.info("[fills] initializing FillEventsManager")
        stored = self._store.load()
        self._book.add(stored.events)
        self.metadata = stored.metadata
        if not stored.complete:
            self.metadata = replace(stored.metadata, covered_from_ms=None, covered_to_ms=None)
        logger.info("[fills] %d fills in %s", len(self.events), self._store.directory)

    def last_change(self, symbol: str, position_side: str) -> int | None:
        """Time of the newest fill of a position, its last change."""
        matching = (
            e.timestamp for e in reversed(self.events) if (e.symbol, e.position_side) == (symbol, position_side)
        )
        return next(matching, None)

    # --- when and from when on

    def due(self, now_ms: int, *, account_changed: bool) -> bool:
        """Whether a refresh is worth its requests: something changed, or the last one is a minute old."""
        return account_changed or self._refreshed_ms is None or now_ms - self._refreshed_ms >= REFRESH_EVERY_MS

    async def update(self, exchange_now_ms: int, lookback_days: float) -> None:
        """Bring everything of the lookback up to date: all of it the first time, then what may be new."""
        age_limit = exchange_now_ms - int(lookback_days * DAY_MS)
        covered_from = self.metadata.covered_from_ms
        if covered_from is None or covered_from > age_limit:
            await self.refresh(age_limit, exchange_now_ms)
        else:
            await self.refresh_latest(end_ms=exchange_now_ms)

    async def refresh_latest(self, overlap: int = OVERLAP_EVENTS, end_ms: int | None = None) -> None:
        """Fetch from the `overlap`-th newest event on, or from shortly before the end of what is covered."""
        end = self._clock.now_ms() if end_ms is None else end_ms
        newest = self.events[-overlap:]
        starts = [newest[0].timestamp] if newest else []
        if self.metadata.covered_to_ms is not None:
            starts.append(self.metadata.covered_to_ms - OVERLAP_MS)
        await self.refresh(min(starts, default=end - OVERLAP_MS), end)

    async def refresh_range(self, start_ms: int, end_ms: int | None = None) -> None:
        """Fetch what is older than the oldest event, what lies in long silences nobody has looked into, and the newest.

        A silence that stays silent is remembered, and left alone after a few tries.
        """
        end = self._clock.now_ms() if end_ms is None else end_ms
        if not self.events:
            await self.refresh(start_ms, end)
            return
        for span in self._unknown_spans(start_ms, end):
            await self.refresh(*span)
            self._note_silence(span)
        await self.refresh_latest(end_ms=end)

    def _unknown_spans(self, start_ms: int, end_ms: int) -> list[Span]:
        """Before the oldest event and between events 12 hours or more apart, unless covered or settled."""
        times = [event.timestamp for event in self.events if start_ms <= event.timestamp <= end_ms]
        oldest = times[0] if times else end_ms
        spans = [(start_ms, oldest)] if start_ms < oldest else []
        spans += [(a, b) for a, b in pairwise(times) if b - a >= LONG_SILENCE_MS]
        return [span for span in spans if not self._is_covered(span) and not self._is_settled(span)]

    def _is_covered(self, span: Span) -> bool:
        low, high = self.metadata.covered_from_ms, self.metadata.covered_to_ms
        return low is not None and high is not None and low <= span[0] and span[1] <= high

    def _is_settled(self, span: Span) -> bool:
        return any(
            gap.settled and gap.start_ts <= span[0] and span[1] <= gap.end_ts for gap in self.metadata.known_gaps
        )

    def _note_silence(self, span: Span) -> None:
        """Remember a span that was fetched and still has nothing between its ends."""
        if not any(span[0] < event.timestamp < span[1] for event in self.events):
            gaps = add_gap(self.metadata.known_gaps, span, NO_FILLS, self._clock.now_ms())
            self.metadata = replace(self.metadata, known_gaps=gaps)
            self._store.save_metadata(self.metadata)

    # --- one fetch

    async def refresh(self, start_ms: int, end_ms: int) -> None:
        """Fetch a range and keep it, batch by batch. Raises what the exchange raised, with all batches so far kept."""
        new: list[FillEvent] = []

        def keep(batch: Sequence[FillEvent]) -> None:
            unknown, days = self._book.add(batch)
            new.extend(unknown)
            self._store.save_days(self.events, days)

        try:
            await self._source.fetch(start_ms, end_ms, self._book.known_orders(), keep)
            self._refreshed_ms = self._clock.now_ms()
            self.metadata = self._covering(start_ms, end_ms)
        finally:
            days = self._book.annotate()
            self._store.save_days(self.events, days)
            self._finish(new)

    def _finish(self, new: Sequence[FillEvent]) -> None:
        gaps = self.metadata.known_gaps
        for event in new:
            gaps = clear_range(gaps, event.timestamp, event.timestamp)
        events = self.events
        self.metadata = replace(
            self.metadata,
            known_gaps=gaps,
            oldest_event_ts=events[0].timestamp if events else 0,
            newest_event_ts=events[-1].timestamp if events else 0,
        )
        self._store.save_metadata(self.metadata)
        if new:
            self._on_new(self._book.annotated(new))

    def _covering(self, start_ms: int, end_ms: int) -> FillMetadata:
        """The covered range with a fetched one: both where they meet, else the newer."""
        low, high = self.metadata.covered_from_ms, self.metadata.covered_to_ms
        covered = (start_ms, end_ms)
        if low is not None and high is not None:
            if start_ms <= high and low <= end_ms:
                covered = (min(low, start_ms), max(high, end_ms))
            elif high > end_ms:
                covered = (low, high)
        return replace(
            self.metadata,
            last_refresh_ms=self._clock.now_ms(),
            covered_from_ms=covered[0],
            covered_to_ms=covered[1],
        )
