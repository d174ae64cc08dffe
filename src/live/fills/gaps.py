"""Stretches of time without fills that have been looked into (`live.md` 17.2). Pure functions on lists of gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

TRIES = 3
SURE = 0.7


@dataclass(frozen=True, slots=True)
class FillGap:
    """From `start_ts` to `end_ts` an exchange had nothing, `retry_count` times after the first."""

    start_ts: int
    end_ts: int
    retry_count: int
    reason: str
    added_at: int
    confidence: float

    @property
    def settled(self) -> bool:
        """Asked for often enough."""
        return self.retry_count >= TRIES

    def overlaps(self, start_ts: int, end_ts: int) -> bool:
        """By more than an end, which is the time of a fill."""
        return self.start_ts < end_ts and self.end_ts > start_ts


def parse_gaps(items: Iterable[Any]) -> tuple[FillGap, ...]:
    """Gaps as JSON holds them. Raises TypeError for another form."""
    return tuple(FillGap(**item) for item in items)


def dump_gaps(gaps: Iterable[FillGap]) -> list[dict[str, Any]]:
    return [asdict(gap) for gap in gaps]


def add_gap(
    gaps: Sequence[FillGap], span: tuple[int, int], reason: str, now_ms: int, confidence: float = 0.0
) -> tuple[FillGap, ...]:
    """With the span; all gaps it overlaps become one with it, asked for once more. Sorted by start."""
    start, end = span
    met = [gap for gap in gaps if gap.overlaps(start, end)]
    added = FillGap(start, end, 0, reason, now_ms, confidence)
    if met:
        retries = max(gap.retry_count for gap in met) + 1
        sure = max(confidence, *(gap.confidence for gap in met))
        added = replace(
            added,
            start_ts=min(start, *(gap.start_ts for gap in met)),
            end_ts=max(end, *(gap.end_ts for gap in met)),
            retry_count=retries,
            added_at=min(gap.added_at for gap in met),
            confidence=max(sure, SURE) if retries >= TRIES else sure,
        )
    return tuple(sorted([*(gap for gap in gaps if gap not in met), added], key=lambda gap: gap.start_ts))


def clear_range(gaps: Sequence[FillGap], start_ts: int, end_ts: int) -> tuple[FillGap, ...]:
    """Without what lies in the range: gaps inside it go, others keep what is outside."""
    remaining = []
    for gap in gaps:
        if not gap.overlaps(start_ts, end_ts):
            remaining.append(gap)
            continue
        if gap.start_ts < start_ts:
            remaining.append(replace(gap, end_ts=start_ts))
        if gap.end_ts > end_ts:
            remaining.append(replace(gap, start_ts=end_ts))
    return tuple(remaining)
