"""One Parquet file of candles: its schema, encodings, footer and checks (`candles.md` 17.3, 17.6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from core.dates import ts_to_date
from core.errors import DataError, StoreError
from core.files import replacing
from markets.candle import CANDLE_DTYPE, PRICE_FIELDS, VALUE_FIELDS, Candles

SCHEMA_VERSION = 1
WRITER = "passivbot"

Column = npt.NDArray[Any]

_TINY = math.ulp(0.0)  # a volume of 0 is above its negative
_FLOATS = [pa.field(name, pa.float64(), nullable=False) for name in VALUE_FIELDS]
_FIELDS = [
    pa.field("ts", pa.int64(), nullable=False),
    *_FLOATS,
    pa.field("src", pa.uint8(), nullable=False),
]
FIELD_NAMES = tuple(field.name for field in _FIELDS)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What a file says it holds. `start_ts` and `end_ts` bound its period, the end exclusive."""

    exchange: str
    symbol: str
    timeframe: str
    period: str  # 2023-11 or 2023-11-14
    period_ms: int  # of one candle
    start_ts: int
    end_ts: int

    def footer(self) -> dict[str, str]:
        return {
            "pb.schema": str(SCHEMA_VERSION),
            "pb.volume_unit": "base",
            "pb.exchange": self.exchange,
            "pb.symbol": self.symbol,
            "pb.timeframe": self.timeframe,
            "pb.period": self.period,
        }


class DamagedFileError(StoreError):
    """The file cannot be trusted; it is put aside and its rows count as missing."""


def check_rows(columns: Mapping[str, Column] | Candles, identity: FileIdentity) -> None:
    """Raise DataError naming the first row that the schema does not allow; `columns` may lack values, never `ts`."""
    names = FIELD_NAMES if isinstance(columns, np.ndarray) else tuple(columns)
    prices = [columns[name] for name in PRICE_FIELDS if name in names]
    volumes = [columns["bv"]] if "bv" in names else []
    ts = columns["ts"]
    for what, bad in (
        ("a price that is not a positive number", _outside(prices, above=0.0)),
        ("a volume that is negative or no number", _outside(volumes, above=-_TINY)),
        ("a time off the candle grid", _where(ts % identity.period_ms != 0)),
        ("a time outside its file", _where((ts < identity.start_ts) | (ts >= identity.end_ts))),
        ("a time not above the one before", _where(np.diff(ts, prepend=ts[:1] - 1) <= 0)),
    ):
        if bad is not None:
            values = [float(columns[name][bad]) for name in VALUE_FIELDS if name in names]
            raise DataError(f"candle of {identity.symbol} at {ts_to_date(ts[bad])} has {what}: {values}")


def _outside(columns: Sequence[Column], above: float) -> int | None:
    """The first row where one of the columns is not finite and above a number. Mostly two looks at each suffice."""
    if all(not len(c) or (c.min() > above and c.max() < np.inf) for c in columns):
        return None
    return _where(np.any([~(np.isfinite(c) & (c > above)) for c in columns], axis=0))


def _where(bad: npt.NDArray[np.bool_]) -> int | None:
    return int(np.argmax(bad)) if bad.any() else None


def write_file(path: Path, candles: Candles, identity: FileIdentity, now_ms: int, *, fsync: bool) -> None:
    """Replace `path` atomically. Raises DataError for rows the schema forbids, RunError when the disk refuses."""
    check_rows(candles, identity)
    footer = identity.footer() | {
        "pb.rows": str(len(candles)),
        "pb.min_ts": str(candles["ts"][0]),
        "pb.max_ts": str(candles["ts"][-1]),
        "pb.written_at": str(now_ms),
        "pb.writer": WRITER,
    }
    schema = pa.schema(_FIELDS, metadata=footer)
    columns = [pa.array(np.ascontiguousarray(candles[field.name])) for field in _FIELDS]
    with replacing(path, fsync=fsync) as tmp:
        pq.write_table(
            pa.Table.from_arrays(columns, schema=schema),
            tmp,
            version="2.6",
            row_group_size=max(len(candles), 1),
            compression="zstd",
            compression_level=3,
            use_dictionary=["src"],
            column_encoding={"ts": "DELTA_BINARY_PACKED"} | dict.fromkeys(VALUE_FIELDS, "BYTE_STREAM_SPLIT"),
            write_page_checksum=True,
        )


def read_file(path: Path, identity: FileIdentity) -> Candles:
    """All rows of a file. Raises FileNotFoundError, DamagedFileError, or StoreError for a file of a newer version."""
    columns = read_columns(path, identity, FIELD_NAMES)
    out = np.empty(len(columns["ts"]), CANDLE_DTYPE)
    for name in FIELD_NAMES:
        out[name] = columns[name]
    return out


def read_columns(path: Path, identity: FileIdentity, names: Sequence[str]) -> dict[str, Column]:
    """Some columns of a file, `ts` among them, with the same checks and errors.

    The file is read in one go, so that a replacement meanwhile cannot mix two versions.
    """
    content = path.read_bytes()
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        footer = _footer_of(file)
        _check_footer(path, footer, identity)
        table = file.read(list(names), use_threads=False)
        columns = {name: table.column(name).to_numpy() for name in names}
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as exc:
        raise DamagedFileError(f"{path} is damaged: {' '.join(str(exc).split())}") from exc
    _check_content(path, columns, footer, identity)
    return columns


def read_summary(path: Path, identity: FileIdentity) -> tuple[int, int, int] | None:
    """`(rows, first ts, last ts)` as the footer states them; None if it is of no use, which a reader will notice."""
    try:
        with path.open("rb") as source:
            footer = _footer_of(pq.ParquetFile(source))
        _check_footer(path, footer, identity)
        return int(footer["pb.rows"]), int(footer["pb.min_ts"]), int(footer["pb.max_ts"])
    except (pa.ArrowException, OSError, KeyError, ValueError, StoreError):
        return None


def _footer_of(file: pq.ParquetFile) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}


def _check_footer(path: Path, footer: dict[str, str], identity: FileIdentity) -> None:
    version = footer.get("pb.schema", "")
    if version.isdigit() and int(version) > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer version (schema {version}); update this program")
    for key, value in identity.footer().items():
        if footer.get(key) != value:
            raise DamagedFileError(f"{path} is damaged: its footer says {key}={footer.get(key)}, not {value}")


def _check_content(path: Path, columns: Mapping[str, Column], footer: dict[str, str], identity: FileIdentity) -> None:
    count = len(columns["ts"])
    if footer.get("pb.rows") != str(count):
        raise DamagedFileError(f"{path} is damaged: {count} rows, its footer says {footer.get('pb.rows')}")
    try:
        check_rows(columns, identity)
    except DataError as exc:
        raise DamagedFileError(f"{path} is damaged: {exc}") from exc
