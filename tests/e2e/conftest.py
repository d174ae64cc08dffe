"""What end-to-end tests share: a local venue, a full disk, an undisturbed run of the optimizer, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import small_disk
from local_venue import VenueThread
from optimizer_runs import only_run, optimize, small
from playwright.sync_api import Browser, sync_playwright


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


@pytest.fixture(scope="module")  # playwright's event loop runs until it is closed: other tests want their own
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skips without it, fails without it in CI."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        message = "no chromium on PATH: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
