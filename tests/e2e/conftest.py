"""One local venue for the end-to-end tests of a process; each test gets it without faults and without requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_venue import VenueThread


@pytest.fixture(scope="session")
def _running_venue() -> Iterator[VenueThread]:
    with VenueThread() as venue:
        yield venue


@pytest.fixture
def venue(_running_venue: VenueThread) -> VenueThread:
    """The venue, sound."""
    _running_venue.sim.clear()
    return _running_venue
