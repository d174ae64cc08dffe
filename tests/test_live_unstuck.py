"""The unstuck allowance (`live.md` 10, `additions.md` 13)."""

from __future__ import annotations

from typing import Any

import pytest

from live.fills.positions import with_positions
from live.fills.record import FillEvent
from live.planning.unstuck import UnstuckRules, gross_pnls, unstuck_allowances


def long_allowance(pnls: list[float], balance: float, pct: float, total: float = 1.0) -> float:
    allowances = unstuck_allowances(pnls, balance, {"long": UnstuckRules(pct, total)})
    assert allowances["short"] == 0.0
    return allowances["long"]


@pytest.mark.parametrize(
    ("pnls", "balance", "pct", "total", "allowance"),
    [
        ([0.0], 1000.0, 0.00106, 1.25, 1.325),
        ([5.0], 1000.0, 0.00106, 1.25, 1.325),
        ([50.0, -10.0], 990.0, 0.02, 1.0, 9.999999999999991),
        ([200.0, -200.0], 900.0, 0.05, 1.0, 0.0),
        ([-10.0], 990.0, 0.02, 1.0, 9.999999999999991),  # the peak was 0, before the first fill
        ([], 1000.0, 0.02, 1.0, 0.0),
        ([50.0], 1000.0, 0.0, 1.0, 0.0),
        ([50.0], 1000.0, -0.1, 1.0, 0.0),
    ],
)
def test_allowance(pnls: list[float], balance: float, pct: float, total: float, allowance: float) -> None:
    """A share of the peak balance less what was lost since; none without fills."""
    assert long_allowance(pnls, balance, pct, total) == allowance


def test_sides() -> None:
    """Both sides draw on the same profits, each with its own share."""
    rules: Any = {"long": UnstuckRules(0.01, 1.0), "short": UnstuckRules(0.02, 2.0)}
    assert unstuck_allowances([1.0], 1000.0, rules) == {"long": pytest.approx(10.0), "short": pytest.approx(40.0)}


def fill(timestamp: int, qty: float, price: float, pnl: float, pside: str = "long") -> FillEvent:
    side = "buy" if qty > 0.0 else "sell"
    return FillEvent(f"{timestamp}", timestamp, "", "A", side, pside, qty, price, pnl, None, "", "", 0.0, 0.0, [])


def test_gross_profit() -> None:
    """Closes against the average price, whatever the exchange took off; entries have none."""
    fills = [fill(1, 2.0, 100.0, -0.1), fill(2, 2.0, 90.0, -0.1), fill(3, -1.0, 105.0, 9.8), fill(4, -3.0, 94.0, -3.2)]
    annotated = with_positions(fills, lambda symbol: 10.0)
    assert gross_pnls(annotated, lambda symbol: 10.0) == [0.0, 0.0, 100.0, -30.0]
    assert gross_pnls(annotated, lambda symbol: 10.0, since_ms=3) == [100.0, -30.0]
    short = with_positions([fill(1, -2.0, 100.0, 0.0, "short"), fill(2, 1.0, 90.0, 9.9, "short")], lambda symbol: 1.0)
    assert gross_pnls(short, lambda symbol: 1.0) == [0.0, 10.0]


def test_position_older_than_the_history() -> None:
    """Where the entry is not known the delivered profit stands in."""
    assert gross_pnls(with_positions([fill(1, -1.0, 105.0, 4.9)], lambda symbol: 1.0), lambda symbol: 1.0) == [4.9]
