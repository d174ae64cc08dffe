"""The control interface `/sim/v1`: time, candles, faults, the request log (`exchange_simulator.md` 11)."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from aiohttp import web

from core.clock import MINUTE_MS, ManualClock, ScaledClock
from core.errors import ConfigError
from exchange_sim.interference import RequestRecord
from exchange_sim.venue import Venue
from exchange_sim.wire import json_reply
from markets.candle import CANDLE_DTYPE, REST, Candles

TOKEN_HEADER = "X-Sim-Token"
PREFIX = "/sim/v1"


class Control:
    """Routes of the control interface. Every call needs the token that the server printed."""

    def __init__(
        self, venue: Venue, requests: Iterable[RequestRecord], token: str, shutdown: Callable[[], None]
    ) -> None:
        self.venue, self.requests, self.token, self.shutdown = venue, requests, token, shutdown

    def routes(self) -> list[web.RouteDef]:
        get = {"clock": self.clock, "faults": self.faults, "requests": self.log, "stats": self.stats}
        post = {
            "clock/advance": self.advance,
            "clock/speed": self.speed,
            "candles": self.candles,
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
                return json_reply(handler(request, body))
            except (ConfigError, ValueError, KeyError, TypeError) as exc:
                return json_reply({"error": f"{type(exc).__name__}: {exc}"}, 400)

        return guarded

    def clock(self, request: web.Request, body: Any) -> Any:
        clock = self.venue.clock
        speed = clock.speed if isinstance(clock, ScaledClock) else 0.0 if isinstance(clock, ManualClock) else 1.0
        return {"now_ms": self.venue.now_ms(), "speed": speed, "stepped": isinstance(clock, ManualClock)}

    def advance(self, request: web.Request, body: Any) -> Any:
        """Move a stepped clock on by `minutes` or `ms`."""
        clock = self.venue.clock
        if not isinstance(clock, ManualClock):
            raise ConfigError("only a stepped clock can be advanced; start the venue with speed 0")
        ms = int(body["ms"]) if "ms" in body else round(float(body["minutes"]) * MINUTE_MS)
        if ms < 0:
            raise ConfigError(f"cannot advance by {ms} ms: time does not go back")
        clock.advance(ms)
        return self.clock(request, body)

    def speed(self, request: web.Request, body: Any) -> Any:
        clock = self.venue.clock
        if not isinstance(clock, ScaledClock):
            raise ConfigError("only a scaled clock has a speed; start the venue with one other than 0")
        clock.set_speed(float(body["speed"]))
        return self.clock(request, body)

    def candles(self, request: web.Request, body: Any) -> Any:
        """Replace minutes of a symbol by rows of `[ts, o, h, l, c, v]`."""
        symbol = str(body["symbol"])
        item = self.venue.market.by_symbol.get(symbol) or self.venue.market.by_id.get(symbol)
        if item is None:
            raise ConfigError(f"no market {symbol} here; there are {', '.join(self.venue.market.by_symbol)}")
        rows = candles_of(body["rows"])
        self.venue.market.put(item.symbol, rows)
        return {"rows": len(rows)}

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
        """How often each path was asked for."""
        return dict(Counter(f"{record.method} {record.path}" for record in self.requests))

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
