"""Binance's calls that place, take back and show orders (`exchange_simulator.md` 7.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from exchange_sim.binance.refusals import UNKNOWN_CANCEL, UNKNOWN_QUERY, refusal
from exchange_sim.binance.rows import TIME_IN_FORCE, order_row
from exchange_sim.binance.signed import Call, instrument, missing, optional_symbol
from exchange_sim.desk import Desk
from exchange_sim.trading.records import Order, OrderRequest, OrderType, PositionSide, Reject, TimeInForce
from exchange_sim.wire import VenueError

Word = TypeVar("Word", bound=str)

MOST_CREATES, MOST_CANCELS = 5, 10
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]*")
_CLIENT_ID_LENGTH = 36
_TYPES: Mapping[str, OrderType] = {"LIMIT": "limit", "MARKET": "market"}
_SIDES: Mapping[str, PositionSide] = {"LONG": "long", "SHORT": "short", "BOTH": "both"}
_TIMES: Mapping[str, TimeInForce] = {word: tif for tif, word in TIME_IN_FORCE.items()}  # type: ignore[misc]


class Orders:
    """Handlers take a `Call` and give what is sent as JSON."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("POST", "/fapi/v1/order"): self.create,
            ("POST", "/fapi/v1/batchOrders"): self.create_batch,
            ("DELETE", "/fapi/v1/order"): self.cancel,
            ("DELETE", "/fapi/v1/batchOrders"): self.cancel_batch,
            ("DELETE", "/fapi/v1/allOpenOrders"): self.cancel_all,
            ("GET", "/fapi/v1/order"): self.query,
            ("GET", "/fapi/v1/openOrder"): self.query_open,
            ("GET", "/fapi/v1/openOrders"): self.open_orders,
        }

    def create(self, call: Call) -> Any:
        placed = self.desk.submit(call.request, call.key, self._order_request(call))
        if isinstance(placed, Reject):
            raise refusal(placed)
        return self._row(placed)

    def create_batch(self, call: Call) -> Any:
        """Each order on its own; one that is refused is an error in its place."""
        entries = _json_list(call, "batchOrders", MOST_CREATES)
        if not all(isinstance(entry, dict) for entry in entries):
            raise missing("batchOrders")
        texts = [{name: _text(value) for name, value in entry.items()} for entry in entries]
        return [_one(self.create, replace(call, params=params)) for params in texts]

    def cancel(self, call: Call) -> Any:
        item = instrument(self.desk, call)
        order = self._named(call)
        if order is None or order.symbol != item.symbol:
            raise UNKNOWN_CANCEL
        ended = self.desk.cancel(call.request, call.key, order_id=order.id)
        if isinstance(ended, Reject):
            raise UNKNOWN_CANCEL
        return self._row(ended)

    def cancel_batch(self, call: Call) -> Any:
        name, single = ("orderidlist", "orderId") if "orderidlist" in call.params else (
            "origclientorderidlist", "origClientOrderId"
        )  # fmt: skip
        ids = _json_list(call, name, MOST_CANCELS)
        symbol = call.text("symbol")
        return [_one(self.cancel, replace(call, params={"symbol": symbol, single: str(one)})) for one in ids]

    def cancel_all(self, call: Call) -> Any:
        symbol = instrument(self.desk, call).symbol
        for order in self.desk.engine.open_orders(call.key, symbol):
            self.desk.cancel(call.request, call.key, order_id=order.id)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def query(self, call: Call) -> Any:
        item = instrument(self.desk, call)
        order = self._named(call)
        if order is None or order.symbol != item.symbol:
            raise UNKNOWN_QUERY
        return self._row(order)

    def query_open(self, call: Call) -> Any:
        item = instrument(self.desk, call)
        order = self._named(call)
        if order is None or order.symbol != item.symbol or order.id not in call.account.open_orders:
            raise UNKNOWN_QUERY
        return self._row(order)

    def open_orders(self, call: Call) -> Any:
        """Of one symbol, or of all."""
        symbol = optional_symbol(self.desk, call)
        return [self._row(order) for order in self.desk.open_orders(call.request, call.key, symbol)]

    def _order_request(self, call: Call) -> OrderRequest:
        item = instrument(self.desk, call)
        kind = _word(_TYPES, call.text("type"), VenueError(-1116, "Invalid orderType."))
        is_limit = kind == "limit"
        side = call.text("side")
        if side not in ("BUY", "SELL"):
            raise VenueError(-1117, "Invalid side.")
        pside = _word(_SIDES, call.params.get("positionSide", "BOTH"), VenueError(-1128, "Invalid positionSide."))
        reduce_only = call.params.get("reduceOnly", "false").lower() == "true"
        if "reduceOnly" in call.params and pside != "both":
            raise VenueError(-1106, "Parameter 'reduceonly' sent when not required.")
        wrong_time = VenueError(-1115, "Invalid timeInForce.")
        return OrderRequest(
            item.symbol, "buy" if side == "BUY" else "sell", pside, kind, call.number("quantity"),
            call.number("price") if is_limit else 0.0,
            _word(_TIMES, call.text("timeInForce"), wrong_time) if is_limit else "gtc",
            reduce_only, _client_id(call),
        )  # fmt: skip

    def _named(self, call: Call) -> Order | None:
        """The order of `orderId`, else of `origClientOrderId`."""
        order_id = call.integer("orderId")
        client_id = call.params.get("origClientOrderId", "")
        if order_id is None and not client_id:
            raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        return call.account.find_order(order_id, client_id)

    def _row(self, order: Order) -> dict[str, Any]:
        return order_row(order, self.desk.venue.market.by_symbol[order.symbol])


def _client_id(call: Call) -> str:
    client_id = call.params.get("newClientOrderId", "")
    if len(client_id) > _CLIENT_ID_LENGTH:
        raise VenueError(-4015, "Client order id length should not be more than 36 chars")
    if _CLIENT_ID.fullmatch(client_id) is None:
        raise VenueError(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
    return client_id


def _word(known: Mapping[str, Word], word: str, error: VenueError) -> Word:
    if word not in known:
        raise error
    return known[word]


def _one(handler: Callable[[Call], Any], call: Call) -> Any:
    """The reply of one part of a batch; a refusal is its code and text."""
    try:
        return handler(call)
    except VenueError as exc:
        return {"code": exc.code, "msg": exc.msg}


def _json_list(call: Call, name: str, most: int) -> list[Any]:
    try:
        content = json.loads(call.text(name))
    except ValueError:
        raise missing(name) from None
    if not isinstance(content, list) or not 1 <= len(content) <= most:
        raise missing(name)
    return content


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
