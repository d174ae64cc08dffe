"""Balance hysteresis (`live.md` 5.1)."""

from __future__ import annotations

import math

import pytest

from core.errors import DataError
from live.account.balance import accepted_balance


@pytest.mark.parametrize(
    ("fetched", "pct", "accepted"),
    [
        (1019.99, 0.02, 1000.0),
        (1020.0, 0.02, 1000.0),
        (1020.01, 0.02, 1020.01),
        (979.0, 0.02, 979.0),
        (1000.0001, 0.0, 1000.0001),
        (1000.0001, -1.0, 1000.0001),
    ],
)
def test_hysteresis(fetched: float, pct: float, accepted: float) -> None:
    """Only a movement larger than the fraction of the last accepted balance counts."""
    assert accepted_balance(fetched, 1000.0, pct) == accepted


def test_first_balance() -> None:
    """The first one is accepted; so is any after one of zero."""
    assert accepted_balance(5.0, None, 0.02) == 5.0
    assert accepted_balance(5.0, 0.0, 0.02) == 5.0


@pytest.mark.parametrize("fetched", [None, math.nan, math.inf])
def test_no_number(fetched: float | None) -> None:
    """Without a number the cycle fails, also the first one."""
    with pytest.raises(DataError, match="the exchange gave the balance"):
        accepted_balance(fetched, None, 0.02)
