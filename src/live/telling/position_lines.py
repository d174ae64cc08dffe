"""Positions in log lines: changes, and exposure against limits (`live.md` 22)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from exchanges.protocol import HeldPosition, Key
from live.choice.market_book import MarketBook
from live.planning.translate import FLAT


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a position is measured by: contract size, balance, its limit, the side's excess allowance and total."""

    c_mult: float
    balance: float
    limit: float
    allowance: float
    total: float


def wallet_exposure(position: HeldPosition, c_mult: float, balance: float) -> float:
    """The position's cost as a share of the balance, as the engine counts it."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    if balance <= 0.0:
        return 0.0
    return passivbot_rust.calc_wallet_exposure(c_mult, balance, abs(position.size), position.price)


def change_word(before: HeldPosition, now: HeldPosition) -> str:
    """What happened to a position: new, added, reduced, closed, changed (entry price only)."""
    old, new = abs(before.size), abs(now.size)
    if old == 0.0:
        return "new"
    if new == 0.0:
        return "closed"
    return "added" if new > old else "reduced" if new < old else "changed"


def changed_positions(before: Mapping[Key, HeldPosition], now: Mapping[Key, HeldPosition]) -> list[Key]:
    """Positions that are not what they were, sorted."""
    return sorted(key for key in {*before, *now} if before.get(key, FLAT) != now.get(key, FLAT))


def upnl(key: Key, position: HeldPosition, price: float | None, book: MarketBook) -> float:
    """Open profit at a price; 0 without one."""
    if price is None or not math.isfinite(price):
        return 0.0
    import passivbot_rust  # lazily, as above

    pnl = passivbot_rust.calc_pnl_long if key[1] == "long" else passivbot_rust.calc_pnl_short
    return pnl(position.price, price, position.size, book.c_mult(key[0]))


def distance(price: float | None, position: HeldPosition) -> float:
    """How far the market is from the entry price, as a fraction; NaN where either is unknown."""
    return price / position.price - 1.0 if price and position.price else math.nan


def position_line(before: HeldPosition, now: HeldPosition, coin: str, pside: str, exposure: Exposure | None) -> str:
    """`[pos] new BTC long 0 -> 0.01 @ 64000 WE=0.064 (12.8% of WEL, 10.7% of WEL with allowance, 6.4% of TWEL)`."""
    line = f"[pos] {change_word(before, now):<7} {coin} {pside} {before.size:.10g} -> {now.size:.10g}"
    if now.size == 0.0:
        return line
    line += f" @ {now.price:.10g}"
    return line if exposure is None else line + f" {exposure_text(now, exposure)}"


def exposure_text(position: HeldPosition, exposure: Exposure) -> str:
    """`WE=0.064 (12.8% of WEL, ...)`."""
    share = wallet_exposure(position, exposure.c_mult, exposure.balance)
    parts = [
        f"{share / limit:.1%} of {name}"
        for name, limit in (
            ("WEL", exposure.limit),
            ("WEL with allowance", exposure.limit * (1.0 + max(0.0, exposure.allowance))),
            ("TWEL", exposure.total),
        )
        if limit > 0.0
    ]
    return f"WE={share:.4f} ({', '.join(parts)})" if parts else f"WE={share:.4f}"
