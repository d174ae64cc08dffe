"""Listen keys: what opens the stream of an account (`exchange_simulator.md` 7.4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core.clock import MINUTE_MS, Clock

LIFETIME_MS = 60 * MINUTE_MS


@dataclass(slots=True)
class _Key:
    account: str
    until_ms: int


class ListenKeys:
    """One key an account, good for an hour. That is of the machine's time, by which clients renew it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, _Key] = {}
        self._made = 0

    def open(self, account: str) -> str:
        """The key of an account, a new one if it has none, good for another hour."""
        name = self._of(account)
        if name is None:
            self._made += 1
            name = hashlib.blake2b(f"{account}:{self._made}".encode(), digest_size=32).hexdigest()
        self._keys[name] = _Key(account, self._clock.now_ms() + LIFETIME_MS)
        return name

    def renew(self, account: str) -> str | None:
        """Another hour for the key of an account; None if it has none."""
        return self.open(account) if self._of(account) is not None else None

    def close(self, account: str) -> None:
        """Make the key of an account worthless."""
        self._keys = {name: key for name, key in self._keys.items() if key.account != account}

    def account(self, name: str) -> str | None:
        """Whose key this is; None if it is none, or no longer."""
        key = self._keys.get(name)
        return key.account if key is not None and self._clock.now_ms() < key.until_ms else None

    def _of(self, account: str) -> str | None:
        return next((name for name, key in self._keys.items() if self.account(name) == account), None)
