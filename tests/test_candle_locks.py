"""Locks of symbols (`candles.md` 18)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import multiprocessing
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from candles.disk.locks import candle_lock, candle_lock_async
from core.clock import ManualClock, SystemClock
from core.errors import LockTimeoutError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "binance" / "1m" / "BTC_USDT_USDT"


def _hold(path: Path, *, pid: int, heartbeat_s: float, host: str | None = None) -> int:
    """Lock the file as another process would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, json.dumps({"pid": pid, "host": host or socket.gethostname(), "purpose": "fetch"}).encode())
    os.utime(path, (heartbeat_s, heartbeat_s))
    return fd


def _dead_pid() -> int:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    return process.pid or 0


def test_says_who_holds_it_and_stays_on_disk(directory: Path) -> None:
    """The file tells pid, host, times and purpose; it is not removed on release, and can be taken again."""
    for _ in range(2):
        with candle_lock(directory, purpose="import", clock=ManualClock(5_000)):
            owner = json.loads((directory / ".lock").read_text())
            assert owner == {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started_at": 5_000,
                "heartbeat_at": 5_000,
                "purpose": "import",
            }
            assert (directory / ".lock").stat().st_mtime == 5.0
        assert (directory / ".lock").exists()


def test_text_of_another_length(directory: Path) -> None:
    """What a longer or shorter text left in the file is gone: the owner can be read."""
    path = directory / ".lock"
    path.parent.mkdir(parents=True)
    for text in ("x" * 500, "{", json.dumps({"host": "y" * 300})):
        path.write_text(text)
        with candle_lock(directory, purpose="fetch", clock=SystemClock()):
            assert json.loads(path.read_text())["pid"] == os.getpid()


def test_times_out_naming_the_owner(directory: Path) -> None:
    """Waiting doubles up to two seconds; the error names symbol, timeframe, owner and age."""
    clock, waits = ManualClock(1_000_000), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(int(seconds * 1000))

    fd = _hold(directory / ".lock", pid=os.getpid(), heartbeat_s=990.0)
    message = r"BTC_USDT_USDT \(binance, 1m\).*for 10 s by process \d+ .*fetch, last heartbeat 2\d s ago"
    with (
        pytest.raises(LockTimeoutError, match=message),
        candle_lock(directory, purpose="x", clock=clock, timeout_s=10, sleep=sleep),
    ):
        pass
    os.close(fd)
    assert waits[0] < waits[1] < waits[2]
    assert all(
        0.75 * base <= wait <= 1.25 * base for base, wait in zip((0.1, 0.2, 0.4, 0.8, 1.6, 2.0), waits, strict=False)
    )


@pytest.mark.parametrize(
    ("dead", "host", "age_s", "robbed"),
    [(True, None, 200, True), (False, None, 200, False), (True, None, 100, False), (True, "elsewhere", 200, True)],
)
def test_stale_locks(directory: Path, dead: bool, host: str | None, age_s: int, robbed: bool) -> None:
    """A lock without heartbeat for 180 s whose process is gone is healed; a living holder is never robbed."""
    clock = ManualClock(1_000_000)
    fd = _hold(directory / ".lock", pid=_dead_pid() if dead else os.getpid(), heartbeat_s=1000.0 - age_s, host=host)

    def sleep(seconds: float) -> None:
        clock.advance(int(seconds * 1000))

    def acquire() -> bool:
        try:
            with candle_lock(directory, purpose="x", clock=clock, timeout_s=20, sleep=sleep):
                return True
        except LockTimeoutError:
            return False

    assert acquire() is robbed
    os.close(fd)


def test_reentrant_and_exclusive_between_threads(directory: Path) -> None:
    """A thread may nest; another thread waits until the outermost is left."""
    order: list[str] = []
    clock = SystemClock()
    entered = threading.Event()

    def other() -> None:
        entered.wait()
        with candle_lock(directory, purpose="other", clock=clock):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with candle_lock(directory, purpose="outer", clock=clock):
        entered.set()
        with candle_lock(directory, purpose="inner", clock=clock):
            order.append("inner")
        order.append("outer")
    thread.join()
    assert order == ["inner", "outer", "other"]


def _count(directory: Path, counter: Path) -> None:
    for _ in range(25):
        with candle_lock(directory, purpose="count", clock=SystemClock(), timeout_s=60):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_excludes_processes(directory: Path, tmp_path: Path) -> None:
    """Read-modify-write by several processes loses nothing; a process that dies drops its lock."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(directory, counter)) for _ in range(2)]
    for process in processes:
        process.start()
    _count(directory, counter)
    for process in processes:
        process.join()
    assert counter.read_text() == "75"


def test_replaced_file_is_not_the_lock(directory: Path) -> None:
    """A lock on a file that lost its name between opening and locking counts for nothing: it is tried again."""
    path, armed = directory / ".lock", True

    def rename_once(event: str, _: object) -> None:
        nonlocal armed
        if armed and event == "fcntl.flock":
            armed = False
            path.rename(directory / "old")

    sys.addaudithook(rename_once)
    with candle_lock(directory, purpose="x", clock=ManualClock(0), timeout_s=1, sleep=lambda _: None):
        assert not armed
        assert json.loads(path.read_text())["purpose"] == "x"


def test_tasks_exclude_each_other(directory: Path) -> None:
    """Of two tasks one waits, however long; what a task starts inside the lock may take it again."""
    clock, order = ManualClock(0), []

    async def hold(name: str) -> None:
        async with candle_lock_async(directory, purpose=name, clock=clock):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            async with candle_lock_async(directory, purpose="nested", clock=clock):
                await asyncio.to_thread(_nest, directory, clock)
            order.append(f"{name} out")

    async def both() -> None:
        await asyncio.gather(hold("one"), hold("two"))

    asyncio.run(both())
    assert order == ["one in", "one out", "two in", "two out"]


def _nest(directory: Path, clock: ManualClock) -> None:
    with candle_lock(directory, purpose="thread", clock=clock, timeout_s=0.0):
        pass


def test_tasks_time_out(directory: Path) -> None:
    """A task is told who holds the lock, as a thread is."""
    fd = _hold(directory / ".lock", pid=os.getpid(), heartbeat_s=0.0)

    async def wait() -> None:
        async with candle_lock_async(directory, purpose="x", clock=ManualClock(0), timeout_s=3.0):
            pass

    with pytest.raises(LockTimeoutError, match="stayed locked for 3 s"):
        asyncio.run(wait())
    os.close(fd)


def test_deleted_while_held(directory: Path) -> None:
    """Whoever deletes the file lets another in; that the first one leaves takes nothing from the second."""
    clock = ManualClock(0)
    first = candle_lock(directory, purpose="first", clock=clock)
    first.__enter__()
    (directory / ".lock").unlink()
    entered, leave = threading.Event(), threading.Event()

    def second() -> None:
        with candle_lock(directory, purpose="second", clock=clock, timeout_s=0.0):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=second)
    thread.start()
    entered.wait()
    first.__exit__(None, None, None)
    with pytest.raises(LockTimeoutError, match="second"), candle_lock(directory, purpose="x", clock=clock, timeout_s=0):
        pass
    leave.set()
    thread.join()
    with candle_lock(directory, purpose="x", clock=clock, timeout_s=0.0):
        pass


@pytest.mark.parametrize("who", ["holder", "waiter"])
def test_cancelled_tasks_leave_nothing_behind(directory: Path, who: str) -> None:
    """A task cancelled while it holds the lock, or waits for it, stands in nobody's way."""
    clock, order = ManualClock(0), []

    async def hold(name: str, steps: int) -> None:
        async with candle_lock_async(directory, purpose=name, clock=clock):
            order.append(name)
            for _ in range(steps):
                await asyncio.sleep(0)

    async def run() -> None:
        tasks = {name: asyncio.create_task(hold(name, 20)) for name in ("holder", "waiter", "third")}
        for _ in range(5):
            await asyncio.sleep(0)
        tasks[who].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await hold("last", 0)

    asyncio.run(run())
    assert order == [name for name in ("holder", "waiter", "third", "last") if who == "holder" or name != "waiter"]


def test_cancelled_while_another_process_holds(directory: Path) -> None:
    """A task cancelled between two looks at the file lets the next one look."""
    fd = _hold(directory / ".lock", pid=os.getpid(), heartbeat_s=0.0)
    clock = ManualClock(0)

    async def hold() -> str:
        async with candle_lock_async(directory, purpose="x", clock=clock, timeout_s=1e9):
            return "held"

    async def run() -> str:
        first, second = asyncio.create_task(hold()), asyncio.create_task(hold())
        while len(clock.sleeps) < 3:
            await asyncio.sleep(0)
        first.cancel()
        os.close(fd)
        return await second

    assert asyncio.run(run()) == "held"


def test_a_task_does_not_block_its_loop_for_itself(directory: Path) -> None:
    """Waiting without await for a lock that a task of the same loop has could never end: it is refused at once."""
    clock = ManualClock(0)

    async def run() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with candle_lock_async(directory, purpose="fetch", clock=clock):
                entered.set()
                await leave.wait()

        task = asyncio.create_task(hold())
        await entered.wait()
        with (
            pytest.raises(LockTimeoutError, match="fetch"),
            candle_lock(directory, purpose="x", clock=clock, sleep=lambda _: pytest.fail("it waited")),
        ):
            pass
        leave.set()
        await task
        with candle_lock(directory, purpose="x", clock=clock):
            pass

    asyncio.run(run())
