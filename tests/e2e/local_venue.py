"""The local venue beside the tests, for programs in their own processes: requests and faults are at hand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

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

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._run(self.sim.stop())
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


def is_archive(request: RequestRecord) -> bool:
    return request.path.startswith("/archive/")


def is_klines(request: RequestRecord) -> bool:
    """Whether minutes were asked for; first timestamps are asked for in days."""
    return request.path in KLINES and request.params.get("interval") in ("1m", "1")
