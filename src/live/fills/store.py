"""Fills on disk: a JSON array a UTC day and `metadata.json` (`live.md` 17.2)."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.files import read_json, write_json, write_text
from live.fills.gaps import FillGap, dump_gaps, parse_gaps
from live.fills.record import FillEvent, dump_fill, parse_fills

logger = logging.getLogger(__name__)

METADATA = "metadata.json"
_DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].json"


@dataclass(frozen=True, slots=True)
class FillMetadata:
    """What is known about the history as a whole. From `covered_from_ms` to `covered_to_ms` every fill is on disk."""

    last_refresh_ms: int = 0
    oldest_event_ts: int = 0
    newest_event_ts: int = 0
    covered_from_ms: int | None = None
    covered_to_ms: int | None = None
    known_gaps: tuple[FillGap, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFills:
    """What a directory held; `complete` unless a file or a record had to be skipped, or an end of it has gone."""

    events: list[FillEvent]
    metadata: FillMetadata
    complete: bool


class FillStore:
    """The directory of one account."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load(self) -> StoredFills:
        """Everything that can be read; what cannot is logged and skipped."""
        events: list[FillEvent] = []
        skipped = 0
        for path in sorted(self.directory.glob(_DAYS)):
            items = _read_list(path)
            parsed = parse_fills(items or (), str(path))
            events += parsed
            skipped += items is None or len(parsed) < len(items)
        metadata = self._load_metadata()
        times = [event.timestamp for event in events]
        lost_an_end = metadata.newest_event_ts > max(times, default=0) or 0 < metadata.oldest_event_ts < min(
            times, default=metadata.oldest_event_ts
        )
        return StoredFills(events, metadata, complete=not skipped and not lost_an_end)

    def save_days(self, events: Iterable[FillEvent], days: Collection[str]) -> None:
        """Write the given days anew from all events (ascending in time); files that would not change stay."""
        if not days:
            return
        by_day: dict[str, list[FillEvent]] = {day: [] for day in days}
        for event in events:
            if (day := event.day) in by_day:
                by_day[day].append(event)
        for day, its_events in sorted(by_day.items()):
            _write_if_changed(self.directory / f"{day}.json", [dump_fill(event) for event in its_events])

    def save_metadata(self, metadata: FillMetadata) -> None:
        content = asdict(metadata) | {"known_gaps": dump_gaps(metadata.known_gaps)}
        write_json(self.directory / METADATA, content, indent=2)

    def _load_metadata(self) -> FillMetadata:
        path = self.directory / METADATA
        try:
            content = read_json(path)
            gaps = parse_gaps(content.pop("known_gaps", ()))
            known = {name: content[name] for name in FillMetadata.__slots__ if name in content}
            if not all(value is None or type(value) is int for value in known.values()):
                raise TypeError("times must be whole milliseconds")
            return FillMetadata(**known, known_gaps=gaps)
        except FileNotFoundError:
            return FillMetadata()
        except (DataError, AttributeError, TypeError) as exc:
            logger.warning("[fills] %s is unusable (%s): made anew", path, exc)
            return FillMetadata()


def stored_accounts(root: Path) -> list[tuple[str, str]]:
    """Exchange and user of every account that has fills below `root`, sorted."""
    files = root.glob(f"*/*/{METADATA}")
    return sorted((path.parent.parent.name, path.parent.name) for path in files)


def _read_list(path: Path) -> list[Any] | None:
    try:
        items = read_json(path)
    except (DataError, OSError) as exc:
        logger.warning("[fills] %s", exc)
        return None
    if not isinstance(items, list):
        logger.warning("[fills] %s holds no list: skipped", path)
        return None
    return items


def _write_if_changed(path: Path, items: list[dict[str, Any]]) -> None:
    text = json.dumps(items, allow_nan=False) + "\n"
    try:
        unchanged = path.read_bytes() == text.encode()
    except OSError:
        unchanged = False
    if not unchanged:
        write_text(path, text)
