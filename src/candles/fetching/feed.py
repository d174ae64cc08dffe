"""What the manager's parts share: store, source, archive, clock, and when a symbol was last refreshed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from candles.disk.store import CandleStore
from candles.fetching.events import FetchCallback
from candles.fill import floor_minute
from candles.sources.protocol import CandleSource
from core.clock import MINUTE_MS, Clock

ARCHIVE_FROM_MINUTES = 2880  # shorter requests are left to REST


class Archive(Protocol):
    """Public files of whole days, for history."""

    async def prefetch(
        self, store: CandleStore, symbol: str, start_ts: int, end_ts: int, *, market_id: str, contract_size: float
    ) -> Any:
        """Store the days of the range that are missing and that the archive has."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Contract:
    """What an exchange calls a market, and how much of the base one contract is."""

    id: str
    size: float = 1.0


def contract_of(symbol: str, markets: Mapping[str, Mapping[str, Any]]) -> Contract:
    """From CCXT's `markets`; a market that is not there is called base + quote."""
    entry = markets.get(symbol, {})
    base, _, quote = symbol.split(":")[0].partition("/")
    return Contract(str(entry.get("id") or base + quote), float(entry.get("contractSize") or 1.0))


@dataclass
class Feed:
    """Candles of an exchange. `source` None: only what is on disk. `refreshed_ms`: when tails were asked for.

    `hinted`: the user has been told of candles of older versions, if there are any.
    """

    exchange: str
    clock: Clock
    store: CandleStore
    store_of: Callable[[str], CandleStore]
    source: CandleSource | None
    archive: Archive | None
    contract: Callable[[str], Contract]
    window: int
    overlap: int
    lock_timeout_s: float
    callback: FetchCallback | None = None
    refreshed_ms: dict[str, int] = field(default_factory=dict)
    hinted: bool = False

    def last_final(self) -> int:
        """The last minute that is over."""
        return floor_minute(self.clock.now_ms()) - MINUTE_MS

    def lock(self, symbol: str, purpose: str, store: CandleStore | None = None) -> AbstractAsyncContextManager[None]:
        """Held while fetching and storing, so that of several programs one fetches and the others find it."""
        return (store or self.store).lock_async(symbol, purpose, self.lock_timeout_s)

    def last_refresh(self, symbol: str) -> int:
        """When the tail was last asked for, by this program or another; 0 for never."""
        if symbol not in self.refreshed_ms:
            self.refreshed_ms[symbol] = self.store.read_meta(symbol).last_refresh_ms
        return self.refreshed_ms[symbol]
