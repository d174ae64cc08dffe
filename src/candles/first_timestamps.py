"""When each coin's candles begin: on one exchange, and on any (`candles.md` 13). Three JSON files, lowered only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import paths
from core.errors import DataError
from core.files import read_json, write_json
from markets.symbols import normalize_exchange, short_exchange


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
