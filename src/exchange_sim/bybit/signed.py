"""Signed calls of Bybit: whose they are, whether the signature and the time are right (`exchange_simulator.md` 8)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from aiohttp import web

from exchange_sim.bybit.refusals import PARAMETER_ERROR, invalid
from exchange_sim.desk import Desk
from exchange_sim.market import Instrument
from exchange_sim.trading.account import Account
from exchange_sim.wire import VenueError

DEFAULT_WINDOW_MS = 5000
CATEGORIES = ("spot", "linear", "inverse", "option")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered: the account it is for, and its parameters."""

    request: web.Request
    account: Account
    params: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.account.key

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter as text; without a default it must be there. Raises VenueError 10001."""
        value = self.params.get(name)
        if value is None or value == "":
            if default is None:
                raise invalid(name)
            return default
        return str(value)

    def number(self, name: str) -> float:
        """A finite number that must be there. Raises VenueError 10001."""
        try:
            number = float(self.text(name))
        except ValueError:
            raise invalid(name) from None
        if not isfinite(number):
            raise invalid(name)
        return number

    def integer(self, name: str) -> int | None:
        """A whole number, None if absent. Raises VenueError 10001."""
        text = self.text(name, "")
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise invalid(name) from None

    def limit(self, default: int, most: int) -> int:
        """How many rows a page may have. Raises VenueError 10001."""
        limit = self.integer("limit")
        if limit is not None and not limit >= 1:
            raise invalid("limit")
        return min(limit or default, most)

    def is_linear(self) -> bool:
        """Whether it is about the contracts that are traded here. Raises VenueError 10001."""
        category = self.text("category")
        if category not in CATEGORIES:
            raise invalid("category")
        return category == "linear"


async def signed(desk: Desk, request: web.Request) -> Call:
    """A call with key, time and signature in its headers. Raises VenueError 10001, 10002, 10003, 10004."""
    key, stamp, window, signature = (
        request.headers.get(f"X-BAPI-{name}", "") for name in ("API-KEY", "TIMESTAMP", "RECV-WINDOW", "SIGN")
    )
    check_key(desk, key)
    payload = request.rel_url.raw_query_string if request.method == "GET" else (await request.read()).decode()
    check_signature(desk, key, f"{stamp}{key}{window}{payload}", signature)
    try:
        is_on_time = desk.is_on_time(request, int(stamp), int(window or DEFAULT_WINDOW_MS))
    except ValueError:
        raise VenueError(PARAMETER_ERROR, "params error: timestamp or recv_window invalid") from None
    if not is_on_time:
        raise VenueError(10002, "invalid request, please check your server timestamp or recv_window param")
    params = dict(request.query) if request.method == "GET" else _body(payload)
    return Call(request, desk.enter(request, key), params)


def check_key(desk: Desk, key: str) -> None:
    """Raises VenueError 10003 for no key, or one that is not known where keys have to be."""
    if not key or (desk.venue.secrets and key not in desk.venue.secrets):
        raise VenueError(10003, "API key is invalid.")


def check_signature(desk: Desk, key: str, payload: str, signature: str) -> None:
    """Raises VenueError 10004 without a signature, and where secrets are known for another than the key's."""
    secret = desk.venue.secrets.get(key)
    if not signature or (secret is not None and not hmac.compare_digest(sign(payload, secret), signature)):
        raise VenueError(10004, "error sign! please check your signature generation algorithm.")


def sign(payload: str, secret: str) -> str:
    """The signature of a payload, which is taken as it was sent."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def instrument(desk: Desk, call: Call) -> Instrument:
    """The contract that a call names. Raises VenueError 10001."""
    item = desk.venue.market.by_id.get(call.text("symbol"))
    if item is None or not call.is_linear() or item.launch_ms > desk.venue.now_ms():
        raise invalid("symbol")
    return item


def asked_symbol(desk: Desk, call: Call) -> str | None:
    """Our name of the contract that a call names, if it names one."""
    return instrument(desk, call).symbol if call.text("symbol", "") else None


def asked_contracts(desk: Desk, call: Call) -> Callable[[str], bool]:
    """Whether a contract (our name of it) is of the symbol, settle coin and base coin of a call.

    Raises VenueError 10001 if it names none of them.
    """
    symbol, settle, base = asked_symbol(desk, call), call.text("settleCoin", ""), call.text("baseCoin", "")
    if symbol is None and not settle and not base:
        raise VenueError(PARAMETER_ERROR, "params error: one of symbol, baseCoin and settleCoin is needed")

    def is_asked(name: str) -> bool:
        market = desk.venue.market.by_symbol[name].market
        return symbol in (None, name) and settle in ("", market.quote) and base in ("", market.base)

    return is_asked


def _body(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise VenueError(PARAMETER_ERROR, "Request parameter error.")
    return content
