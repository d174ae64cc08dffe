"""Signed calls of Binance: whose they are, whether the signature and the time are right (`exchange_simulator.md` 7)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from urllib.parse import parse_qsl

from aiohttp import web

from exchange_sim.desk import Desk
from exchange_sim.market import Instrument
from exchange_sim.trading.account import Account
from exchange_sim.wire import VenueError

KEY_HEADER = "X-MBX-APIKEY"
DEFAULT_WINDOW_MS = 5000
_SIGNATURE = "&signature="


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered: the account it is for, and its parameters as texts."""

    request: web.Request
    account: Account
    params: Mapping[str, str]

    @property
    def key(self) -> str:
        return self.account.key

    def text(self, name: str) -> str:
        """A parameter that must be there. Raises VenueError -1102."""
        value = self.params.get(name, "")
        if not value:
            raise missing(name)
        return value

    def number(self, name: str) -> float:
        """A finite number that must be there. Raises VenueError -1102."""
        try:
            number = float(self.text(name))
        except ValueError:
            raise missing(name) from None
        if not isfinite(number):
            raise missing(name)
        return number

    def integer(self, name: str) -> int | None:
        """A whole number, None if absent. Raises VenueError -1102."""
        value = self.params.get(name)
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise missing(name) from None


def missing(name: str) -> VenueError:
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


async def keyed(desk: Desk, request: web.Request) -> Call:
    """A call that only needs an API key, as those about listen keys. Raises VenueError -2014."""
    key = request.headers.get(KEY_HEADER, "")
    if not key or (desk.venue.secrets and key not in desk.venue.secrets):
        raise VenueError(-2014, "API-key format invalid.")
    return Call(request, desk.enter(request, key), dict(parse_qsl(await _payload(request))))


async def signed(desk: Desk, request: web.Request) -> Call:
    """A call with a signature over all that stands before it, and a time. Raises VenueError."""
    call = await keyed(desk, request)
    payload, found, signature = (await _payload(request)).rpartition(_SIGNATURE)
    if not found:
        raise missing("signature")
    secret = desk.venue.secrets.get(call.key)
    if secret is not None and not hmac.compare_digest(sign(payload, secret), signature):
        raise VenueError(-1022, "Signature for this request is not valid.")
    timestamp = call.integer("timestamp")
    if timestamp is None:
        raise missing("timestamp")
    window_ms = call.integer("recvWindow")
    if not desk.is_on_time(request, timestamp, DEFAULT_WINDOW_MS if window_ms is None else window_ms):
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")
    return call


def sign(payload: str, secret: str) -> str:
    """The signature of a payload, which is taken as it was sent."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


async def _payload(request: web.Request) -> str:
    """Query and body as they came."""
    return request.rel_url.raw_query_string + (await request.read()).decode()


def instrument(desk: Desk, call: Call) -> Instrument:
    """The contract that a call names. Raises VenueError -1102, -1121."""
    item = desk.venue.market.by_id.get(call.text("symbol"))
    if item is None or item.launch_ms > desk.venue.now_ms():
        raise VenueError(-1121, "Invalid symbol.")
    return item


def optional_symbol(desk: Desk, call: Call) -> str | None:
    """Our name of the contract that a call names, if it names one."""
    return instrument(desk, call).symbol if call.params.get("symbol") else None
