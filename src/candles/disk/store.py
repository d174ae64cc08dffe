"""The candle store: Parquet months and days on disk, shared by all programs (`candles.md` 17).

    {cache}/ohlcv/{exchange}/{timeframe}/{symbol_dir}/2023-11.parquet     a month that is over for 72 hours
                                                      2026-11-20.parquet  a day of the current or just-ended month
                                                      meta.json  .lock  quarantine/

Readers take no lock; writers hold the symbol's. Only real rows are stored: a minute that is absent is a gap.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from candles.disk.locks import candle_lock, candle_lock_async
from candles.disk.memory import FileMemory, stamp_of
from candles.disk.meta import META_NAME, SymbolMeta, read_meta, write_meta
from candles.disk.parquet import (
    Column,
    DamagedFileError,
    FileIdentity,
    read_columns,
    read_file,
    read_summary,
    write_file,
)
from candles.fill import sort_candles
from candles.gaps import clear_gaps
from core import paths
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, Clock, SystemClock
from core.dates import ts_to_date
from core.errors import StoreError
from core.files import remove_orphans
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, IMPORT, VALUE_FIELDS, Candles, timeframe_ms
from markets.symbols import short_exchange

logger = logging.getLogger(__name__)

MONTH_CLOSES_AFTER_MS = 72 * HOUR_MS
READ_THREADS = 4
LIST_TRIES = 3
_MACHINE_CLOCK = SystemClock()  # of locks and files, which are between programs, whatever time one simulates

Part = TypeVar("Part")

_FILE_NAME = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?\.parquet")


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Rows that were not there before, and rows that took the place of different ones."""

    added: int = 0
    replaced: int = 0

    def __add__(self, other: WriteResult) -> WriteResult:
        return WriteResult(self.added + other.added, self.replaced + other.replaced)


def symbol_dir_name(symbol: str) -> str:
    """`BTC/USDT:USDT` -> `BTC_USDT_USDT`, on every system."""
    return re.sub(r"[/:\\]", "_", symbol)


def merge(old: Candles, new: Candles) -> Candles:
    """Union by `ts`; the newer set wins, except that rows of archives replace nothing, and their fill no row at all."""
    new = _without_fill_over_rows(new)
    from_archive = (new["src"] == ARCHIVE) | (new["src"] == ARCHIVE_FILL)
    if from_archive.any():
        new = new[~(from_archive & np.isin(new["ts"], old["ts"]))]
    return sort_candles(np.concatenate((old, new))) if len(new) else sort_candles(old)


def _without_fill_over_rows(candles: Candles) -> Candles:
    fill = candles["src"] == ARCHIVE_FILL
    kept: Candles = candles[~(fill & np.isin(candles["ts"], candles["ts"][~fill]))] if fill.any() else candles
    return kept


def period_bounds(name: str) -> tuple[int, int] | None:
    """First minute and end (exclusive) of the month or day a file is named after; None if it is no candle file."""
    match = _FILE_NAME.fullmatch(name)
    if not match:
        return None
    year, month, day = match.groups()
    try:
        start = datetime(int(year), int(month), int(day or 1), tzinfo=UTC)
    except ValueError:
        return None
    end = start + timedelta(days=1) if day else (start + timedelta(days=32)).replace(day=1)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


class CandleStore:
    """Candles of one exchange and timeframe; `memory_rows` of each symbol are kept in memory, for live use."""

    def __init__(
        self, cache_dir: Path, exchange: str, clock: Clock, timeframe: str = "1m", memory_rows: int = 0
    ) -> None:
        self.exchange = short_exchange(exchange)
        self.timeframe = timeframe
        self.period_ms = timeframe_ms(timeframe)
        self.clock = clock
        self.cache_dir = cache_dir
        self.root = paths.ohlcv_dir(cache_dir, self.exchange) / timeframe
        self._directories: dict[str, Path] = {}
        self._memory = FileMemory(memory_rows)

    def directory(self, symbol: str) -> Path:
        known = self._directories.get(symbol)
        if known is None:
            known = self._directories[symbol] = self.root / symbol_dir_name(symbol)
        return known

    def lock(self, symbol: str, purpose: str, timeout_s: float = 600.0) -> AbstractContextManager[None]:
        """The symbol's exclusive lock, to be held while fetching and storing."""
        return candle_lock(self.directory(symbol), purpose=purpose, clock=_MACHINE_CLOCK, timeout_s=timeout_s)

    def lock_async(self, symbol: str, purpose: str, timeout_s: float = 600.0) -> AbstractAsyncContextManager[None]:
        """The same for a task."""
        return candle_lock_async(self.directory(symbol), purpose=purpose, clock=_MACHINE_CLOCK, timeout_s=timeout_s)

    def files(self, symbol: str, start_ts: int | None = None, end_ts: int | None = None) -> list[Path]:
        """The candle files that meet the range (all without one), months before the days that override them."""
        try:
            names = [path.name for path in self.directory(symbol).iterdir()]
        except FileNotFoundError:
            return []
        bounds = {name: bound for name in names if (bound := period_bounds(name))}
        low = -(2**62) if start_ts is None else start_ts
        high = 2**62 if end_ts is None else end_ts
        met = [name for name, (start, end) in bounds.items() if start <= high and end > low]
        return [self.directory(symbol) / name for name in sorted(met, key=lambda name: (len(name), name))]

    def read(self, symbol: str, start_ts: int | None = None, end_ts: int | None = None) -> Candles:
        """The stored rows with `start_ts <= ts <= end_ts`, ascending. Damaged files are put aside, and logged."""
        parts = self._retried(symbol, start_ts, end_ts, lambda path: self._read_or_quarantine(symbol, path))
        candles = sort_candles(np.concatenate(parts)) if parts else np.empty(0, CANDLE_DTYPE)
        low = 0 if start_ts is None else np.searchsorted(candles["ts"], start_ts)
        high = len(candles) if end_ts is None else np.searchsorted(candles["ts"], end_ts, side="right")
        inside: Candles = candles[low:high]
        return inside

    def rows_in_memory(self) -> dict[str, int]:
        """How many rows are kept in memory of each symbol, by the name of its directory."""
        return self._memory.rows()

    def read_columns(self, symbol: str, names: Sequence[str], start_ts: int, end_ts: int) -> dict[str, Column]:
        """Some columns of the same rows, `ts` always among them: contiguous arrays, faster than whole rows."""
        names = tuple(dict.fromkeys(("ts", *names)))
        parts = self._retried(symbol, start_ts, end_ts, lambda path: self._columns_or_quarantine(symbol, path, names))
        if not parts:
            return {name: np.empty(0, CANDLE_DTYPE[name]) for name in names}
        columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        if not (np.diff(columns["ts"]) > 0).all():  # days beside their month
            order = np.argsort(columns["ts"], kind="stable")
            kept = order[np.append(np.diff(columns["ts"][order]) > 0, True)]
            columns = {name: column[kept] for name, column in columns.items()}
        inside = slice(*np.searchsorted(columns["ts"], (start_ts, end_ts + 1)))
        return {name: column[inside] for name, column in columns.items()}

    def has_all(self, symbol: str, start_ts: int, end_ts: int) -> bool:
        """Whether every candle of the range is stored, as far as the files' footers tell; False if they do not."""
        expected = start_ts
        for path in self.files(symbol, start_ts, end_ts):
            rows, first, last = self._summary(symbol, path)
            if first > expected or rows != (last - first) // self.period_ms + 1:
                return False
            expected = max(expected, last + self.period_ms)
        return expected > end_ts

    def _summary(self, symbol: str, path: Path) -> tuple[int, int, int]:
        return read_summary(path, self._identity(symbol, path.name)) or (0, 2**62, -(2**62))

    def read_last_before(self, symbol: str, ts: int) -> Candles:
        """The newest stored row before `ts`, however old: no row or one."""
        for path in sorted(self.files(symbol, None, ts - 1), key=lambda path: path.name[:10], reverse=True):
            start, _ = period_bounds(path.name) or (0, 0)
            rows = self.read(symbol, start, ts - 1)
            if len(rows):
                return rows[-1:]
        return np.empty(0, CANDLE_DTYPE)

    def write(
        self, symbol: str, candles: Candles, purpose: str = "store", refreshed_ms: int | None = None
    ) -> WriteResult:
        """Merge rows into the store: files first, then the meta file. Safe to repeat after a crash at any moment.

        `refreshed_ms` is noted in the meta data as the time of the last refresh.
        """
        candles = candles[np.argsort(candles["ts"], kind="stable")]
        result = WriteResult()
        if not len(candles):
            return result
        self._warn_of_odd_prices(symbol, candles)
        with self.lock(symbol, purpose):
            remove_orphans(self.directory(symbol), "*", _MACHINE_CLOCK.now_ms())
            for name, rows in self._by_file(candles):
                result += self._merge_into(symbol, name, rows)
            meta = self.read_meta(symbol)
            changed = meta.with_rows(sort_candles(candles)["ts"])
            if refreshed_ms is not None:
                changed = changed.with_refresh(refreshed_ms, together=changed != meta or result != WriteResult())
            if changed != meta or not (self.directory(symbol) / META_NAME).exists():
                write_meta(self.directory(symbol), changed)
        return result

    def prune(self, symbol: str, max_rows: int, timeout_s: float = 600.0) -> int:
        """Remove the oldest files until at most `max_rows` rows are left; the rows removed. 0 keeps everything.

        Files with rows that the user imported stay.
        """
        if max_rows <= 0:
            return 0
        with self.lock(symbol, "prune", timeout_s):
            files = sorted(self.files(symbol), key=lambda path: path.name)
            counts = [self._summary(symbol, path)[0] for path in files]
            excess, removed = sum(counts) - max_rows, 0
            for path, count in zip(files, counts, strict=True):
                if removed >= excess:
                    break
                if (self._read_or_quarantine(symbol, path)["src"] == IMPORT).any():
                    continue
                path.unlink(missing_ok=True)
                removed += count
            if removed:
                self._note_first_row(symbol)
        if removed:
            logger.info("candles_pruned exchange=%s symbol=%s rows=%d", self.exchange, symbol, removed)
        return removed

    def _note_first_row(self, symbol: str) -> None:
        """After files were removed."""
        first = min((self._summary(symbol, path)[1] for path in self.files(symbol)), default=None)
        self.update_meta(symbol, lambda meta: replace(meta, first_seen_ts=first))

    def compact(self, symbol: str) -> None:
        """Merge the day files of months that are over into their month files."""
        days = [path.name for path in self.files(symbol) if len(path.stem) == 10]
        closed = sorted({name[:7] for name in days if self._is_closed(name[:7] + ".parquet")})
        if closed:
            with self.lock(symbol, "compact"):
                for month in closed:
                    self._merge_into(symbol, f"{month}.parquet", np.empty(0, CANDLE_DTYPE))

    def clear(self, symbol: str) -> None:
        """Remove all candles of a symbol; only for sources that can make them again."""
        with self.lock(symbol, "clear"):
            for path in [*self.files(symbol), self.directory(symbol) / META_NAME]:
                path.unlink(missing_ok=True)

    def read_meta(self, symbol: str) -> SymbolMeta:
        """The symbol's meta data; made from the candles if the file is missing or unreadable."""
        empty = SymbolMeta(self.exchange, symbol, self.timeframe)
        meta = read_meta(self.directory(symbol), empty)
        if meta is not None:
            return meta
        ts = self.read(symbol)["ts"]
        return empty.with_rows(ts) if len(ts) else empty

    def update_meta(
        self, symbol: str, change: Callable[[SymbolMeta], SymbolMeta], timeout_s: float = 600.0
    ) -> SymbolMeta:
        """Apply a change to the meta data under the lock; nothing is written if nothing changes."""
        with self.lock(symbol, "meta", timeout_s):
            meta = self.read_meta(symbol)
            changed = change(meta)
            if changed != meta:
                write_meta(self.directory(symbol), changed)
        return changed

    def clear_gaps(self, symbol: str, span: tuple[int, int] | None = None) -> int:
        """Forget known gaps that overlap the span in ms, all without one; the number of gaps forgotten."""
        before = self.read_meta(symbol).known_gaps
        if not before:
            return 0
        after = self.update_meta(symbol, lambda meta: meta.with_gaps(clear_gaps(meta.known_gaps, span)))
        return len(before) - len(after.known_gaps)

    def _identity(self, symbol: str, name: str) -> FileIdentity:
        start, end = period_bounds(name) or (0, 0)
        return FileIdentity(
            self.exchange, symbol, self.timeframe, name.removesuffix(".parquet"), self.period_ms, start, end
        )

    def _retried(
        self, symbol: str, start_ts: int | None, end_ts: int | None, read: Callable[[Path], Part]
    ) -> list[Part]:
        """Read the files of a range; if one goes away between listing and opening (compaction), list again."""
        for _ in range(LIST_TRIES - 1):
            with suppress(FileNotFoundError):
                return _in_threads(read, self.files(symbol, start_ts, end_ts))
        return _in_threads(read, self.files(symbol, start_ts, end_ts))

    def _read_or_quarantine(self, symbol: str, path: Path) -> Candles:
        def read() -> Candles:
            return self._memory.get(path, lambda: read_file(path, self._identity(symbol, path.name)))

        candles = self._or_quarantine(path, read)
        return np.empty(0, CANDLE_DTYPE) if candles is None else candles

    def _columns_or_quarantine(self, symbol: str, path: Path, names: tuple[str, ...]) -> dict[str, Column]:
        identity = self._identity(symbol, path.name)
        columns = self._or_quarantine(path, lambda: read_columns(path, identity, names))
        return columns or {name: np.empty(0, CANDLE_DTYPE[name]) for name in names}

    def _or_quarantine(self, path: Path, read: Callable[[], Part]) -> Part | None:
        """What is read; None after putting a damaged file aside, unless it has been replaced since."""
        try:
            stamp = stamp_of(path)
            try:
                return read()
            except DamagedFileError as exc:
                if stamp_of(path) != stamp:
                    return self._or_quarantine(path, read)
                self._quarantine(path, exc)
                return None
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise StoreError(f"{path} cannot be read: {exc.strerror or exc}; check its permissions") from exc

    def _quarantine(self, path: Path, reason: DamagedFileError) -> None:
        stamp = ts_to_date(self.clock.now_ms()).replace(":", "")
        aside = path.parent / "quarantine" / f"{path.name}.{stamp}"
        try:
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
        except OSError as exc:
            logger.error("%s; it could not be put aside: %s", reason, exc)
            return
        logger.error("%s; put aside as %s, its candles count as missing", reason, aside)

    def _is_closed(self, name: str) -> bool:
        """Whether rows of the month belong into a month file by now."""
        _, end = period_bounds(name) or (0, 0)
        return self.period_ms > MINUTE_MS or end - MINUTE_MS < self.clock.now_ms() - MONTH_CLOSES_AFTER_MS

    def _by_file(self, candles: Candles) -> Iterator[tuple[str, Candles]]:
        """Ascending rows, cut by the file they belong to."""
        months = candles["ts"].astype("M8[ms]").astype("M8[M]")
        for month in np.unique(months):
            rows = candles[months == month]
            if self._is_closed(f"{month}.parquet"):
                yield f"{month}.parquet", rows
                continue
            days = rows["ts"] // DAY_MS
            for day in np.unique(days):
                yield f"{np.datetime64(int(day), 'D')}.parquet", rows[days == day]

    def _merge_into(self, symbol: str, name: str, rows: Candles) -> WriteResult:
        """Read, merge, write one file; a month file swallows its day files. The caller holds the lock."""
        path = self.directory(symbol) / name
        is_month = len(path.stem) == 7
        identity = self._identity(symbol, name)
        covered = self.files(symbol, identity.start_ts, identity.end_ts - 1) if is_month else [path]
        parts = [self._read_or_quarantine(symbol, file) for file in covered if file.exists()]
        old = sort_candles(np.concatenate(parts)) if parts else np.empty(0, CANDLE_DTYPE)
        merged = merge(old, rows)
        leftovers = [file for file in covered if file != path]
        if len(merged) and (leftovers or not np.array_equal(merged, old)):
            write_file(path, merged, identity, self.clock.now_ms(), fsync=is_month)
            self._memory.put(path, merged)
        for file in leftovers:
            file.unlink(missing_ok=True)
        return _difference(old, merged)

    def _warn_of_odd_prices(self, symbol: str, candles: Candles) -> None:
        """Sources do deliver such rows; they are kept as they are."""
        odd = (candles["l"] > np.minimum(candles["o"], candles["c"])) | (
            candles["h"] < np.maximum(candles["o"], candles["c"])
        )
        if odd.any():
            first = ts_to_date(candles["ts"][np.argmax(odd)])
            logger.warning(
                "%s of %s: %d candles with open or close outside low and high, first at %s",
                symbol, self.exchange, odd.sum(), first,
            )  # fmt: skip


def _in_threads(read: Callable[[Path], Part], files: Sequence[Path]) -> list[Part]:
    if len(files) < READ_THREADS:
        return [read(path) for path in files]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        return list(pool.map(read, files))


def _difference(old: Candles, merged: Candles) -> WriteResult:
    """What a merge did: `merged` holds every `ts` of `old`, both ascend."""
    before = merged[np.searchsorted(merged["ts"], old["ts"])]
    changed = np.zeros(len(before), bool)
    for field in VALUE_FIELDS:
        changed |= before[field] != old[field]
    return WriteResult(len(merged) - len(old), int(changed.sum()))
