"""The markets of an exchange, fetched at most once a day and kept on disk (`candles.md` 3.2)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import paths
from core.clock import DAY_MS, Clock
from core.errors import DataError
from core.files import read_json, write_json
from core.turns import taking_turns
from markets.market import is_imported
from markets.symbols import MAP_LOCK_SECONDS, CoinMaps, short_exchange

logger = logging.getLogger(__name__)

Markets = dict[str, dict[str, Any]]


async def load_markets_cached(
    client: Any, cache_dir: Path, exchange: str, clock: Clock, *, quote: str | None = None, max_age_ms: int = DAY_MS
) -> Markets:
    """CCXT's `markets` mapping of an exchange: from `caches/{exchange}/markets.json` if young enough, else fetched.

    A fetch rewrites the file and the coin maps; entries that a user imported and the exchange does not list survive.
    The client knows the exchange's markets afterwards. Errors of the client are passed on.
    """
    path = paths.markets_file(cache_dir, short_exchange(exchange))
    markets = _young(path, clock, max_age_ms)
    if markets is None:
        async with taking_turns(path):
            markets = _young(path, clock, max_age_ms) or await _fetch(client, path, clock)
    if not client.markets:
        client.set_markets({symbol: entry for symbol, entry in markets.items() if not is_imported(entry)})
    logger.debug("markets_loaded exchange=%s count=%d source=%s", exchange, len(markets), path)
    CoinMaps(cache_dir).update(exchange, markets, quote)
    return markets


def _young(path: Path, clock: Clock, max_age_ms: int) -> Markets | None:
    """What is on disk, if an exchange listed it and not too long ago."""
    cached = _read(path)
    if cached is None or _age_ms(path, clock) >= max_age_ms or all(map(is_imported, cached.values())):
        return None
    return cached


async def _fetch(client: Any, path: Path, clock: Clock) -> Markets:
    listed: Markets = await client.load_markets(True)
    markets = _with_imported(listed, _read(path) or {})
    _write(path, markets, clock)
    logger.info("markets_loaded exchange=%s count=%d source=remote", short_exchange(client.id), len(listed))
    return markets


def _read(path: Path) -> Markets | None:
    """The mapping on disk; None if there is none. A damaged one is fetched anew, and logged."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except DataError as exc:
        logger.warning("%s", exc)
        return None
    return content if isinstance(content, dict) and content else None


def _age_ms(path: Path, clock: Clock) -> int:
    return clock.now_ms() - path.stat().st_mtime_ns // 1_000_000


def _with_imported(listed: Mapping[str, dict[str, Any]], cached: Mapping[str, dict[str, Any]]) -> Markets:
    imported = {symbol: entry for symbol, entry in cached.items() if is_imported(entry)}
    return {**imported, **listed}


def _write(path: Path, markets: Markets, clock: Clock) -> None:
    """Replace the file under its lock; if another process holds that too long, the write will be made up for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=MAP_LOCK_SECONDS):
            write_json(path, markets, indent=1)
            os.utime(path, (clock.now_ms() / 1000.0,) * 2)  # its age is judged by the same clock
    except Timeout:
        logger.warning("%s is locked by another process: not updated", path)
