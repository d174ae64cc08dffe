"""Opening the connection of a user's account: keys, clients, adapter, markets."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from core.clock import Clock
from core.errors import ConfigError, RunError
from exchanges.account_clients import account_clients
from exchanges.accounts import Account, broker_code, load_broker_codes
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.endpoints import Endpoints
from exchanges.failures import Failure, failure_of
from exchanges.market_cache import load_markets_cached
from exchanges.registry import open_exchange

_REMEDIES: dict[Failure, str] = {
    "auth": "check the account's keys and what they may do",
    "clock": "set this machine's clock",
    "network": "check the connection",
    "rate_limit": "wait a while",
    "unavailable": "check the connection, or try again later",
}


@asynccontextmanager
async def connected(
    account: Account, endpoints: Endpoints, cache_dir: Path, clock: Clock
) -> AsyncIterator[CcxtExchange]:
    """The account's adapter, which knows the exchange's markets; closed at the end.

    For programs that look at an account. Raises ConfigError for keys or endpoints that do not fit, RunError where the
    exchange refuses or cannot be reached, also for what is asked inside.
    """
    broker = broker_code(load_broker_codes(), account.exchange)
    clients = account_clients(account, endpoints, broker=broker)
    exchange = open_exchange(account, clients, post_only=True, broker=broker)
    try:
        with plain_failures(account):
            await load_markets_cached(clients.rest, cache_dir, account.exchange, clock, quote=account.quote)
            yield exchange
    finally:
        await exchange.aclose()


@contextmanager
def plain_failures(account: Account) -> Iterator[None]:
    """Turn what a client raises into one line that says what to do: ConfigError for keys, RunError for the rest."""
    errors = importlib.import_module("ccxt.base.errors")
    try:
        yield
    except errors.BaseError as exc:
        failure = failure_of(account.exchange, exc)
        remedy = f"; {_REMEDIES[failure]}" if failure in _REMEDIES else ""
        kind = ConfigError if failure == "auth" else RunError
        raise kind(f"{account.exchange} does not answer {account.user}: {type(exc).__name__}: {exc}{remedy}") from exc
