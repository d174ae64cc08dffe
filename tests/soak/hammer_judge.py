"""What a hammered cache must be like: sound as it is, and after one last manager the same as an undisturbed one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from hammer_venue import SYMBOLS, VENUES, Holes, Truth
from hammer_worker import cache_of, open_seen

from candles.disk.parquet import read_file
from candles.disk.store import CandleStore
from candles.rows import equal_values
from candlestick_manager import CandlestickManager
from core.clock import HOUR_MS, ManualClock
from core.clock import MINUTE_MS as M
from core.errors import DataError
from exchanges.network import ExchangeNetwork
from markets.candle import ARCHIVE_FILL

ASKED_UNTIL_PERSISTENT = 3
FRAMES = ("1m", "1h")


def unsound(folder: Path, holes: Holes, clock: ManualClock) -> list[str]:
    """What is wrong with the cache as the killed and stopped processes left it."""
    cache, truth = cache_of(folder), Truth(holes)
    found = damaged(cache, clock)
    for venue, symbol, store in stores(cache, clock, "1m"):
        rows = store.read(symbol)
        wrong = truth.wrong(symbol, rows[rows["src"] != ARCHIVE_FILL])
        found += [f"{venue} {symbol}: {wrong}"] if wrong else []
        seen = holes.start + np.flatnonzero(open_seen(folder, venue, symbol)) * M
        lost = np.setdiff1d(seen, rows["ts"])
        found += [f"{venue} {symbol}: {len(lost)} rows are lost, the first at {lost[0]}"] if len(lost) else []
        for gap in store.read_meta(symbol).known_gaps:
            inside = ((rows["ts"] >= gap.start_ts) & (rows["ts"] <= gap.end_ts)).sum()
            found += [f"{venue} {symbol}: {inside} rows inside the known gap {gap}"] if inside else []
    return found


def damaged(cache: Path, clock: ManualClock) -> list[str]:
    """Files that cannot be read or that were put aside."""
    found = [f"in quarantine: {path}" for path in cache.rglob("quarantine/*")]
    for path in cache.rglob("meta.json"):
        try:
            json.loads(path.read_text())
        except ValueError as exc:
            found.append(f"{path}: {exc}")
    for frame in FRAMES:
        for _, symbol, store in stores(cache, clock, frame):
            for path in store.files(symbol):
                try:
                    read_file(path, store._identity(symbol, path.name))
                except DataError as exc:
                    found.append(str(exc))
    return found


def stores(cache: Path, clock: ManualClock, frame: str) -> list[tuple[str, str, CandleStore]]:
    return [
        (venue, symbol, CandleStore(cache, venue, clock, frame))
        for venue in VENUES
        for symbol in SYMBOLS
    ]  # fmt: skip


async def complete(network: ExchangeNetwork, cache: Path, start: int, clock: ManualClock) -> int:
    """Ask for everything until what is missing counts as missing for good; the rows there are."""
    rows = 0
    for venue in VENUES:
        client = await network.client(venue)
        client.timeout_on_exit = 0
        for attempt in range(ASKED_UNTIL_PERSISTENT):
            manager = CandlestickManager(
                client, venue, cache_dir=cache, clock=clock, max_disk_candles_per_symbol_per_tf=0, compact=True,
                rewrite_archive_url=network.archive_url,
            )  # fmt: skip
            async with manager:
                for symbol in SYMBOLS:
                    whole: dict[str, Any] = {"start_ts": start, "strict": True, "force_refetch_gaps": attempt == 0}
                    rows += len(await manager.get_candles(symbol, **whole)) if attempt == 0 else 0
                    await manager.get_candles(symbol, **(whole | {"force_refetch_gaps": False}))
                    await manager.get_candles(symbol, **(whole | {"force_refetch_gaps": False}), tf="1h")
    return rows


def tidy(cache: Path, clock: ManualClock) -> int:
    """Let an hour pass for what the killed have left, write once more everywhere; the files that were left over."""
    left = list(cache.glob("ohlcv/**/*.tmp"))
    for path in left:
        aged = path.stat().st_mtime - 2 * HOUR_MS / 1000
        os.utime(path, (aged, aged))
    for frame in FRAMES:
        for _, symbol, store in stores(cache, clock, frame):
            store.write(symbol, store.read_last_before(symbol, clock.now_ms()))
    return len(left)


def differences(cache: Path, reference: Path, clock: ManualClock) -> list[str]:
    """In what the caches differ: rows to the bit, gaps with their spans and persistence, files left over."""
    found = damaged(cache, clock) + [f"left over: {path}" for path in cache.glob("ohlcv/**/*.tmp")]
    for frame in FRAMES:
        for (venue, symbol, one), (_, _, other) in zip(
            stores(cache, clock, frame), stores(reference, clock, frame), strict=True
        ):
            name = f"{venue} {symbol} {frame}"
            found += [f"{name}: {text}" for text in _row_differences(one, other, symbol)]
            found += [f"{name}: {text}" for text in _gap_differences(one, other, symbol)]
    return found


def _row_differences(one: CandleStore, other: CandleStore, symbol: str) -> list[str]:
    mine, theirs = one.read(symbol), other.read(symbol)
    if equal_values(mine, theirs):
        return []
    missing, extra = np.setdiff1d(theirs["ts"], mine["ts"]), np.setdiff1d(mine["ts"], theirs["ts"])
    counts = f"{len(mine)} rows instead of {len(theirs)}"
    return [f"{counts}; missing {missing[:3]}, too many {extra[:3]}, or other values in common rows"]


def _gap_differences(one: CandleStore, other: CandleStore, symbol: str) -> list[str]:
    mine, theirs = (
        {(gap.start_ts, gap.end_ts, gap.persistent) for gap in store.read_meta(symbol).known_gaps}
        for store in (one, other)
    )
    only, lacking = sorted(mine - theirs), sorted(theirs - mine)
    return [f"known gaps: only here {only[:3]}, lacking {lacking[:3]}"] if only or lacking else []
