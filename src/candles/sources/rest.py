"""Candles through the REST interface of an exchange, by an async CCXT client (`candles.md` 11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from candles.fetching.events import FetchCallback, tell
from candles.fetching.retry_after import retry_after_s
from candles.rows import from_ohlcv
from candles.sources.first_candle import first_candle_ts
from candles.sources.protocol import Keep
from candles.sources.venues import (
    EXTRA_PARAMS,
    HOPELESS_NAMES,
    RATE_LIMIT_NAMES,
    RATE_LIMIT_WORDS,
    TRANSIENT_NAMES,
    TRANSIENT_WORDS,
    venue_of,
)
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import CandleFetchError
from markets.candle import CANDLE_DTYPE, REST, Candles, timeframe_ms
from markets.symbols import short_exchange

logger = logging.getLogger(__name__)


class Client(Protocol):
    """What is used of a CCXT client."""

    id: str

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int | None, limit: int | None, params: dict[str, Any]
    ) -> list[list[Any]]: ...

    async def fetch_ticker(self, symbol: str) -> Mapping[str, Any]: ...


class RestSource:
    """Pages of candles with retries, a pause for everyone after a rate-limit answer, and a cap on calls in flight.

    `contract_size(symbol)` is asked where the exchange counts volume in contracts.
    """

    version = ""

    def __init__(
        self,
        client: Client,
        exchange: str,
        clock: Clock,
        *,
        contract_size: Callable[[str], float] = lambda symbol: 1.0,
        callback: FetchCallback | None = None,
        max_concurrent_requests: int | None = None,
        log_level: int = logging.DEBUG,
    ) -> None:
        self.id = short_exchange(exchange)
        self.venue = venue_of(exchange)
        self._client, self._clock, self._callback, self._log_level = client, clock, callback, log_level
        self._contract_size = contract_size if self.venue.in_contracts else lambda symbol: 1.0
        self._slots = asyncio.Semaphore(max_concurrent_requests) if max_concurrent_requests else nullcontext()
        self._pause_until_ms = 0

    def earliest(self, period_ms: int, last_ts: int) -> int | None:
        count = self.venue.newest_only
        return None if count is None else last_ts - (count - 1) * period_ms

    async def first_ts(self, symbol: str) -> int | None:
        async def ask(timeframe: str, since: int | None, limit: int, params: dict[str, Any]) -> Any:
            return await self._page(symbol, timeframe, since, limit, params)

        return await first_candle_ts(self.id, ask, self.venue.page, self._clock.now_ms())

    async def fetch(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, keep: Keep) -> int:
        period, total, since = timeframe_ms(timeframe), 0, start_ts
        params = {"until": end_ts + period - 1} if self.venue.until else {}
        while since <= end_ts:
            asked = since - period if self.venue.exclusive else since
            rows = await self._page(symbol, timeframe, asked, self.venue.page, params)
            page = from_ohlcv(rows, REST, period, self._contract_size(symbol))
            page = page[(page["ts"] >= start_ts) & (page["ts"] <= end_ts)]
            if len(page):
                total += len(page)
                await keep(page)
            following = self._following(page, since, period)
            if following is None:
                break
            since = following
        return total

    def _following(self, page: Candles, since: int, period: int) -> int | None:
        """Where the next page begins; None if there is none."""
        if len(page) and page["ts"][-1] >= since:
            return int(page["ts"][-1]) + period
        # nobody traded for a whole page's time: that is no end where such minutes are missing
        return since + self.venue.page * period if self.venue.exclusive else None

    async def newest(self, symbol: str, count: int, now_ms: int) -> Candles:
        period = timeframe_ms("1m")
        count = min(count, self.venue.page)
        since = now_ms // period * period - (count - 1) * period
        asked = since - period if self.venue.exclusive else since
        rows = await self._page(symbol, "1m", asked, count + self.venue.exclusive, {})
        candles = from_ohlcv(rows, REST, period, self._contract_size(symbol))
        inside: Candles = candles[candles["ts"] <= now_ms]
        return inside if len(inside) else np.empty(0, CANDLE_DTYPE)

    async def last_price(self, symbol: str) -> float | None:
        ticker = await self._ask("fetch_ticker", symbol, "", 0, lambda: self._client.fetch_ticker(symbol))
        found = (ticker.get(name) for name in ("last", "bid", "ask"))
        return next((float(price) for price in found if price), None)

    async def _page(self, symbol: str, timeframe: str, since: int | None, limit: int, params: dict[str, Any]) -> Any:
        params = {**EXTRA_PARAMS.get(self.id, {}), **params}

        async def call() -> list[list[Any]]:
            return await self._client.fetch_ohlcv(symbol, timeframe, since, limit, params)

        return await self._ask("fetch_ohlcv", symbol, timeframe, since or 0, call, limit=limit, params=params)

    async def _ask(
        self,
        endpoint: str,
        symbol: str,
        timeframe: str,
        since: int,
        call: Callable[[], Awaitable[Any]],
        **details: Any,
    ) -> Any:
        """One request, tried again while that may help. Raises CandleFetchError with the last reason."""
        event = {"kind": f"ccxt_{endpoint}", "symbol": symbol, "tf": timeframe, "since": since, **details}
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=stop_after_attempt(self.venue.attempts),
            wait=self._wait_s,
            retry=retry_if_exception(lambda exc: isinstance(exc, Exception) and not is_hopeless(exc)),
            reraise=True,
        )
        attempts = 0
        try:
            async for attempt in retrying:
                with attempt:
                    attempts = attempt.retry_state.attempt_number
                    return await self._once(event | {"attempt": attempts}, call)
        except Exception as exc:
            raise CandleFetchError(
                f"{self.id} did not answer {endpoint} of {symbol} {timeframe} since {ts_to_date(since)}, "
                f"{attempts} times asked: {type(exc).__name__}: {exc}; start again later, what has arrived is kept"
            ) from exc
        raise AssertionError("a retry loop ends with an answer or an error")

    async def _once(self, event: dict[str, Any], call: Callable[[], Awaitable[Any]]) -> Any:
        async with self._slots:
            while (wait_ms := self._pause_until_ms - self._clock.now_ms()) > 0:
                await self._clock.sleep(wait_ms / 1000.0)
            tell(self._callback, event | {"stage": "start"})
            started = self._clock.now_ms()
            try:
                answer = await call()
            except Exception as exc:
                if is_rate_limit(exc):
                    self._pause_until_ms = max(
                        self._pause_until_ms, self._clock.now_ms() + round(self._pause_s() * 1000.0)
                    )
                self._log(event | {"stage": "error", "error": f"{type(exc).__name__}: {exc}"}, started)
                raise
            self._log(event | {"stage": "ok", "rows": len(answer)}, started)
            return answer

    def _log(self, event: dict[str, Any], started: int) -> None:
        event["elapsed_ms"] = self._clock.now_ms() - started
        logger.log(
            self._log_level,
            "%s exchange=%s %s",
            event["kind"],
            self.id,
            " ".join(f"{key}={value}" for key, value in event.items() if key != "kind"),
        )
        tell(self._callback, event)

    def _pause_s(self) -> float:
        """How long nobody may ask after a rate-limit answer: at least what the exchange says itself."""
        headers = getattr(self._client, "last_response_headers", None) or {}
        return max(self.venue.rate_limit_pause_s, retry_after_s(headers, self._clock.now_ms()))

    def _wait_s(self, state: RetryCallState) -> float:
        venue = self.venue
        wait = min(venue.first_wait_s * 2.0 ** (state.attempt_number - 1), venue.longest_wait_s)
        error = state.outcome.exception() if state.outcome else None
        if error is not None and is_rate_limit(error):
            return max(wait, (self._pause_until_ms - self._clock.now_ms()) / 1000.0)
        if error is not None and is_transient(error):
            return max(wait, venue.transient_wait_s)
        return wait


def _class_names(exc: BaseException) -> set[str]:
    return {base.__name__ for base in type(exc).__mro__}


def is_rate_limit(exc: BaseException) -> bool:
    return any(word in str(exc).lower() for word in RATE_LIMIT_WORDS) or bool(_class_names(exc) & set(RATE_LIMIT_NAMES))


def is_transient(exc: BaseException) -> bool:
    text = str(exc).lower()
    return bool(_class_names(exc) & set(TRANSIENT_NAMES)) or any(word in text for word in TRANSIENT_WORDS)


def is_hopeless(exc: BaseException) -> bool:
    """Whether asking again cannot change the answer."""
    return bool(_class_names(exc) & set(HOPELESS_NAMES)) and not is_rate_limit(exc)
