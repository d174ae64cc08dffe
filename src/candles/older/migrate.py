"""Candles of older caches -> the store, month by month (`candles.md` 19).

A month is read, compared with what is stored and written once, so a migration that is cut off is completed by the next
one. Stored rows stay; the older files are removed only on demand, and only if nothing went wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from candles.disk.store import CandleStore
from candles.fill import missing_spans, sort_candles
from candles.gaps import KnownGap
from candles.older.legacy import HISTORY, INDEX_NAME, SHARDS, LegacyFolder, find_folders, read_index, read_legacy_file
from core.clock import DAY_MS, Clock
from core.errors import DataError, OfflineDataError, UsageError
from markets.candle import CANDLE_DTYPE, Candles, timeframe_ms
from markets.market import read_markets
from markets.symbols import coin_maps_of, guess_coin, quote_currency, short_exchange

logger = logging.getLogger(__name__)

CONTRACT_EXCHANGES = frozenset({"gateio", "kucoin"})
"""Their older caches count contracts: what CCXT delivered was stored as it came."""

Progress = Callable[[str, int, int], None]
OpenStore = Callable[[Path, str, Clock, str], CandleStore]


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """What to migrate; the fields are the flags of `migrate_historical_data.py`. Empty `coins` means all."""

    cache_dir: Path
    source: Path | None = None
    exchange: str | None = None
    coins: frozenset[str] = frozenset()
    execute: bool = False
    delete_legacy: bool = False


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """One market's candles of one timeframe. `rows` are those of the old files, `new` those that were not stored yet.

    `dropped` rows were no candles; `errors` name what could not be migrated.
    """

    exchange: str
    timeframe: str
    symbol: str
    files: int = 0
    rows: int = 0
    new: int = 0
    dropped: int = 0
    gaps: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationResult:
    series: tuple[SeriesResult, ...]
    deleted: int = 0  # files

    @property
    def errors(self) -> list[str]:
        return [error for series in self.series for error in series.errors]


@dataclass(frozen=True, slots=True)
class _Series:
    """The folders of one market and timeframe, those that win last."""

    exchange: str
    timeframe: str
    symbol: str
    folders: tuple[LegacyFolder, ...]

    def months(self) -> dict[str, list[tuple[LegacyFolder, Path]]]:
        """`{YYYY-MM: files}`, ascending; files in the order in which they win."""
        months: dict[str, list[tuple[LegacyFolder, Path]]] = {}
        for folder in self.folders:
            for path in folder.files():
                months.setdefault(path.stem[:7], []).append((folder, path))
        return dict(sorted(months.items()))


def run_migration(
    request: MigrationRequest, clock: Clock, progress: Progress | None = None, open_store: OpenStore = CandleStore
) -> MigrationResult:
    """Migrate whatever is found, or only count it without `execute`. What fails stays where it is; the result names it.

    Raises UsageError for a source that is not there, RunError when the disk refuses.
    """
    all_series = _find(request)
    total = sum(len(series.months()) for series in all_series)
    results: list[SeriesResult] = []
    done = 0
    for series in all_series:
        store = open_store(request.cache_dir, series.exchange, clock, series.timeframe)
        migration = _Migration(request, series, store)
        for month, files in series.months().items():
            if progress:
                progress(f"{series.exchange} {series.symbol} {month}", done, total)
            migration.month(files)
            done += 1
        results.append(migration.finish())
    result = MigrationResult(tuple(results))
    if request.delete_legacy and request.execute and not result.errors:
        result = replace(result, deleted=sum(_delete(folder) for series in all_series for folder in series.folders))
    return result


def _find(request: MigrationRequest) -> list[_Series]:
    """The series that are wanted, by exchange, timeframe and symbol."""
    if request.source is not None and not request.source.is_dir():
        raise UsageError(f"--source {request.source} is no directory")
    sources = [request.source] if request.source else [Path(), request.cache_dir]
    folders = {folder.path.resolve(): folder for source in sources for folder in find_folders(source.resolve())}
    groups: dict[tuple[str, str, str], list[LegacyFolder]] = {}
    markets: dict[str, _Names] = {}
    for folder in folders.values():
        names = markets.setdefault(folder.exchange, _Names(request.cache_dir, folder.exchange))
        symbol = names.symbol_of(folder)
        exchange = short_exchange(request.exchange or folder.exchange)
        if folder.exchange == exchange and (not request.coins or request.coins & names.of(folder, symbol)):
            groups.setdefault((folder.exchange, folder.timeframe, symbol), []).append(folder)
    return [
        _Series(*key, tuple(sorted(found, key=lambda folder: (folder.kind == HISTORY, folder.path))))
        for key, found in sorted(groups.items())
    ]


class _Names:
    """What folders of an exchange are named after; its market settings tell, where they are known."""

    def __init__(self, cache_dir: Path, exchange: str) -> None:
        markets: Mapping[str, Mapping[str, Any]] = {}
        with suppress(OfflineDataError):
            markets = read_markets(cache_dir, exchange)
        self.quote = quote_currency(exchange)
        self.by_id = {entry["id"]: symbol for symbol, entry in markets.items() if entry.get("swap") and entry.get("id")}
        self.symbols, self.coins = coin_maps_of(markets, self.quote)

    def symbol_of(self, folder: LegacyFolder) -> str:
        """By market id, by coin, else taken literally: `1000SHIBUSDT` and `1000SHIB` are `1000SHIB/USDT:USDT`."""
        name = folder.path.name
        if folder.symbol is not None:
            return folder.symbol
        known = [self.by_id.get(name), *self.symbols.get(name, [])]
        base = name.removesuffix(self.quote) or name
        return next((symbol for symbol in known if symbol), f"{base}/{self.quote}:{self.quote}")

    def of(self, folder: LegacyFolder, symbol: str) -> set[str]:
        """The names a user may mean a folder by."""
        return {self.coins.get(symbol, guess_coin(symbol)), symbol, folder.path.name, symbol.split("/")[0]}


class _Migration:
    """One series on its way into the store."""

    def __init__(self, request: MigrationRequest, series: _Series, store: CandleStore) -> None:
        self._execute = request.execute
        self._store = store
        self._series = series
        self._period_ms = timeframe_ms(series.timeframe)
        self._result = SeriesResult(series.exchange, series.timeframe, series.symbol)
        self._crc32: dict[Path, int] = {}
        self._gaps: list[KnownGap] = []
        self._contract_size: float | None = None
        self._failed = False
        try:
            self._contract_size = _contract_size(request.cache_dir, series)
            self._read_indexes()
        except DataError as exc:
            self._failed = True
            self._note_error(exc)

    def month(self, files: list[tuple[LegacyFolder, Path]]) -> None:
        """Migrate the files of one month."""
        if self._failed:
            return
        parts = [part for folder, path in files if (part := self._read(folder, path)) is not None]
        rows = choose_rows(parts, self._period_ms)
        if not len(rows):
            return
        first, last = int(rows["ts"][0]), int(rows["ts"][-1])
        old = self._result
        self._result = replace(
            old,
            rows=old.rows + len(rows),
            new=old.new + self._store_new(rows),
            first_ts=first if old.first_ts is None else old.first_ts,
            last_ts=last,
        )

    def finish(self) -> SeriesResult:
        """Carry the gaps over once all rows are there."""
        if self._gaps and not self._failed:
            self._result = replace(self._result, gaps=len(self._gaps))
            if self._execute:
                with self._store.lock(self._series.symbol, "migrate"):
                    left = [part for gap in self._gaps for part in self._still_missing(gap)]
                    self._store.update_meta(self._series.symbol, lambda meta: meta.with_gaps([*meta.known_gaps, *left]))
        return self._result

    def _read_indexes(self) -> None:
        for folder in self._series.folders:
            index = read_index(folder)
            self._crc32.update({folder.path / name: crc32 for name, crc32 in index.crc32.items()})
            self._gaps += index.gaps

    def _read(self, folder: LegacyFolder, path: Path) -> Candles | None:
        """The rows of a file in base units; None for one that is of no use, which is noted."""
        try:
            candles, dropped = read_legacy_file(path, self._series.timeframe, self._crc32.get(path))
        except DataError as exc:
            self._note_error(exc)
            return None
        if folder.kind == SHARDS and self._contract_size is not None:
            candles["bv"] *= self._contract_size
        self._result = replace(self._result, files=self._result.files + 1, dropped=self._result.dropped + dropped)
        if dropped:
            logger.warning("%s: %d rows are no candles of %s and are left out", path, dropped, path.stem)
        return candles

    def _store_new(self, rows: Candles) -> int:
        """Store the rows whose minutes are not there yet; their number."""
        symbol, first, last = self._series.symbol, int(rows["ts"][0]), int(rows["ts"][-1])
        if not self._execute:
            return int((~np.isin(rows["ts"], self._store.read(symbol, first, last)["ts"])).sum())
        with self._store.lock(symbol, "migrate"):
            stored = self._store.read(symbol, first, last)
            return self._store.write(symbol, rows[~np.isin(rows["ts"], stored["ts"])], "migrate").added

    def _still_missing(self, gap: KnownGap) -> Iterable[KnownGap]:
        ts = self._store.read(self._series.symbol, gap.start_ts, gap.end_ts)["ts"]
        spans = missing_spans(ts, gap.start_ts, gap.end_ts, self._period_ms)
        return (replace(gap, start_ts=start, end_ts=end) for start, end in spans)

    def _note_error(self, error: DataError) -> None:
        self._result = replace(self._result, errors=(*self._result.errors, str(error)))


def choose_rows(parts: list[Candles], period_ms: int) -> Candles:
    """The rows to take of files that overlap, day by day: the last whole day, else all parts, later ones winning.

    The parts are ascending. A day is whole with a row for each of its periods.
    """
    days: dict[int, list[Candles]] = {}
    for rows in parts:
        day_of_row = rows["ts"] // DAY_MS
        for day in np.unique(day_of_row):
            days.setdefault(int(day), []).append(rows[day_of_row == day])
    chosen = [np.empty(0, CANDLE_DTYPE)]
    for _, candidates in sorted(days.items()):
        whole = [rows for rows in candidates if len(rows) * period_ms == DAY_MS]
        chosen.append(whole[-1] if whole else sort_candles(np.concatenate(candidates)))
    return np.concatenate(chosen)


def _contract_size(cache_dir: Path, series: _Series) -> float | None:
    """Base units in a contract where volumes count contracts, else None. Raises DataError where it is not known."""
    if series.exchange not in CONTRACT_EXCHANGES or not any(folder.kind == SHARDS for folder in series.folders):
        return None
    with suppress(OfflineDataError):
        size = read_markets(cache_dir, series.exchange).get(series.symbol, {}).get("contractSize")
        if size:
            return float(size)
    raise DataError(
        f"{series.exchange} {series.symbol}: its volumes count contracts, and the contract size is not in "
        f"{cache_dir / series.exchange / 'markets.json'}; nothing of it is migrated until that file has the market"
    )


def _delete(folder: LegacyFolder) -> int:
    """Remove a folder's files, and the folders that are empty then; the number of files."""
    files = [*folder.files(), *folder.path.glob(INDEX_NAME)]
    for path in files:
        path.unlink()
    with suppress(OSError):  # the first folder that holds something else stays
        for directory in (folder.path, *folder.path.parents[:2]):
            directory.rmdir()
    return len(files)
