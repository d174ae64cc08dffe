"""CCXT clients: logged, sent where custom endpoints say; here those for market data, without keys (`candles.md` 11).

Those of an account stand in `account_clients.py`.
"""

from __future__ import annotations

import copy
import importlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.errors import ConfigError
from core.log import TRACE, trace
from exchanges.client_urls import apply_override, rest_is_loopback
from exchanges.endpoints import Endpoints, Override
from markets.symbols import normalize_exchange

logger = logging.getLogger(__name__)

TIMEOUT_MS = 60_000
LONGEST_REPLY = 4000  # characters of it in a log
RATE_LIMITED = (418, 429)
NO_CONTENT = 204  # what some venues answer when an order is cancelled: all went well, and there is nothing to say
EXCHANGES = ("binance", "bybit", "bitget", "okx", "kucoin", "gateio", "hyperliquid", "paradex", "defx")

# What to load of exchanges that list more than swaps. Binance and KuCoin have classes for futures alone; Bybit picks
# its lists by position and must load all of them (`exchange_simulator.md` 8.1).
_ONLY_SWAPS = {"fetchMarkets": {"types": ["swap"]}}
MARKET_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "binanceusdm": {"fetchMarkets": {"types": ["linear"]}},
    "bitget": _ONLY_SWAPS,
    "gateio": _ONLY_SWAPS,
    "hyperliquid": _ONLY_SWAPS,
    "okx": _ONLY_SWAPS,
}
_SECRET = re.compile(r"sign|key|secret|token|pass|auth", re.IGNORECASE)


def public_client(exchange: str, endpoints: Endpoints | None = None, *, timeout_ms: int = TIMEOUT_MS) -> Any:
    """An unmodified `ccxt.async_support` client for market data; close it with `await client.close()`.

    `exchange` is a short name or ccxt id. Requests are spaced as the exchange wants it, except on this machine, and
    logged at debug. Raises ConfigError for an exchange that ccxt does not have, or endpoints that do not fit it.
    """
    ccxt = importlib.import_module("ccxt.async_support")  # 0.7 s, which only programs that fetch should wait for
    exchange_id = ccxt_id(exchange, ccxt.exchanges)
    options = {**copy.deepcopy(dict(MARKET_OPTIONS.get(exchange_id, {}))), "defaultType": "swap"}
    client = getattr(ccxt, exchange_id)({"enableRateLimit": True, "timeout": timeout_ms, "options": options})
    client.has["fetchCurrencies"] = False  # of no use for candles, and megabytes on some exchanges
    prepare(client, (endpoints or Endpoints()).of_exchange(exchange_id), websockets=False)
    return client


def prepare(client: Any, override: Override, *, websockets: bool) -> None:
    """Redirect a fresh client, space its requests unless they stay on this machine, check and log its replies."""
    apply_override(client, override, websockets=websockets)
    client.enableRateLimit = not rest_is_loopback(client)
    expect_json(client)
    log_requests(client)


def ccxt_id(exchange: str, known: list[str]) -> str:
    """The ccxt id of an exchange. Raises ConfigError for one that ccxt does not have."""
    exchange_id = normalize_exchange(exchange, known)
    if exchange_id in known:
        return exchange_id
    if exchange.lower() in EXCHANGES:
        raise ConfigError(f"exchange {exchange}: the installed ccxt has no {exchange_id}; install the pinned version")
    import difflib  # only needed for a hint

    close = difflib.get_close_matches(exchange.lower(), [*EXCHANGES, *known], n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(EXCHANGES)} and all others of ccxt"
    raise ConfigError(f"exchange {exchange!r} is not known to ccxt; {hint}")


def expect_json(client: Any) -> None:
    """Have a client raise ExchangeNotAvailable for a page of a proxy, or nothing at all, in place of a reply.

    ccxt alone takes such text for an empty answer, and candles would seem not to exist.
    """
    fetch: Callable[..., Awaitable[Any]] = client.fetch
    unavailable = importlib.import_module("ccxt.base.errors").ExchangeNotAvailable

    async def checked_fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        reply = await fetch(url, method, headers, body)
        if isinstance(reply, dict | list):
            return reply
        if _status.get() == NO_CONTENT:
            return {}
        raise unavailable(f"{client.id} {method} {urlsplit(url).path}: the reply is no JSON: {str(reply)[:80]!r}")

    client.fetch = checked_fetch


_status: ContextVar[int] = ContextVar("status", default=0)


def log_requests(client: Any) -> None:
    """Have a client log every HTTP call at debug: endpoint, parameters without secrets, status, duration in ms."""
    fetch: Callable[..., Awaitable[Any]] = client.fetch
    on_rest_response: Callable[..., Any] = client.on_rest_response

    def note_status(code: int, *args: Any) -> Any:
        _status.set(code)
        if code in RATE_LIMITED:
            client.last_refusal_headers = args[3]  # of this reply, whatever other replies come at the same time
        return on_rest_response(code, *args)

    async def logged_fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        _status.set(0)
        error = "-"
        started = time.perf_counter()
        try:
            reply = await fetch(url, method, headers, body)
            if logger.isEnabledFor(TRACE):
                trace(logger, "remote_reply endpoint=%s reply=%s", urlsplit(url).path, str(reply)[:LONGEST_REPLY])
            return reply
        except Exception as exc:
            error = type(exc).__name__
            raise
        finally:
            if logger.isEnabledFor(logging.DEBUG):
                _log(client.id, method, url, body, f"{_status.get() or '-'} error={error}", started)

    client.fetch, client.on_rest_response = logged_fetch, note_status


def _log(exchange: str, method: str, url: str, body: Any, outcome: str, started: float) -> None:
    ms = (time.perf_counter() - started) * 1000.0
    parts = urlsplit(url)
    logger.debug(
        "remote_call exchange=%s method=%s endpoint=%s://%s%s params=%s status=%s ms=%.0f",
        exchange, method, parts.scheme, parts.netloc.rpartition("@")[2], parts.path,
        public_parameters(parts.query, body), outcome, ms,
    )  # fmt: skip


def public_parameters(query: str, body: Any) -> dict[str, str]:
    """Parameters of a query string and a body as they may be logged; those named like secrets are left out."""
    pairs = parse_qsl(query) + _body_pairs(body)
    return {name: value for name, value in pairs if not _SECRET.search(name)}


def _body_pairs(body: Any) -> list[tuple[str, str]]:
    if not isinstance(body, str) or not body:
        return []
    if body[0] not in "{[":
        return parse_qsl(body)
    import json  # as in `public_client`: only programs that fetch come here

    content = json.loads(body)
    return [(str(k), str(v)) for k, v in content.items()] if isinstance(content, dict) else [("body", "list")]
