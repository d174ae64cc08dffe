"""A bot in a process of its own, as a user starts it: its lines, its venue, its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from programs import REPOSITORY

PAPER = REPOSITORY / "configs" / "examples" / "paper.json"
PATIENCE_S = 60.0


class PaperBot:
    """`main.py CONFIG --paper ...` in `cwd`; a context that leaves no process behind."""

    def __init__(self, cwd: Path, *args: str | Path, config: Path = PAPER) -> None:
        command = [sys.executable, "-u", str(REPOSITORY / "src" / "main.py"), str(config), "--paper", *map(str, args)]
        self.process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.lines: list[str] = []
        self._new: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self.venue: int | None = None

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, pattern: str) -> str:
        """The first line from now on that matches; fails with everything that was said."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                line = None
            assert line is not None, f"no line with {pattern!r} among\n" + "\n".join(self.lines)
            self.lines.append(line)
            if self.venue is None:
                self.venue = next(iter(children(self.process.pid)), None)
            if re.search(pattern, line):
                return line

    def send(self, number: signal.Signals) -> int:
        """The exit status after a signal; reads what was said until then."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        while (line := self._new.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return status

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def children(pid: int) -> list[int]:
    """Child processes, by the system's own list."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in file.read_text().split()]
    return found


def is_running(pid: int) -> bool:
    """Whether a process works; one that has ended but was not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it is so within a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    return condition()


def account(cwd: Path) -> dict[str, Any]:
    """The one paper account below a directory, as the venue keeps it."""
    (file,) = cwd.rglob("account.json")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def positions(cwd: Path) -> set[tuple[str, str, float]]:
    return {(row["symbol"], row["pside"], row["size"]) for row in account(cwd)["positions"]}


def orders(cwd: Path) -> dict[int, tuple[Any, ...]]:
    """Resting orders by their ids."""
    return {row["id"]: (row["symbol"], row["side"], row["qty"], row["price"]) for row in account(cwd)["open_orders"]}
