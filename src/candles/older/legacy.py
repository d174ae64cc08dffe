"""Candle caches of older versions: where they are and what is in their files (`candles.md` 19). Nothing here writes.

caches/ohlcv/{exchange}/{timeframe}/{symbol}/YYYY-MM-DD.npy   SHARDS: records ts,o,h,l,c,bv; index.json beside them
historical_data/ohlcvs_{exchange}/{coin or market id}/        HISTORY: YYYY-MM-DD.npy, YYYY-MM.npy: rows of numbers
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from candles.columns import Floats
from candles.disk.store import period_bounds
from candles.fill import sort_candles
from candles.gaps import KnownGap, parse_gaps
from core import paths
from core.errors import DataError, StoreError
from core.files import read_json
from markets.candle import CANDLE_DTYPE, PRICE_FIELDS, UNKNOWN, VALUE_FIELDS, Candles, timeframe_ms
from markets.symbols import short_exchange

logger = logging.getLogger(__name__)

SHARDS, HISTORY = "shards", "history"  # where both have a minute, the later wins
INDEX_NAME = "index.json"
_TIMEFRAME = re.compile(r"\d+[smhd]")
_SYMBOL = re.compile(r"(.+)_([A-Z0-9]+)[:_]([A-Z0-9]+)")


@dataclass(frozen=True, slots=True)
class LegacyFolder:
    """One market's files of one kind."""

    path: Path
    kind: str
    exchange: str
    timeframe: str

    @property
    def symbol(self) -> str | None:
        """The symbol that the folder is named after: `BTC_USDT:USDT`, `BTC_USDT_USDT`; None if it is another name."""
        match = _SYMBOL.fullmatch(self.path.name)
        return f"{match[1]}/{match[2]}:{match[3]}" if match else None

    def files(self) -> list[Path]:
        """Its candle files, a month's before those of its days."""
        return sorted(
            filter(_is_candle_file, self.path.iterdir()), key=lambda path: (path.stem[:7], len(path.stem), path)
        )


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What `index.json` says: the CRC-32 of files by name, and the known gaps."""

    crc32: Mapping[str, int]
    gaps: tuple[KnownGap, ...]


def find_folders(source: Path) -> list[LegacyFolder]:
    """The older caches below a working directory, or below `caches`, `ohlcv` or `historical_data` itself."""
    ohlcv = [path for path in (source / "caches" / "ohlcv", source / "ohlcv", source) if path.name == "ohlcv"]
    shards = (folder for root in ohlcv for folder in _shard_folders(root))
    history = (folder for root in (source / "historical_data", source) for folder in _history_folders(root))
    return [folder for folder in (*shards, *history) if any(map(_is_candle_file, folder.path.iterdir()))]


def legacy_hint(cache_dir: Path, exchange: str) -> str | None:
    """A line for users whose candles of an exchange are all in an older cache; None for others."""
    root = paths.ohlcv_dir(cache_dir, short_exchange(exchange))
    roots = [root, *root.parent.glob(f"{root.name}usdm"), *root.parent.glob(f"{root.name}futures")]
    if any(root.glob("*/*/*.parquet")) or not any(found for root in roots for found in root.glob("*/*/*.npy")):
        return None
    return (
        f"{root} holds candles of an older version only, which are not read; "
        f"take them over with `python3 src/tools/migrate_historical_data.py --exchange {root.name} --execute`"
    )


def log_hint(cache_dir: Path, exchange: str) -> None:
    """Give the hint where there is one."""
    if hint := legacy_hint(cache_dir, exchange):
        logger.warning(hint)


def _shard_folders(root: Path) -> Iterator[LegacyFolder]:
    for path in _folders(root, "*/*/*"):
        timeframe, exchange = path.parent.name, path.parent.parent.name
        if _TIMEFRAME.fullmatch(timeframe):
            yield LegacyFolder(path, SHARDS, short_exchange(exchange), timeframe)


def _history_folders(root: Path) -> Iterator[LegacyFolder]:
    for path in _folders(root, "ohlcvs_*/*"):
        exchange = path.parent.name.removeprefix("ohlcvs_")
        yield LegacyFolder(path, HISTORY, "binance" if exchange == "futures" else short_exchange(exchange), "1m")


def _folders(root: Path, pattern: str) -> Iterable[Path]:
    return sorted(path for path in root.glob(pattern) if path.is_dir())


def _is_candle_file(path: Path) -> bool:
    return path.suffix == ".npy" and file_period(path) is not None


def file_period(path: Path) -> tuple[int, int] | None:
    """First moment and end (exclusive) in ms of the day or month a file is named after."""
    return period_bounds(f"{path.stem}.parquet")


def read_index(folder: LegacyFolder) -> ShardIndex:
    """The folder's index, empty if it has none. Raises DataError for one that cannot be understood."""
    path = folder.path / INDEX_NAME
    if folder.kind != SHARDS or not path.exists():
        return ShardIndex({}, ())
    content = read_json(path)
    try:
        shards = content.get("shards") or {}
        entries = shards.items() if isinstance(shards, dict) else ((entry["path"], entry) for entry in shards)
        known = ((str(entry.get("path") or f"{key}.npy"), entry.get("crc32")) for key, entry in entries)
        crc32 = {re.split(r"[/\\]", name)[-1]: int(value) for name, value in known if value is not None}
        gaps = parse_gaps((content.get("meta") or {}).get("known_gaps") or ())
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as exc:
        raise DataError(
            f"{path} is no index of candle files ({exc}); remove it to go without its sums and gaps"
        ) from exc
    return ShardIndex(crc32, tuple(gap for gap in gaps if gap.reason != "pre_inception"))


def read_legacy_file(path: Path, timeframe: str, crc32: int | None = None) -> tuple[Candles, int]:
    """The rows of a file, ascending, and the number of rows that were no candles of its period.

    Raises DataError for a file that is damaged, has another checksum than `crc32`, or holds no candle.
    """
    array = load_array(path)
    if crc32 is not None and array.dtype.names and record_crc32(array) != crc32:
        raise DataError(f"{path} is damaged: its CRC-32 is {record_crc32(array)}, its index says {crc32}")
    start, end = file_period(path) or (0, 0)
    candles = rows_of(path, array)
    sound = (candles["ts"] >= start) & (candles["ts"] < end) & (candles["ts"] % timeframe_ms(timeframe) == 0)
    for name in PRICE_FIELDS:
        sound &= np.isfinite(candles[name]) & (candles[name] > 0.0)
    sound &= np.isfinite(candles["bv"]) & (candles["bv"] >= 0.0)
    if len(candles) and not sound.any():
        raise DataError(f"{path}: none of its {len(candles)} rows is a candle of {path.stem}")
    return sort_candles(candles[sound]), int((~sound).sum())


def load_array(path: Path) -> npt.NDArray[Any]:
    """The array in a file. Raises DataError for a damaged file, StoreError for one that may not be read."""
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except OSError as exc:
        raise StoreError(f"{path} cannot be read: {exc.strerror or exc}; check its permissions") from exc
    except (ValueError, EOFError) as exc:
        raise DataError(f"{path} is damaged: {' '.join(str(exc).split())}") from exc
    return array


def rows_of(path: Path, array: npt.NDArray[Any]) -> Candles:
    """The rows of an array as they stand in it, sound or not. Raises DataError for an array of another kind."""
    return _candles(_columns(path, array))


def record_crc32(records: npt.NDArray[np.void]) -> int:
    """CRC-32 of records sorted by time."""
    return zlib.crc32(np.sort(records, order="ts", kind="stable").tobytes())


def _columns(path: Path, array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    names = array.dtype.names
    if names and {"ts", *VALUE_FIELDS} <= set(names):
        return [array[name] for name in ("ts", *VALUE_FIELDS)]
    if not names and array.ndim == 2 and array.shape[1] >= 6 and array.dtype.kind in "fiu":
        return [array[:, i] for i in range(6)]
    raise DataError(
        f"{path} holds {array.dtype} of shape {array.shape}: neither candle records nor rows of six numbers"
    )


def _candles(columns: list[npt.NDArray[Any]]) -> Candles:
    """Rows as they stand in the file; times in s or ms by their size, -1 for what is no time."""
    time = columns[0].astype(np.float64)
    known = np.isfinite(time) & (np.abs(time) < 1e15)
    per_unit = 1000.0 if np.abs(time[known]).max(initial=0.0) < 1e11 else 1.0
    out = np.empty(len(time), CANDLE_DTYPE)
    out["ts"] = np.where(known, np.rint(np.where(known, time, 0.0) * per_unit), -1.0)
    for name, column in zip(VALUE_FIELDS, columns[1:], strict=True):
        out[name] = shortest_decimals(column) if column.dtype == np.float32 else column
    out["src"] = UNKNOWN
    return out


def shortest_decimals(numbers: npt.NDArray[np.float32]) -> Floats:
    """The shortest decimal numbers that round to the given ones: `65432.171875` was `65432.17` (`candles.md` 24)."""
    text = pa.array(np.ascontiguousarray(numbers), type=pa.float32()).cast(pa.string())
    return np.asarray(text.cast(pa.float64()).to_numpy(zero_copy_only=False))
