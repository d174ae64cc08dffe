"""Bybit's websockets: what an account is told, and what the market does (`exchange_simulator.md` 8.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from core.clock import SystemClock
from exchange_sim.bybit.account import coin_of
from exchange_sim.bybit.market_rows import INTERVAL_NAMES, kline_rows, ticker_row
from exchange_sim.bybit.rows import execution_row, order_row, position_row, wallet_row
from exchange_sim.bybit.signed import check_key, check_signature
from exchange_sim.desk import Desk
from exchange_sim.klines import INTERVALS, Page, klines
from exchange_sim.market import Instrument
from exchange_sim.sockets import Socket
from exchange_sim.trading.records import Event
from exchange_sim.venue import Venue
from exchange_sim.wire import VenueError, decimal, step_text

PRIVATE_TOPICS = frozenset({"order", "execution", "wallet", "position"})
KLINES_AT_ONCE = 1000


class PrivateStream:
    """A connection that becomes an account's by its first message."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._pushed = 0

    def opened(self, socket: Socket) -> None:
        """Nothing is said before the client speaks."""

    def heard(self, socket: Socket, content: Any) -> None:
        op = content.get("op") if isinstance(content, dict) else None
        if op == "ping":
            now_ms = str(self.desk.venue.now_ms())
            socket.send({"req_id": content.get("req_id", ""), "op": "pong", "args": [now_ms], "conn_id": _id(socket)})
        elif op == "auth":
            self._authenticate(socket, content)
        elif op in ("subscribe", "unsubscribe") and socket.account:
            _list_topics(socket, content, lambda topic: topic in PRIVATE_TOPICS)
        else:
            _refuse(socket, content, "error:request not authorized" if op else "error:invalid op")

    def _authenticate(self, socket: Socket, content: dict[str, Any]) -> None:
        try:
            key, expires, signature = map(str, content["args"])
            check_key(self.desk, key)
            check_signature(self.desk, key, f"GET/realtime{expires}", signature)
            if isinstance(self.desk.venue.clock, SystemClock) and int(expires) < self.desk.venue.now_ms():
                raise VenueError(10002, "Params Error: expires is over")
        except (VenueError, ValueError, KeyError, TypeError) as exc:
            _refuse(socket, content, f"error:{exc}")
            return
        socket.account = key
        socket.send({"success": True, "ret_msg": "", "op": "auth", "conn_id": _id(socket)})

    def happened(self, socket: Socket, event: Event) -> Iterator[Any]:
        for topic, row in self._rows(event):
            if topic in socket.topics:
                self._pushed += 1
                yield {
                    "id": f"{_id(socket)}-{self._pushed}", "topic": topic,
                    "creationTime": self.desk.venue.now_ms(), "data": [{**row, "category": "linear"}],
                }  # fmt: skip

    def _rows(self, event: Event) -> Iterator[tuple[str, dict[str, Any]]]:
        account, engine, by_symbol = (
            self.desk.engine.account(event.key), self.desk.engine, self.desk.venue.market.by_symbol
        )  # fmt: skip
        if event.fill is not None:
            yield "execution", execution_row(event.fill, event.order, by_symbol[event.fill.symbol])
        if event.order is not None:
            yield "order", order_row(event.order, by_symbol[event.order.symbol], account)
        if event.kind != "account":
            return
        if event.position is not None:
            position = account.position(event.position.symbol, event.position.pside)
            yield "position", position_row(position, by_symbol[position.symbol], account, engine.quotes)
        yield "wallet", wallet_row(account, account.wallet, engine.quotes, coin_of(self.desk))

    def moved(self, socket: Socket) -> Iterable[Any]:
        return ()


class PublicStream:
    """A connection that is told about contracts; `socket.topics` has what each topic said last."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def opened(self, socket: Socket) -> None:
        """Nothing is said before the client speaks."""

    def heard(self, socket: Socket, content: Any) -> None:
        op = content.get("op") if isinstance(content, dict) else None
        if op == "ping":
            socket.send({
                "success": True, "ret_msg": "pong", "conn_id": _id(socket), "req_id": content.get("req_id", ""),
                "op": "ping",
            })  # fmt: skip
        elif op in ("subscribe", "unsubscribe"):
            is_linear = socket.path.endswith("/linear")
            _list_topics(socket, content, lambda topic: is_linear and self._item(topic) is not None)
            self.venue.sockets.push(socket, self.moved(socket))
        else:
            _refuse(socket, content, "error:invalid op")

    def happened(self, socket: Socket, event: Event) -> Iterable[Any]:
        return ()

    def moved(self, socket: Socket) -> Iterator[Any]:
        """Of each topic what differs from what it said last."""
        for topic in list(socket.topics):
            kind, depth, *_ = topic.split(".")
            item = self._item(topic)
            if item is None:
                continue
            if kind == "kline":
                yield from self._klines(socket, topic, depth, item)
            else:
                yield from self._prices(socket, topic, kind, item)

    def _item(self, topic: str) -> Instrument | None:
        """The contract of a topic; None if there is no such topic."""
        parts = topic.split(".")
        kind, middle, name = parts[0], parts[1:-1], parts[-1]
        right = {"tickers": not middle, "kline": len(middle) == 1 and middle[0] in INTERVAL_NAMES,
                 "orderbook": len(middle) == 1 and middle[0].isdecimal()}  # fmt: skip
        item = self.venue.market.by_id.get(name)
        return item if right.get(kind) and item is not None and item.launch_ms <= self.venue.now_ms() else None

    def _prices(self, socket: Socket, topic: str, kind: str, item: Instrument) -> Iterator[Any]:
        """Tickers: all of it first, then what is new. The book has one level, which is told whole."""
        now_ms = self.venue.now_ms()
        ticker = self.venue.market.ticker(item, now_ms)
        if ticker is None:
            return
        before: dict[str, Any] = socket.topics[topic] or {}
        row = ticker_row(item, ticker)
        if kind == "orderbook":
            level = [[decimal(ticker.last, item.price_decimals), step_text(item.market.min_qty)]]
            row = {"s": item.id, "b": level, "a": level}
        news = {name: value for name, value in row.items() if before.get(name) != value}
        if not news:
            return
        socket.topics[topic] = row
        if kind == "orderbook":
            yield {"topic": topic, "type": "snapshot", "ts": now_ms, "data": {**row, "u": now_ms, "seq": now_ms}}
        else:
            data = {"symbol": item.id, **news}
            yield {"topic": topic, "type": "delta" if before else "snapshot", "ts": now_ms, "data": data}

    def _klines(self, socket: Socket, topic: str, name: str, item: Instrument) -> Iterator[Any]:
        """Candles from the one told last to the one in progress."""
        now_ms, interval = self.venue.now_ms(), INTERVALS[INTERVAL_NAMES[name]]
        before: dict[str, Any] | None = socket.topics[topic]
        page = Page(interval, KLINES_AT_ONCE, int(before["start"])) if before else Page(interval, 1)
        for start, o, high, low, close, volume, turnover in kline_rows(
            klines(self.venue.market, item, page, now_ms), item
        ):
            following = interval.shift(int(start), 1)
            row = {
                "start": int(start), "end": following - 1, "interval": name, "open": o, "close": close, "high": high,
                "low": low, "volume": volume, "turnover": turnover, "confirm": following <= now_ms,
            }  # fmt: skip
            if row != socket.topics[topic]:
                socket.topics[topic] = row
                yield {"topic": topic, "type": "snapshot", "ts": now_ms, "data": [{**row, "timestamp": now_ms}]}


def _list_topics(socket: Socket, content: dict[str, Any], is_known: Any) -> None:
    """Put topics on the connection's list or take them off, all or none, and say so."""
    topics = content.get("args")
    topics = list(map(str, topics)) if isinstance(topics, list) else [""]
    unknown = [topic for topic in topics if not is_known(topic)]
    if unknown:
        _refuse(socket, content, f"error:handler not found,topic:{unknown[0]}")
        return
    for topic in topics:
        if content["op"] == "subscribe":
            socket.topics.setdefault(topic, None)
        else:
            socket.topics.pop(topic, None)
    socket.send({
        "success": True, "ret_msg": "", "op": content["op"], "conn_id": _id(socket),
        "req_id": content.get("req_id", ""),
    })  # fmt: skip


def _refuse(socket: Socket, content: Any, text: str) -> None:
    """ccxt wants the request back, whose `op` says what failed."""
    known = content if isinstance(content, dict) else {}
    request = {"op": known.get("op", ""), "args": known.get("args")}
    socket.send({"success": False, "ret_msg": text, "conn_id": _id(socket), "op": request["op"], "request": request})


def _id(socket: Socket) -> str:
    return f"sim-{socket.id}"
