"""Candles and market settings of the user's own -> the store (`candles.md` 20.4).

Candles are written first and files that point at them last, each atomically: an import that is cut off leaves a
readable store, and repeating it completes what is missing.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from candles.disk.meta import SymbolMeta
from candles.disk.store import CandleStore, WriteResult, symbol_dir_name
from candles.fill import missing_spans, sort_candles
from candles.first_timestamps import lower_first_timestamps
from candles.gaps import PERSISTENT_AFTER, add_gap
from candles.importing.reader import FileReport, ReadOptions, is_candle_file, read_candles
from candles.importing.settings import ImportedCoin, read_settings
from core import paths
from core.clock import MINUTE_MS, Clock
from core.errors import DataError, UsageError
from core.files import read_json, write_json
from markets import sample
from markets.candle import CANDLE_DTYPE, IMPORT, PRICE_FIELDS, VALUE_FIELDS, Candles
from markets.symbols import CoinMaps, guess_coin, quote_currency, short_exchange

logger = logging.getLogger(__name__)

CONFLICT_RULES = ("replace", "keep", "error")
FLAT_BTC = "BTC (flat)"
MANIFEST_NAME = "import_manifest.json"
_LOOKS_LIKE_A_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?|\d{6}|\d{8}")


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, where to, and how to read it; the fields are the flags of `import_candles.py`."""

    inputs: tuple[Path, ...]
    exchange: str
    settings: Path
    cache_dir: Path
    read: ReadOptions = field(default_factory=ReadOptions)
    coin: str | None = None
    symbol: str | None = None
    on_conflict: str = "replace"
    btc_flat: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FileResult:
    """One input file; `error` says why nothing of it was imported."""

    path: Path
    coin: str
    report: FileReport | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CoinResult:
    """What became of one coin's rows; nothing is written in a dry run."""

    coin: str
    symbol: str
    rows: int
    start_ts: int
    end_ts: int
    written: WriteResult | None
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class ImportResult:
    files: tuple[FileResult, ...]
    coins: tuple[CoinResult, ...]

    @property
    def failed(self) -> bool:
        return any(file.error for file in self.files)


def run_import(request: ImportRequest, clock: Clock, progress: Callable[[str], None] | None = None) -> ImportResult:
    """Import everything that can be imported.

    Raises UsageError or ConfigError before anything is written, RunError when the disk refuses.
    """
    _check_request(request)
    settings = read_settings(request.settings, request.exchange)
    files = [(path, _coin_of(path, request, settings)) for path in _expand(request.inputs)]
    if request.btc_flat is not None and any(coin == "BTC" for _, coin in files):
        raise UsageError("--btc-flat is for imports without BTC, but there are files of BTC")
    store = CandleStore(request.cache_dir, request.exchange, clock)
    file_results: list[FileResult] = []
    coin_results: list[CoinResult] = []
    for coin in dict.fromkeys(coin for _, coin in files):
        if progress:
            progress(coin)
        results, candles = _read_coin(request, settings[coin], [path for path, of in files if of == coin], store)
        file_results += results
        if len(candles):
            coin_results.append(_store_coin(request, settings[coin], candles, store))
    if request.btc_flat is not None and coin_results:
        coin_results.append(_store_flat_btc(request, coin_results, store))
    if not request.dry_run and coin_results:
        _write_indexes(request, settings, coin_results)
        _write_manifest(request, file_results, coin_results, clock)
    return ImportResult(tuple(file_results), tuple(coin_results))


def _check_request(request: ImportRequest) -> None:
    if not re.fullmatch(r"[a-z0-9_]+", request.exchange):
        raise UsageError(f"--exchange {request.exchange!r}: use lower-case letters, digits and _")
    if short_exchange(request.exchange) == sample.EXCHANGE:
        raise UsageError(f"--exchange {sample.EXCHANGE}: this exchange is built in and computes its candles")
    if request.btc_flat is not None and not 0.0 < request.btc_flat < float("inf"):
        raise UsageError(f"--btc-flat {request.btc_flat}: the price must be a number above 0")
    try:
        ZoneInfo(request.read.tz)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"--tz {request.read.tz}: no such time zone; write it like Europe/Berlin") from None


def _expand(inputs: tuple[Path, ...]) -> list[Path]:
    """Files as given, and all candle files under directories."""
    files: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and is_candle_file(file))
            if not found:
                raise UsageError(f"{path} holds no .csv, .csv.gz, .zip, .parquet, .feather or .npy files")
            files += found
        elif not path.exists():
            raise UsageError(f"{path} does not exist")
        elif not is_candle_file(path):
            raise UsageError(f"{path}: only .csv, .csv.gz, .zip, .parquet, .feather and .npy files can be imported")
        else:
            files.append(path)
    return files


def _coin_of(path: Path, request: ImportRequest, settings: Mapping[str, ImportedCoin]) -> str:
    """The coin a file is about: by flag, else by its name, else (for files named after dates) by its directory's."""
    by_name = {name: coin for coin, item in settings.items() for name in _names_of(coin, item)}
    if request.coin or request.symbol:
        names = [request.coin or request.symbol or ""]
    else:
        stem = path.name.split(".")[0]
        stem = path.parent.name if _LOOKS_LIKE_A_DATE.fullmatch(stem) else stem
        token = stem.split("-")[0]
        names = [stem, token, token.split("_")[0], guess_coin(token), guess_coin(token.split("_")[0])]
    coin = next((by_name[name] for name in names if name in by_name), None)
    if coin is None:
        raise UsageError(
            f"{path}: {names[0]!r} is no coin of {request.settings}; add its settings there or name it with --coin"
        )
    return coin


def _names_of(coin: str, item: ImportedCoin) -> tuple[str, ...]:
    return coin, item.market.symbol, item.entry["id"], symbol_dir_name(item.market.symbol), item.market.base


def _read_coin(
    request: ImportRequest, item: ImportedCoin, files: list[Path], store: CandleStore
) -> tuple[list[FileResult], Candles]:
    """All files of one coin, later ones over earlier ones; a file that fails is left out."""
    results, parts = [], [np.empty(0, CANDLE_DTYPE)]
    for path in files:
        try:
            candles, report = read_candles(path, request.read, item.market.c_mult, store.clock.now_ms())
            candles = _settle_conflicts(request, item.market.symbol, path, candles, store)
        except DataError as exc:
            results.append(FileResult(path, item.market.coin, error=str(exc)))
            continue
        results.append(FileResult(path, item.market.coin, report))
        parts.append(candles)
    return results, sort_candles(np.concatenate(parts))


def _settle_conflicts(request: ImportRequest, symbol: str, path: Path, candles: Candles, store: CandleStore) -> Candles:
    """Apply `--on-conflict` where the store has rows of the same minutes."""
    if request.on_conflict == "replace":
        return candles
    stored = store.read(symbol, int(candles["ts"][0]), int(candles["ts"][-1]))
    known = np.isin(candles["ts"], stored["ts"])
    twins = stored[np.isin(stored["ts"], candles["ts"])]
    if request.on_conflict == "error":
        different = np.any([candles[known][name] != twins[name] for name in VALUE_FIELDS], axis=0)
        if different.any():
            raise DataError(f"{path}: {different.sum()} minutes are stored with other values (--on-conflict error)")
    kept = candles.copy()
    kept[known] = twins
    return kept


def _store_coin(request: ImportRequest, item: ImportedCoin, candles: Candles, store: CandleStore) -> CoinResult:
    symbol, start, end = item.market.symbol, int(candles["ts"][0]), int(candles["ts"][-1])
    result = CoinResult(item.market.coin, symbol, len(candles), start, end, None)
    if request.dry_run:
        return replace(result, gaps=len(missing_spans(candles["ts"], start, end)))
    with store.lock(symbol, "import"):
        written = store.write(symbol, candles, "import")
        holes = missing_spans(store.read(symbol, start, end)["ts"], start, end)
        store.update_meta(
            symbol, lambda meta: _note_import(meta, item.inception_ts, holes, start, store.clock.now_ms())
        )
    return replace(result, written=written, gaps=len(holes))


def _note_import(
    meta: SymbolMeta, stated_inception: int | None, holes: list[tuple[int, int]], start: int, now_ms: int
) -> SymbolMeta:
    """The coin's first candle, and holes that nobody needs to ask an exchange for."""
    known = [ts for ts in (meta.inception_ts, stated_inception, meta.first_seen_ts, start) if ts is not None]
    gaps = list(meta.known_gaps)
    for hole in holes:
        gaps = add_gap(gaps, hole, "manual", now_ms, retry_count=PERSISTENT_AFTER)
    return meta.with_gaps(gaps).with_inception(min(known), "import")


def _store_flat_btc(request: ImportRequest, coins: list[CoinResult], store: CandleStore) -> CoinResult:
    """A BTC feed at one price over all imported minutes, beneath whatever BTC candles are stored."""
    start, end = min(coin.start_ts for coin in coins), max(coin.end_ts for coin in coins)
    quote = quote_currency(request.exchange)
    symbol = f"BTC/{quote}:{quote}"
    candles = np.empty((end - start) // MINUTE_MS + 1, CANDLE_DTYPE)
    candles["ts"] = np.arange(start, end + MINUTE_MS, MINUTE_MS)
    for name in PRICE_FIELDS:
        candles[name] = request.btc_flat
    candles["bv"] = 0.0
    candles["src"] = IMPORT
    candles = candles[~np.isin(candles["ts"], store.read(symbol, start, end)["ts"])]
    written = None if request.dry_run else store.write(symbol, candles, "import")
    return CoinResult(FLAT_BTC, symbol, len(candles), start, end, written)


def _write_indexes(request: ImportRequest, settings: Mapping[str, ImportedCoin], coins: list[CoinResult]) -> None:
    """Market settings, coin maps and first timestamps of the coins that were imported."""
    imported = {coin.coin: coin for coin in coins if coin.coin in settings}
    path = paths.markets_file(request.cache_dir, short_exchange(request.exchange))
    markets: dict[str, Any] = read_json(path) if path.exists() else {}
    markets.update({settings[coin].market.symbol: settings[coin].entry for coin in imported})
    write_json(path, markets, indent=1)
    CoinMaps(request.cache_dir).update(request.exchange, markets, next(iter(settings.values())).market.quote)
    firsts = {
        coin: min(result.start_ts, settings[coin].inception_ts or result.start_ts) for coin, result in imported.items()
    }
    lower_first_timestamps(request.cache_dir, request.exchange, firsts)


def _write_manifest(request: ImportRequest, files: list[FileResult], coins: list[CoinResult], clock: Clock) -> None:
    """Append what was imported to the exchange's manifest."""
    path = paths.ohlcv_dir(request.cache_dir, short_exchange(request.exchange)) / MANIFEST_NAME
    manifest: dict[str, Any] = read_json(path) if path.exists() else {"version": 1, "imports": []}
    manifest["imports"].append(
        {
            "imported_at": clock.now_ms(),
            "settings": _fingerprint(request.settings),
            "inputs": [
                _fingerprint(file.path)
                | {"coin": file.coin, "error": file.error, "report": asdict(file.report) if file.report else None}
                for file in files
            ],
            "coins": [asdict(coin) for coin in coins],
        }
    )
    write_json(path, manifest, indent=1)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "size": path.stat().st_size, "sha256": digest}
