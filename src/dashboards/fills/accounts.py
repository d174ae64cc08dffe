"""The accounts whose fills are on disk, read again when their files change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from live.fills.record import FillEvent, in_time_order
from live.fills.store import FillMetadata, FillStore, stored_accounts

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class AccountFills:
    """The fills of an account, ascending in time, and what is known about them as a whole."""

    name: str
    events: tuple[FillEvent, ...]
    metadata: FillMetadata
    complete: bool


class Accounts:
    """Accounts below `root` (`{exchange}/{user}`), called `exchange:user`; `users` are those to show, none are all."""

    def __init__(self, root: Path, users: Collection[str] = ()) -> None:
        self.root, self._users = root, users
        self._read: dict[str, tuple[Stamp, AccountFills]] = {}

    def names(self) -> list[str]:
        return list(self._folders())

    def get(self, name: str) -> AccountFills:
        """Raises UsageError for a name that is not one of `names`; no name leads out of `root`."""
        folder = self._folders().get(name)
        if folder is None:
            raise UsageError(f"there are no fills of {name!r} below {self.root}")
        stamp = tuple(sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in folder.glob("*.json")))
        if name not in self._read or self._read[name][0] != stamp:
            stored = FillStore(folder).load()
            events = tuple(sorted(stored.events, key=in_time_order))
            self._read[name] = stamp, AccountFills(name, events, stored.metadata, stored.complete)
        return self._read[name][1]

    def _folders(self) -> dict[str, Path]:
        return {
            f"{exchange}:{user}": self.root / exchange / user
            for exchange, user in stored_accounts(self.root)
            if not self._users or user in self._users
        }
