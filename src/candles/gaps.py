"""Known gaps: minutes that were asked for and did not come (`candles.md` 8). Pure functions on lists of gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from candles.fill import missing_spans
from core.clock import DAY_MS, MINUTE_MS

Reason = Literal["auto_detected", "fetch_failed", "exchange_downtime", "no_archive", "manual", "pre_inception"]
REASONS: tuple[str, ...] = get_args(Reason)
PERSISTENT_AFTER = 3
RETRY_AFTER_MS = 7 * DAY_MS
_EXPIRING = ("fetch_failed", "auto_detected")


@dataclass(frozen=True, slots=True)
class KnownGap:
    """Minutes from `start_ts` through `end_ts` that a source did not deliver, `retry_count` times."""

    start_ts: int
    end_ts: int
    retry_count: int
    reason: str
    added_at: int
    last_attempt_at: int = 0

    @property
    def persistent(self) -> bool:
        """Not fetched again on its own."""
        return self.retry_count >= PERSISTENT_AFTER

    def blocks_fetching(self, now_ms: int) -> bool:
        """Persistent, and not one whose last attempt lies so far back that it deserves another."""
        expired = self.reason in _EXPIRING and now_ms - self.last_attempt_at > RETRY_AFTER_MS
        return self.persistent and not expired

    def overlaps(self, start_ts: int, end_ts: int) -> bool:
        return self.start_ts <= end_ts and self.end_ts >= start_ts


Gaps = Sequence[KnownGap]


def parse_gaps(items: Iterable[Any]) -> list[KnownGap]:
    """Gaps as JSON holds them; the old form `[start, end]` reads as persistent and auto-detected."""
    return [
        KnownGap(**item)
        if isinstance(item, dict)
        else KnownGap(int(item[0]), int(item[1]), PERSISTENT_AFTER, "auto_detected", 0)
        for item in items
    ]


def dump_gaps(gaps: Gaps) -> list[dict[str, Any]]:
    """Gaps as JSON, merged and sorted."""
    return [asdict(gap) for gap in merge_gaps(gaps)]


def add_gap(
    gaps: Gaps,
    span: tuple[int, int],
    reason: Reason,
    now_ms: int,
    *,
    increment: bool = True,
    retry_count: int | None = None,
) -> list[KnownGap]:
    """Extend the first gap that the span overlaps or touches, or append a new one."""
    start, end = span
    for i, gap in enumerate(gaps):
        if gap.start_ts <= end + MINUTE_MS and gap.end_ts >= start - MINUTE_MS:
            counted = min(gap.retry_count + 1, PERSISTENT_AFTER) if increment else gap.retry_count
            extended = replace(
                gap,
                start_ts=min(gap.start_ts, start),
                end_ts=max(gap.end_ts, end),
                retry_count=counted if retry_count is None else retry_count,
                reason=gap.reason if reason == "auto_detected" else reason,
                last_attempt_at=now_ms,
            )
            return [*gaps[:i], extended, *gaps[i + 1 :]]
    counted = int(increment) if retry_count is None else retry_count
    return [*gaps, KnownGap(start, end, counted, reason, now_ms, now_ms)]


def merge_gaps(gaps: Gaps) -> list[KnownGap]:
    """Sorted by start; overlapping and touching ones joined, the earlier one's reason kept."""
    merged: list[KnownGap] = []
    for gap in sorted(gaps, key=lambda gap: gap.start_ts):
        if merged and gap.start_ts <= merged[-1].end_ts + MINUTE_MS:
            last = merged[-1]
            merged[-1] = replace(
                last,
                end_ts=max(last.end_ts, gap.end_ts),
                retry_count=max(last.retry_count, gap.retry_count),
                added_at=min(last.added_at, gap.added_at),
                last_attempt_at=max(last.last_attempt_at, gap.last_attempt_at),
            )
        else:
            merged.append(gap)
    return merged


def without_rows(gaps: Gaps, ts: npt.NDArray[np.int64], period_ms: int = MINUTE_MS) -> list[KnownGap]:
    """The gaps that remain when rows at ascending `ts` have arrived: trimmed, split or gone."""
    return [
        replace(gap, start_ts=start, end_ts=end)
        for gap in gaps
        for start, end in missing_spans(ts, gap.start_ts, gap.end_ts, period_ms)
    ]


def clear_gaps(gaps: Gaps, span: tuple[int, int] | None) -> list[KnownGap]:
    """Without those that overlap the span; without any if it is None."""
    return [gap for gap in gaps if span is not None and not gap.overlaps(*span)]


def gap_summary(gaps: Gaps) -> dict[str, Any]:
    """Counts, minutes, reasons, and the list."""
    persistent = sum(gap.persistent for gap in gaps)
    return {
        "total_gaps": len(gaps),
        "total_minutes": sum((gap.end_ts - gap.start_ts) // MINUTE_MS + 1 for gap in gaps),
        "persistent_gaps": persistent,
        "retryable_gaps": len(gaps) - persistent,
        "by_reason": dict(Counter(gap.reason for gap in gaps)),
        "gaps": dump_gaps(gaps),
    }
