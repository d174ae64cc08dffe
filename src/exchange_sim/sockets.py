"""The websockets of a venue: who is connected, what waits to be sent to whom, and faults on the way.

Protocols give each connection a `Stream`, which says what it is to be told. Everything goes through the connection's
own queue, so that a client that does not read never holds up the engine.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from exchange_sim.faults import Fault, FaultBook, Target
from exchange_sim.trading.records import Event

logger = logging.getLogger(__name__)

PING_S = 180.0  # between the pings that the server sends
CLOSE_S = 0.5  # how long a client may take to answer a close
LONGEST_QUEUE = 10_000  # messages; who is further behind is sent away
CUT_OFF = 1006  # the code of a connection that ended without a close


class Socket:
    """One connection. `account` is the API key whose events it is told, `topics` what it wants and was sent last."""

    def __init__(self, request: web.Request, protocol: str, account: str) -> None:
        self.protocol, self.path, self.account = protocol, request.path, account
        self.id = 0
        self.topics: dict[str, Any] = {}
        self._request = request
        self._ws = web.WebSocketResponse(heartbeat=PING_S, timeout=CLOSE_S)
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._held: list[str] = []

    def send(self, content: Any) -> None:
        """Queue a reply."""
        self._put(json.dumps(content, separators=(",", ":")))

    def push(self, content: Any, fault: Fault | None) -> None:
        """Queue what happened, as the fault it meets leaves it. What a reordering held back comes behind it."""
        text = json.dumps(content, separators=(",", ":"))
        action = fault.action if fault is not None else ""
        if action == "ws_silent":
            return
        if action == "ws_reorder":
            self._held.append(text)
            return
        texts = {"ws_duplicate": [text, text], "ws_garbage": [text[: len(text) // 2]]}.get(action, [text])
        for each in (*texts, *self._held):
            self._put(each)
        self._held.clear()

    def release(self) -> None:
        """Queue what was held back."""
        for text in self._held:
            self._put(text)
        self._held.clear()

    async def talk(self, hear: Callable[[Any], None]) -> web.WebSocketResponse:
        """Upgrade; until the end send what is queued and `hear` what comes in, decoded, None if it is no JSON."""
        await self._ws.prepare(self._request)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    hear(_decoded(message.data))
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return self._ws

    async def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """End the connection; with `CUT_OFF` without a word."""
        if code == CUT_OFF:
            if self._request.transport is not None:
                self._request.transport.abort()
            return
        with suppress(ConnectionError):
            await self._ws.close(code=code)

    def _put(self, text: str) -> None:
        if self._queue.qsize() >= LONGEST_QUEUE:
            logger.warning("sim_socket_behind path=%s queued=%d", self.path, self._queue.qsize())
            if self._request.transport is not None:
                self._request.transport.abort()
            return
        self._queue.put_nowait(text)

    async def _write(self) -> None:
        while True:
            await self._ws.send_str(await self._queue.get())


class Stream(Protocol):
    """What a protocol says on a connection."""

    def opened(self, socket: Socket) -> None:
        """The connection stands."""
        ...

    def heard(self, socket: Socket, content: Any) -> None:
        """The client sent JSON, or what is none: None."""
        ...

    def happened(self, socket: Socket, event: Event) -> Iterable[Any]:
        """What to push about an event of the connection's account."""
        ...

    def moved(self, socket: Socket) -> Iterable[Any]:
        """What to push now that time has moved."""
        ...


class Hub:
    """All connections of a venue."""

    def __init__(self, faults: FaultBook, now_ms: Callable[[], int]) -> None:
        self.faults, self._now_ms = faults, now_ms
        self._streams: dict[Socket, Stream] = {}
        self._opened = 0
        self._closing: set[asyncio.Task[None]] = set()

    def sockets(self, protocol: str, account: str | None = None) -> list[Socket]:
        """The connections of a protocol, those of one account if it is given."""
        return [s for s in self._streams if s.protocol == protocol and account in (None, s.account)]

    async def serve(self, request: web.Request, protocol: str, stream: Stream, account: str = "") -> web.StreamResponse:
        """Answer an upgrade, and be there until the connection ends."""
        fault = self._fault(request.path, "upgrade", account)
        if fault is not None:
            return web.Response(status=int(fault.parameters["status"]))
        socket = Socket(request, protocol, account)
        self._opened += 1
        socket.id = self._opened
        self._streams[socket] = stream
        stream.opened(socket)
        try:
            return await socket.talk(lambda content: stream.heard(socket, content))
        finally:
            self._streams.pop(socket, None)

    def tell(self, protocol: str, event: Event) -> None:
        """Push an event to all connections of its account."""
        for socket in self.sockets(protocol, event.key):
            self.push(socket, self._streams[socket].happened(socket, event))

    def move(self) -> None:
        """Push what has changed with time, and let faults act that wait for no message."""
        for socket, stream in list(self._streams.items()):
            socket.release()
            fault = self._fault(socket.path, "pulse", socket.account)
            if fault is not None:
                self._drop(socket, fault)
            else:
                self.push(socket, stream.moved(socket))

    def push(self, socket: Socket, contents: Iterable[Any]) -> None:
        """Send what the client did not ask for; each message may meet a fault."""
        for content in contents:
            fault = self._fault(socket.path, "push", socket.account)
            if fault is not None and fault.action == "ws_drop":
                self._drop(socket, fault)
                return
            socket.push(content, fault)

    def drop(self, socket: Socket, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Close a connection; it is told nothing more from now on."""
        self._streams.pop(socket, None)
        task = asyncio.ensure_future(socket.close(code))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all connections."""
        for socket in list(self._streams):
            self.drop(socket)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _fault(self, path: str, kind: str, account: str) -> Fault | None:
        return self.faults.take(Target("WS", path, "", kind, account), self._now_ms())

    def _drop(self, socket: Socket, fault: Fault) -> None:
        self.drop(socket, int(fault.parameters["code"]))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
