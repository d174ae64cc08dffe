"""The local venue beside the tests, for programs in their own processes: requests and faults are at hand."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from core.program import run_program
from exchange_sim.interference import RequestRecord
from exchange_sim.server import SimServer

ONLINE = {"PASSIVBOT_OFFLINE": "0"}
KLINES = ("/fapi/v1/klines", "/v5/market/kline")

Result = TypeVar("Result")


class VenueThread:
    """A venue in a thread of its own, on the machine's clock; a context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.sim = SimServer()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self.sim.start())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self.sim.stop())
        self._run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def write_endpoints(self, path: Path) -> Path:
        """A custom endpoints file that points programs here."""
        path.write_text(json.dumps(self.sim.endpoints()))
        return path

    def take_requests(self) -> list[RequestRecord]:
        """What was asked since the last time."""
        taken = []
        while self.sim.requests:
            taken.append(self.sim.requests.popleft())
        return taken


async def _cancel_others() -> None:
    """Replies that a fault holds back for ever."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def is_archive(request: RequestRecord) -> bool:
    return request.path.startswith("/archive/")


def is_klines(request: RequestRecord) -> bool:
    """Whether minutes were asked for; first timestamps are asked for in days."""
    return request.path in KLINES and request.params.get("interval") in ("1m", "1")


# A server that has loaded the libraries forks each program, which so takes a second and not three.
PROGRAMS = multiprocessing.get_context("forkserver")
PROGRAMS.set_forkserver_preload(["ccxt.async_support", "download", "runs.download"])


def start_download(argv: Sequence[str | Path], log: Path, max_file_bytes: int = resource.RLIM_INFINITY) -> Any:
    """A process of its own that does what `tools/download.py` does with these arguments; its output goes to `log`."""
    process = PROGRAMS.Process(target=_download, args=([str(arg) for arg in argv], log, max_file_bytes))
    process.start()
    return process


def _download(argv: list[str], log: Path, max_file_bytes: int) -> None:
    os.environ |= ONLINE
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, resource.RLIM_INFINITY))
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        import download

        sys.exit(run_program(download.main, argv))
