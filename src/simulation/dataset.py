"""Candles of a backtest as aligned arrays (`candles.md` 15): every coin over the whole range, in one cube on disk.

`prepare_dataset` plans which coins take part (`plan`), finds a stored dataset that still fits (`dataset_cache`), or
fetches the candles, places them in the cube coin by coin (`loading`, `assembly`) and stores it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from config.warmup import DEFAULT_SET
from core import paths
from core.clock import Clock
from core.errors import DataError, LockTimeoutError, RunError
from markets import sample
from simulation import dataset_cache
from simulation.assembly import Progress, build, failed_coins, fetch
from simulation.dataset_cache import Array, DatasetContent
from simulation.feeds import Feeds, FeedSettings, Network
from simulation.fingerprints import fingerprints, what_changed
from simulation.market_settings import META, ValidRows
from simulation.plan import Plan, make_plan
from simulation.request import DatasetRequest

logger = logging.getLogger(__name__)

BUILD_LOCK_S = 3600.0

Result = TypeVar("Result")


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


def prepare_dataset(
    request: DatasetRequest,
    *,
    clock: Clock,
    progress: Progress | None = None,
    network: Network | None = None,
) -> Dataset:
    """The dataset of a request, from the cache or made anew. Warnings about coins and range are logged either way.

    Without `network` everything comes from disk, or is computed. Raises DataError (OfflineDataError where something is
    not on disk) if no coin is left, a coin is missing under `fail_on_missing_coins`, or there are no BTC candles;
    RunError when the disk refuses.
    """
    return run_to_end(_prepare_and_close(request, Feeds(FeedSettings(request.cache_dir, clock), network), progress))


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine from ordinary code, also inside a notebook, where an event loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as exc:  # noqa: BLE001 - raised again below
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]


async def _prepare_and_close(request: DatasetRequest, feeds: Feeds, progress: Progress | None) -> Dataset:
    try:
        return await prepare(request, feeds, progress)
    finally:
        await feeds.aclose()


async def prepare(request: DatasetRequest, feeds: Feeds, progress: Progress | None = None) -> Dataset:
    """The same for programs that prepare several datasets over the same exchanges; the feeds stay open."""
    plan = await make_plan(request, feeds, feeds.settings.clock)
    directory = paths.datasets_dir(request.cache_dir) / request.key
    with _lock(directory):
        content = None
        if not request.force_refetch_gaps:
            content = dataset_cache.load(
                directory, compress=request.compress, is_current=lambda known: what_changed(known, plan)
            )
        if content is None:
            content = await _build_and_save(request, plan, feeds, directory, progress)
        else:
            logger.info(
                "dataset %s is reused: %d minutes, %d coins", directory, len(content.timestamps), len(content.coins)
            )
    _report(request, content)
    return _dataset(request, content, directory)


async def _build_and_save(
    request: DatasetRequest, plan: Plan, feeds: Feeds, directory: Path, progress: Progress | None
) -> DatasetContent:
    dataset_cache.remove_leftovers(directory)
    failed = failed_coins(plan, await fetch(request, plan, progress))
    known = fingerprints(plan, failed)  # before reading: what changes meanwhile is noticed next time
    content, details = await build(request, plan, failed, progress)
    dataset_cache.save(
        directory,
        content,
        compress=request.compress,
        fingerprints=known,
        details={"coins": details},
        clock=feeds.settings.clock,
    )
    if request.compress:
        return content
    del content  # the cube in memory, before its copy on disk is mapped
    stored = dataset_cache.load(directory, compress=False, is_current=lambda known: None)
    if stored is None:
        raise DataError(f"dataset {directory} cannot be read back; check the disk")
    return stored


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
        data_note=sample.DATA_NOTE if request.exchanges == (sample.EXCHANGE,) else None,
    )


def _with_run(request: DatasetRequest, coin: str, market: Mapping[str, Any]) -> dict[str, Any]:
    maker = market["maker_fee"] if request.maker_fee_override is None else request.maker_fee_override
    taker = market["taker_fee"] if request.taker_fee_override is None else request.taker_fee_override
    warmup = request.coin_warmup_minutes.get(coin, request.coin_warmup_minutes[DEFAULT_SET])
    rows = ValidRows(market["first_valid_index"], market["last_valid_index"], warmup)
    fees = {"maker": maker, "maker_fee": maker, "taker": taker, "taker_fee": taker}
    return {**market, **fees, "warmup_minutes": warmup, "trade_start_index": rows.trade_start}


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
