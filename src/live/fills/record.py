"""One fill of the account, as it is kept and stored (`live.md` 17.1)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from core.errors import DataError

logger = logging.getLogger(__name__)

Fees: TypeAlias = dict[str, Any] | list[Any] | None

JOINT = "+"  # between the trade ids of fills that were coalesced
_SIGNS = {"buy": 1.0, "sell": -1.0}
_OPENING_SIDES = {"long": "buy", "short": "sell"}
_EPOCH = datetime(1970, 1, 1)  # texts without a zone are wanted
_LAST_MS = 253_402_300_799_999  # of the year 9999


@dataclass(frozen=True, slots=True)
class FillEvent:
    """A fill. `qty` is signed by side; `psize` (never negative) and `pprice` are the position's after it.

    Field order is that of the stored files; `pnl` is net or gross as the exchange's fetcher delivers it.
    """

    id: str
    timestamp: int
    datetime: str
    symbol: str
    side: str
    position_side: str
    qty: float
    price: float
    pnl: float
    fees: Fees
    pb_order_type: str
    client_order_id: str
    psize: float
    pprice: float
    raw: list[dict[str, Any]]

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Symbol and id of each trade in it: exchanges number trades per symbol."""
        return [(self.symbol, part) for part in self.id.split(JOINT)]

    @property
    def closes(self) -> bool:
        return self.side != _OPENING_SIDES[self.position_side]

    @property
    def day(self) -> str:
        """The UTC day, `YYYY-MM-DD`."""
        return iso_time(self.timestamp)[:10]


def iso_time(ms: int) -> str:
    """`2023-11-14T22:13:20.123000`: UTC without a zone."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat()


def in_time_order(event: FillEvent) -> tuple[int, int, str]:
    """Sorting key: by time, then by the (first) trade id with numbers in their order."""
    first = event.id.split(JOINT)[0]
    return event.timestamp, len(first), first


def parse_fill(item: Any) -> FillEvent:
    """The record of a fetched or stored mapping. Raises DataError naming the field that is missing or wrong."""
    if not isinstance(item, Mapping):
        raise DataError(f"a fill must be a mapping, not {type(item).__name__}; it is skipped")
    side = _one_of(item, "side", _SIGNS)
    timestamp = int(_number(item, "timestamp"))
    if not 0 < timestamp <= _LAST_MS:
        raise _wrong(item, "timestamp", "milliseconds since 1970")
    fees = item.get("fees")
    if not isinstance(fees, dict | list | None):
        raise _wrong(item, "fees", "a mapping, a list or null")
    return FillEvent(
        id=_text(item, "id", filled=True),
        timestamp=timestamp,
        datetime=str(item.get("datetime") or iso_time(timestamp)),
        symbol=_text(item, "symbol", filled=True),
        side=side,
        position_side=_one_of(item, "position_side", _OPENING_SIDES),
        qty=_SIGNS[side] * abs(_number(item, "qty")),
        price=_number(item, "price"),
        pnl=_number(item, "pnl"),
        fees=fees,
        pb_order_type=_text(item, "pb_order_type"),
        client_order_id=_text(item, "client_order_id"),
        psize=_number(item, "psize") if item.get("psize") is not None else 0.0,
        pprice=_number(item, "pprice") if item.get("pprice") is not None else 0.0,
        raw=_raw(item.get("raw")),
    )


def parse_fills(items: Iterable[Any], where: str) -> list[FillEvent]:
    """The records of all items that are fills; the others are skipped with a warning that says `where` they were."""
    events = []
    for item in items:
        try:
            events.append(parse_fill(item))
        except DataError as exc:
            logger.warning("[fills] %s: %s", where, exc)
    return events


def dump_fill(event: FillEvent) -> dict[str, Any]:
    """As it is stored. Its payloads are not copied: a day of fills is written anew with every fill."""
    return {name: getattr(event, name) for name in FIELDS}


FIELDS = tuple(field.name for field in fields(FillEvent))


def _wrong(item: Mapping[str, Any], name: str, wanted: str) -> DataError:
    return DataError(f"fill {item.get('id')!r}: {name} is {item.get(name)!r}, wanted is {wanted}; it is skipped")


def _number(item: Mapping[str, Any], name: str) -> float:
    value = item.get(name)
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(item, name, "a number")
    return number


def _text(item: Mapping[str, Any], name: str, *, filled: bool = False) -> str:
    value = item.get(name)
    if value is None or isinstance(value, dict | list) or (filled and value == ""):
        raise _wrong(item, name, "a text")
    return str(value)


def _one_of(item: Mapping[str, Any], name: str, allowed: Iterable[str]) -> str:
    word = _text(item, name).strip().lower()
    if word not in allowed:
        raise _wrong(item, name, " or ".join(allowed))
    return word


def _raw(value: Any) -> list[dict[str, Any]]:
    """Payloads as a list; what JSON cannot hold is kept as its text, so that it never keeps a day from being stored."""
    if not value:
        return []
    payloads = [{"source": "legacy", "data": value}] if isinstance(value, dict) else list(value)
    try:
        json.dumps(payloads, allow_nan=False)
    except (TypeError, ValueError):
        return [{"source": "text", "data": repr(payloads)}]
    return payloads
