"""Adapters over their unmodified ccxt classes, with constructed replies in place of HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.clock import ManualClock
from exchanges.account_clients import account_clients
from exchanges.accounts import account_of
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.endpoints import Endpoints, Override
from live.fills.record import FillEvent
from live.fills.sources.open import open_source

COINS = ("BTC", "ETH")


@dataclass
class Wire:
    """Answers by path: one reply for ever, or a list, one a call. `asked` holds method, path and parameters."""

    replies: Mapping[str, Any]
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        path = urlsplit(url).path
        params: dict[str, Any] = dict(parse_qsl(urlsplit(url).query))
        if body:
            content = json.loads(body) if body[0] in "[{" else dict(parse_qsl(body))
            params |= content[0] if isinstance(content, list) else content  # a batch of one
        self.asked.append((method, path, params))
        reply = self.replies[path]
        if isinstance(reply, Pages):
            reply = reply.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return json.loads(json.dumps(reply))

    def params(self, path: str) -> list[dict[str, Any]]:
        """What was asked of a path."""
        return [params for _, asked, params in self.asked if asked == path]


class Pages(list[Any]):
    """Replies of one path, in order."""


def wired(
    made: type[CcxtExchange], exchange: str, replies: Mapping[str, Any], *, post_only: bool = True, quote: str = "USDT"
) -> tuple[Any, Wire]:
    """An adapter that knows two markets, and what it asks. Call it inside an event loop."""
    entry = {"exchange": exchange, "key": "a-key-for-tests", "secret": "a-secret-for-tests", "passphrase": "a-phrase"}
    entry |= {"wallet_address": "0x" + "a1" * 20, "private_key": "0x" + "b2" * 32}
    clients = account_clients(account_of("me", entry), Endpoints(defaults=Override(disable_ws=True)))
    wire = Wire(replies)
    clients.rest.set_markets([clients.rest.safe_market_structure(market(coin, quote)) for coin in COINS])
    clients.rest.fetch, clients.rest.enableRateLimit = wire.fetch, False
    return made(exchange, clients, quote, post_only=post_only), wire


async def fills_of(exchange: CcxtExchange, name: str, start_ms: int = 1, end_ms: int = 2**40) -> list[FillEvent]:
    """What an exchange's source of fills makes of an adapter's replies, in time order."""
    source = open_source(name, exchange.rest, ManualClock(end_ms), quote=exchange.quote, symbols=lambda: ())
    events: list[FillEvent] = []
    await source.fetch(start_ms, end_ms, {}, events.extend)
    return sorted(events, key=lambda event: event.timestamp)


def run(
    made: type[CcxtExchange], exchange: str, replies: Mapping[str, Any], call: Any, **options: Any
) -> tuple[Any, Wire]:
    """The result of a call on an adapter over these replies, and what was asked."""

    async def case() -> tuple[Any, Wire]:
        adapter, wire = wired(made, exchange, replies, **options)
        try:
            return await call(adapter), wire
        finally:
            await adapter.aclose()

    return asyncio.run(case())


def market(coin: str, quote: str) -> dict[str, Any]:
    number = str(COINS.index(coin)) if quote == "USDC" else coin
    return {
        "id": f"{coin}{quote}", "symbol": f"{coin}/{quote}:{quote}", "base": coin, "quote": quote, "settle": quote,
        "baseId": number, "quoteId": quote, "settleId": quote, "type": "swap", "swap": True, "spot": False,
        "linear": True, "inverse": False, "contract": True, "active": True, "contractSize": 1.0,
        "precision": {"price": 0.1, "amount": 0.001}, "limits": {"leverage": {"max": 20}},
        "info": {"orderTypes": ["LIMIT", "MARKET"]},
    }  # fmt: skip
