"""Foreign orders and a second bot (`additions.md` 14)."""

from __future__ import annotations

from typing import Any

import pytest

from exchanges.protocol import OpenOrder
from live.account.strangers import StrangerPolicies, sort_by_origin


def order(custom_id: str, ts_ms: int = 0) -> OpenOrder:
    return OpenOrder(custom_id or "7", "A", "buy", "long", 1.0, 2.0, custom_id, ts_ms)


OURS, FOREIGN, SECOND = order("ours-1", 2000), order("", 2000), order("ours-2", 2000)


def sort(*orders: OpenOrder, foreign: Any = "cancel", second: Any = "stop_opening", ids_known: bool = True) -> Any:
    policies = StrangerPolicies(foreign, second, ids_known)
    return sort_by_origin(orders, lambda o: o.custom_id.startswith("ours"), {"ours-1"}, 1000, policies)


@pytest.mark.parametrize(
    ("policy", "managed", "stops"), [("cancel", True, False), ("leave", False, False), ("stop_opening", False, True)]
)
def test_foreign_orders(policy: Any, managed: bool, stops: bool) -> None:
    """They are reconciled like ours (and so cancelled), left alone, or keep new positions from being opened."""
    result = sort(OURS, FOREIGN, foreign=policy)
    assert result.managed == ((OURS, FOREIGN) if managed else (OURS,))
    assert result.foreign == (FOREIGN,)
    assert result.stop_opening == ("order 7 on A is not ours" if stops else None)


@pytest.mark.parametrize("policy", ["stop_opening", "ignore"])
def test_second_bot(policy: Any) -> None:
    """An order that looks like ours, newer than our start, which we did not send."""
    result = sort(OURS, SECOND, second=policy)
    assert (result.managed, result.second_bot) == ((OURS, SECOND), (SECOND,))
    assert (result.stop_opening is not None) == (policy == "stop_opening")


def test_our_earlier_orders() -> None:
    """What rested before our start is from our own last run."""
    assert sort(order("ours-2", 1000)).second_bot == ()
    assert sort(order("ours-2", 1000)).stop_opening is None


def test_venue_without_ids() -> None:
    """Where there are no client ids nobody is a stranger."""
    assert sort(OURS, FOREIGN, SECOND, foreign="stop_opening", ids_known=False).managed == (OURS, FOREIGN, SECOND)
    assert sort(FOREIGN, foreign="stop_opening", ids_known=False).stop_opening is None
