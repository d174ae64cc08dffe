"""What end-to-end tests of a process share: a local venue, a full disk, an undisturbed run of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import small_disk
from local_venue import VenueThread
from optimizer_runs import only_run, optimize, small


@pytest.fixture(scope="session")
def _running_venue() -> Iterator[VenueThread]:
    with VenueThread() as venue:
        yield venue


@pytest.fixture
def venue(_running_venue: VenueThread) -> VenueThread:
    """The venue, sound."""
    _running_venue.sim.clear()
    return _running_venue


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles and datasets of `sample` that the runs of the optimizer share."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> Path:
    """The small run on one thread, which nothing disturbs; tests only read it."""
    place = tmp_path_factory.mktemp("undisturbed")
    optimize(place, *small(caches, "--executor", "serial"))
    return only_run(place)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MB."""
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place):
        yield place
