"""What the store has of a market: months, sources, gaps, writers (`candles.md` 21.3). Nothing here changes a file."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from candles.checks.audit import candle_files, read_candle_file, read_footer
from candles.disk.locks import LOCK_NAME
from candles.disk.meta import META_NAME, SymbolMeta, read_meta
from candles.disk.store import CandleStore, symbol_dir_name
from candles.fill import sort_candles
from candles.gaps import KnownGap
from core import paths
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import DataError
from core.files import read_json
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, IMPORT, REST, UNKNOWN, Candles
from markets.symbols import guess_coin, short_exchange

SOURCES = {REST: "rest", ARCHIVE: "archive", ARCHIVE_FILL: "fill", IMPORT: "import", UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True)
class Series:
    """One market's candles of one timeframe in the store."""

    exchange: str
    timeframe: str
    symbol: str
    directory: Path

    def store(self, cache_dir: Path, clock: Clock) -> CandleStore:
        return CandleStore(cache_dir, self.exchange, clock, self.timeframe)


@dataclass(frozen=True, slots=True)
class MonthCoverage:
    """A month's rows, of the `expected` ones between the series' first and last, counted by where they come from."""

    month: str
    rows: int
    expected: int
    sources: dict[str, int]
    files: int
    written_at: int  # ms, of the newest file


@dataclass(frozen=True, slots=True)
class Coverage:
    """All of a series. `errors` name files that are damaged and facts that contradict each other."""

    months: tuple[MonthCoverage, ...]
    gaps: tuple[KnownGap, ...]
    first_ts: int | None
    last_ts: int | None
    writer: str
    errors: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(month.rows for month in self.months)

    @property
    def expected(self) -> int:
        return sum(month.expected for month in self.months)


def find_series(
    cache_dir: Path, exchange: str | None = None, coins: Collection[str] = (), timeframe: str | None = None
) -> list[Series]:
    """The series of the store, those of some coins (or symbols) only if there are `coins`."""
    root = paths.ohlcv_dir(cache_dir, short_exchange(exchange) if exchange else "*")
    found = []
    for directory in sorted(root.parent.glob(f"{root.name}/{timeframe or '*'}/*")):
        if not directory.is_dir() or not any(directory.glob("*.parquet")):
            continue
        symbol = _symbol_of(directory)
        if not coins or {guess_coin(symbol), symbol, symbol.split("/")[0], directory.name} & set(coins):
            found.append(Series(directory.parent.parent.name, directory.parent.name, symbol, directory))
    return found


def _symbol_of(directory: Path) -> str:
    """As meta data or files name it; the directory's name if they cannot be read."""
    try:
        symbol = str(read_json(directory / META_NAME)["symbol"])
    except (FileNotFoundError, DataError, KeyError, TypeError):
        symbol = ""
    for path in () if symbol else candle_files(directory):
        try:
            symbol = read_footer(path).get("pb.symbol", "")
        except DataError:
            continue
    return symbol if symbol_dir_name(symbol) == directory.name else directory.name


def coverage_of(series: Series, cache_dir: Path, clock: Clock, *, verify: bool = False) -> Coverage:
    """Read every file of a series; with `verify` compare the candles with the meta data, too."""
    store = series.store(cache_dir, clock)
    files: dict[Path, Candles] = {}
    errors: list[str] = []
    for path in store.files(series.symbol):
        try:
            files[path] = read_candle_file(path)
        except DataError as exc:
            errors.append(str(exc))
    candles = sort_candles(np.concatenate([np.empty(0, CANDLE_DTYPE), *files.values()]))
    meta = read_meta(series.directory, SymbolMeta(series.exchange, series.symbol, series.timeframe))
    written = {path: int(read_footer(path).get("pb.written_at", 0)) for path in files}
    first, last = (int(candles["ts"][0]), int(candles["ts"][-1])) if len(candles) else (None, None)
    return Coverage(
        months=tuple(_months(candles, written, store.period_ms)),
        gaps=meta.known_gaps if meta else (),
        first_ts=first,
        last_ts=last,
        writer=_last_writer(series.directory, max(written.values(), default=0)),
        errors=(*errors, *(_contradictions(series, candles, meta) if verify and meta else ())),
    )


def _months(candles: Candles, written: dict[Path, int], period_ms: int) -> list[MonthCoverage]:
    if not len(candles):
        return []
    month_of_row = candles["ts"].astype("M8[ms]").astype("M8[M]")
    months = np.arange(month_of_row[0], month_of_row[-1] + 1)
    covered = []
    for month in months:
        rows = candles[month_of_row == month]
        start, end = (int(edge.astype("M8[ms]").astype(np.int64)) for edge in (month, month + 1))
        first, stop = max(start, int(candles["ts"][0])), min(end, int(candles["ts"][-1]) + period_ms)
        stamps = [at for path, at in written.items() if path.stem[:7] == str(month)]
        expected = -(-(stop - first) // period_ms)
        sources = {SOURCES.get(src, str(src)): int(count) for src, count in zip(*_counts(rows["src"]), strict=True)}
        covered.append(MonthCoverage(str(month), len(rows), expected, sources, len(stamps), max(stamps, default=0)))
    return covered


def _counts(values: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> tuple[list[int], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()


def _last_writer(directory: Path, written_at: int) -> str:
    """When the newest file was written, and what the last holder of the lock was doing."""
    when = ts_to_date(written_at)[:19] if written_at else "never"
    try:
        owner = json.loads((directory / LOCK_NAME).read_text())
        return f"{when}, {owner['purpose']} by process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return when


def _contradictions(series: Series, candles: Candles, meta: SymbolMeta) -> list[str]:
    """Where the meta data say other things than the candles."""
    if not len(candles):
        return []
    ts, where = candles["ts"], f"{series.exchange} {series.symbol} {series.timeframe}"
    wrong = []
    if meta.first_seen_ts is not None and meta.first_seen_ts > ts[0]:
        wrong.append(
            f"{where}: the first candle is of {ts_to_date(ts[0])}, meta.json says {ts_to_date(meta.first_seen_ts)}"
        )
    if meta.inception_ts is not None and meta.inception_ts > ts[0]:
        wrong.append(f"{where}: there are candles before the inception of {ts_to_date(meta.inception_ts)}")
    for gap in meta.known_gaps:
        inside = int(np.searchsorted(ts, gap.end_ts, side="right") - np.searchsorted(ts, gap.start_ts))
        if inside:
            wrong.append(f"{where}: {inside} candles in the gap that begins at {ts_to_date(gap.start_ts)}")
    return wrong
