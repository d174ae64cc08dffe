"""Paper trading: a venue in a process of its own, for as long as the bot runs (`exchange_simulator.md` 2).

The venue is `tools/exchange_sim.py` with a file that says what it is made of. It ends when its standard input closes,
so that it never outlives the bot, however that ends.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from config.paper_settings import PaperSettings
from core import paths
from core.clock import MINUTE_MS, Clock, ScaledClock, SystemClock
from core.errors import ConfigError, DataError, RunError
from core.files import read_json, write_json
from core.redaction import hide

logger = logging.getLogger(__name__)

VENUE_FILE, LOG_FILE, CACHES = "venue.json", "venue.log", "caches"
READY_S, END_S = 60.0, 2.0
SAME_TIME_MS = 2000
# What a paper account was started with; with another market its positions would make no sense.
_OF_THE_MARKET = ("protocols", "data", "data_seed", "exchange", "start", "redate_from", "end", "fees")


@dataclass(frozen=True, slots=True)
class PaperVenue:
    """A running venue: where it is, its candles in words, and a clock that shows its time."""

    url: str
    note: str
    clock: Clock


@contextmanager
def paper_venue(
    settings: PaperSettings, cache_dir: Path, *, reset: bool = False, endpoints: str | None = None
) -> Iterator[PaperVenue]:
    """Start the venue of a paper account, and stop it at the end.

    `cache_dir` holds the real candles, which are only read; `endpoints` names the file that says where live prices come
    from. Raises ConfigError if the account belongs to another market or is in use, RunError if the venue does not
    start, with its own words.
    """
    state = Path(settings.state_dir)
    with _alone(state):
        if reset and state.exists():
            forget(state)
        state.mkdir(parents=True, exist_ok=True)
        file = write_venue_file(settings, state, cache_dir, endpoints)
        with _running(file, settings.protocol, state / LOG_FILE, _remedy(settings)) as lines:
            yield _introduced(lines)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two venues over one account would overwrite each other. Raises ConfigError if another one runs."""
    state.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state.with_name(f".{state.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"the paper account in {state} is in use by another bot: stop that one, or give another --paper-state"
        ) from None
    try:
        yield
    finally:
        lock.release()


def forget(state: Path) -> None:
    """Remove a paper account with all that belongs to it. Raises ConfigError for a directory that is not one."""
    if not (state / VENUE_FILE).exists():
        raise ConfigError(
            f"--paper-reset: {state} holds no paper account ({VENUE_FILE} is missing); nothing is removed"
        )
    shutil.rmtree(state)
    logger.info("[boot] the paper account in %s is forgotten", state)


def caches_of(settings: PaperSettings) -> Path:
    """The bot's cache root: candles, markets and fills of this account, apart from the real ones."""
    return Path(settings.state_dir) / CACHES


def write_venue_file(settings: PaperSettings, state: Path, cache_dir: Path, endpoints: str | None = None) -> Path:
    """The venue's description in the state directory. Raises ConfigError if the account there is of another market."""
    path = state / VENUE_FILE
    known = _known(path)
    wanted = _description(settings, state, cache_dir)
    if settings.data == "live":
        wanted |= {"cache_dir": str(state / "live"), "custom_endpoints": endpoints or ""}
    if known:
        wanted["redate_ms"] = known.get("redate_ms", 0)
        for key in _OF_THE_MARKET:
            if known.get(key) != wanted.get(key):
                raise ConfigError(
                    f"the paper account in {state} was started with {key} {known.get(key)!r}, not {wanted.get(key)!r}: "
                    "forget it with --paper-reset, or give another directory with --paper-state"
                )
    write_json(path, wanted, indent=2)
    return path


def _known(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    except DataError as exc:
        raise ConfigError(f"{exc}; forget the paper account with --paper-reset") from exc
    return content if isinstance(content, dict) else {}


def _description(settings: PaperSettings, state: Path, cache_dir: Path) -> dict[str, Any]:
    replayed = settings.data == "replay"
    described: dict[str, Any] = {
        "protocols": [settings.protocol],
        "data": "cache" if replayed else "sample" if settings.is_synthetic else settings.data,
        "data_seed": settings.seed,
        "exchange": settings.protocol,
        "cache_dir": str(cache_dir),
        "speed": settings.speed,
        "balance": settings.balance,
        "fill_model": settings.fill_model,
        "fill_probability": settings.fill_probability,
        "participation": settings.participation,
        "slippage": settings.slippage,
        "liquidation": settings.liquidation,
        "state_dir": str(state / "accounts"),
    }
    if replayed:
        described["start"] = settings.start
    elif not settings.is_synthetic and settings.data != "live":
        described |= {"redate_ms": SystemClock().now_ms() // MINUTE_MS * MINUTE_MS, "redate_from": settings.start or ""}
    if settings.end:
        described["end"] = settings.end
    if settings.fees:
        described["fees"] = dict(zip(("maker", "taker"), settings.fees, strict=True))
    if settings.funding:
        described["funding"] = dict(settings.funding)
    return described


# --- the process


@contextmanager
def _running(file: Path, protocol: str, log: Path, remedy: str) -> Iterator[Mapping[str, str]]:
    """The venue's process; the value is what it says of itself, `{word: text}`; `remedy` ends a failure's error.

    If the venue ends first, this process gets a SIGTERM: there is nothing left to trade on.
    """
    tool = paths.SOURCE_ROOT / "src" / "tools" / "exchange_sim.py"
    command = [sys.executable, str(tool), "--config", str(file), "--protocol", protocol, "--attached"]
    ending = threading.Event()
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the bot, which ends the venue when it is done
        )
        try:
            output = _output(process)
            lines = _lines_until_ready(process, output, log, remedy)
            threading.Thread(target=_follow, args=(output, ending), daemon=True).start()
            yield lines
        finally:
            ending.set()
            _end(process)


def _output(process: subprocess.Popen[str]) -> Queue[str | None]:
    """The lines that a process says, None at their end."""
    queue: Queue[str | None] = Queue()

    def read() -> None:
        for line in process.stdout or ():
            queue.put(line)
        queue.put(None)

    threading.Thread(target=read, daemon=True).start()
    return queue


def _follow(output: Queue[str | None], ending: threading.Event) -> None:
    """Have this process end when the venue does before it is told to."""
    last = ""
    while (line := output.get()) is not None:
        last = line.strip()
    if not ending.is_set():
        logger.warning("[shutdown] the simulated exchange has ended (%s)", last or "see its log")
        os.kill(os.getpid(), signal.SIGTERM)


def _lines_until_ready(
    process: subprocess.Popen[str], output: Queue[str | None], log: Path, remedy: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    while "ready" not in found:
        try:
            line = output.get(timeout=READY_S)
        except Empty:
            raise RunError(f"the simulated exchange does not start within {READY_S:.0f} s; see {log}") from None
        if line is None:
            process.wait(END_S)
            raise _failure(process.returncode, log, remedy)
        word, _, text = line.strip().partition(": ")
        found[word] = text
    return found


def _remedy(settings: PaperSettings) -> str:
    """What somebody without stored candles can do."""
    stored = settings.data in ("cache", "replay")
    return "; `--paper-data sample` trades a built-in market, for which no candles are needed" if stored else ""


def _failure(status: int, log: Path, remedy: str) -> Exception:
    """The venue's own words, as the kind of error that its exit status says."""
    said = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("error: ")]
    text = said[-1].removeprefix("error: ") if said else f"it ended with status {status}; see {log}"
    return (ConfigError if status == ConfigError.exit_status else RunError)(f"the simulated exchange: {text}{remedy}")


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _introduced(said: Mapping[str, str]) -> PaperVenue:
    url, token = said["ready"].split()[0], said["token"]
    hide(token)
    request = Request(f"{url}/sim/v1/clock", headers={"X-Sim-Token": token})
    with urlopen(request, timeout=READY_S) as reply:
        told = json.load(reply)
    clock: Clock = ScaledClock(int(told["now_ms"]), float(told["speed"]))
    if told["speed"] == 1.0 and abs(clock.now_ms() - SystemClock().now_ms()) < SAME_TIME_MS:
        clock = SystemClock()
    return PaperVenue(url, said.get("market", ""), clock)
