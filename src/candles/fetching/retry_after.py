"""How long a host wants to be left alone: the header `Retry-After`, in seconds or as a date."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any


def retry_after_s(headers: Mapping[str, Any], now_ms: int) -> float:
    """Seconds from now until the host may be asked again; 0 if the headers do not say, or not intelligibly."""
    stated = next((str(value).strip() for name, value in headers.items() if str(name).lower() == "retry-after"), "")
    if stated.isdecimal():
        return float(stated)
    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - now_ms / 1000.0)
    except ValueError:
        return 0.0
