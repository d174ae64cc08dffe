"""What the files of public archives hold -> candles (`candles.md` 12.2-12.4). Pure functions on the files' bytes.

All volumes come out in base units, all times as the open time of a UTC minute in ms. A file that is not what it should
be is a DataError.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from candles.columns import Floats, floats, text_table
from candles.fill import standardize_gaps
from core.clock import DAY_MS, MINUTE_MS
from core.errors import DataError
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, FILLED, PRICE_FIELDS, Candles

DAY_ROWS = DAY_MS // MINUTE_MS
_FIELDS = ("ts", *PRICE_FIELDS, "bv")
_TRADE_COLUMNS = ("timestamp", "price", "size")

Columns = dict[str, Floats]


def klines(content: bytes) -> Candles:
    """A zip of CSV files, with a header or without one: the first six columns (binance)."""
    with _naming_the_damage():
        return _candles(_joined(content, lambda member: _by_position(text_table(member))))


def named_klines(content: bytes, contract_size: float) -> Candles:
    """A zip of CSV files whose header says what a column is; volumes count contracts (kucoin)."""
    with _naming_the_damage():
        candles = _candles(_joined(content, _by_name))
    candles["bv"] *= contract_size
    return candles


def spreadsheets(content: bytes) -> Candles:
    """A zip of spreadsheets: the first six columns of the first sheet (bitget)."""
    with _naming_the_damage():
        return _candles(_joined(content, _sheet))


def trades(content: bytes) -> Candles:
    """A gzip CSV of trades, `timestamp` in seconds (bybit). Without `timestamp` or `price` there are no candles."""
    with _naming_the_damage():
        table = _trade_table(content)
    if not {"timestamp", "price"} <= set(table.column_names):
        return np.empty(0, CANDLE_DTYPE)
    time_s, price = floats(table["timestamp"]), floats(table["price"])
    size = np.nan_to_num(floats(table["size"])) if "size" in table.column_names else np.zeros(len(price))
    known = np.isfinite(time_s) & np.isfinite(price)
    return candles_of_trades(time_s[known], price[known], size[known])


def candles_of_trades(time_s: Floats, price: Floats, size: Floats) -> Candles:
    """One row a minute that has trades. Open and close are its first and last trade in the order given."""
    minute = np.floor(time_s * 1000.0 / MINUTE_MS).astype(np.int64)
    if (np.diff(minute) < 0).any():
        order = np.argsort(minute, kind="stable")
        minute, price, size = minute[order], price[order], size[order]
    starts = np.flatnonzero(np.diff(minute, prepend=minute[:1] - 1))
    out = np.empty(len(starts), CANDLE_DTYPE)
    if not len(starts):
        return out
    lengths = np.diff(starts, append=len(minute))
    out["ts"] = minute[starts] * MINUTE_MS
    out["o"] = price[starts]
    out["h"] = np.maximum.reduceat(price, starts)
    out["l"] = np.minimum.reduceat(price, starts)
    out["c"] = price[starts + lengths - 1]
    out["bv"] = np.bincount(np.repeat(np.arange(len(starts)), lengths), weights=size)
    out["src"] = ARCHIVE
    return _sound(out)


def complete_day(rows: Candles, day_start_ms: int) -> Candles:
    """The 1440 rows of a UTC day: those of the archive, and zero candles flagged ARCHIVE_FILL where it has none.

    Rows outside the day are left out. Without any row in it there is no day: the result is empty.
    """
    inside = rows[rows["ts"] // DAY_MS == day_start_ms // DAY_MS]
    end = day_start_ms + DAY_MS - MINUTE_MS
    day = standardize_gaps(inside, start_ts=day_start_ms, end_ts=end, fill_leading_gaps=True)
    day["src"] = np.where(day["src"] == FILLED, ARCHIVE_FILL, ARCHIVE)
    return day


@contextmanager
def _naming_the_damage() -> Iterator[None]:
    """Every way in which the libraries say that a file is broken becomes a DataError."""
    from openpyxl.utils.exceptions import InvalidFileException  # 100 ms, for one archive of four

    broken = (pa.ArrowException, zipfile.BadZipFile, zlib.error, InvalidFileException, ParseError)
    try:
        yield
    except (*broken, OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as exc:
        raise DataError(f"the file is damaged: {' '.join(str(exc).split()) or type(exc).__name__}") from exc


def _joined(content: bytes, read: Callable[[bytes], Columns]) -> Columns:
    """The columns of all files in a zip, one after the other."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [read(archive.read(member)) for member in archive.infolist() if not member.is_dir()]
    if not parts:
        raise DataError("the file is an empty zip")
    return {name: np.concatenate([part[name] for part in parts]) for name in _FIELDS}


def _by_position(table: pa.Table) -> Columns:
    if table.num_columns < len(_FIELDS):
        raise DataError(f"the file has {table.num_columns} columns, {len(_FIELDS)} are needed")
    return {name: floats(table.column(i)) for i, name in enumerate(_FIELDS)}


def _by_name(member: bytes) -> Columns:
    table = text_table(member)
    at = {name.strip().lower(): i for i, name in enumerate(table.column_names)}
    wanted = (("time", "timestamp"), ("open",), ("high",), ("low",), ("close",), ("volume",))
    picked = {}
    for field, names in zip(_FIELDS, wanted, strict=True):
        name = next((name for name in names if name in at), None)
        if name is None:
            raise DataError(f"the file has no column {names[0]}, only {', '.join(at)}")
        picked[field] = floats(table.column(at[name]))
    return picked


def _sheet(member: bytes) -> Columns:
    from openpyxl import load_workbook  # as above

    book = load_workbook(io.BytesIO(member), read_only=True, data_only=True)
    rows = list(book.worksheets[0].iter_rows(max_col=len(_FIELDS), values_only=True))
    cells: npt.NDArray[Any] = np.array(rows, dtype=object).reshape(-1, len(_FIELDS))
    return {
        name: pd.to_numeric(pd.Series(cells[:, i]), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        for i, name in enumerate(_FIELDS)
    }


def _trade_table(content: bytes) -> pa.Table:
    """The three columns that count. A day of trades is read in pieces: unpacked it would fill the memory."""
    if not content:
        raise DataError("the file is damaged: it is empty")
    with pa.CompressedInputStream(pa.BufferReader(content), "gzip") as stream:
        names = stream.read(4096).split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip("\r").split(",")
    wanted = [name for name in _TRADE_COLUMNS if name in names]
    if len(names) != len(set(names)) or not wanted:
        return pa.table({})
    options = pa.csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.float64()))
    try:
        return pa.csv.read_csv(pa.CompressedInputStream(pa.BufferReader(content), "gzip"), convert_options=options)
    except pa.ArrowInvalid:  # some number is none: text takes more memory, and tells which
        options.column_types = dict.fromkeys(wanted, pa.string())
        return pa.csv.read_csv(pa.CompressedInputStream(pa.BufferReader(content), "gzip"), convert_options=options)


def _candles(columns: Columns) -> Candles:
    """Rows of known time and sound numbers, in the order of the file; times in s, ms or us by their size."""
    known = np.isfinite(columns["ts"])
    ts = columns["ts"][known]
    largest = np.abs(ts).max(initial=0.0)
    per_unit = 1000.0 if largest < 1e11 else 1.0 if largest < 1e14 else 1e-3
    out = np.empty(len(ts), CANDLE_DTYPE)
    out["ts"] = np.floor(ts * per_unit / MINUTE_MS).astype(np.int64) * MINUTE_MS
    for name in _FIELDS[1:]:
        out[name] = columns[name][known]
    out["src"] = ARCHIVE
    return _sound(out)


def _sound(candles: Candles) -> Candles:
    """Without the rows that no store takes: a price that is no positive number, a volume below 0 or unknown."""
    good = np.isfinite(candles["bv"]) & (candles["bv"] >= 0.0)
    for name in PRICE_FIELDS:
        good &= np.isfinite(candles[name]) & (candles[name] > 0.0)
    sound: Candles = candles[good]
    return sound
