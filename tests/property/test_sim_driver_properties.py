"""How often somebody looks at the venue decides when fills are seen, not which (`exchange_simulator.md` 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE_MS
from exchange_sim.driver import Driver
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.sources import ArraySource
from exchange_sim.trading.engine import Engine, Options
from exchange_sim.trading.records import BINANCE
from markets.candle import CANDLE_DTYPE, REST
from sim_engine_cases import KEY, A, market, order

T0 = 1_750_032_000_000
PRICES = st.integers(90, 110).map(float)
CANDLES = st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), min_size=1, max_size=5)
LOOKS = st.lists(st.integers(1, 5 * MINUTE_MS), max_size=12)
AWAY = st.integers(1, 12)  # from the last price, which is 100
ENTRY = AWAY.map(lambda away: f"buy long 1 @ {100 - away}.5") | AWAY.map(lambda away: f"sell short 1 @ {100 + away}.5")
ENTRIES = st.lists(ENTRY, min_size=1, max_size=6)


def fills(candles: Sequence[tuple[float, ...]], entries: Sequence[str], looks: Sequence[int]) -> set[tuple[int, float]]:
    """Order id and price of each fill, where the driver is asked at these times."""
    rows = np.zeros(len(candles) + 1, CANDLE_DTYPE)
    rows["ts"], rows["src"], rows["bv"] = T0 + MINUTE_MS * np.arange(-1, len(candles)), REST, 1000.0
    for i, candle in enumerate([(100.0,) * 4, *candles]):
        rows["o"][i], rows["c"][i], rows["h"][i], rows["l"][i] = candle[0], candle[-1], max(candle), min(candle)
    engine = Engine({A: market(A)}, BINANCE, Options(starting_balance=1e6))
    engine.account(KEY).hedge = True
    item = Instrument("A", market(A), T0 - MINUTE_MS)
    driver = Driver(VenueMarket([item], ArraySource({A: rows}).minutes), {"binance": engine}, T0)
    for words in entries:
        engine.submit(KEY, order(words), T0)
    for look in (*sorted(looks), len(candles) * MINUTE_MS):
        driver.advance(T0 + look)
    assert all(T0 <= fill.ts <= T0 + len(candles) * MINUTE_MS for fill in engine.fills(KEY))
    return {(fill.order_id, fill.price) for fill in engine.fills(KEY)}


@settings(max_examples=200, deadline=None)
@given(CANDLES, ENTRIES, LOOKS)
def test_looking_changes_nothing(candles: list[tuple[float, ...]], entries: list[str], looks: list[int]) -> None:
    """Orders that rest from the start are filled the same, whatever the times at which the driver is asked."""
    assert fills(candles, entries, [t for t in looks if t < len(candles) * MINUTE_MS]) == fills(candles, entries, [])
