"""Dates in and out (`candles.md` 1, `config_cli_suite.md` 17)."""

from __future__ import annotations

import pytest

from core.clock import ManualClock
from core.dates import date_to_ts, format_end_date, ts_to_date

NOW = ManualClock(date_to_ts("2026-11-21T07:58"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020", 1577836800000),
        ("2021", 1609459200000),
        ("2024-04", 1711929600000),
        ("2021-04", 1617235200000),
        ("2021-11-13T03:23:12", 1636773792000),
        ("2021-11-13T03:23:12Z", 1636773792000),
        ("2021-11-13T03:23:12.5", 1636773792500),
        ("2021-11-13T03:23:12+02:00", 1636766592000),
        ("2021/11/13", 1636761600000),
        ("20211113", 1636761600000),
        ("Nov 13 2021", 1636761600000),
        (2021, 1609459200000),
    ],
)
def test_date_to_ts(text: str | int, expected: int) -> None:
    """Free forms are understood, missing parts are January, 1st, midnight, naive texts are UTC."""
    assert date_to_ts(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "today", "1577836800", "1577836800000", "soon", "2021-13-01", "2021-01-01 12:00 EST"]
)
def test_no_date(text: str) -> None:
    """What is no date is a ValueError that quotes it; epoch numbers and unknown zones are no dates."""
    with pytest.raises(ValueError, match=f"Unable to parse date string '{text}'"):
        date_to_ts(text)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1577836800, "2020-01-01T00:00:00"),
        (1577836800.25, "2020-01-01T00:00:00.250000"),
        (1577836800000, "2020-01-01T00:00:00"),
        (1577836800123, "2020-01-01T00:00:00.123000"),
        (1577836800123456789, "2020-01-01T00:00:00.123456"),
    ],
)
def test_ts_to_date(timestamp: float, expected: str) -> None:
    """The magnitude decides the unit; a fraction is shown only when there is one."""
    assert ts_to_date(timestamp) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("now", "2026-11-19"),
        ("today", "2026-11-19"),
        ("", "2026-11-19"),
        (None, "2026-11-19"),
        ("2023-11-15T17:30", "2023-11-15"),
        ("2023-11", "2023-11-01"),
    ],
)
def test_format_end_date(value: str | None, expected: str) -> None:
    """The latest end is two days ago; the time of day of any other end is dropped."""
    assert format_end_date(value, NOW) == expected
