"""Looking at trees of candle files, in the store's form or an older one (`candles.md` 21.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from candles.disk.parquet import DamagedFileError, FileIdentity, read_file
from candles.disk.store import CandleStore, period_bounds, symbol_dir_name
from candles.fill import missing_spans, sort_candles
from candles.older.legacy import file_period, load_array, rows_of
from core.clock import DAY_MS, MINUTE_MS, Clock
from core.dates import ts_to_date
from core.errors import DataError, StoreError, UsageError
from core.files import read_json, write_json
from markets.candle import CANDLE_DTYPE, VALUE_FIELDS, Candles, timeframe_ms

STORE_FOLDER = "ohlcv"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """The candles of one folder, that is of one market. `missing` periods lie between its first and last row.

    `full_days` have a row for each period, `ordered` files ascending times, `regular` ones no hole inside, `contiguous`
    ones none between them either. `errors` name files that are damaged.
    """

    folder: str
    files: int
    rows: int
    nan: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    full_days: int = 0
    missing: int = 0
    ordered: bool = True
    regular: bool = True
    contiguous: bool = True
    sha256: str | None = None
    errors: tuple[str, ...] = ()


def candle_files(root: Path) -> list[Path]:
    """All candle files below a folder, a market's together, months before the days that override them.

    Raises UsageError for a folder that is not there.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no directory; name one with candle files")
    return sorted(filter(_names_candles, root.rglob("*")), key=lambda path: (path.parent, len(path.stem), path.stem))


def _names_candles(path: Path) -> bool:
    return path.suffix in (".parquet", ".npy") and file_period(path) is not None


def timeframe_of(path: Path) -> str:
    """That of a candle file, by the folder that it is in; the oldest caches have minutes only."""
    name = path.parent.parent.name
    return name if name[:1].isdigit() and not name.isdigit() else "1m"


def read_footer(path: Path) -> dict[str, str]:
    """What a file of the store says of itself. Raises DamagedFileError, or StoreError if it may not be read."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise StoreError(f"{path} cannot be read: {exc.strerror or exc}; check its permissions") from exc
    try:
        footer = pq.read_metadata(pa.BufferReader(content)).metadata or {}
        return {key.decode(): value.decode() for key, value in footer.items()}
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise DamagedFileError(f"{path} is damaged: {' '.join(str(exc).split())}") from exc


def identity_of(path: Path) -> FileIdentity:
    """What a file of the store should be, by its place; its symbol by its footer. Raises StoreError."""
    symbol, timeframe = read_footer(path).get("pb.symbol", ""), timeframe_of(path)
    if symbol_dir_name(symbol) != path.parent.name:
        raise DamagedFileError(f"{path} holds candles of {symbol or 'an unknown symbol'}, not those of its folder")
    start, end = period_bounds(path.name) or (0, 0)
    exchange = path.parent.parent.parent.name
    return FileIdentity(exchange, symbol, timeframe, path.stem, timeframe_ms(timeframe), start, end)


def read_candle_file(path: Path) -> Candles:
    """The rows of a file as they stand in it. Raises DataError for a damaged one."""
    if path.suffix == ".parquet":
        return read_file(path, identity_of(path))
    return rows_of(path, load_array(path))


def summarize_tree(
    root: Path, *, fast: bool = False, with_hash: bool = False, progress: Progress | None = None
) -> list[FolderSummary]:
    """One summary a folder. `fast` reads of the store's files only what their footers say."""
    files = candle_files(root)
    summaries = []
    done = 0
    for folder, group in groupby(files, key=lambda path: path.parent):
        members = list(group)
        name = str(folder)
        if progress:
            progress(name, done, len(files))
        summaries.append(_peek(name, members) if fast else _summarize(name, members, with_hash))
        done += len(members)
    return summaries


def _peek(name: str, files: list[Path]) -> FolderSummary:
    """By the footers alone."""
    spans: list[tuple[int, int, int]] = []
    errors: list[str] = []
    for path in files:
        try:
            spans.append(_span(path))
        except DataError as exc:
            errors.append(str(exc))
    known = [span for span in spans if span[0]]
    first = min((span[1] for span in known), default=None)
    last = max((span[2] for span in known), default=None)
    rows = sum(span[0] for span in spans)
    return FolderSummary(name, len(files), rows, first_ts=first, last_ts=last, errors=tuple(errors))


def _span(path: Path) -> tuple[int, int, int]:
    """Rows, first and last time."""
    if path.suffix == ".parquet":
        footer = read_footer(path)
        try:
            return int(footer["pb.rows"]), int(footer["pb.min_ts"]), int(footer["pb.max_ts"])
        except (KeyError, ValueError) as exc:
            raise DamagedFileError(f"{path} is damaged: its footer has no {exc}") from exc
    ts = read_candle_file(path)["ts"]
    return (len(ts), int(ts.min()), int(ts.max())) if len(ts) else (0, 0, 0)


def _summarize(name: str, files: list[Path], with_hash: bool) -> FolderSummary:
    period = timeframe_ms(timeframe_of(files[0]))
    parts: list[Candles] = []
    errors: list[str] = []
    for path in files:
        try:
            parts.append(read_candle_file(path))
        except DataError as exc:
            errors.append(str(exc))
    candles = sort_candles(np.concatenate([np.empty(0, CANDLE_DTYPE), *parts]))
    if not len(candles):
        return FolderSummary(name, len(files), 0, errors=tuple(errors))
    first, last = int(candles["ts"][0]), int(candles["ts"][-1])
    missing = sum((end - start) // period + 1 for start, end in missing_spans(candles["ts"], first, last, period))
    _, per_day = np.unique(candles["ts"] // DAY_MS, return_counts=True)
    steps = [np.diff(part["ts"]) for part in parts]
    return FolderSummary(
        folder=name,
        files=len(files),
        rows=len(candles),
        nan=sum(int(np.isnan(candles[field]).sum()) for field in VALUE_FIELDS),
        first_ts=first,
        last_ts=last,
        full_days=int((per_day * period == DAY_MS).sum()),
        missing=missing,
        ordered=all(bool((step > 0).all()) for step in steps),
        regular=all(bool((step == period).all()) for step in steps),
        contiguous=missing == 0,
        sha256=candles_sha256(candles) if with_hash else None,
        errors=tuple(errors),
    )


def candles_sha256(candles: Candles) -> str:
    """Of times, prices and volumes; where they come from does not count, nor how a file is packed."""
    digest = hashlib.sha256()
    for name in ("ts", *VALUE_FIELDS):
        digest.update(np.ascontiguousarray(candles[name]).tobytes())
    return digest.hexdigest()


def problem_of(path: Path) -> str | None:
    """Why a file is bad, None if it is not.

    Days of the oldest form (rows of numbers) must be whole; files of the other forms hold the rows that there are.
    Raises StoreError for a file that cannot be judged: written by a newer version, or not readable.
    """
    try:
        candles = read_candle_file(path)
    except DataError as exc:
        if isinstance(exc, StoreError) and not isinstance(exc, DamagedFileError):
            raise
        return str(exc)
    if path.suffix == ".parquet":
        return None
    start, end = file_period(path) or (0, 0)
    steps = np.diff(candles["ts"])
    whole_days = load_array(path).dtype.names is None and end - start == DAY_MS
    for wrong, text in (
        (whole_days and len(candles) * MINUTE_MS != DAY_MS, f"{len(candles)} rows, not {DAY_MS // MINUTE_MS}"),
        ((steps <= 0).any(), "times that do not ascend"),
        (((candles["ts"] < start) | (candles["ts"] >= end)).any(), "times outside its period"),
        ((candles["ts"] % timeframe_ms(timeframe_of(path))).any(), "times off the candle grid"),
        (any(np.isnan(candles[name]).any() for name in VALUE_FIELDS), "numbers that are missing"),
    ):
        if wrong:
            return f"{path} has {text}"
    return None


def bad_files(root: Path, progress: Progress | None = None) -> dict[Path, str]:
    """The bad files below a folder, and why."""
    files = candle_files(root)
    found = {}
    for i, path in enumerate(files):
        if progress:
            progress(str(path.parent.relative_to(root)), i, len(files))
        if problem := problem_of(path):
            found[path] = problem
    return found


def delete_files(files: Iterable[Path], clock: Clock) -> None:
    """Remove candle files; those of a store under its lock, so that nobody is just merging rows into them."""
    for path in files:
        store_root = path.parent.parent.parent.parent
        held = (
            CandleStore(store_root.parent, path.parent.parent.parent.name, clock, timeframe_of(path))
            if store_root.name == STORE_FOLDER and path.suffix == ".parquet"
            else None
        )
        with held.lock(path.parent.name, "clean") if held else nullcontext():
            path.unlink(missing_ok=True)


def hash_trees(roots: Iterable[Path], clock: Clock, progress: Progress | None = None) -> dict[str, Any]:
    """`{generated_at, roots, files: {path below its root: SHA-256 of its candles}}`.

    Raises DataError for a damaged file, UsageError for roots with files of the same name.
    """
    roots = list(roots)
    hashes: dict[str, str] = {}
    for root in roots:
        files = candle_files(root)
        for i, path in enumerate(files):
            name = path.relative_to(root).as_posix()
            if progress:
                progress(name, i, len(files))
            if name in hashes:
                raise UsageError(f"{name} is below two of the folders; hash them one by one")
            hashes[name] = candles_sha256(read_candle_file(path))
    return {"generated_at": ts_to_date(clock.now_ms()), "roots": [str(root) for root in roots], "files": hashes}


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    write_json(path, manifest, indent=1, sort_keys=True)


def read_manifest(path: Path) -> dict[str, str]:
    """The hashes of a manifest by file. Raises UsageError for a file that is none."""
    try:
        files = read_json(path)["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no manifest; make one with hash-historical") from None


def compare_manifests(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """`{file: "differs" | "only in A" | "only in B"}`, for the files that are not the same in both."""
    verdicts = {}
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            verdicts[name] = "differs" if name in a and name in b else "only in A" if name in a else "only in B"
    return verdicts


def local_files(root: Path, names: Iterable[str]) -> list[Path]:
    """The candle files of these names below a folder; a name that leads elsewhere means none."""
    known = {path.relative_to(root).as_posix(): path for path in candle_files(root)}
    return [known[name] for name in names if name in known]
