"""The balance that a cycle works with: small movements are not followed (`live.md` 5.1)."""

from __future__ import annotations

import math

from core.errors import DataError


def accepted_balance(fetched: float | None, previous: float | None, snap_pct: float) -> float:
    """`previous` until the fetched balance has moved by more than `snap_pct` of it; the first one is taken as it is.

    DataError: there is no number, so the cycle fails and the old balance stays.
    """
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    if fetched is None or not math.isfinite(fetched):
        raise DataError(f"the exchange gave the balance {fetched}, a finite number is needed; the cycle is skipped")
    return fetched if previous is None else passivbot_rust.hysteresis(fetched, previous, snap_pct)
