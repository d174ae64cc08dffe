"""Downloads that cannot go on: a full disk, files that may not grow, Ctrl-C. One line, and nothing damaged."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from disks import fill, give_room
from local_venue import VenueThread, is_klines, start_download
from programs import REPOSITORY

from candles.disk.store import CandleStore
from candles.rows import equal_values
from core.clock import SystemClock
from core.dates import date_to_ts
from markets import sample

SAMPLE = REPOSITORY / "configs" / "examples" / "sample.json"
BEGIN, END = date_to_ts("2025-02-27T12:00"), date_to_ts("2025-03-10")


def start(venue: VenueThread, folder: Path, cache: Path, **options: Any) -> Any:
    endpoints = venue.write_endpoints(folder / "endpoints.json")
    argv = [
        SAMPLE, "--custom-endpoints", endpoints, "--cache-dir", cache,
        "-s", "BTC,ETH", "-e", "binance,bybit", "-sd", "2025-03-01", "-ed", "2025-03-10",
    ]  # fmt: skip
    return start_download(argv, folder / "log", **options)


def finish(process: Any, folder: Path) -> tuple[int, list[str]]:
    """Exit status and the lines of the log that are no information."""
    process.join(60)
    lines = (folder / "log").read_text().splitlines()
    return process.exitcode, [line for line in lines if line.strip() and " INFO " not in line]


def whole(cache: Path) -> bool:
    """Whether all four markets are there, and no file was ever found damaged."""
    for exchange in ("binance", "bybit"):
        for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT"):
            rows = CandleStore(cache, exchange, SystemClock()).read(symbol)
            if not equal_values(rows, sample.candles(symbol, BEGIN, END)):
                return False
    return not list(cache.rglob("quarantine"))


def test_full_disk(venue: VenueThread, full_disk: Path, tmp_path: Path) -> None:
    """One clear line and status 1; with room again the next start completes."""
    status, lines = finish(start(venue, tmp_path, full_disk), tmp_path)
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: cannot write {full_disk}/ohlcv/")
    assert "No space left on device" in lines[0]
    assert not list(full_disk.rglob("*.tmp"))
    give_room(full_disk)
    status, _ = finish(start(venue, tmp_path, full_disk), tmp_path)
    assert status == 0
    assert whole(full_disk)


def test_disk_without_any_room(venue: VenueThread, full_disk: Path, tmp_path: Path) -> None:
    """The same where not even a list of markets fits."""
    fill(full_disk, 8_000)
    status, lines = finish(start(venue, tmp_path, full_disk), tmp_path)
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: cannot write {full_disk}")
    give_room(full_disk)
    status, _ = finish(start(venue, tmp_path, full_disk), tmp_path)
    assert status == 0
    assert whole(full_disk)


@pytest.mark.parametrize("max_file_bytes", [20_000, 40_000, 250_000])
def test_files_that_may_not_grow(max_file_bytes: int, venue: VenueThread, tmp_path: Path) -> None:
    """A write that is refused in the middle ends the download in one line; the next start completes."""
    cache = tmp_path / "cache"
    status, lines = finish(start(venue, tmp_path, cache, max_file_bytes=max_file_bytes), tmp_path)
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: cannot write {cache}/")
    assert "File too large" in lines[0]
    assert all(path.stat().st_size <= max_file_bytes for path in cache.rglob("*.parquet"))
    assert not list(cache.rglob("*.tmp"))
    status, _ = finish(start(venue, tmp_path, cache), tmp_path)
    assert status == 0
    assert whole(cache)


@pytest.mark.parametrize("fault", [None, "timeout"])
def test_ctrl_c(fault: str | None, venue: VenueThread, tmp_path: Path) -> None:
    """One line, status 130, what had arrived is stored; waiting for an answer is no hindrance."""
    cache = tmp_path / "cache"
    venue.sim.faults.add("slow", ms=0, path="/v5/market/kline", count=8)
    venue.sim.faults.add(fault or "slow", path="/v5/market/kline", count=0)
    process = start(venue, tmp_path, cache)
    while process.exitcode is None and sum(is_klines(r) for r in venue.sim.requests if "/v5/" in r.path) < 6:
        process.join(0.005)
    os.kill(process.pid, signal.SIGINT)
    status, lines = finish(process, tmp_path)
    assert (status, lines) == (130, ["interrupted"])
    stored = [CandleStore(cache, "bybit", SystemClock()).read(f"{coin}/USDT:USDT") for coin in ("BTC", "ETH")]
    assert sum(map(len, stored)) >= 4 * 440
    venue.sim.clear()
    status, _ = finish(start(venue, tmp_path, cache), tmp_path)
    assert status == 0
    assert whole(cache)
