"""The control interface `/sim/v1`: time, market, faults, the request log (`exchange_simulator.md` 11).

What it does to accounts stands in `control_accounts.py`.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from aiohttp import web

from core.clock import MINUTE_MS, ManualClock, ScaledClock
from core.errors import ConfigError, PassivbotError
from exchange_sim.clock import TOKEN_HEADER
from exchange_sim.control_accounts import AccountControl
from exchange_sim.interference import RequestRecord
from exchange_sim.surfaces import weight_of
from exchange_sim.venue import Venue
from exchange_sim.wire import json_reply
from markets.candle import CANDLE_DTYPE, REST, Candles

PREFIX = "/sim/v1"
LONG_POLL_S = 25.0  # so long an answer may wait for a later time


class Control:
    """Routes of the control interface. Every call needs the token that the server printed."""

    def __init__(
        self, venue: Venue, requests: Iterable[RequestRecord], token: str, shutdown: Callable[[], None]
    ) -> None:
        self.venue, self.requests, self.token, self.shutdown = venue, requests, token, shutdown
        self.accounts = AccountControl(venue)
        self._moved = asyncio.Event()
        venue.on_pulse(self._moved.set)

    def routes(self) -> list[web.RouteDef]:
        get = {
            "clock": self.clock_later,
            "faults": self.faults,
            "requests": self.log,
            "stats": self.stats,
            "state": self.accounts.state,
        }
        post = {
            "clock/advance": self.advance,
            "clock/speed": self.speed,
            "candles": self.candles,
            "price": self.price,
            "account": self.accounts.change,
            "order/{id}/fill": self.accounts.fill,
            "faults": self.add_fault,
            "shutdown": self.stop,
        }
        return [
            *(web.get(f"{PREFIX}/{name}", self._guarded(handler)) for name, handler in get.items()),
            *(web.post(f"{PREFIX}/{name}", self._guarded(handler)) for name, handler in post.items()),
            web.delete(f"{PREFIX}/faults", self._guarded(self.remove_faults)),
        ]

    def _guarded(self, handler: Callable[[web.Request, Any], Any]) -> Callable[[web.Request], Any]:
        """Check the token, parse the body, state wrong input as HTTP 400."""

        async def guarded(request: web.Request) -> web.Response:
            if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
                return json_reply({"error": f"header {TOKEN_HEADER} is missing or wrong"}, 403)
            try:
                body = await request.json() if request.can_read_body else {}
                reply = handler(request, body)
                return json_reply(await reply if inspect.isawaitable(reply) else reply)
            except (PassivbotError, ValueError, KeyError, TypeError) as exc:
                return json_reply({"error": f"{type(exc).__name__}: {exc}"}, 400)

        return guarded

    async def clock_later(self, request: web.Request, body: Any) -> Any:
        """The clock, with `after_ms` once it is later than that, or after a while."""
        after_ms = int(request.query.get("after_ms", -1))
        with suppress(TimeoutError):
            async with asyncio.timeout(LONG_POLL_S):
                while self.venue.now_ms() <= after_ms:
                    self._moved.clear()
                    await self._moved.wait()
        return self.clock(request, body)

    def clock(self, request: web.Request, body: Any) -> Any:
        clock = self.venue.clock
        speed = clock.speed if isinstance(clock, ScaledClock) else 0.0 if isinstance(clock, ManualClock) else 1.0
        return {"now_ms": self.venue.now_ms(), "speed": speed, "stepped": isinstance(clock, ManualClock)}

    def advance(self, request: web.Request, body: Any) -> Any:
        """Move a stepped clock on by `minutes` or `ms`."""
        self.venue.advance(int(body["ms"]) if "ms" in body else round(float(body["minutes"]) * MINUTE_MS))
        return self.clock(request, body)

    def speed(self, request: web.Request, body: Any) -> Any:
        clock = self.venue.clock
        if not isinstance(clock, ScaledClock):
            raise ConfigError("only a scaled clock has a speed; start the venue with one other than 0")
        clock.set_speed(float(body["speed"]))
        return self.clock(request, body)

    def candles(self, request: web.Request, body: Any) -> Any:
        """Replace minutes of a symbol by rows of `[ts, o, h, l, c, v]`."""
        item = self.venue.market.find(str(body["symbol"]))
        rows = candles_of(body["rows"])
        self.venue.market.put(item.symbol, rows)
        return {"rows": len(rows)}

    def price(self, request: web.Request, body: Any) -> Any:
        """Have a symbol trade at a price now; it stays there until the minute ends."""
        item = self.venue.market.find(str(body["symbol"]))
        self.venue.trade(item, float(body["price"]))
        return {"symbol": item.id, "price": self.venue.market.price(item, self.venue.now_ms())}

    def faults(self, request: web.Request, body: Any) -> Any:
        return [fault.as_dict() for fault in self.venue.faults.faults]

    def add_fault(self, request: web.Request, body: Any) -> Any:
        return self.venue.faults.add_mapping(body).as_dict()

    def remove_faults(self, request: web.Request, body: Any) -> Any:
        """All faults, or the one of `id`."""
        if "id" in request.query:
            self.venue.faults.remove(int(request.query["id"]))
        else:
            self.venue.faults.clear()
        return self.faults(request, body)

    def log(self, request: web.Request, body: Any) -> Any:
        """The requests answered from venue time `since` on."""
        since = int(request.query.get("since", 0))
        return [record.as_dict() for record in self.requests if record.ts_ms >= since]

    def stats(self, request: web.Request, body: Any) -> Any:
        """Of each path since `since`: how often it was asked for, what that weighed, and how often a minute."""
        since = int(request.query.get("since", 0))
        asked = [record for record in self.requests if record.ts_ms >= since]
        minutes = len({record.ts_ms // MINUTE_MS for record in asked})
        found: dict[str, dict[str, float]] = {}
        for record in asked:
            row = found.setdefault(f"{record.method} {record.path}", {"calls": 0, "weight": 0})
            row["calls"] += 1
            row["weight"] += weight_of(record.method, record.path, record.params)
        return {name: {**row, "per_minute": round(row["calls"] / minutes, 3)} for name, row in found.items()}

    def stop(self, request: web.Request, body: Any) -> Any:
        self.shutdown()
        return {}


def candles_of(rows: Any) -> Candles:
    """Candles from rows of `[ts, o, h, l, c, v]`. Raises ConfigError for rows that are not on whole minutes."""
    out = np.empty(len(rows), CANDLE_DTYPE)
    for name, column in zip(("ts", "o", "h", "l", "c", "bv"), zip(*rows, strict=True), strict=True):
        out[name] = column
    out["src"] = REST
    if (out["ts"] % MINUTE_MS != 0).any():
        raise ConfigError("candles open at whole minutes; a time of these rows does not")
    return out
