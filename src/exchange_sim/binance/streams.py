"""Binance's websockets: an account's events, and what the market does (`exchange_simulator.md` 7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from exchange_sim.binance.listen_keys import ListenKeys
from exchange_sim.binance.market_messages import MarketMessages
from exchange_sim.binance.user_messages import account_update, order_update
from exchange_sim.desk import Desk
from exchange_sim.sockets import Socket
from exchange_sim.trading.records import Event

PROTOCOL = "binance"


class UserStream:
    """The events of one account; the client says nothing. It ends with its listen key."""

    def __init__(self, desk: Desk, listen_keys: ListenKeys, name: str) -> None:
        self.desk, self.listen_keys, self.name = desk, listen_keys, name

    def opened(self, socket: Socket) -> None:
        pass

    def heard(self, socket: Socket, content: Any) -> None:
        pass

    def happened(self, socket: Socket, event: Event) -> Iterable[Any]:
        now_ms, by_symbol = self.desk.venue.now_ms(), self.desk.venue.market.by_symbol
        if event.kind == "account":
            yield account_update(event, self.desk.engine, by_symbol, now_ms)
        elif event.order is not None:
            yield order_update(event, event.order, by_symbol[event.order.symbol], now_ms)

    def moved(self, socket: Socket) -> Iterable[Any]:
        if self.listen_keys.account(self.name) is None:
            self.expire(socket)
        return ()

    def expire(self, socket: Socket) -> None:
        """Say that the listen key is worth nothing any more, and close."""
        socket.send({"e": "listenKeyExpired", "E": self.desk.venue.now_ms(), "listenKey": self.name})
        self.desk.venue.sockets.drop(socket)


class MarketStream:
    """What the client subscribes to: klines, best prices, tickers. `topics` of the socket has what was sent last."""

    def __init__(self, desk: Desk) -> None:
        self.hub = desk.venue.sockets
        self.messages = MarketMessages(desk.venue)

    def opened(self, socket: Socket) -> None:
        pass

    def heard(self, socket: Socket, content: Any) -> None:
        """Calls with a method, parameters and a number, which the reply repeats."""
        if not isinstance(content, dict):
            socket.send({"error": {"code": 3, "msg": "Invalid JSON: expected value"}})
            return
        number, words = content.get("id"), content.get("params") or []
        answer: Callable[[Socket, list[Any]], Any] | None = {
            "SUBSCRIBE": self._subscribe, "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": lambda socket, words: list(socket.topics),
        }.get(content.get("method", ""))  # fmt: skip
        if answer is None or not isinstance(words, list):
            socket.send({"error": {"code": 2, "msg": "Invalid request: unknown variant"}, "id": number})
            return
        socket.send({"result": answer(socket, words), "id": number})
        self.hub.push(socket, self.moved(socket))

    def happened(self, socket: Socket, event: Event) -> Iterable[Any]:
        return ()

    def moved(self, socket: Socket) -> Iterable[Any]:
        for topic in socket.topics:
            socket.topics[topic], messages = self.messages.since(topic, socket.topics[topic])
            yield from messages

    def _subscribe(self, socket: Socket, words: list[Any]) -> None:
        for word in words:
            if isinstance(word, str) and self.messages.is_known(word):
                socket.topics.setdefault(word, None)

    def _unsubscribe(self, socket: Socket, words: list[Any]) -> None:
        for word in words:
            socket.topics.pop(word, None)


class Streams:
    """Opens the stream that a path is of: a number is one for market data, a listen key that of its account."""

    def __init__(self, desk: Desk, listen_keys: ListenKeys) -> None:
        self.desk, self.listen_keys = desk, listen_keys
        desk.on_expiry = self._expire

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ws/{name}", self.open)]

    async def open(self, request: web.Request) -> web.StreamResponse:
        hub, name = self.desk.venue.sockets, request.match_info["name"]
        if name.isdigit():
            return await hub.serve(request, PROTOCOL, MarketStream(self.desk))
        account = self.listen_keys.account(name)
        if account is None:
            raise web.HTTPBadRequest(text="listen key is unknown or has expired")
        return await hub.serve(request, PROTOCOL, UserStream(self.desk, self.listen_keys, name), account)

    def _expire(self, account: str) -> None:
        """End the streams of an account before their time, and their key with them."""
        self.listen_keys.close(account)
        self.desk.venue.sockets.move()
