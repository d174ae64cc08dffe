"""For tests of the running bot: time that passes at once, a bot in memory that goes through a script."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from config.live_settings import LiveSettings
from exchanges.protocol import TargetOrder
from live.account.strangers import SortedOrders
from live.bot import Cycle
from live.choice.assignment import Assignment, SideChoice
from live.orders.executor import Failed, Report
from live.planning.decision import Decision, World
from live.planning.planner import CycleFacts, Plan
from live.planning.translate import Translation
from live.records import OrderDiff
from live_cases import NOW, account_of, book_of, coin_sets, settings_of

TURNS = 40  # of the event loop, in which everything that can happen at a moment happens


class TimeTable:
    """A clock whose time moves to the next moment that somebody waits for, as soon as nothing is left to do."""

    def __init__(self, ms: int = NOW) -> None:
        self.ms = ms
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (self.ms + round(seconds * 1000.0), self._count, future))
        await future

    async def _drive(self, task: asyncio.Task[Any], until_ms: int) -> None:
        while True:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if task.done():
                return
            while self._waiting and self._waiting[0][2].done():
                heapq.heappop(self._waiting)
            assert self._waiting, "nothing would ever happen again"
            at_ms, _, future = heapq.heappop(self._waiting)
            assert at_ms <= until_ms, f"not over after {(self.ms - NOW) / 1000:.0f} s"
            self.ms = max(self.ms, at_ms)
            future.set_result(None)

    def run(self, work: Coroutine[Any, Any, Any], seconds: float = 100_000.0) -> Any:
        """What the work returns or raises; fails when it is not over after so many seconds."""

        async def case() -> Any:
            task = asyncio.create_task(work)
            try:
                await self._drive(task, self.ms + int(seconds * 1000))
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            return task.result()

        return asyncio.run(case())


def decision(**account: Any) -> Decision:
    """A decision that wants nothing, on an account of `live_cases.account_of`."""
    state, book = account_of(**account), book_of()
    facts = CycleFacts(state.balance, state.positions, {}, {}, {}, {}, {}, {}, {"long": 0.0, "short": 0.0}, True)
    sides: Any = {pside: SideChoice(frozenset(), (), 4, False) for pside in ("long", "short")}
    world = World(state, SortedOrders(tuple(state.open_orders)), book, coin_sets(), {})
    return Decision(world, Assignment({}, {}, sides), Plan({}, {}), Translation((), (), ()), (), OrderDiff(), facts)


TARGET = TargetOrder("A/USDT:USDT", "buy", "long", 1.0, 99.0, False, "entry_grid_normal_long")


def quiet() -> Cycle:
    """A cycle in which nothing had to change."""
    return Cycle(decision())


def busy() -> Cycle:
    """A cycle that posted an order."""
    return Cycle(decision(), Report(created=(TARGET,), n_wanted=1))


def failing(*failures: Any, error: Exception | None = None) -> Cycle:
    """A cycle of which these writes failed."""
    failed = tuple(Failed(TARGET, failure, error or ValueError("no")) for failure in failures)
    return Cycle(decision(), Report(failed=failed, n_wanted=len(failed)))


class FakeBot:
    """Goes through a script of cycles, errors and functions that return one; then `at_end` is called.

    `began` are the times of its cycles in seconds since the start. Stream updates are put into `updates`.
    """

    def __init__(self, clock: TimeTable, script: list[Any], settings: LiveSettings | None = None) -> None:
        self.clock, self.script = clock, list(script)
        self.settings = settings or settings_of(warmup_jitter_seconds=0.0, execution_delay_seconds=2.0)
        self.at_end: Callable[[], None] = lambda: None
        self.updates: asyncio.Queue[Any] = asyncio.Queue()
        self.exchange = SimpleNamespace(
            name="bybit",
            can_watch_orders=False,
            rest=SimpleNamespace(last_response_headers={}),
            watch_orders=self._watch,
            reset_stream=self._reset,
            sync_clock=self._sync,
        )
        self.parts: Any = SimpleNamespace(fills=SimpleNamespace(events=[]), dry_run=False, manager=self)
        self.reader = SimpleNamespace(note_change=lambda: self.noted.append("change"))
        self.lists = SimpleNamespace(read=lambda book: coin_sets("AB"))
        self.book = book_of()
        self.store = SimpleNamespace(rows_in_memory=dict)
        self.on_fills: Any = None
        self.noted: list[str] = []
        self.began: list[float] = []
        self.prepared: list[float] = []
        self.prepare_errors: list[Exception] = []
        self.due = False

    @property
    def now_s(self) -> float:
        return (self.clock.now_ms() - NOW) / 1000.0

    async def run_cycle(self) -> Cycle:
        self.began.append(self.now_s)
        if not self.script:
            self.at_end()
            return quiet()
        step = self.script.pop(0)
        step = step() if callable(step) else step
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, Cycle)
        return step

    async def prepare(self) -> None:
        self.prepared.append(self.now_s)
        if self.prepare_errors:
            raise self.prepare_errors.pop(0)
        self.due = False

    def is_due(self) -> bool:
        return self.due

    def is_forager(self, count: int) -> bool:
        return False

    async def get_candles(self, symbol: str, **window: Any) -> None:
        self.noted.append(f"candles {symbol}")

    def stop_writing(self) -> None:
        self.noted.append("stop_writing")

    async def aclose(self) -> None:
        self.noted.append("closed")

    async def _watch(self) -> None:
        update = await self.updates.get()
        if isinstance(update, Exception):
            raise update

    async def _reset(self) -> None:
        self.noted.append("reset")

    async def _sync(self) -> None:
        self.noted.append("synced")
