"""A venue as a program of its own: says where it is, writes the endpoints file, runs until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from core.dates import ts_to_date
from core.errors import ConfigError
from core.files import read_json, write_json
from exchange_sim.server import SimConfig, SimServer


async def serve(
    config: SimConfig, endpoints_path: Path | None, tell: Callable[[str], None], owner: TextIO | None = None
) -> None:
    """Run a venue until SIGINT, SIGTERM or a shutdown over its control interface; `tell` gets lines to show.

    With an `owner` it also ends when that stream does, as the end of a pipe from the program that started it.
    The endpoints file goes when the venue goes: the next run of a program would look for the venue in vain. Raises
    ConfigError if there is one already that is not of a venue, RunError if the port is taken.
    """
    if endpoints_path is not None and endpoints_path.exists() and not is_of_venue(endpoints_path):
        raise ConfigError(f"{endpoints_path} exists and was not written for a venue; name another file, or remove it")
    async with SimServer(config) as sim:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # no such handlers on Windows: Ctrl-C ends the program there
                asyncio.get_running_loop().add_signal_handler(number, sim.closing.set)
        if owner is not None:
            _watch(owner, asyncio.get_running_loop(), sim)
        _introduce(sim, endpoints_path, tell)
        try:
            await sim.closing.wait()
        finally:
            if endpoints_path is not None and _is_ours(endpoints_path, sim):
                endpoints_path.unlink()
    tell("over: there are no later candles" if sim.is_over else "stopped")


def _watch(owner: TextIO, loop: asyncio.AbstractEventLoop, sim: SimServer) -> None:
    def wait() -> None:
        for _ in owner:
            pass
        with suppress(RuntimeError):  # the loop ended by itself
            loop.call_soon_threadsafe(sim.closing.set)

    threading.Thread(target=wait, daemon=True).start()


def _introduce(sim: SimServer, endpoints_path: Path | None, tell: Callable[[str], None]) -> None:
    market = sim.config.market
    tell(f"market: {market.note}; {len(market.by_id)} instruments; it is {ts_to_date(sim.venue.now_ms())} there")
    tell(f"token: {sim.token}")
    if endpoints_path is not None:
        write_json(endpoints_path, {"_simulated_venue": sim.url, **sim.endpoints()}, indent=2)
        tell(f"endpoints: {endpoints_path}")
    tell(f"ready: {sim.url} port={sim.port} protocols={','.join(sim.config.protocols)}")


def is_of_venue(path: Path) -> bool:
    """Whether an endpoints file was written for a simulated venue, and may be replaced."""
    content = read_json(path)
    return isinstance(content, dict) and "_simulated_venue" in content


def _is_ours(path: Path, sim: SimServer) -> bool:
    return path.exists() and is_of_venue(path) and read_json(path)["_simulated_venue"] == sim.url
