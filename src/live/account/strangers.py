"""Orders on the account that this process did not send: foreign ones and those of a second bot (`additions.md` 14)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core.terms import ForeignPolicy, SecondInstancePolicy
from exchanges.protocol import OpenOrder


@dataclass(frozen=True, slots=True)
class StrangerPolicies:
    """`live.foreign_orders` and `live.second_instance`; `ids_known` is False where a venue has no client ids."""

    foreign: ForeignPolicy
    second_instance: SecondInstancePolicy
    ids_known: bool = True


@dataclass(frozen=True, slots=True)
class SortedOrders:
    """Open orders by origin: those that reconciliation may see, foreign ones, those of a second bot of ours.

    `stop_opening` says why no position may be opened, or is None.
    """

    managed: tuple[OpenOrder, ...]
    foreign: tuple[OpenOrder, ...] = ()
    second_bot: tuple[OpenOrder, ...] = ()
    stop_opening: str | None = None


def sort_by_origin(
    orders: Sequence[OpenOrder],
    is_ours: Callable[[OpenOrder], bool],
    sent_ids: Collection[str],
    started_ms: int,
    policies: StrangerPolicies,
) -> SortedOrders:
    """The open orders by origin. `is_ours` tells by the id, `sent_ids` are the client ids that this process sent.

    An order that looks like ours and is newer than our start although we did not send it is that of a second bot; it
    stays with the managed ones, as both want the same.
    """
    if not policies.ids_known:
        return SortedOrders(tuple(orders))
    foreign = tuple(order for order in orders if not is_ours(order))
    second_bot = tuple(
        order
        for order in orders
        if order.ts_ms > started_ms and order.custom_id not in sent_ids and order not in foreign
    )
    managed = orders if policies.foreign == "cancel" else [order for order in orders if order not in foreign]
    return SortedOrders(tuple(managed), foreign, second_bot, _why_not_open(foreign, second_bot, policies))


def _why_not_open(
    foreign: Sequence[OpenOrder], second_bot: Sequence[OpenOrder], policies: StrangerPolicies
) -> str | None:
    if second_bot and policies.second_instance == "stop_opening":
        order = second_bot[0]
        return f"order {order.custom_id} on {order.symbol} is ours, but another process sent it: a second bot"
    if foreign and policies.foreign == "stop_opening":
        return f"order {foreign[0].id} on {foreign[0].symbol} is not ours"
    return None
