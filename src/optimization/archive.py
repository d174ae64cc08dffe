"""The bounded Pareto archive: its members, and their files (`optimizer_pareto_tools.md` 6.4-6.6)."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config.dump import streamlined_part
from core.errors import RunError
from core.files import write_text
from optimization.members import HOLDOUT, member_id, member_paths
from optimization.pareto import SAME_VIOLATION, dominated, dominating, prune
from optimization.samplers.protocol import Fitness
from optimization.space import round_dynamic

logger = logging.getLogger(__name__)

MAX_INLINE = 72
WAIT_S = 1.0
ROUNDED = ("metrics", "suite_metrics")

Entry = Mapping[str, Any]


def rounded_entry(entry: Entry, digits: int) -> dict[str, Any]:
    """The entry with every float of its metrics rounded; the config sections are left as they were run."""
    return {key: _rounded(value, digits) if key in ROUNDED else value for key, value in entry.items()}


def _rounded(value: Any, digits: int) -> Any:
    if type(value) is float:
        return round_dynamic(value, digits)
    if type(value) is dict:
        return {key: _rounded(item, digits) for key, item in value.items()}
    return [_rounded(item, digits) for item in value] if isinstance(value, list) else value


class SectionTexts:
    """Entries as text, section by section: those that are the same object as before are not written again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], tuple[Any, str]] = {}

    def id(self, entry: Entry) -> str:
        """SHA-256 hex of the entry's JSON text, keys sorted, `holdout` left out: the name of its file."""
        parts = [f"{json.dumps(k)}: {self._text(k, entry[k], to_hash=True)}" for k in sorted(entry) if k != HOLDOUT]
        return hashlib.sha256(f"{{{', '.join(parts)}}}".encode()).hexdigest()

    def content(self, entry: Entry) -> str:
        """The entry as its file has it: `streamlined_json`."""
        parts = [f"    {json.dumps(key)}: {self._text(key, value, to_hash=False)}" for key, value in entry.items()]
        return "{\n" + ",\n".join(parts) + "\n}"

    def _text(self, key: str, value: Any, *, to_hash: bool) -> str:
        known = self._known.get((key, to_hash))
        if known is not None and known[0] is value:
            return known[1]
        text = json.dumps(value, sort_keys=True) if to_hash else streamlined_part(value, 1, MAX_INLINE)
        if key not in (*ROUNDED, "bot"):
            self._known[key, to_hash] = value, text
        return text


def entry_id(entry: Entry) -> str:
    """The id of a rounded entry."""
    return SectionTexts().id(entry)


def member_text(entry: Entry) -> str:
    """The content of a member's file."""
    return SectionTexts().content(entry)


@dataclass(frozen=True, slots=True)
class Change:
    """What an accepted entry changed: the ids that came and went, in this order."""

    added: str
    removed: tuple[str, ...]


class Archive:
    """Members by id, in the order of their coming, with rounded objectives and violations. Knows no files."""

    def __init__(self, digits: int, max_size: int) -> None:
        self._digits, self._max_size = digits, max_size
        self.ids: list[str] = []
        self._objectives: list[tuple[float, ...]] = []
        self._violations: list[float] = []
        self._matrix = np.empty((0, 0))
        self._texts = SectionTexts()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def objectives(self) -> list[tuple[float, ...]]:
        """Rounded objectives, one a member."""
        return self._objectives

    @property
    def violations(self) -> list[float]:
        return self._violations

    @property
    def best(self) -> tuple[float, ...]:
        """The smallest of each objective."""
        return tuple(self._matrix.min(axis=0).tolist()) if self.ids else ()

    def offer(self, fitness: Fitness, entry: Callable[[], Entry]) -> tuple[Change, dict[str, Any]] | None:
        """Take in a candidate unless it is dominated or known; its change and rounded entry, None if rejected.

        `entry` is only called, rounded and hashed for a candidate that may come in: most do not.
        """
        objectives = tuple(round_dynamic(value, self._digits) for value in fitness.objectives)
        violation = round_dynamic(fitness.violation, self._digits)
        place = self._place(objectives, violation)
        if place is None:
            return None
        rounded = rounded_entry(entry(), self._digits)
        return self._insert(self._texts.id(rounded), objectives, violation, place), rounded

    def load(self, identity: str, fitness: Fitness) -> None:
        """Put a stored member back, its values rounded already: members of one archive fit together."""
        self._append(identity, fitness.objectives, fitness.violation)

    def _place(self, objectives: tuple[float, ...], violation: float) -> list[int] | None:
        """Positions of the members that give way to a newcomer; None if it does not come in."""
        if not self.ids:
            return []
        one, violations = np.array(objectives), np.array(self._violations)
        equal = np.flatnonzero((self._matrix == one).all(axis=1)).tolist()
        if any(violation >= self._violations[at] - SAME_VIOLATION for at in equal):
            logger.debug("archive: a member has the same objectives %s", [f"{value:.3g}" for value in objectives])
            return None
        if dominating(self._matrix, violations, one, violation).any():
            return None
        beaten = np.flatnonzero(dominated(self._matrix, violations, one, violation)).tolist()
        return sorted({*equal, *beaten})

    def _insert(self, identity: str, objectives: tuple[float, ...], violation: float, place: Sequence[int]) -> Change:
        removed = self._remove(place)
        self._append(identity, objectives, violation)
        if len(self.ids) > self._max_size:
            removed += self._remove(prune(self._matrix, self._max_size))
        return Change(identity, tuple(removed))

    def _append(self, identity: str, objectives: tuple[float, ...], violation: float) -> None:
        self.ids.append(identity)
        self._objectives.append(objectives)
        self._violations.append(violation)
        self._matrix = np.vstack([self._matrix, objectives]) if len(self._matrix) else np.array([objectives])

    def _remove(self, places: Sequence[int]) -> list[str]:
        if not places:
            return []
        gone = set(places)
        removed = [self.ids[at] for at in places]
        kept = [at for at in range(len(self.ids)) if at not in gone]
        self.ids = [self.ids[at] for at in kept]
        self._objectives = [self._objectives[at] for at in kept]
        self._violations = [self._violations[at] for at in kept]
        self._matrix = self._matrix[kept]
        return removed


class ArchiveFiles:
    """The files of the members, one each, in `pareto/`.

    A newcomer is written when it has been there for a moment: many are beaten by the next ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._texts = folder, SectionTexts()
        self._waiting: dict[str, Entry] = {}
        self._flushed_s = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise RunError(f"cannot make {folder}: {exc.strerror or exc}") from exc

    def apply(self, change: Change, rounded: Entry) -> None:
        """Note the newcomer, delete who left; write what has waited. Raises RunError when the disk refuses."""
        self._waiting[change.added] = rounded
        for identity in change.removed:
            if self._waiting.pop(identity, None) is None:
                (self.folder / f"{identity}.json").unlink(missing_ok=True)
        if time.monotonic() - self._flushed_s >= WAIT_S:
            self.flush()

    def flush(self) -> None:
        """Write the newcomers that are still there. Raises RunError when the disk refuses."""
        for identity, rounded in self._waiting.items():
            write_text(self.folder / f"{identity}.json", self._texts.content(rounded), fsync=False)
        self._waiting.clear()
        self._flushed_s = time.monotonic()

    def sweep(self, ids: Sequence[str]) -> list[Path]:
        """Delete the files that belong to no member; those that were deleted."""
        wanted = set(ids)
        strangers = [path for path in member_paths(self.folder) if member_id(path) not in wanted]
        for path in strangers:
            path.unlink(missing_ok=True)
        return strangers
