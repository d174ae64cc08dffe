"""The routes of Bybit that need an API key (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from exchange_sim.bybit.account import AccountCalls
from exchange_sim.bybit.history import History
from exchange_sim.bybit.orders import Batch, Orders
from exchange_sim.bybit.signed import Call, signed
from exchange_sim.desk import Desk
from exchange_sim.wire import bybit_envelope, json_reply


def private_routes(desk: Desk) -> list[web.RouteDef]:
    handlers = Orders(desk).handlers() | AccountCalls(desk).handlers() | History(desk).handlers()
    return [web.route(method, path, _answering(desk, handler)) for (method, path), handler in handlers.items()]


def _answering(desk: Desk, handler: Callable[[Call], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        result = handler(await signed(desk, request))
        now_ms = desk.venue.now_ms()
        if isinstance(result, Batch):
            envelope = bybit_envelope({"list": result.rows}, now_ms)
            return json_reply({**envelope, "retExtInfo": {"list": result.outcomes}})
        return json_reply(bybit_envelope(result, now_ms))

    return answer
