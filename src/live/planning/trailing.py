"""Trailing state of a position: price extremes since its last fill, rebuilt each cycle (`live.md` 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from core.clock import DAY_MS
from exchanges.protocol import HeldPosition, Key
from live.fills.record import FillEvent
from markets.candle import Candles

WITHOUT_FILLS_MS = 7 * DAY_MS

# min_since_open, max_since_min, max_since_open, min_since_max
Bundle: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TrailingNeed:
    """A position that trails, and since when: candles that open later count."""

    key: Key
    since_ms: int


def trailing_needs(
    positions: Mapping[Key, HeldPosition],
    params: Mapping[Key, Mapping[str, float]],
    fills: Iterable[FillEvent],
    now_ms: int,
) -> list[TrailingNeed]:
    """The positions with a trailing entry or close; without a known fill of theirs the last 7 days count.

    `params` are the bot parameters of each symbol and side with a position.
    """
    last_changes = _last_changes(fills)
    return [
        TrailingNeed(key, last_changes.get(key, now_ms - WITHOUT_FILLS_MS))
        for key, position in positions.items()
        if position.size != 0.0 and _trails(params[key])
    ]


def candles_since(needs: Iterable[TrailingNeed]) -> dict[str, int]:
    """From when on candles of each symbol are needed: the earlier time of its sides."""
    since: dict[str, int] = {}
    for need in needs:
        symbol = need.key[0]
        since[symbol] = min(since.get(symbol, need.since_ms), need.since_ms)
    return since


def trailing_bundle(candles: Candles, since_ms: int) -> Bundle:
    """The extremes over the candles that open after `since_ms`; the default bundle without any."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    later = candles[candles["ts"] > since_ms]
    highs, lows, closes = (later[field].copy() for field in ("h", "l", "c"))
    return passivbot_rust.update_trailing_bundle_py(highs, lows, closes)


def default_bundle() -> Bundle:
    """What is sent for a side that does not trail."""
    import passivbot_rust  # lazily, as above

    return passivbot_rust.trailing_bundle_default_py()


def _trails(params: Mapping[str, float]) -> bool:
    return params["entry_trailing_grid_ratio"] != 0.0 or params["close_trailing_grid_ratio"] != 0.0


def _last_changes(fills: Iterable[FillEvent]) -> dict[Key, int]:
    newest: dict[Key, int] = {}
    for fill in fills:
        key: Key = (fill.symbol, "short" if fill.position_side == "short" else "long")
        newest[key] = max(newest.get(key, fill.timestamp), fill.timestamp)
    return newest
