"""Trailing state rebuilt from fills and candles (`live.md` 9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exchanges.protocol import HeldPosition
from live.fills.record import FillEvent
from live.planning.trailing import TrailingNeed, candles_since, default_bundle, trailing_bundle, trailing_needs
from markets.candle import CANDLE_DTYPE, Candles

DEFAULT = (1.7976931348623157e308, 0.0, 0.0, 1.7976931348623157e308)
WEEK_MS = 7 * 86_400_000


def candles(*rows: tuple[int, float, float, float]) -> Candles:
    table = np.zeros(len(rows), CANDLE_DTYPE)
    for name, values in zip(("ts", "h", "l", "c"), zip(*rows, strict=True), strict=True):
        table[name] = values
    return table


CHECKED = candles(
    (0, 99.0, 1.0, 50.0), (60, 11.0, 9.0, 10.0), (120, 12.0, 10.0, 11.0), (180, 9.0, 7.5, 8.0), (240, 15.0, 13.0, 14.0)
)


def fill(symbol: str, pside: str, timestamp: int) -> FillEvent:
    return FillEvent("1", timestamp, "", symbol, "buy", pside, 1.0, 1.0, 0.0, None, "", "", 1.0, 1.0, [])


@pytest.mark.parametrize(
    ("since", "bundle"),
    [
        (0, (7.5, 15.0, 15.0, 14.0)),
        (59, (7.5, 15.0, 15.0, 14.0)),
        (60, (7.5, 15.0, 15.0, 14.0)),
        (180, (13.0, 14.0, 15.0, 14.0)),
        (240, DEFAULT),
    ],
)
def test_bundle(since: int, bundle: Any) -> None:
    """Only candles that open after the last fill count; a new extreme starts its counter-extreme at the close."""
    assert trailing_bundle(CHECKED, since) == bundle


def test_bad_candles_and_none() -> None:
    """A candle with a price that is no number is passed over; without candles the default is sent."""
    assert trailing_bundle(candles((1, np.nan, 5.0, 6.0)), 0) == DEFAULT == default_bundle()
    assert trailing_bundle(np.zeros(0, CANDLE_DTYPE), 0) == DEFAULT


@pytest.mark.parametrize(
    ("entry", "close", "size", "needed"),
    [(0.0, 0.0, 1.0, False), (0.5, 0.0, 1.0, True), (0.0, -1.0, -1.0, True), (1.0, 1.0, 0.0, False)],
)
def test_need(entry: float, close: float, size: float, needed: bool) -> None:
    """Only positions with a trailing entry or close."""
    params: Any = {("A", "long"): {"entry_trailing_grid_ratio": entry, "close_trailing_grid_ratio": close}}
    assert bool(trailing_needs({("A", "long"): HeldPosition(size, 1.0)}, params, [], WEEK_MS)) is needed


def test_since() -> None:
    """The newest fill of symbol and side counts, 7 days without one; candles serve both sides of a symbol."""
    keys: Any = [("A", "long"), ("A", "short"), ("B", "long")]
    params = {key: {"entry_trailing_grid_ratio": 1.0, "close_trailing_grid_ratio": 0.0} for key in keys}
    fills = [fill("A", "long", 500), fill("A", "long", 300), fill("A", "short", 400), fill("C", "long", 900)]
    needs = trailing_needs(dict.fromkeys(keys, HeldPosition(1.0, 1.0)), params, fills, WEEK_MS + 100)
    assert needs == [TrailingNeed(key, since) for key, since in zip(keys, (500, 400, 100), strict=True)]
    assert candles_since(needs) == {"A": 400, "B": 100}
