"""Margin mode and leverage of symbols, once each; what fails is tried again later (`live.md` 20.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from core.clock import Clock
from exchanges.failures import failure_of
from exchanges.protocol import Exchange

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 900.0


class SymbolSetup:
    """`leverage` gives that of a symbol. While the set-up of a symbol fails nothing new is opened on it."""

    def __init__(self, exchange: Exchange, leverage: Callable[[str], float], clock: Clock) -> None:
        self._exchange, self._leverage, self._clock = exchange, leverage, clock
        self._done: set[str] = set()
        self._failed: dict[str, tuple[int, int]] = {}  # how often in a row, and when to try again

    @property
    def unready(self) -> frozenset[str]:
        """Symbols that could not be set up."""
        return frozenset(self._failed)

    async def ensure(self, symbols: Collection[str]) -> None:
        """Set up the symbols that have not been, all at the same time. Failures are logged."""
        now_ms = self._clock.now_ms()
        due = [s for s in sorted(symbols) if s not in self._done and now_ms >= self._failed.get(s, (0, 0))[1]]
        await asyncio.gather(*(self._set_up(symbol) for symbol in due))

    async def _set_up(self, symbol: str) -> None:
        try:
            await self._exchange.set_up_symbol(symbol, self._leverage(symbol))
        except Exception as exc:  # noqa: BLE001 - whatever the venue says: the bot trades on, without this symbol
            count, _ = self._failed.get(symbol, (0, 0))
            wait_s = min(FIRST_RETRY_S * 2.0**count, LONGEST_RETRY_S)
            self._failed[symbol] = count + 1, self._clock.now_ms() + int(wait_s * 1000)
            kind = failure_of(self._exchange.capabilities.exchange, exc)
            logger.warning(
                "[config] leverage of %s could not be set (%s: %s); nothing is opened on it, next try in %.0f s",
                symbol, kind, exc, wait_s,
            )  # fmt: skip
            return
        self._done.add(symbol)
        self._failed.pop(symbol, None)
        logger.info("[config] %s: cross margin, leverage %g", symbol, self._leverage(symbol))
