#!/usr/bin/env python3
"""Runs a command and keeps what it prints, in a file under logs/ as well as on the screen."""

from __future__ import annotations

import _src_path
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

from core.clock import Clock, SystemClock
from core.dates import ts_to_date
from core.errors import RunError, UsageError
from core.program import run_program

USAGE = f"""usage: run_with_logging.py COMMAND [ARGUMENT ...]

{__doc__}

The exit status is that of the command (128 + n when signal n ended it); Ctrl-C reaches the command.

example:
  run_with_logging.py python3 src/main.py configs/my.json
"""
LOG_DIR = Path("logs")
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")


class Tee:
    """Copies the streams of a process to ours and to one file. A target that fails is given up, the others go on."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = Target(log)
        self._lock = Lock()

    def copy(self, source: Any, screen: IO[bytes]) -> None:
        """Copy until the end of the stream: to the screen at once, into the file by whole lines."""
        echo, rest = Target(screen), b""
        while chunk := source.read1(65536):
            echo.write(chunk)
            rest += chunk
            end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
            self._keep(rest[:end])
            rest = rest[end:]
        self._keep(rest)

    def _keep(self, lines: bytes) -> None:
        if lines:
            with self._lock:
                self._log.write(lines)


class Target:
    """Something to write to; after the first failure, which is told, it takes no more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream: IO[bytes] | None = stream

    def write(self, data: bytes) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError as exc:
            name, self._stream = getattr(self._stream, "name", "output"), None
            with suppress(OSError):
                sys.stderr.write(f"run_with_logging: {name}: {exc.strerror or exc}\n")


def log_name(command: str, ms: int, number: int) -> str:
    """`YYYY-MM-DDTHH_MM_SS_{command}.log`, UTC; a number tells logs of the same second apart."""
    suffix = f"_{number}" if number > 1 else ""
    return f"{ts_to_date(ms // 1000 * 1000).replace(':', '_')}_{Path(command).stem}{suffix}.log"


def open_log(folder: Path, command: str, clock: Clock) -> IO[bytes]:
    """A new file of the present second. Raises RunError when none can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number, ms = 1, clock.now_ms()
        while True:
            try:
                return (folder / log_name(command, ms, number)).open("xb")
            except FileExistsError:
                number += 1
    except OSError as exc:
        raise RunError(f"cannot write a log into {folder}: {exc.strerror or exc}") from exc


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The command in a session of its own, so that a Ctrl-C reaches it once: from us. Raises UsageError."""
    try:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={"PYTHONUNBUFFERED": "1", **os.environ},
        )
    except OSError as exc:
        raise UsageError(f"cannot run {command[0]}: {exc.strerror or exc}; check the command") from exc


def forward_signals(process: subprocess.Popen[bytes]) -> None:
    """Hand interrupts on to the command and all it started; we ourselves stay until it has ended."""

    def forward(number: int, frame: object) -> None:
        if process.poll() is None:
            os.killpg(process.pid, number)

    for name in _FORWARDED:
        signal.signal(getattr(signal, name), forward)


def run(command: Sequence[str], log: IO[bytes]) -> int:
    """Run the command to its end and return its status."""
    with start(command) as process:
        forward_signals(process)
        tee = Tee(log)
        copies = [
            Thread(target=tee.copy, args=pair)
            for pair in ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
        ]
        for thread in copies:
            thread.start()
        status = process.wait()
        for thread in copies:
            thread.join()
    return status if status >= 0 else 128 - status


def main(argv: Sequence[str]) -> int:
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        raise UsageError("which command? e.g. run_with_logging.py python3 src/main.py configs/my.json")
    if command[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    if shutil.which(command[0]) is None:
        raise UsageError(f"cannot run {command[0]}: there is no such program; check the command")
    with open_log(LOG_DIR, script_of(command), SystemClock()) as log:
        sys.stderr.write(f"run_with_logging: output goes to {log.name} as well\n")
        sys.stderr.flush()
        return run(command, log)


def script_of(command: Sequence[str]) -> str:
    """What to call the log after: the script that an interpreter runs, else the command."""
    is_python = Path(command[0]).name.startswith("python")
    scripts = [word for word in command[1:] if word.endswith(".py")] if is_python else []
    return scripts[0] if scripts else command[0]


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
