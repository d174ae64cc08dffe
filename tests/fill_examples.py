"""Made-up fills of an account, some weeks of a small grid, the same ones every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.clock import DAY_MS, MINUTE_MS
from core.paths import fills_dir
from live.fills.positions import with_positions
from live.fills.record import FillEvent
from live.fills.store import FillMetadata, FillStore
from test_fill_records import fill

COINS = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "1000PEPE": 0.012}
OPENING = ("entry_initial_normal", "entry_grid_normal", "entry_grid_cropped")
CLOSING = ("close_grid", "close_grid", "close_trailing", "close_unstuck")


def made_up_fills(end_ms: int, days: int, seed: int = 0) -> list[FillEvent]:
    """Entries and closes of four coins on both sides, most with a small profit, unstucking with a loss."""
    rng = np.random.default_rng(seed)
    events = []
    for number in range(days * 12):
        ts = end_ms - days * DAY_MS + number * 2 * 60 * MINUTE_MS + int(rng.integers(60)) * MINUTE_MS
        coin = list(COINS)[int(rng.integers(len(COINS)))]
        pside = "long" if rng.random() < 0.7 else "short"
        closing = number % 3 == 2
        kind = (CLOSING if closing else OPENING)[int(rng.integers(3 + closing))]
        price = COINS[coin] * float(1.0 + rng.normal(0.0, 0.02))
        pnl = 0.0 if not closing else float(-6.0 if kind == "close_unstuck" else rng.gamma(2.0, 1.2))
        events.append(
            fill(
                id=f"{seed}{number:05d}", timestamp=ts, symbol=f"{coin}/USDT:USDT", position_side=pside,
                side="buy" if (pside == "long") != closing else "sell", qty=200.0 / price * (2.0 if closing else 1.0),
                price=price, pnl=pnl, fees={"currency": "USDT", "cost": 0.04}, pb_order_type=f"{kind}_{pside}",
            )
        )  # fmt: skip
    return events


def write_fills(cache_dir: Path, exchange: str, user: str, end_ms: int, days: int, seed: int = 0) -> list[FillEvent]:
    """Keep such fills below a cache directory, as the bot does."""
    events = with_positions(made_up_fills(end_ms, days, seed), lambda symbol: 1.0)
    store = FillStore(fills_dir(cache_dir, exchange, user))
    store.save_days(events, {event.day for event in events})
    first, last = events[0].timestamp, events[-1].timestamp
    store.save_metadata(FillMetadata(end_ms, first, last, end_ms - days * DAY_MS, end_ms))
    return events
