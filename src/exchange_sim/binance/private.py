"""The routes of Binance that need an API key (`exchange_simulator.md` 7.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from exchange_sim.binance.account import AccountCalls
from exchange_sim.binance.history import History
from exchange_sim.binance.listen_keys import ListenKeys
from exchange_sim.binance.orders import Orders
from exchange_sim.binance.signed import Call, keyed, signed
from exchange_sim.desk import Desk
from exchange_sim.wire import VenueError, json_reply

LISTEN_KEY_PATH = "/fapi/v1/listenKey"


def private_routes(desk: Desk, listen_keys: ListenKeys) -> list[web.RouteDef]:
    """All of them, those about listen keys included."""
    handlers = Orders(desk).handlers() | AccountCalls(desk).handlers() | History(desk).handlers()
    calls = [web.route(method, path, _answering(desk, signed, handler)) for (method, path), handler in handlers.items()]

    def open_key(call: Call) -> Any:
        return {"listenKey": listen_keys.open(call.key)}

    def renew_key(call: Call) -> Any:
        name = listen_keys.renew(call.key)
        if name is None:
            raise VenueError(-1125, "This listenKey does not exist.")
        return {"listenKey": name}

    def close_key(call: Call) -> Any:
        listen_keys.close(call.key)
        return {}

    keys = {"POST": open_key, "PUT": renew_key, "DELETE": close_key}
    return [*calls, *(web.route(m, LISTEN_KEY_PATH, _answering(desk, keyed, handler)) for m, handler in keys.items())]


def _answering(
    desk: Desk, read: Callable[[Desk, web.Request], Awaitable[Call]], handler: Callable[[Call], Any]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return json_reply(handler(await read(desk, request)))

    return answer
