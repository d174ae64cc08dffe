"""How each exchange's candles are asked for (`candles.md` 11.2, 11.3)."""

from __future__ import annotations

from dataclasses import dataclass

from markets.symbols import short_exchange

RATE_LIMIT_WORDS = ("rate limit", "too many", "429", "10006")
RATE_LIMIT_NAMES = ("RateLimitExceeded", "DDoSProtection")  # the latter is a ban for a while (418)
TRANSIENT_NAMES = ("RequestTimeout", "NetworkError", "ExchangeNotAvailable", "DDoSProtection")
TRANSIENT_WORDS = ("timed out", "timeout", "etimedout", "econnreset", "502", "503", "504")
HOPELESS_NAMES = ("BadSymbol", "BadRequest", "ArgumentsRequired", "NotSupported", "AuthenticationError")
"""Names of CCXT's error classes: the library itself is only loaded by who makes a client."""


@dataclass(frozen=True, slots=True)
class Venue:
    """`page` rows are asked for at once; `until` says whether the end goes along.

    exclusive       `since` itself is not delivered, and minutes without trades are missing: pages overlap by one candle
    newest_only     as many of the newest candles are served, and none before
    in_contracts    volumes count contracts
    """

    page: int = 1000
    until: bool = True
    exclusive: bool = False
    newest_only: int | None = None
    in_contracts: bool = False
    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    transient_wait_s: float = 0.0
    rate_limit_pause_s: float = 5.0


VENUES = {
    "binance": Venue(),
    "bybit": Venue(until=False, attempts=9, first_wait_s=1.0, longest_wait_s=20.0, transient_wait_s=2.0),
    "bitget": Venue(page=200, until=False),
    "okx": Venue(until=False),
    "kucoin": Venue(page=200, until=False, exclusive=True, in_contracts=True),
    "gateio": Venue(newest_only=10_000, in_contracts=True),
    "hyperliquid": Venue(newest_only=5_000, rate_limit_pause_s=10.0),
}
EXTRA_PARAMS = {"bybit": {"category": "linear"}}


def venue_of(exchange: str) -> Venue:
    """The rules of an exchange by its short name or CCXT id."""
    return VENUES.get(short_exchange(exchange), Venue())
