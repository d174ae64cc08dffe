"""Downloads that are killed, and several at once: the cache ends up as one undisturbed download leaves it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_venue import VenueThread, is_archive, is_klines, start_download
from programs import REPOSITORY

from candles.disk.store import CandleStore
from candles.rows import equal_values
from core.clock import DAY_MS, SystemClock
from core.dates import date_to_ts
from exchange_sim.interference import RequestRecord
from markets.candle import Candles

SAMPLE = REPOSITORY / "configs" / "examples" / "sample.json"
MARKETS = [(exchange, f"{coin}/USDT:USDT") for exchange in ("binance", "bybit") for coin in ("BTC", "ETH")]
HOLE = (date_to_ts("2025-03-01T05:00"), date_to_ts("2025-03-01T05:09"))  # what one exchange lacks for good
HOLED = ("bybit", "ETH/USDT:USDT")
N_ROWS = 3601


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueThread]:
    with VenueThread() as venue:
        venue.sim.faults.add("missing", path="/v5/*", symbol="ETHUSDT", span=HOLE, count=0)
        yield venue


class Cache:
    """A cache that downloads of two days and two coins, in two months, go to."""

    def __init__(self, venue: VenueThread, directory: Path) -> None:
        self.venue, self.directory = venue, directory
        directory.mkdir(parents=True)
        self.endpoints = venue.write_endpoints(directory / "endpoints.json")

    def start(self, log: str = "log") -> Any:
        argv = [
            SAMPLE, "--custom-endpoints", self.endpoints, "--cache-dir", self.directory / "cache",
            "-s", "BTC,ETH", "-e", "binance,bybit", "-sd", "2025-03-01", "-ed", "2025-03-02",
        ]  # fmt: skip
        return start_download(argv, self.directory / log)

    def finish(self, process: Any, log: str = "log") -> None:
        process.join(60)
        assert process.exitcode == 0, (self.directory / log).read_text()

    def store(self, exchange: str) -> CandleStore:
        return CandleStore(self.directory / "cache", exchange, SystemClock())

    def rows(self) -> list[Candles]:
        return [self.store(exchange).read(symbol) for exchange, symbol in MARKETS]

    def gaps(self) -> list[list[tuple[int, int, str]]]:
        return [
            [(gap.start_ts, gap.end_ts, gap.reason) for gap in self.store(exchange).read_meta(symbol).known_gaps]
            for exchange, symbol in MARKETS
        ]

    def equals(self, other: Cache) -> bool:
        """The same rows and the same gaps, and no file was found damaged on the way."""
        same = all(equal_values(a, b) for a, b in zip(self.rows(), other.rows(), strict=True))
        return same and self.gaps() == other.gaps() and not list(self.directory.rglob("quarantine"))


@pytest.fixture(scope="module")
def undisturbed(venue: VenueThread, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, int, int]:
    """The cache of one download, how many requests it made, and how many of them for minutes."""
    cache = Cache(venue, tmp_path_factory.mktemp("undisturbed") / "one")
    venue.take_requests()
    cache.finish(cache.start())
    assert [len(rows) for rows in cache.rows()] == [N_ROWS, N_ROWS, N_ROWS, N_ROWS - 10]
    assert cache.gaps() == [[], [], [], [(*HOLE, "fetch_failed")]]
    asked = venue.take_requests()
    return cache, len(asked), sum(is_klines(r) or is_archive(r) for r in asked)


@pytest.mark.parametrize("seed", range(10))
def test_killed(seed: int, venue: VenueThread, undisturbed: tuple[Cache, int, int], tmp_path: Path) -> None:
    """kill -9 at any moment, then a normal start: rows and gaps are those of an undisturbed download."""
    reference, n_requests, _ = undisturbed
    chance = random.Random(seed)
    after = chance.randrange(n_requests)
    cache = Cache(venue, tmp_path / "killed")
    venue.take_requests()
    process = cache.start()
    while process.exitcode is None and len(venue.sim.requests) < after:
        process.join(0.002)
    process.join(chance.uniform(0.0, 0.05))
    process.kill()
    process.join()
    cache.finish(cache.start("again"), "again")
    assert cache.equals(reference)


@pytest.mark.parametrize("count", [2, 4])
def test_several_at_once(count: int, venue: VenueThread, undisturbed: tuple[Cache, int, int], tmp_path: Path) -> None:
    """One fetches, the others find it: the same cache, and hardly more requests than one download makes."""
    reference, n_requests, n_minutes = undisturbed
    cache = Cache(venue, tmp_path / "shared")
    venue.take_requests()
    processes = [cache.start(f"log{i}") for i in range(count)]
    for i, process in enumerate(processes):
        cache.finish(process, f"log{i}")
    assert cache.equals(reference)
    asked = venue.take_requests()
    again = len([r for r in asked if about_the_hole(r)]) - 2
    assert again <= 4, "three downloads ask for a gap, two pages each time"
    assert sum(is_klines(r) or is_archive(r) for r in asked) - again <= 1.1 * n_minutes
    assert len(asked) - again <= 1.1 * n_requests, [r.path for r in asked]


def about_the_hole(request: RequestRecord) -> bool:
    """Whether it asks for minutes of the day that will never be whole."""
    day = HOLE[0] // DAY_MS
    mine = is_klines(request) and request.params.get("symbol") == "ETHUSDT" and "start" in request.params
    return mine and int(request.params["start"]) // DAY_MS == day
