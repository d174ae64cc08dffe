"""A user's file of candles -> candle rows, with a report of what was wrong with it (`candles.md` 20.2)."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq

from candles.columns import Floats, floats, text_table
from candles.fill import sort_candles
from core.clock import MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError
from markets.candle import CANDLE_DTYPE, IMPORT, PRICE_FIELDS, VALUE_FIELDS, Candles

ALIASES = {
    "ts": ("ts", "timestamp", "time", "date", "datetime", "open_time"),
    "o": ("o", "open"),
    "h": ("h", "high"),
    "l": ("l", "low"),
    "c": ("c", "close"),
    "bv": ("bv", "v", "vol", "volume", "base_volume"),
}
MAX_BAD_SHARE = 0.001
ORDER_TOLERANCE = 1e-7
EARLIEST_TS = date_to_ts("2009")
_PER_MS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to understand the files; the fields are the flags of `import_candles.py`."""

    columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    ts_unit: str = "auto"
    tz: str = "UTC"
    ts_is: str = "open"
    volume: str = "base"


@dataclass(frozen=True, slots=True)
class FileReport:
    """Rows of a file: read, refused (the first few listed), with a time that came again."""

    rows: int
    dropped: int
    duplicates: int
    complaints: tuple[str, ...]


def read_candles(path: Path, options: ReadOptions, c_mult: float, now_ms: int) -> tuple[Candles, FileReport]:
    """The sound rows of a file, ascending. Raises DataError naming the file when it cannot be used as a whole."""
    try:
        table = _READERS[_suffix(path)](path, options)
        columns = _pick(table, options)
        candles = _candles(columns, options, c_mult)
    except DataError as exc:
        raise DataError(f"{path}: {exc}") from exc
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise DataError(f"{path} cannot be read: {' '.join(str(exc).split()) or type(exc).__name__}") from exc
    return _sound(path, candles, now_ms)


def is_candle_file(path: Path) -> bool:
    return _suffix(path) in _READERS


def _suffix(path: Path) -> str:
    return ".csv.gz" if path.name.lower().endswith(".csv.gz") else path.suffix.lower()


def _zip(path: Path, options: ReadOptions) -> pa.Table:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if not members:
            raise DataError("there is no CSV file in this archive")
        return pa.concat_tables([text_table(archive.read(name), header=options.header) for name in members])


def _npy(path: Path, _: ReadOptions) -> pa.Table:
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return pa.table({name: np.ascontiguousarray(array[name]) for name in array.dtype.names})
    if array.ndim != 2:
        raise DataError(f"an array of {array.ndim} dimensions, two are needed: rows of ts, o, h, l, c, v")
    return pa.table({str(i): np.ascontiguousarray(array[:, i]) for i in range(array.shape[1])})


_READERS: dict[str, Callable[[Path, ReadOptions], pa.Table]] = {
    ".csv": lambda path, options: text_table(path.read_bytes(), header=options.header),
    ".csv.gz": lambda path, options: text_table(gzip.decompress(path.read_bytes()), header=options.header),
    ".zip": _zip,
    ".parquet": lambda path, _: pq.read_table(path),
    ".feather": lambda path, _: pa.feather.read_table(path),
    ".npy": _npy,
}


def _pick(table: pa.Table, options: ReadOptions) -> dict[str, pa.ChunkedArray]:
    """The columns of the record: as the user says, by their names, or the first six where they have none."""
    names = {name.strip().lower(): i for i, name in enumerate(table.column_names)}
    nameless = not options.header or all(name.isdigit() for name in names)
    picked = {}
    for i, (target, aliases) in enumerate(ALIASES.items()):
        chosen = options.columns.get(target)
        if chosen is not None and chosen.lower() not in names:
            raise DataError(f"--columns {target}={chosen}: there is no such column, there are {table.column_names}")
        wanted = (chosen.lower(),) if chosen is not None else aliases
        at = next((names[name] for name in wanted if name in names), None)
        if at is None and nameless and i < table.num_columns:
            at = i
        if at is not None:
            picked[target] = table.column(at)
        elif target != "bv":
            raise DataError(
                f"no column for {aliases[-1]}, there are {table.column_names}; name it with --columns {target}=NAME"
            )
    return picked


def _candles(columns: Mapping[str, pa.ChunkedArray], options: ReadOptions, c_mult: float) -> Candles:
    out = np.empty(len(columns["ts"]), CANDLE_DTYPE)
    out["ts"] = _times(columns["ts"], options)
    for name in PRICE_FIELDS:
        out[name] = floats(columns[name])
    volume = floats(columns["bv"]) if "bv" in columns else np.zeros(len(out))
    with np.errstate(divide="ignore", invalid="ignore"):
        out["bv"] = volume / out["c"] if options.volume == "quote" else volume
    if options.volume == "contracts":
        out["bv"] *= c_mult
    out["src"] = IMPORT
    return out


def _times(column: pa.ChunkedArray, options: ReadOptions) -> npt.NDArray[np.int64]:
    """Open times in ms. Times that cannot be read are -1, which no check lets pass."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if pa.types.is_temporal(column.type) or options.ts_unit == "iso":
        ms = _moments(column, options.tz)
    else:
        numbers = floats(column)
        if is_text and options.ts_unit == "auto" and len(numbers) and np.isnan(numbers).mean() > 0.5:
            ms = _moments(column, options.tz)
        else:
            ms = _from_numbers(numbers, options.ts_unit)
    return _open_times(ms) if options.ts_is == "close" else ms


def _from_numbers(numbers: Floats, unit: str) -> npt.NDArray[np.int64]:
    known = numbers[np.isfinite(numbers)]
    size = float(np.median(np.abs(known))) if len(known) else 0.0
    if unit == "auto":
        unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    ms = np.rint(numbers * _PER_MS[unit])
    readable = np.isfinite(ms) & (np.abs(ms) < 1e15)
    return np.where(readable, ms, -1.0).astype(np.int64)


def _moments(column: pa.ChunkedArray, tz: str) -> npt.NDArray[np.int64]:
    """ISO 8601 texts and timestamps; those without zone are in `tz`."""
    moments = pd.to_datetime(column.to_pandas(), format="ISO8601", errors="coerce", utc=_has_zone(column))
    if moments.dt.tz is None:
        moments = moments.dt.tz_localize(ZoneInfo(tz), ambiguous="NaT", nonexistent="NaT")
    ms = moments.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("M8[ms]").astype(np.int64)
    return np.where(moments.isna().to_numpy(), -1, ms)


def _has_zone(column: pa.ChunkedArray) -> bool:
    if pa.types.is_timestamp(column.type):
        return column.type.tz is not None
    if not pa.types.is_string(column.type):
        return False
    return bool(pc.any(pc.match_substring_regex(column, r"(Z|[+-]\d{2}:?\d{2})\s*$")).as_py())


def _open_times(close_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """From close times, written as the next minute or as the last (milli)second of their own."""
    last_second = np.isin(close_ms % MINUTE_MS, (0, MINUTE_MS - 1000, MINUTE_MS - 1))
    return np.where(last_second, (close_ms - 1) // MINUTE_MS * MINUTE_MS, close_ms)


def _sound(path: Path, candles: Candles, now_ms: int) -> tuple[Candles, FileReport]:
    if not len(candles):
        raise DataError(f"{path} holds no rows")
    reasons = _complaints(candles, now_ms)
    bad = np.any(list(reasons.values()), axis=0)
    listed = tuple(
        f"row {i + 1}: {next(reason for reason, mask in reasons.items() if mask[i])}: {_show(candles[i])}"
        for i in np.flatnonzero(bad)[:20]
    )
    if bad.mean() > MAX_BAD_SHARE:
        raise DataError(f"{path}: {bad.sum()} of {len(candles)} rows are bad; {listed[0]}")
    good = candles[~bad]
    ordered = sort_candles(good)
    _check_step(path, ordered)
    return ordered, FileReport(len(candles), int(bad.sum()), len(good) - len(ordered), listed)


def _complaints(candles: Candles, now_ms: int) -> dict[str, npt.NDArray[np.bool_]]:
    ts, (o, h, low, c) = candles["ts"], (candles[name] for name in PRICE_FIELDS)
    with np.errstate(invalid="ignore"):
        return {
            "time is not readable or outside 2009 .. now (wrong --ts-unit?)": (ts < EARLIEST_TS) | (ts > now_ms),
            "time is not a full minute": ts % MINUTE_MS != 0,
            "minute is not over yet": ts > now_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS,
            "a number is missing or not finite": np.any([~np.isfinite(candles[name]) for name in VALUE_FIELDS], axis=0),
            "a price is not positive": np.any([candles[name] <= 0.0 for name in PRICE_FIELDS], axis=0),
            "volume is negative": candles["bv"] < 0.0,
            "high is below open or close": h < np.maximum(o, c) * (1.0 - ORDER_TOLERANCE),
            "low is above open or close": low > np.minimum(o, c) * (1.0 + ORDER_TOLERANCE),
        }


def _show(row: np.void) -> str:
    ts, *values = row.tolist()[:6]
    return f"{ts_to_date(ts) if ts > 10**10 else ts} {' '.join(f'{value:g}' for value in values)}"


def _check_step(path: Path, candles: Candles) -> None:
    if len(candles) < 2:
        return
    steps, counts = np.unique(np.diff(candles["ts"]), return_counts=True)
    usual = int(steps[np.argmax(counts)])
    if usual != MINUTE_MS:
        raise DataError(f"{path} holds candles of {usual // 1000} s; one-minute candles are needed")
