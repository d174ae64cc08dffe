"""Candles of a backtest as aligned arrays (`candles.md` 15): every coin over the whole range, in one cube on disk.

`prepare_dataset` finds a stored dataset that still fits, or plans which coins take part, loads them one by one, places
them in the cube and stores it (`dataset_cache`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from candles.first_timestamps import first_anywhere, first_on_exchange
from candles.sources.sample import SampleSource
from candlestick_manager import CandlestickManager
from core import paths
from core.clock import DAY_MS, MINUTE_MS, Clock
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError, LockTimeoutError, OfflineDataError, RunError
from core.terms import PSIDES, Pside
from markets import sample
from markets.candle import ARCHIVE_FILL, Candles
from markets.market import Market, import_hint, market_of, read_markets
from markets.symbols import coin_maps_of, quote_currency
from simulation import dataset_cache
from simulation.dataset_cache import Array, DatasetContent

logger = logging.getLogger(__name__)

META = "__meta__"
DEFAULT_SET = "__default__"
BUILD_LOCK_S = 3600.0
BTC = "BTC"

Progress = Callable[[str, int, int], None]
PLACED = ("h", "l", "c", "bv")  # the last axis of the cube


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What to prepare. `coins` lists each side's tradable coins; numbers keep the type they have in the config.

    `name` and `exchange_key` differ for combined data: "combined", and the list of exchanges instead of a name.
    """

    name: str
    exchange: str
    exchange_key: str | list[str] | tuple[str, ...]
    coins: Mapping[Pside, tuple[str, ...]]
    start_date: str
    end_date: str
    warmup_minutes: int
    coin_warmup_minutes: Mapping[str, int]
    minimum_coin_age_days: float
    gap_tolerance_ohlcvs_minutes: float
    coin_sources: Mapping[str, str] = field(default_factory=dict)
    compress: bool = False
    maker_fee_override: float | None = None
    taker_fee_override: float | None = None
    offline: bool = False
    fail_on_missing_coins: bool = False
    force_refetch_gaps: bool = False
    cache_dir: Path = paths.DEFAULT_CACHE_DIR

    @property
    def all_coins(self) -> list[str]:
        return sorted({coin for pside in PSIDES for coin in self.coins[pside]})

    @property
    def combined(self) -> bool:
        return not isinstance(self.exchange_key, str)

    @property
    def key(self) -> str:
        """The cache key (`candles.md` 16)."""
        return dataset_cache.dataset_key(
            {
                "coins": {pside: sorted(set(self.coins[pside])) for pside in PSIDES},
                "end_date": self.end_date,
                "start_date": self.start_date,
                "exchange": list(self.exchange_key) if self.combined else self.exchange_key,
                "minimum_coin_age_days": self.minimum_coin_age_days,
                "gap_tolerance_ohlcvs_minutes": self.gap_tolerance_ohlcvs_minutes,
                "warmup_minutes": self.warmup_minutes,
                "coin_sources": sorted([coin, source] for coin, source in self.coin_sources.items()),
            }
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Aligned candles, read-only: rows are minutes, columns the `coins` in alphabetical order.

    `hlcvs` float64 [T, N, 4] (high, low, close, base volume; NaN before a coin's first candle), `btc_usd` float64 [T],
    `timestamps` int64 [T] in ms. `markets` maps each coin to its market settings with `first_valid_index`,
    `last_valid_index`, `warmup_minutes` and `trade_start_index`; `meta` are the facts of 15.7.
    `data_note` says so if the data are synthetic, and is None for real ones.
    """

    name: str
    coins: tuple[str, ...]
    hlcvs: Array
    btc_usd: Array
    timestamps: Array
    markets: Mapping[str, Mapping[str, Any]]
    meta: Mapping[str, Any]
    key: str
    directory: Path
    data_note: str | None = None

    @property
    def synthetic(self) -> bool:
        return self.data_note is not None

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """Market settings of all coins, and the facts under `__meta__`, as the stored file has them."""
        return {**self.markets, META: self.meta}


@dataclass(frozen=True, slots=True)
class _CoinPlan:
    """A coin that takes part: what it is called on the exchange, and since when its candles count."""

    coin: str
    symbol: str
    market: Market
    entry: Mapping[str, Any]
    start_ts: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """The range in ms, the coins that may take part, and why others do not."""

    requested_ts: int
    start_ts: int
    end_ts: int
    coins: tuple[_CoinPlan, ...]
    left_out: Mapping[str, str]
    btc_symbol: str
    notes: tuple[str, ...]


def prepare_dataset(request: DatasetRequest, *, clock: Clock, progress: Progress | None = None) -> Dataset:
    """The dataset of a request, from the cache or made anew. Warnings about coins and range are logged either way.

    Raises DataError (OfflineDataError where something is not on disk) if no coin is left, a coin is missing under
    `fail_on_missing_coins`, or there are no BTC candles; RunError when the disk refuses.
    """
    manager = _manager(request, clock)
    plan = _plan(request, manager, clock)
    directory = paths.datasets_dir(request.cache_dir) / request.key
    with _lock(directory):
        content = None
        if not request.force_refetch_gaps:
            content = dataset_cache.load(
                directory, compress=request.compress, is_current=lambda known: _what_changed(known, plan, manager)
            )
        if content is None:
            content = _build_and_save(request, plan, manager, directory, progress)
        else:
            logger.info(
                "dataset %s is reused: %d minutes, %d coins", directory, len(content.timestamps), len(content.coins)
            )
    _report(request, content)
    return _dataset(request, content, directory)


def bundle_meta(dataset: Dataset) -> dict[str, Any]:
    """What `HlcvsBundle` wants to know about the arrays (`candles.md` 15.8)."""
    texts = ("symbol", "coin", "exchange", "quote", "base")
    numbers = ("qty_step", "price_step", "min_qty", "min_cost", "c_mult", "maker_fee", "taker_fee")
    rows = ("first_valid_index", "last_valid_index", "warmup_minutes", "trade_start_index")
    return {
        "requested_start_timestamp_ms": dataset.meta["requested_start_ts"],
        "effective_start_timestamp_ms": dataset.meta["effective_start_ts"],
        "warmup_minutes_requested": dataset.meta["warmup_minutes_requested"],
        "warmup_minutes_provided": dataset.meta["warmup_minutes_provided"],
        "coins": [
            {"index": i, **{key: dataset.markets[coin][key] for key in (*texts, *numbers, *rows)}}
            for i, coin in enumerate(dataset.coins)
        ],
    }


def _manager(request: DatasetRequest, clock: Clock) -> CandlestickManager:
    """The manager of the exchange's candles; the only exchange that can deliver more than is on disk is `sample`."""
    sources = {request.exchange, *(request.coin_sources[c] for c in request.all_coins if c in request.coin_sources)}
    if sample.EXCHANGE in sources and len(sources) > 1:
        raise DataError(f"sample cannot be mixed with real exchanges, but the run names {', '.join(sorted(sources))}")
    if request.combined and len(sources) > 1:
        raise DataError(
            f"coin_sources names {', '.join(sorted(sources - {request.exchange}))} beside {request.exchange}: "
            "data of several exchanges cannot be combined yet"
        )
    source = SampleSource() if request.exchange == sample.EXCHANGE else None
    return CandlestickManager(source, request.exchange, cache_dir=request.cache_dir, clock=clock, compact=True)


# --- which coins, which range


def _plan(request: DatasetRequest, manager: CandlestickManager, clock: Clock) -> _Plan:
    requested, end = date_to_ts(request.start_date), date_to_ts(request.end_date)
    start = max(0, requested - request.warmup_minutes * MINUTE_MS) // MINUTE_MS * MINUTE_MS
    notes = []
    last = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    if end > last:
        notes.append(f"end date {request.end_date} is not over yet: the data end at {ts_to_date(last)}")
        end = last
    if end <= requested:
        raise DataError(
            f"start date {request.start_date} is not before the end, {ts_to_date(end)}: there is nothing to run; "
            "choose an earlier backtest.start_date"
        )
    markets = _markets(request)
    to_symbols, _ = coin_maps_of(markets, quote_currency(request.exchange))
    left_out: dict[str, str] = {}
    planned: list[_CoinPlan] = []
    for coin in request.all_coins:
        symbol = next(iter(to_symbols.get(coin, ())), None)
        try:
            if symbol is None:
                raise DataError(f"{request.exchange} has no market of it")
            market = market_of(markets[symbol], request.exchange, coin)
            coin_start = _coin_start(request, manager, market, (start, end))
            planned.append(_CoinPlan(coin, symbol, market, markets[symbol], coin_start))
        except DataError as exc:
            left_out[coin] = str(exc)
    quote = quote_currency(request.exchange)
    btc_symbol = next(iter(to_symbols.get(BTC, ())), f"{BTC}/{quote}:{quote}")
    return _Plan(requested, start, end, tuple(planned), left_out, btc_symbol, tuple(notes))


def _markets(request: DatasetRequest) -> dict[str, dict[str, Any]]:
    try:
        return read_markets(request.cache_dir, request.exchange)
    except OfflineDataError as exc:
        raise OfflineDataError(
            f"candles of {request.exchange} are not on disk, and downloading them is not built yet: "
            f"{import_hint(request.exchange)}"
        ) from exc


def _coin_start(request: DatasetRequest, manager: CandlestickManager, market: Market, span: tuple[int, int]) -> int:
    """From when on a coin's candles count: not before it reaches the minimum age. Raises DataError if never."""
    start, end = span
    known = manager.first_ts(market.symbol)
    if known is None:
        raise OfflineDataError("no candles on disk")
    on_exchange = int(first_on_exchange(request.cache_dir, request.exchange).get(market.coin) or known)
    anywhere = int(first_anywhere(request.cache_dir).get(market.coin) or on_exchange)
    if request.exchange == sample.EXCHANGE:
        on_exchange = anywhere = known
    age_ms = int(request.minimum_coin_age_days * DAY_MS)
    if age_ms <= 0:
        return start
    if on_exchange >= end:
        raise DataError(f"listed only on {ts_to_date(on_exchange)}")
    if (manager.clock.now_ms() - anywhere) // DAY_MS < request.minimum_coin_age_days:
        raise DataError(f"younger than minimum_coin_age_days {request.minimum_coin_age_days:g}")
    return max(start, (anywhere + age_ms) // MINUTE_MS * MINUTE_MS, on_exchange)


# --- is the stored dataset current


def _fingerprints(plan: _Plan, manager: CandlestickManager) -> dict[str, Any]:
    """What goes into the arrays: the plan, each coin's market and, unless they are computed, its candle files."""
    symbols = {item.coin: item.symbol for item in plan.coins} | {f"{BTC}/USD": plan.btc_symbol}
    return {
        "plan": _plan_facts(plan),
        "source": manager.source.version if manager.source else "store",
        "candles": {
            name: dataset_cache.file_fingerprints(_candle_files(symbol, plan, manager))
            for name, symbol in symbols.items()
        },
    }


def _plan_facts(plan: _Plan) -> dict[str, Any]:
    return {
        "end": plan.end_ts,
        "coins": {
            item.coin: [item.start_ts, dataset_cache.json_digest([item.entry, item.symbol])] for item in plan.coins
        },
        "left_out": sorted(plan.left_out),
    }


def _candle_files(symbol: str, plan: _Plan, manager: CandlestickManager) -> list[Path]:
    return [] if manager.source else manager.store.files(symbol, plan.start_ts, plan.end_ts)


def _what_changed(known: Mapping[str, Any], plan: _Plan, manager: CandlestickManager) -> str | None:
    if known["source"] != (manager.source.version if manager.source else "store"):
        return f"it was made from {known['source']}"
    facts = _plan_facts(plan)
    for what in facts:
        if known["plan"][what] != facts[what]:
            return {"coins": "market settings or listing dates have changed"}.get(what, f"{what} has changed")
    symbols = {item.coin: item.symbol for item in plan.coins} | {f"{BTC}/USD": plan.btc_symbol}
    for name, files in known["candles"].items():
        if not dataset_cache.files_unchanged(_candle_files(symbols[name], plan, manager), files):
            return f"the candles of {name} have changed"
    return None


# --- building


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Times of a coin's candles: first row in the cube, first and last real candle; and counts for the manifest."""

    plan: _CoinPlan
    first_row_ts: int
    first_real_ts: int
    last_real_ts: int
    n_real: int
    n_filled: int


def _build_and_save(
    request: DatasetRequest, plan: _Plan, manager: CandlestickManager, directory: Path, progress: Progress | None
) -> DatasetContent:
    dataset_cache.remove_leftovers(directory)
    fingerprints = _fingerprints(plan, manager)  # before reading: what changes meanwhile is noticed next time
    content, loaded = _build(request, plan, manager, progress)
    dataset_cache.save(
        directory,
        content,
        compress=request.compress,
        fingerprints=fingerprints,
        details={
            "coins": {
                item.plan.coin: {"exchange": request.exchange, "real_rows": item.n_real, "filled_rows": item.n_filled}
                for item in loaded
            }
        },
        clock=manager.clock,
    )
    if request.compress:
        return content
    del content  # the cube in memory, before its copy on disk is mapped
    stored = dataset_cache.load(directory, compress=False, is_current=lambda known: None)
    if stored is None:
        raise DataError(f"dataset {directory} cannot be read back; check the disk")
    return stored


def _build(
    request: DatasetRequest, plan: _Plan, manager: CandlestickManager, progress: Progress | None
) -> tuple[DatasetContent, list[_Loaded]]:
    origin = _origin(plan, manager)
    cube = np.full(((plan.end_ts - origin) // MINUTE_MS + 1, len(plan.coins), 4), np.nan)
    left_out, loaded, columns = dict(plan.left_out), [], []
    for i, item in enumerate(plan.coins):
        if progress:
            progress(item.coin, i, len(plan.coins))
        try:
            loaded.append(_load_coin(request, item, plan.end_ts, manager, cube[:, i], origin))
            columns.append(i)
        except DataError as exc:
            left_out[item.coin] = str(exc)
    if progress:
        progress("", len(plan.coins), len(plan.coins))
    if not loaded:
        raise OfflineDataError(_nothing_left(request, left_out))
    start, end, notes = _final_range(plan, loaded, manager)
    rows = slice((start - origin) // MINUTE_MS, (end - origin) // MINUTE_MS + 1)
    if len(columns) < cube.shape[1]:
        cube = cube[:, columns]
    timestamps = np.arange(start, end + MINUTE_MS, MINUTE_MS, dtype=np.int64)
    btc_usd, btc_notes = _btc_usd(request, plan, manager, (start, end))
    content = DatasetContent(
        coins=tuple(item.plan.coin for item in loaded),
        settings={item.plan.coin: _settings(item, start, end) for item in loaded}
        | {META: _meta(request, plan.requested_ts, start)},
        hlcvs=cube[rows],
        timestamps=timestamps,
        btc_usd=btc_usd,
        notes=(*plan.notes, *notes, *btc_notes),
        left_out=left_out,
    )
    return content, loaded


def _origin(plan: _Plan, manager: CandlestickManager) -> int:
    """No candle of any coin lies before this: it keeps the cube small where data begin late."""
    firsts = [max(item.start_ts, manager.first_ts(item.symbol) or 0) for item in plan.coins]
    return min(max(min(firsts, default=plan.start_ts), plan.start_ts), plan.end_ts) // MINUTE_MS * MINUTE_MS


def _load_coin(
    request: DatasetRequest, item: _CoinPlan, end_ts: int, manager: CandlestickManager, column: Array, origin: int
) -> _Loaded:
    """Check a coin's candles and place them in its column [T, 4] of the cube. Raises DataError if they are no use."""
    real = manager.get_candles(
        item.symbol, start_ts=item.start_ts, end_ts=end_ts, strict=True, force_refetch_gaps=request.force_refetch_gaps
    )
    traded = np.flatnonzero(real["src"] != ARCHIVE_FILL)
    if not len(traded):
        raise OfflineDataError(f"no candles between {ts_to_date(item.start_ts)} and {ts_to_date(end_ts)}")
    real = _without_long_gaps(request, item, end_ts, manager, real)
    filled = manager.standardize_gaps(real, start_ts=item.start_ts, end_ts=end_ts, assume_sorted=True)
    row = (int(filled["ts"][0]) - origin) // MINUTE_MS
    for i, name in enumerate(PLACED):
        column[row : row + len(filled), i] = filled[name]
    traded = np.flatnonzero(real["src"] != ARCHIVE_FILL)
    return _Loaded(
        item, int(filled["ts"][0]), int(real["ts"][traded[0]]), int(real["ts"][traded[-1]]),
        len(real), len(filled) - len(real),
    )  # fmt: skip


def _without_long_gaps(
    request: DatasetRequest, item: _CoinPlan, end_ts: int, manager: CandlestickManager, real: Candles
) -> Candles:
    """The candles if no gap between two of them is longer than tolerated, fetched once more where that may help."""
    gap = _longest_gap(real["ts"])
    if gap[1] - gap[0] > request.gap_tolerance_ohlcvs_minutes * MINUTE_MS and manager.source is not None:
        real = manager.get_candles(
            item.symbol, start_ts=item.start_ts, end_ts=end_ts, strict=True, force_refetch_gaps=True
        )
        gap = _longest_gap(real["ts"])
    if gap[1] - gap[0] > request.gap_tolerance_ohlcvs_minutes * MINUTE_MS:
        raise DataError(
            f"no candles for {(gap[1] - gap[0]) // MINUTE_MS - 1} minutes between {ts_to_date(gap[0])} and "
            f"{ts_to_date(gap[1])}, more than gap_tolerance_ohlcvs_minutes {request.gap_tolerance_ohlcvs_minutes:g}"
        )
    return real


def _longest_gap(ts: Array) -> tuple[int, int]:
    """The neighbouring times that lie furthest apart."""
    if len(ts) < 2:
        return 0, 0
    at = int(np.argmax(np.diff(ts)))
    return int(ts[at]), int(ts[at + 1])


def _final_range(plan: _Plan, loaded: list[_Loaded], manager: CandlestickManager) -> tuple[int, int, list[str]]:
    """First and last minute of the cube. Data that cannot be fetched end the range where they end."""
    start, end = min(item.first_row_ts for item in loaded), plan.end_ts
    if manager.source is not None:
        return start, end, []
    notes = []
    last = max(item.last_real_ts for item in loaded)
    if last < end:
        notes.append(f"the candles on disk end at {ts_to_date(last)}, before the end date: the run ends there")
    early = [f"{item.plan.coin} at {ts_to_date(item.last_real_ts)}" for item in loaded if item.last_real_ts < last]
    if last <= plan.requested_ts:
        raise OfflineDataError(
            f"the candles on disk end at {ts_to_date(last)}, before the start date {ts_to_date(plan.requested_ts)}"
        )
    if early:
        notes.append(f"candles end earlier than those of other coins, as if delisted: {', '.join(early)}")
    return start, last, notes


def _btc_usd(
    request: DatasetRequest, plan: _Plan, manager: CandlestickManager, span: tuple[int, int]
) -> tuple[Array, list[str]]:
    """Closes of BTC each minute up to the last midnight, carried over gaps, to the end and back to the start (15.6)."""
    start, end = span
    midnight = end // DAY_MS * DAY_MS
    until = midnight if midnight >= start else end
    real = manager.get_candles(plan.btc_symbol, start_ts=start, end_ts=until, strict=True)
    if not len(real):
        raise OfflineDataError(
            f"{request.exchange} has no candles of BTC between {ts_to_date(start)} and {ts_to_date(end)}, which "
            "the BTC/USD prices need: import BTC, or import with --btc-flat PRICE if neither BTC collateral nor BTC "
            "metrics matter"
        )
    notes = []
    if real["ts"][0] > start or real["ts"][-1] < until:
        first, last = (ts_to_date(real["ts"][i]) for i in (0, -1))
        notes.append(f"the BTC/USD prices cover only {first} to {last} of the range; they are flat outside")
    closes = manager.standardize_gaps(real, start_ts=start, end_ts=end, fill_leading_gaps=True, assume_sorted=True)["c"]
    return np.ascontiguousarray(closes), notes


def _settings(item: _Loaded, start: int, end: int) -> dict[str, Any]:
    """A coin's market settings: the exchange's entry, what the engine takes from it, and its valid rows."""
    market = item.plan.market
    return {
        **item.plan.entry,
        "symbol": market.symbol,
        "coin": market.coin,
        "exchange": market.exchange,
        "quote": market.quote,
        "base": market.base,
        "qty_step": market.qty_step,
        "price_step": market.price_step,
        "min_qty": market.min_qty,
        "min_cost": market.min_cost,
        "c_mult": market.c_mult,
        **_fees(market.maker_fee, market.taker_fee),
        "hedge_mode": True,
        "first_valid_index": (item.first_real_ts - start) // MINUTE_MS,
        "last_valid_index": (min(item.last_real_ts, end) - start) // MINUTE_MS,
    }


def _fees(maker: float, taker: float) -> dict[str, float]:
    return {"maker": maker, "maker_fee": maker, "taker": taker, "taker_fee": taker}


def _meta(request: DatasetRequest, requested: int, start: int) -> dict[str, Any]:
    return {
        "requested_start_ts": requested,
        "requested_start_date": ts_to_date(requested),
        "effective_start_ts": start,
        "effective_start_date": ts_to_date(start),
        "warmup_minutes_requested": request.warmup_minutes,
        "warmup_minutes_provided": max(0, requested - start) // MINUTE_MS,
    }


# --- handing over


def _report(request: DatasetRequest, content: DatasetContent) -> None:
    """Repeat the warnings that belong to the dataset; a missing coin is an error where the user wants that."""
    for note in content.notes:
        logger.warning(note)
    if content.left_out:
        text = "; ".join(f"{coin}: {reason}" for coin, reason in content.left_out.items())
        if request.fail_on_missing_coins:
            raise DataError(f"coins without data (--fail-on-missing-coins): {text}")
        logger.warning("coins left out: %s", text)


def _nothing_left(request: DatasetRequest, left_out: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{coin}: {reason}" for coin, reason in left_out.items()) or "no coin is approved"
    hint = "" if request.exchange == sample.EXCHANGE else f"; {import_hint(request.exchange)}"
    return f"No valid coins found with data on {request.exchange}: {reasons}{hint}"


def _dataset(request: DatasetRequest, content: DatasetContent, directory: Path) -> Dataset:
    """The stored dataset with what belongs to this run: fees and warm-ups of the running config."""
    settings = dict(content.settings)
    meta = settings.pop(META)
    return Dataset(
        name=request.name,
        coins=content.coins,
        hlcvs=_read_only(content.hlcvs),
        btc_usd=_read_only(content.btc_usd),
        timestamps=_read_only(content.timestamps),
        markets={coin: _with_run(request, coin, settings[coin]) for coin in content.coins},
        meta=meta,
        key=request.key,
        directory=directory,
        data_note=sample.DATA_NOTE if request.exchange == sample.EXCHANGE else None,
    )


def _with_run(request: DatasetRequest, coin: str, market: Mapping[str, Any]) -> dict[str, Any]:
    maker = market["maker_fee"] if request.maker_fee_override is None else request.maker_fee_override
    taker = market["taker_fee"] if request.taker_fee_override is None else request.taker_fee_override
    warmup = request.coin_warmup_minutes.get(coin, request.coin_warmup_minutes[DEFAULT_SET])
    first, last = market["first_valid_index"], market["last_valid_index"]
    trade_start = first if first > last else min(last, first + warmup)
    return {**market, **_fees(maker, taker), "warmup_minutes": warmup, "trade_start_index": trade_start}


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """One process prepares a dataset; others wait and find it."""
    path = directory.with_name(f".{directory.name}.lock")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=BUILD_LOCK_S)
        lock.acquire()
    except Timeout as exc:
        raise LockTimeoutError(f"another process has been preparing {directory} for an hour; stop it") from exc
    except OSError as exc:
        raise RunError(f"cannot write {path}: {exc.strerror or exc}") from exc
    try:
        yield
    finally:
        lock.release()
