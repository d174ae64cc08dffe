"""One exclusive lock a symbol, for processes, threads and tasks that fetch into the same store (`candles.md` 18).

The lock is the operating system's (`filelock`), so a process that dies drops it. The file's content tells others who
holds it; its modification time is the holder's heartbeat. What runs inside the lock may take it again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from filelock import FileLock, Timeout

from core.clock import Clock
from core.errors import LockTimeoutError, RunError

logger = logging.getLogger(__name__)

LOCK_NAME = ".lock"
HEARTBEAT_S = 30.0
STALE_S = 180.0
SUSPECT_S = 5.0  # a holder that has just begun gets this long to write its first heartbeat
TEXT_LENGTH = 200
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0

# Paths whose lock the running thread or task holds; copied into what it starts, which is part of its work.
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def candle_lock(
    directory: Path,
    *,
    purpose: str,
    clock: Clock,
    timeout_s: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock of a symbol's directory, `.../{exchange}/{timeframe}/{symbol}`; re-entrant.

    Raises LockTimeoutError naming the owner and the age of its last heartbeat: at once where a task of this thread's
    own event loop has it or waits for it, since no task goes on while the thread waits.
    """
    path = directory.absolute() / LOCK_NAME
    if path in _held.get():
        yield
        return
    waiting = _Waiting(path, clock, timeout_s)
    while (lock := waiting.attempt()) is None:
        if _would_wait_for_itself(path):
            raise LockTimeoutError(_timeout_text(path, 0.0, clock))
        sleep(waiting.next_wait_s())
    with _holding(lock, path, purpose, clock):
        yield


@asynccontextmanager
async def candle_lock_async(
    directory: Path, *, purpose: str, clock: Clock, timeout_s: float = 600.0
) -> AsyncIterator[None]:
    """The same for tasks of an event loop: waiting lets others run."""
    path = directory.absolute() / LOCK_NAME
    if path in _held.get():
        yield
        return
    queue = _queue_of(path)
    try:
        await asyncio.wait_for(queue.acquire(), timeout_s)
    except TimeoutError:
        raise LockTimeoutError(_timeout_text(path, timeout_s, clock)) from None
    try:
        waiting = _Waiting(path, clock, timeout_s)
        while (lock := waiting.attempt()) is None:
            await clock.sleep(waiting.next_wait_s())
        with _holding(lock, path, purpose, clock):
            yield
    finally:
        queue.release()


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, asyncio.Lock]] = WeakKeyDictionary()


def _queue_of(path: Path) -> asyncio.Lock:
    """Tasks of one loop stand in line here, so that only the first of them looks at the file again and again."""
    return _queues.setdefault(asyncio.get_running_loop(), {}).setdefault(path, asyncio.Lock())


def _would_wait_for_itself(path: Path) -> bool:
    try:
        queue = _queues.get(asyncio.get_running_loop(), {}).get(path)
    except RuntimeError:  # no event loop in this thread
        return False
    return queue is not None and queue.locked()


class _Waiting:
    """Attempts to get a lock, and how long to wait between them."""

    def __init__(self, path: Path, clock: Clock, timeout_s: float) -> None:
        self._path, self._clock, self._timeout_s = path, clock, timeout_s
        self._deadline = clock.now_ms() + timeout_s * 1000.0
        self._wait_s = FIRST_WAIT_S
        self._suspect: int | None = None
        self._suspected_at = 0

    def attempt(self) -> FileLock | None:
        """The lock, or None if it is held. Raises LockTimeoutError when the time is over."""
        lock = _try(self._path)
        if lock is None:
            self._heal_if_stale()
            if self._clock.now_ms() >= self._deadline:
                raise LockTimeoutError(_timeout_text(self._path, self._timeout_s, self._clock))
        return lock

    def next_wait_s(self) -> float:
        wait = self._wait_s
        self._wait_s = min(2.0 * wait, LONGEST_WAIT_S)
        return wait * _jitter(wait)

    def _heal_if_stale(self) -> None:
        stale = _stale_heartbeat(self._path, self._clock)
        if stale != self._suspect:
            self._suspect, self._suspected_at = stale, self._clock.now_ms()
        if self._suspect is not None and self._clock.now_ms() - self._suspected_at >= SUSPECT_S * 1000.0:
            _move_away(self._path)


def _try(path: Path) -> FileLock | None:
    """The locked file that has the name now, or None."""
    inode = 0

    def note(fd: int) -> None:
        nonlocal inode
        inode = os.fstat(fd).st_ino

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(
            path, mode=0o644, thread_local=False, fallback_to_soft=False, preserve_lock_file=True, on_acquired=note
        )
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except OSError as exc:
        raise RunError(f"cannot lock {path}: {exc.strerror or exc}") from exc
    with suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            return lock
    lock.release()  # the name went to another file meanwhile
    return None


def _jitter(seed: float) -> float:
    """Between 0.75 and 1.25, different for every process, so that waiters do not march in step."""
    return 0.75 + (os.getpid() * 0.6180339887 + seed) % 0.5


@contextmanager
def _holding(lock: FileLock, path: Path, purpose: str, clock: Clock) -> Iterator[None]:
    token = _held.set(_held.get() | {path})
    try:
        with _heartbeat(path, purpose, clock):
            yield
    finally:
        _held.reset(token)
        lock.release()


class _Heart:
    """One thread a process that refreshes the files of all locks it holds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._owners: dict[Path, tuple[dict[str, Any], Clock]] = {}
        self._thread: threading.Thread | None = None

    def add(self, path: Path, owner: dict[str, Any], clock: Clock) -> None:
        with self._guard:
            self._owners[path] = (owner, clock)
            if self._thread is None or not self._thread.is_alive():  # none yet, or this process was forked
                self._thread = threading.Thread(target=self._beat, name="candle locks", daemon=True)
                self._thread.start()

    def remove(self, path: Path) -> None:
        with self._guard:
            self._owners.pop(path, None)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            with self._guard:
                for path, (owner, clock) in self._owners.items():
                    _write_owner(path, owner | {"heartbeat_at": clock.now_ms()})


_heart = _Heart()


@contextmanager
def _heartbeat(path: Path, purpose: str, clock: Clock) -> Iterator[None]:
    """Write who holds the lock and refresh the file's time now and then until the holder is done."""
    now = clock.now_ms()
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started_at": now,
        "heartbeat_at": now,
        "purpose": purpose,
    }
    _write_owner(path, owner)
    _heart.add(path, owner, clock)
    try:
        yield
    finally:
        _heart.remove(path)


def _write_owner(path: Path, owner: dict[str, Any]) -> None:
    """Not vital: on a full disk the lock works without its text."""
    try:
        fd = os.open(path, os.O_RDWR)  # not created: where the name is gone, nobody reads it
        text = json.dumps(owner).ljust(TEXT_LENGTH).encode()
        try:
            os.pwrite(fd, text, 0)
            if os.fstat(fd).st_size != len(text):  # seldom: cutting a file takes as long as writing a candle file
                os.ftruncate(fd, len(text))
            os.utime(fd, (owner["heartbeat_at"] / 1000.0,) * 2)
        finally:
            os.close(fd)
    except OSError as exc:
        logger.debug("candle_lock_text_failed path=%s error=%s", path, exc)


def _owner(path: Path) -> dict[str, Any]:
    try:
        owner = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _heartbeat_ms(path: Path, clock: Clock) -> int:
    """The file's modification time; now, if it has just gone."""
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError:
        return clock.now_ms()


def _stale_heartbeat(path: Path, clock: Clock) -> int | None:
    """The time of the last heartbeat if it is old and its sender is not known to live."""
    owner, beat = _owner(path), _heartbeat_ms(path, clock)
    fresh = clock.now_ms() - beat < STALE_S * 1000.0
    lives = owner.get("host") == socket.gethostname() and _alive(owner.get("pid"))
    return None if fresh or lives else beat


def _move_away(path: Path) -> None:
    """For file systems that do not notice when a holder dies."""
    stale = path.with_name(f"{LOCK_NAME}.stale.{os.getpid()}")
    owner = _owner(path)
    try:
        path.rename(stale)
        stale.unlink()
    except OSError:
        return
    logger.warning("candle_lock_healed path=%s owner=%s: no heartbeat for %g s", path, owner, STALE_S)


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        pass
    return True


def _timeout_text(path: Path, timeout_s: float, clock: Clock) -> str:
    owner = _owner(path)
    exchange, timeframe, symbol = path.parts[-4:-1]
    return (
        f"candles of {symbol} ({exchange}, {timeframe}) stayed locked for {timeout_s:g} s by process "
        f"{owner.get('pid', '?')} on {owner.get('host', '?')} ({owner.get('purpose', '?')}, last heartbeat "
        f"{(clock.now_ms() - _heartbeat_ms(path, clock)) // 1000} s ago); wait for it or stop it"
    )
