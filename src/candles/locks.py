"""One exclusive lock a symbol, for processes and threads that fetch into the same store (`candles.md` 18).

The lock is the operating system's (`flock`), so a process that dies drops it. The file's content tells others who
holds it; its modification time is the holder's heartbeat.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.clock import Clock
from core.errors import LockTimeoutError, RunError

logger = logging.getLogger(__name__)

LOCK_NAME = ".lock"
HEARTBEAT_S = 30.0
STALE_S = 180.0
SUSPECT_S = 5.0  # a holder that has just begun gets this long to write its first heartbeat
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0

_in_process: dict[Path, _Queue] = {}
_registry = threading.Lock()


class _Queue:
    """Threads of this process wait here first; the file lock is taken once, however deep one thread nests."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0


@contextmanager
def candle_lock(
    directory: Path,
    *,
    purpose: str,
    clock: Clock,
    timeout_s: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock of a symbol's directory, `.../{exchange}/{timeframe}/{symbol}`; re-entrant within a thread.

    Raises LockTimeoutError naming the owner and the age of its last heartbeat.
    """
    path = directory.absolute() / LOCK_NAME
    with _registry:
        queue = _in_process.setdefault(path, _Queue())
    if not queue.lock.acquire(timeout=timeout_s):
        raise LockTimeoutError(_timeout_text(path, timeout_s, clock))
    try:
        queue.depth += 1
        if queue.depth > 1:
            yield
            return
        fd = _acquire(path, timeout_s, clock, sleep)
        try:
            with _heartbeat(path, fd, purpose, clock):
                yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)
    finally:
        queue.depth -= 1
        queue.lock.release()


def _acquire(path: Path, timeout_s: float, clock: Clock, sleep: Callable[[float], None]) -> int:
    deadline = clock.now_ms() + timeout_s * 1000.0
    wait = FIRST_WAIT_S
    suspect, since = None, 0
    while (fd := _try(path)) is None:
        stale = _stale_heartbeat(path, clock)
        if stale != suspect:
            suspect, since = stale, clock.now_ms()
        if suspect is not None and clock.now_ms() - since >= SUSPECT_S * 1000.0:
            _move_away(path)
        if clock.now_ms() >= deadline:
            raise LockTimeoutError(_timeout_text(path, timeout_s, clock))
        sleep(wait * _jitter(wait))
        wait = min(2.0 * wait, LONGEST_WAIT_S)
    return fd


def _try(path: Path) -> int | None:
    """An open, locked descriptor of the file that has the name now, or None."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        raise RunError(f"cannot lock {path}: {exc.strerror or exc}") from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    except OSError:  # held by another, or the name went to another file meanwhile
        pass
    os.close(fd)
    return None


def _jitter(seed: float) -> float:
    """Between 0.75 and 1.25, different for every process, so that waiters do not march in step."""
    return 0.75 + (os.getpid() * 0.6180339887 + seed) % 0.5


@contextmanager
def _heartbeat(path: Path, fd: int, purpose: str, clock: Clock) -> Iterator[None]:
    """Write who holds the lock and refresh the file's time now and then until the holder is done."""
    now = clock.now_ms()
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started_at": now,
        "heartbeat_at": now,
        "purpose": purpose,
    }
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_S):
            _write_owner(path, fd, owner | {"heartbeat_at": clock.now_ms()})

    _write_owner(path, fd, owner)
    beater = threading.Thread(target=beat, name=f"heartbeat {path}", daemon=True)
    beater.start()
    try:
        yield
    finally:
        done.set()
        beater.join()


def _write_owner(path: Path, fd: int, owner: dict[str, Any]) -> None:
    """Not vital: on a full disk the lock works without its text."""
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(owner).encode(), 0)
        os.utime(fd, (owner["heartbeat_at"] / 1000.0,) * 2)
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
