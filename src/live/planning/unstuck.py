"""How much loss unstucking may realise now, from the fills alone (`live.md` 10, `additions.md` 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from core.terms import PSIDES, Pside
from live.fills.record import FillEvent


@dataclass(frozen=True, slots=True)
class UnstuckRules:
    """A side's `unstuck_loss_allowance_pct` and total wallet exposure limit."""

    loss_allowance_pct: float
    total_limit: float


def unstuck_allowances(
    pnls: Sequence[float], balance: float, rules: Mapping[Pside, UnstuckRules]
) -> dict[Pside, float]:
    """Quote currency for each side; 0 where no fill is known, or none is allowed.

    `pnls` are the gross profits of the fills of both sides in time order. Their running sum counts from 0, so a history
    that only lost has its peak there, as in the engine.
    """
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    sums = list(accumulate(pnls, initial=0.0))
    allowances: dict[Pside, float] = dict.fromkeys(PSIDES, 0.0)
    for pside, side in rules.items():
        if pnls and side.loss_allowance_pct > 0.0:
            share = side.loss_allowance_pct * side.total_limit
            allowances[pside] = passivbot_rust.calc_auto_unstuck_allowance(balance, share, max(sums), sums[-1])
    return allowances


def gross_pnls(fills: Iterable[FillEvent], c_mult: Callable[[str], float], since_ms: int = 0) -> list[float]:
    """Profit of each fill before fees, in time order: fetchers deliver it net or gross, the engine's is gross.

    It is counted from the position's price before the fill; where the history begins after the position's entry, the
    delivered profit stands in. `since_ms` restricts the result to later fills (`live.unstuck_use_lookback`).
    """
    prices: dict[tuple[str, str], float] = {}
    pnls = []
    for fill in fills:
        key = (fill.symbol, fill.position_side)
        if fill.timestamp >= since_ms:
            pnls.append(_gross(fill, prices.get(key, 0.0), c_mult))
        prices[key] = fill.pprice
    return pnls


def _gross(fill: FillEvent, entry: float, c_mult: Callable[[str], float]) -> float:
    import passivbot_rust  # lazily, as above

    if not fill.closes:
        return 0.0
    if entry <= 0.0:
        return fill.pnl
    pnl = passivbot_rust.calc_pnl_long if fill.position_side == "long" else passivbot_rust.calc_pnl_short
    return pnl(entry, fill.price, fill.qty, c_mult(fill.symbol))
