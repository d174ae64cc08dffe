"""One Parquet file of candles: its schema, encodings, footer and checks (`candles.md` 17.3, 17.6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.dates import ts_to_date
from core.errors import DataError, StoreError
from core.files import replacing
from markets.candle import CANDLE_DTYPE, PRICE_FIELDS, VALUE_FIELDS, Candles

SCHEMA_VERSION = 1
WRITER = "passivbot"

_FLOATS = [pa.field(name, pa.float64(), nullable=False) for name in VALUE_FIELDS]
_FIELDS = [
    pa.field("ts", pa.int64(), nullable=False),
    *_FLOATS,
    pa.field("src", pa.uint8(), nullable=False),
]


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


def check_rows(candles: Candles, identity: FileIdentity) -> None:
    """Raise DataError naming the first row that the schema does not allow."""
    prices = [candles[field] for field in PRICE_FIELDS]
    bad_price = np.any([~np.isfinite(p) | ~(p > 0.0) for p in prices], axis=0)
    ts = candles["ts"]
    for what, bad in (
        ("a price that is not a positive number", bad_price),
        ("a volume that is negative or no number", ~np.isfinite(candles["bv"]) | ~(candles["bv"] >= 0.0)),
        ("a time off the candle grid", ts % identity.period_ms != 0),
        ("a time outside its file", (ts < identity.start_ts) | (ts >= identity.end_ts)),
        ("a time not above the one before", np.diff(ts, prepend=ts[:1] - 1) <= 0),
    ):
        if bad.any():
            row = candles[np.argmax(bad)]
            raise DataError(f"candle of {identity.symbol} at {ts_to_date(row['ts'])} has {what}: {row.tolist()[1:6]}")


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
    """All rows of a file, read in one go so that a replacement meanwhile cannot mix two versions.

    Raises FileNotFoundError, DamagedFileError, or StoreError for a file that a newer version wrote.
    """
    content = path.read_bytes()
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        footer = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        _check_footer(path, footer, identity)
        table = file.read()
        out = np.empty(table.num_rows, CANDLE_DTYPE)
        for field in _FIELDS:
            out[field.name] = table.column(field.name).to_numpy()
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as exc:
        raise DamagedFileError(f"{path} is damaged: {' '.join(str(exc).split())}") from exc
    _check_content(path, out, footer, identity)
    return out


def count_rows(path: Path) -> int:
    """The rows a file says it has; 0 if it cannot be read, which a reader will notice."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def _check_footer(path: Path, footer: dict[str, str], identity: FileIdentity) -> None:
    version = footer.get("pb.schema", "")
    if version.isdigit() and int(version) > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer version (schema {version}); update this program")
    for key, value in identity.footer().items():
        if footer.get(key) != value:
            raise DamagedFileError(f"{path} is damaged: its footer says {key}={footer.get(key)}, not {value}")


def _check_content(path: Path, candles: Candles, footer: dict[str, str], identity: FileIdentity) -> None:
    if footer.get("pb.rows") != str(len(candles)):
        raise DamagedFileError(f"{path} is damaged: {len(candles)} rows, its footer says {footer.get('pb.rows')}")
    try:
        check_rows(candles, identity)
    except DataError as exc:
        raise DamagedFileError(f"{path} is damaged: {exc}") from exc
