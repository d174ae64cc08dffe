"""What stands between the network and the handlers: the request log, faults of the connection, errors as replies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from exchange_sim import archives
from exchange_sim.faults import Fault, Target
from exchange_sim.surfaces import account_of, kind_of
from exchange_sim.venue import FAULT, Venue
from exchange_sim.wire import VenueError, error_reply, json_reply, parameters_of, public_parameters

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL_PREFIX = "/sim/"
LISTEN_KEY_PREFIX = "/ws/"
REQUESTS_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One answered request. `ts_ms` is venue time, `ms` real time; `status` 0 means that no reply was finished."""

    ts_ms: int
    method: str
    path: str
    params: dict[str, str]
    status: int
    ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Interference:
    """The middleware of a venue's server. The control interface is neither logged nor disturbed.

    `settled` is called once everything is done that a request led to, before it is answered.
    """

    def __init__(self, venue: Venue, settled: Callable[[], None] = lambda: None) -> None:
        self.venue, self._settled = venue, settled
        self.requests: deque[RequestRecord] = deque(maxlen=REQUESTS_KEPT)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await self._handled(request, handler)
        started = time.perf_counter()
        status, params = 0, {}
        try:
            params = await parameters_of(request)
            response = await self._answer(request, handler, params)
            status = 0 if request.transport is None or request.transport.is_closing() else response.status
            return response
        finally:
            self._log(request, public_parameters(params), status, (time.perf_counter() - started) * 1000.0)

    def _log(self, request: web.Request, params: dict[str, str], status: int, ms: float) -> None:
        record = RequestRecord(self.venue.now_ms(), request.method, _public_path(request), params, status, ms)
        self.requests.append(record)
        logger.debug(
            "sim_request method=%s path=%s params=%s status=%d ms=%.1f",
            record.method, record.path, params, status, ms,
        )  # fmt: skip

    async def _answer(self, request: web.Request, handler: Handler, params: Mapping[str, str]) -> web.StreamResponse:
        fault = self.venue.faults.take(_target(request, params), self.venue.now_ms())
        if fault is None:
            return await self._reply(request, handler)
        request[FAULT] = fault
        if fault.parameters.get("applied"):
            await self._reply(request, handler)
        disturbed = await self._disturb(request, fault)
        return disturbed if disturbed is not None else await self._reply(request, handler)

    async def _reply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's reply; what it refuses is a reply as well."""
        try:
            return await self._handled(request, handler)
        except VenueError as exc:
            return error_reply(request.path, exc, self.venue.now_ms())
        except web.HTTPNotFound:
            logger.debug("sim_unknown method=%s path=%s", request.method, request.path)
            text = f"Path {request.path}, Method {request.method} is not served here"
            return json_reply({"code": -5000, "msg": text}, 404)

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            self._settled()

    async def _disturb(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        """The reply a fault gives instead of the handler's; None if the handler goes on."""
        p = fault.parameters
        if fault.action == "slow":
            await asyncio.sleep(float(p["ms"]) / 1000.0)  # real time: so do clients wait
        elif fault.action == "timeout":
            await asyncio.sleep(float(p["seconds"]))
            return _hang_up(request)
        elif fault.action == "disconnect":
            return _hang_up(request)
        elif fault.action == "reset":
            return await _break_off(request)
        elif fault.action == "ret":
            error = VenueError(int(p["code"]), str(p["msg"]), int(p["status"]) or None)
            return error_reply(request.path, error, self.venue.now_ms())
        elif fault.action == "maintenance":
            return web.Response(status=503, text="<html><body>maintenance</body></html>", content_type="text/html")
        elif fault.action == "http":
            return _http(p)
        return None


def _target(request: web.Request, params: Mapping[str, str]) -> Target:
    path = request.path
    symbol = request.match_info.get("symbol") or params.get("symbol", "")
    kind = kind_of(request.method, path)
    if path.startswith(archives.PREFIX) and not path.endswith("/"):
        kind = "checksum" if path.endswith(archives.CHECKSUM_SUFFIX) else "archive"
    return Target(request.method, path, symbol, kind, account_of(path, request.headers))


def _public_path(request: web.Request) -> str:
    """The path as it may be logged: a listen key opens an account's stream."""
    return f"{LISTEN_KEY_PREFIX}*" if request.path.startswith(LISTEN_KEY_PREFIX) else request.path


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the reply that is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _break_off(request: web.Request) -> web.StreamResponse:
    """Send a part of a reply and close the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'[{"symbol":')
    if request.transport is not None:
        request.transport.close()
    return response


def _http(parameters: Any) -> web.Response:
    body = parameters["body"]
    if not isinstance(body, str):
        return json_reply(body, int(parameters["status"]), parameters["headers"])
    return web.Response(
        status=int(parameters["status"]),
        text=body,
        headers=parameters["headers"],
        content_type=parameters["content_type"],
    )
