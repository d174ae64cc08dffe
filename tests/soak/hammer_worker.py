"""One of the hammer's processes: random queries through managers, every answer compared with what must be in it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from hammer_venue import SYMBOLS, VENUES, Holes, SharedClock, Truth

from candles.disk import locks
from candles.disk.store import symbol_dir_name
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS
from core.clock import MINUTE_MS as M
from core.errors import CandleFetchError, LockTimeoutError
from exchanges.endpoints import parse_endpoints
from exchanges.network import ExchangeNetwork
from markets.candle import ARCHIVE_FILL, CANDLE_DTYPE, FILLED, Candles

TASKS = 3  # at once in a process
ONE_CANCELLED_IN = 12
TURN_MS = 2 * M
MOST_ERRORS = 5  # of a process, then it stops
OUTCOMES = ("lock waits", "lock time-outs", "fetch errors", "cancelled", "rows read")

Minutes = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is given. `slot` is its line in the counts; `folder` holds the cache, counts, errors, `stop`."""

    folder: Path
    endpoints: dict[str, Any]
    clock: SharedClock
    holes: Holes
    seed: int
    slot: int


def cache_of(folder: Path) -> Path:
    return folder / "caches"


def open_counts(folder: Path, slots: int) -> npt.NDArray[np.int64]:
    """Counts by slot and name, shared by all processes; they survive who counts."""
    return np.memmap(folder / "counts", np.int64, "r+", shape=(slots, len(COUNTERS)))


def open_seen(folder: Path, venue: str, symbol: str) -> Minutes:
    """Minutes from the start that some process has read from the cache, shared: from then on all must find them."""
    return np.memmap(folder / f"seen-{venue}-{symbol_dir_name(symbol)}", np.bool_, "r+")


def make_shared(folder: Path, slots: int, minutes: int) -> None:
    """The files behind the two functions above."""
    np.zeros((slots, len(COUNTERS)), np.int64).tofile(folder / "counts")
    for venue in VENUES:
        for symbol in SYMBOLS:
            np.zeros(minutes, np.bool_).tofile(folder / f"seen-{venue}-{symbol_dir_name(symbol)}")
    (folder / "errors").mkdir()


def work(job: Job) -> None:
    """Hammer until the file `stop` is there. What goes wrong is written to `errors/`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its processes itself
    log = logging.FileHandler(job.folder / "errors" / f"log-{os.getpid()}", delay=True)
    logging.basicConfig(level=logging.ERROR, handlers=[log])
    try:
        asyncio.run(Hammer(job).run())
    except BaseException:  # noqa: BLE001 - the parent reads it
        tell(job.folder, traceback.format_exc())


def tell(folder: Path, text: str) -> None:
    with (folder / "errors" / f"{os.getpid()}").open("a") as file:
        file.write(text + "\n")


class WrongAnswerError(Exception):
    """A manager's answer holds what it must not hold, or lacks what others have read before."""


@dataclass(frozen=True, slots=True)
class Target:
    """A market, the manager that is asked about it, and what is known of it."""

    manager: CandlestickManager
    venue: str
    symbol: str
    seen: Minutes
    start: int  # of `seen`

    def seen_in(self, start: int, end: int) -> Minutes:
        return self.seen[(start - self.start) // M : (end - self.start) // M + 1]


class Hammer:
    """Random operations on random markets."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.random = Random(job.seed)
        self.truth = Truth(job.holes)
        self.start = job.holes.start
        self.counts = open_counts(job.folder, job.slot + 1)[job.slot]
        self.targets: list[Target] = []
        self.errors = 0
        self._count_lock_waits()

    async def run(self) -> None:
        job = self.job
        async with ExchangeNetwork(
            parse_endpoints(job.endpoints, "hammer"), cache_of(job.folder), job.clock
        ) as network:
            managers = [await self._open(network, venue, memory) for venue in VENUES for memory in (200_000, 0)]
            try:
                await asyncio.gather(*(self._keep_asking() for _ in range(TASKS)))
            finally:
                for manager in managers:
                    await manager.aclose()

    async def _open(self, network: ExchangeNetwork, venue: str, memory: int) -> CandlestickManager:
        """A manager like a live bot's with memory, or like a backtest's without."""
        client = await network.client(venue)
        client.timeout_on_exit = 0
        manager = CandlestickManager(
            client, venue, cache_dir=cache_of(self.job.folder), clock=self.job.clock, lock_timeout_seconds=20.0,
            max_memory_candles_per_symbol=memory, max_disk_candles_per_symbol_per_tf=0, compact=memory == 0,
            rewrite_archive_url=network.archive_url,
        )  # fmt: skip
        for symbol in SYMBOLS:
            seen = open_seen(self.job.folder, venue, symbol)
            self.targets.append(Target(manager, venue, symbol, seen, self.start))
        return manager

    async def _keep_asking(self) -> None:
        names, weights = list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()]
        while not (self.job.folder / "stop").exists() and self.errors < MOST_ERRORS:
            name = self.random.choices(names, weights)[0]
            self._count(name)
            await self._attempt(name, self._target())
            await asyncio.sleep(0)

    def _target(self) -> Target:
        """Any market, mostly the one that all processes turn to at the time, so that they get in each other's way."""
        turn = self.job.clock.now_ms() // TURN_MS
        venue, symbol = VENUES[turn % len(VENUES)], SYMBOLS[turn % len(SYMBOLS)]
        hot = [target for target in self.targets if (target.venue, target.symbol) == (venue, symbol)]
        return self.random.choice(hot if self.random.random() < 0.7 else self.targets)

    async def _attempt(self, name: str, target: Target) -> None:
        task = asyncio.ensure_future(OPERATIONS[name][1](self, target))
        if self.random.randrange(ONE_CANCELLED_IN) == 0:
            await asyncio.wait({task}, timeout=self.random.random() * 0.1)
            if task.cancel():
                self._count("cancelled")
        try:
            await task
        except asyncio.CancelledError:
            pass
        except LockTimeoutError:
            self._count("lock time-outs")
        except CandleFetchError:
            self._count("fetch errors")
        except Exception:  # noqa: BLE001 - whatever it is, the parent reads it
            self.errors += 1
            tell(self.job.folder, f"{name} of {target.venue} {target.symbol}:\n{traceback.format_exc()}")

    # --- operations

    async def history(self, target: Target) -> None:
        """A window of the past, real rows or filled."""
        await self._ask(target, self._past(3.2), force_refetch_gaps=self.random.random() < 0.1)

    async def holes(self, target: Target) -> None:
        """A window around a known gap or a hole of the venue, mostly as it is, sometimes asked for again."""
        known = target.manager.get_gap_summary(target.symbol)["gaps"]
        spans = [(gap["start_ts"], gap["end_ts"]) for gap in known] + list(self.job.holes.gone[target.symbol])
        low, high = self.random.choice(spans)
        window = (low - self.random.randrange(30) * M, high + self.random.randrange(30) * M)
        last = self.job.clock.now_ms() // M * M - M
        window = (min(max(window[0], self.start), last), min(max(window[1], self.start), last))
        await self._ask(target, window, force_refetch_gaps=self.random.random() < 0.3)

    async def present(self, target: Target) -> None:
        """The newest minutes, as live bots ask for them."""
        last = self.job.clock.now_ms() // M * M - M
        length = int(10 ** self.random.uniform(0.3, 3.4))
        window, age = (max(last - length * M, self.start), last + 5 * M), self.random.choice((None, 0, 30_000))
        await self._ask(
            target, window, max_age_ms=age, skip_historical_gap_fill=self.random.random() < 0.3,
        )  # fmt: skip

    async def warm_up(self, target: Target) -> None:
        since = self.job.clock.now_ms() - self.random.randrange(1, 48) * HOUR_MS
        await target.manager.warmup_since([target.symbol], since)

    async def refresh(self, target: Target) -> None:
        await target.manager.refresh(target.symbol)

    async def price(self, target: Target) -> None:
        price = await target.manager.get_current_close(target.symbol, self.random.choice((None, 0, 10_000)))
        if not price > 0.0:
            raise WrongAnswerError(f"price is {price}")

    async def ema(self, target: Target) -> None:
        frame, span = self.random.choice((("1m", 300.0), ("1h", 30.0)))
        await target.manager.get_latest_ema_metrics(
            target.symbol, {"close": self.random.uniform(2.0, span), "log_range": span},
            self.random.choice((None, 30_000, 600_000)), frame,
        )  # fmt: skip

    async def hours(self, target: Target) -> None:
        low, high = self._past(4.2, step=HOUR_MS)
        rows = await target.manager.get_candles(target.symbol, start_ts=low, end_ts=high, tf="1h")
        self._require(not len(rows) or (np.diff(rows["ts"]) >= HOUR_MS).all(), "hours are not ascending")
        self._count("rows read", len(rows))

    async def dataset(self, target: Target) -> None:
        """Days at once as a backtest reads them; archives have most of them."""
        low, high = self._past(4.2, step=DAY_MS)
        await target.manager.ensure(target.symbol, low, high)
        before = target.seen_in(low, high).copy()
        names = ("o", "h", "l", "c", "bv", "src")
        columns = await asyncio.to_thread(target.manager.store.read_columns, target.symbol, names, low, high)
        rows = np.empty(len(columns["ts"]), CANDLE_DTYPE)
        for name, column in columns.items():
            rows[name] = column
        self._judge(target, rows, (low, high), before)

    async def compact(self, target: Target) -> None:
        await asyncio.to_thread(target.manager.store.compact, target.symbol)

    # --- parts

    def _past(self, digits: float, step: int = M) -> tuple[int, int]:
        """A window that has ended; up to 10 to the `digits` minutes, the start on the grid of `step`."""
        last = self.job.clock.now_ms() // M * M - M
        length = int(10 ** self.random.uniform(0.0, digits))
        low = self.start + self.random.randrange(max((last - self.start) // M - length, 1)) * M
        low = max(low // step * step, self.start)
        return low, min(low + length * M, last)

    async def _ask(self, target: Target, window: tuple[int, int], **options: Any) -> None:
        low, high = window
        strict = self.random.random() < 0.5
        before = target.seen_in(low, high).copy()
        rows = await target.manager.get_candles(target.symbol, start_ts=low, end_ts=high, strict=strict, **options)
        if not strict and len(rows):
            self._require((np.diff(rows["ts"]) == M).all(), "filled rows have holes")
        self._judge(target, rows[rows["src"] != FILLED], window, before)

    def _judge(self, target: Target, rows: Candles, window: tuple[int, int], before: Minutes) -> None:
        """Real rows within their window, true ones, and all that anybody had read before."""
        low, high = window
        self._count("rows read", len(rows))
        if len(rows):
            self._require(low <= rows["ts"][0] and rows["ts"][-1] <= high, f"rows outside {low}..{high}")
        there = np.zeros(len(before), np.bool_)
        there[(rows["ts"] - low) // M] = True
        lost = np.flatnonzero(before & ~there)
        self._require(not len(lost), f"{len(lost)} rows that were there are lost, the first at {low + lost[:1] * M}")
        wrong = self.truth.wrong(target.symbol, rows[rows["src"] != ARCHIVE_FILL])
        self._require(not wrong, wrong)
        target.seen_in(low, high)[there] = True

    def _require(self, fine: bool, what: str) -> None:
        if not fine:
            raise WrongAnswerError(what)

    def _count(self, name: str, amount: int = 1) -> None:
        self.counts[COUNTERS.index(name)] += amount

    def _count_lock_waits(self) -> None:
        next_wait_s = locks._Waiting.next_wait_s

        def counted(waiting: locks._Waiting) -> float:
            self._count("lock waits")
            return next_wait_s(waiting)

        locks._Waiting.next_wait_s = counted  # type: ignore[method-assign]


Operation = Callable[[Hammer, Target], Awaitable[None]]

OPERATIONS: dict[str, tuple[int, Operation]] = {
    "history": (30, Hammer.history),
    "holes": (15, Hammer.holes),
    "present": (20, Hammer.present),
    "warm-up": (3, Hammer.warm_up),
    "refresh": (10, Hammer.refresh),
    "price": (10, Hammer.price),
    "ema": (8, Hammer.ema),
    "hours": (6, Hammer.hours),
    "dataset": (4, Hammer.dataset),
    "compact": (4, Hammer.compact),
}
COUNTERS = (*OPERATIONS, *OUTCOMES)
