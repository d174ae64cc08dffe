"""Bybit's calls that place, take back and show orders (`exchange_simulator.md` 8.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from exchange_sim.bybit.pages import Entry, empty_page, page_of
from exchange_sim.bybit.refusals import PARAMETER_ERROR, invalid, order_refusal
from exchange_sim.bybit.rows import INDEX, TIME_IN_FORCE, order_row
from exchange_sim.bybit.signed import Call, asked_contracts, instrument
from exchange_sim.desk import Desk
from exchange_sim.trading.records import Order, OrderRequest, OrderType, PositionSide, Reject, TimeInForce
from exchange_sim.wire import VenueError

Word = TypeVar("Word", bound=str)

MOST_IN_BATCH = 20
DEFAULT_PAGE, MOST_ON_PAGE = 20, 50
LONGEST_ID = 36
_SIDE_OF_INDEX: Mapping[int, PositionSide] = {index: pside for pside, index in INDEX.items()}
_TYPES: Mapping[str, OrderType] = {"Limit": "limit", "Market": "market"}
_TIMES: Mapping[str, TimeInForce] = {
    word: tif for tif in ("gtc", "post_only", "ioc", "fok") for word in [TIME_IN_FORCE[tif]]
}


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of a batch, and beside it how each part went."""

    rows: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]


class Orders:
    """Handlers take a `Call` and give the result that is sent."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("POST", "/v5/order/create"): self.create,
            ("POST", "/v5/order/create-batch"): self.create_batch,
            ("POST", "/v5/order/cancel"): self.cancel,
            ("POST", "/v5/order/cancel-batch"): self.cancel_batch,
            ("POST", "/v5/order/cancel-all"): self.cancel_all,
            ("GET", "/v5/order/realtime"): self.open_orders,
        }

    def create(self, call: Call) -> Any:
        """That it was taken; a post-only order that would trade at once is cancelled after that."""
        placed = self.desk.submit(call.request, call.key, self._order_request(call))
        if isinstance(placed, Reject):
            raise order_refusal(placed)
        return _ids(placed)

    def cancel(self, call: Call) -> Any:
        item = instrument(self.desk, call)
        order = self._named(call)
        if order is None or order.symbol != item.symbol:
            raise order_refusal(Reject("unknown_order", ""))
        ended = self.desk.cancel(call.request, call.key, order_id=order.id)
        if isinstance(ended, Reject):
            raise order_refusal(ended)
        return _ids(ended)

    def create_batch(self, call: Call) -> Any:
        def one(part: Call) -> dict[str, Any]:
            return {**self.create(part), "createAt": str(self.desk.venue.now_ms())}

        return self._batch(call, one, {"orderId": "", "createAt": ""})

    def cancel_batch(self, call: Call) -> Any:
        """An order that is not there has an entry as well; only its outcome says so."""
        return self._batch(call, self.cancel, {"orderId": ""})

    def _batch(self, call: Call, one: Callable[[Call], dict[str, Any]], blank: Mapping[str, Any]) -> Batch:
        entries = call.params.get("request")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise invalid("request")
        if not 1 <= len(entries) <= MOST_IN_BATCH:
            raise VenueError(PARAMETER_ERROR, f"params error: request has not 1 to {MOST_IN_BATCH} orders")
        category = call.text("category")
        batch = Batch([], [])
        for entry in entries:
            asked = {name: entry.get(name) or "" for name in ("symbol", "orderId", "orderLinkId")}
            row, outcome = {**blank, **asked}, {"code": 0, "msg": "OK"}
            try:
                row |= one(replace(call, params={**entry, "category": category}))
            except VenueError as exc:
                outcome = {"code": exc.code, "msg": exc.msg}
            batch.rows.append({"category": category, **row})
            batch.outcomes.append(outcome)
        return batch

    def cancel_all(self, call: Call) -> Any:
        """Of a contract, or of a currency."""
        if not call.is_linear():
            return {"list": [], "success": "1"}
        is_asked = asked_contracts(self.desk, call)
        orders = [order for order in self.desk.engine.open_orders(call.key) if is_asked(order.symbol)]
        ended = [self.desk.cancel(call.request, call.key, order_id=order.id) for order in orders]
        return {"list": [_ids(order) for order in ended if isinstance(order, Order)], "success": "1"}

    def open_orders(self, call: Call) -> Any:
        """Newest first; by its id an order that has ended as well."""
        if not call.is_linear():
            return empty_page(call)
        limit = call.limit(DEFAULT_PAGE, MOST_ON_PAGE)
        if call.text("orderId", "") or call.text("orderLinkId", ""):
            order = self._named(call)
            orders = [order] if order is not None else []
        else:
            is_asked = asked_contracts(self.desk, call)
            orders = [order for order in self.desk.open_orders(call.request, call.key) if is_asked(order.symbol)]
        return page_of(call, [Entry((order.id, 0), self._row(order, call)) for order in orders], limit)

    def _order_request(self, call: Call) -> OrderRequest:
        item = instrument(self.desk, call)
        kind, side = _word(call, "orderType", _TYPES), call.text("side")
        if side not in ("Buy", "Sell"):
            raise invalid("side")
        pside = _SIDE_OF_INDEX.get(call.integer("positionIdx") or 0)
        if pside is None:
            raise invalid("positionIdx")
        client_id = call.text("orderLinkId", "")
        if len(client_id) > LONGEST_ID:
            raise VenueError(PARAMETER_ERROR, "OrderLinkedID is too long")
        is_limit = kind == "limit"
        return OrderRequest(
            item.symbol, "buy" if side == "Buy" else "sell", pside, kind, call.number("qty"),
            call.number("price") if is_limit else 0.0,
            _word(call, "timeInForce", _TIMES, "GTC") if is_limit else "ioc",
            call.text("reduceOnly", "false").lower() == "true", client_id,
        )  # fmt: skip

    def _named(self, call: Call) -> Order | None:
        """The order of `orderId`, else of `orderLinkId`; one of both is needed."""
        text, client_id = call.text("orderId", ""), call.text("orderLinkId", "")
        if text:
            return call.account.find_order(int(text)) if text.isdecimal() else None
        if not client_id:
            raise VenueError(PARAMETER_ERROR, "params error: orderId or orderLinkId is needed")
        return call.account.find_order(client_id=client_id)

    def _row(self, order: Order, call: Call) -> dict[str, Any]:
        return order_row(order, self.desk.venue.market.by_symbol[order.symbol], call.account)


def _ids(order: Order) -> dict[str, Any]:
    return {"orderId": str(order.id), "orderLinkId": order.client_id}


def _word(call: Call, name: str, known: Mapping[str, Word], default: str | None = None) -> Word:
    word = call.text(name, default)
    if word not in known:
        raise invalid(name)
    return known[word]
