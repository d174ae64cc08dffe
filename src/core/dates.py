"""Dates as people write them, to and from milliseconds UTC (`candles.md` 1, `config_cli_suite.md` 17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from dateutil import parser

from core.clock import DAY_MS, Clock
from core.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MISSING_PARTS = datetime(2000, 1, 1)
_MEANS_LATEST = ("now", "today", "")


def date_to_ts(text: str | int) -> int:
    """Milliseconds of a date in free form; missing parts are January, 1st, 00:00; no zone means UTC.

    Raises ConfigError (a ValueError) for what is no date: `now`, an empty text, an epoch number, an unknown zone.
    """
    try:
        moment = parser.parse(str(text), default=_MISSING_PARTS, tzinfos=_zone)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(
            f"Unable to parse date string '{text}': write it as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDTHH:MM"
        ) from exc
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _zone(name: str | None, offset_s: int | None) -> timezone:
    """The zone of a parsed date. An unknown name is refused: the parser alone would take it for UTC."""
    if name is not None and offset_s is None:
        raise ValueError(f"unknown time zone {name}")
    return timezone(timedelta(seconds=offset_s or 0))


def ts_to_date(timestamp: float) -> str:
    """`YYYY-MM-DDTHH:MM:SS[.ffffff]`; a number above 1e15 is nanoseconds, above 1e10 milliseconds, else seconds."""
    per_second = 10**9 if timestamp > 1e15 else 1000 if timestamp > 1e10 else 1
    whole, rest = divmod(timestamp, per_second)
    moment = _EPOCH + timedelta(seconds=int(whole), microseconds=int(rest * (1_000_000 / per_second)))
    return moment.replace(tzinfo=None).isoformat()


def format_end_date(value: str | int | None, clock: Clock) -> str:
    """`YYYY-MM-DD` of an end date. `now`, `today`, an empty text and None mean the day two days ago."""
    if value is None or str(value).strip().lower() in _MEANS_LATEST:
        return ts_to_date(clock.now_ms() - 2 * DAY_MS)[:10]
    return ts_to_date(date_to_ts(value))[:10]
