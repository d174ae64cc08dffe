"""How Bybit pages through lists: newest first, with a cursor that is empty on the last page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.clock import DAY_MS
from exchange_sim.bybit.refusals import PARAMETER_ERROR, invalid
from exchange_sim.bybit.signed import Call
from exchange_sim.wire import VenueError

WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Entry:
    """A row and where it stands: rows with greater places come first. What comes and goes moves no other."""

    place: tuple[int, int]
    row: dict[str, Any]


def page_of(call: Call, entries: Iterable[Entry], limit: int) -> dict[str, Any]:
    """`{nextPageCursor, list}` of the call's page. Raises VenueError 10001 for a cursor that was not given out."""
    cursor = _place(call.text("cursor", ""))
    ordered = sorted(entries, key=lambda entry: entry.place, reverse=True)
    left = [entry for entry in ordered if cursor is None or entry.place < cursor]
    shown = left[:limit]
    following = "{}_{}".format(*shown[-1].place) if len(left) > limit else ""
    return {"nextPageCursor": following, "category": call.text("category"), "list": [entry.row for entry in shown]}


def empty_page(call: Call) -> dict[str, Any]:
    return {"nextPageCursor": "", "category": call.text("category"), "list": []}


def week_of(call: Call, now_ms: int) -> tuple[int, int]:
    """`startTime` and `endTime`; one that is not given is a week from the other. Raises VenueError 10001."""
    start, end = call.integer("startTime"), call.integer("endTime")
    if end is None:
        end = now_ms if start is None else start + WEEK_MS
    if start is None:
        start = end - WEEK_MS
    if start > end:
        raise VenueError(PARAMETER_ERROR, "params error: startTime is greater than endTime")
    if end - start > WEEK_MS:
        raise VenueError(PARAMETER_ERROR, "The time range between startTime and endTime cannot exceed 7 days")
    return start, end


def _place(cursor: str) -> tuple[int, int] | None:
    if not cursor:
        return None
    first, _, second = cursor.partition("_")
    try:
        return int(first), int(second)
    except ValueError:
        raise invalid("cursor") from None
