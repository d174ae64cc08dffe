"""Telling a caller what is being fetched: events as mappings, to a function that may do with them what it likes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

FetchCallback = Callable[[dict[str, Any]], None]
"""Gets `kind` (ccxt_fetch_ohlcv, archive_http_get, archive_prefetch, ...), `stage` (start, ok, error, not_found, skip,
progress, done), `symbol`, `tf` and what belongs to the kind: since, limit, attempt, params, rows, elapsed_ms, url."""


def tell(callback: FetchCallback | None, event: dict[str, Any]) -> None:
    """Call it; what it raises is logged and never breaks a fetch."""
    if callback is None:
        return
    try:
        callback(event)
    except Exception as exc:  # noqa: BLE001 - whatever the caller's function does
        logger.warning("remote_fetch_callback failed with %s: %s", type(exc).__name__, exc)
