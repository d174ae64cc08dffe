"""When each coin's candles begin: on one exchange, and on any (`candles.md` 13). Three JSON files, lowered only.

What an exchange was asked for is remembered in them; a coin that nobody knew is asked for again next time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import paths
from core.clock import DAY_MS
from core.errors import CandleFetchError, DataError
from core.files import read_json, write_json
from core.tasks import together
from core.turns import taking_turns
from markets.symbols import normalize_exchange, short_exchange

logger = logging.getLogger(__name__)

BATCH = 10
UNIFIED_EXCHANGES = ("binance", "bybit", "gateio", "okx", "hyperliquid")
LAST_RESORT = "bitget"  # its search takes many requests: only for coins that none of the others has

AskFirst = Callable[[str], Awaitable["int | None"]]
"""The first candle of a coin on one exchange in ms, None if it has none. May raise CandleFetchError."""


async def ask_missing(cache_dir: Path, exchange: str, coins: Sequence[str], ask: AskFirst) -> dict[str, int]:
    """`{coin: ms}` of one exchange, from its file, else by asking, ten coins at a time; 0 where nobody knows.

    A coin that could not be asked for is logged and counts as unknown.
    """
    known = _known(cache_dir, exchange)
    if not known.keys() >= set(coins):
        async with taking_turns(paths.first_timestamps_file(cache_dir, short_exchange(exchange))):
            known = await _ask_missing(cache_dir, exchange, coins, ask)
    return {coin: known.get(coin, 0) for coin in coins}


def _known(cache_dir: Path, exchange: str) -> dict[str, int]:
    return {coin: int(ts) for coin, ts in first_on_exchange(cache_dir, exchange).items() if ts}


async def _ask_missing(cache_dir: Path, exchange: str, coins: Sequence[str], ask: AskFirst) -> dict[str, int]:
    known = _known(cache_dir, exchange)
    missing = [coin for coin in coins if coin not in known]
    for at in range(0, len(missing), BATCH):
        batch = missing[at : at + BATCH]
        answers = await together(*(_asked(exchange, coin, ask) for coin in batch))
        found = {coin: ts for coin, ts in zip(batch, answers, strict=True) if ts}
        if found:
            lower_first_timestamps(cache_dir, exchange, found)
            known |= found
    return known


async def _asked(exchange: str, coin: str, ask: AskFirst) -> int:
    try:
        return await ask(coin) or 0
    except CandleFetchError as exc:
        logger.warning("the first candle of %s on %s stays unknown: %s", coin, exchange, exc)
        return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a mapping of coins to times; delete it to have it made anew")
    return content


def first_on_exchange(cache_dir: Path, exchange: str) -> dict[str, float]:
    """`{coin: ms}` of one exchange, 0 where it is unknown."""
    return _read(paths.first_timestamps_file(cache_dir, short_exchange(exchange)))


def first_anywhere(cache_dir: Path) -> dict[str, float]:
    """`{coin: ms}` over all exchanges, 0 where it is unknown."""
    return _read(paths.unified_first_timestamps_file(cache_dir))


def lower_first_timestamps(cache_dir: Path, exchange: str, firsts: Mapping[str, int]) -> None:
    """Enter first candles of coins on an exchange: the smaller of the known non-zero time and the new one stays."""
    by_exchange = paths.unified_first_timestamps_by_exchange_file(cache_dir)
    by_exchange.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(by_exchange.with_name(f".{by_exchange.name}.lock"), timeout=60):
        for path in (
            paths.first_timestamps_file(cache_dir, short_exchange(exchange)),
            paths.unified_first_timestamps_file(cache_dir),
        ):
            _write(path, _lowered(_read(path), firsts))
        nested = _read(by_exchange)
        ccxt_id = normalize_exchange(exchange)
        for coin, ts in firsts.items():
            nested[coin] = _lowered(nested.get(coin, {}), {ccxt_id: ts})
        _write(by_exchange, nested)


def _lowered(known: Mapping[str, float], new: Mapping[str, int]) -> dict[str, float]:
    return {**known, **{key: min(known.get(key) or ts, ts) for key, ts in new.items()}}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_json(path, content, indent=4, sort_keys=True)


def is_old_enough(first_ms: float, now_ms: int, minimum_age_days: float) -> bool:
    """Whether the live bot may choose a coin by its age. An unknown first candle (0) counts as too young.

    Without a minimum age every coin is old enough.
    """
    return minimum_age_days <= 0 or (first_ms != 0 and now_ms - first_ms > minimum_age_days * DAY_MS)
