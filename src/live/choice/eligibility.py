"""Which coins may be opened on a side, and how many (`live.md` 5.4, 6, 7.2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from markets.market import Market

NOT_ACTIVE = "not active"  # as `ineligible_because` says it
NOT_LISTED = "not listed"

Scores: TypeAlias = Mapping[str, float]  # of a symbol, finite


@dataclass(frozen=True, slots=True)
class SlotRules:
    """One side's settings about slots; `forced` says that a global forced mode is set for it."""

    total_limit: float
    n_positions: int
    forced: bool
    volume_drop_pct: float
    volatility_drop_pct: float

    @property
    def enabled(self) -> bool:
        return self.total_limit > 0.0 and self.n_positions > 0


def approved_symbols(
    approved: Collection[str],
    ignored: Collection[str],
    eligible: Collection[str],
    rules: SlotRules,
    *,
    empty_means_all: bool,
) -> frozenset[str]:
    """The symbols a side may open: approved and eligible ones but the ignored; none on a side that is off."""
    if not rules.enabled:
        return frozenset()
    chosen = set(approved) & set(eligible)
    if not chosen and empty_means_all:
        chosen = set(eligible)
    return frozenset(chosen - set(ignored))


def max_positions(rules: SlotRules, n_approved: int) -> int:
    """Slots of a side: no more than coins that may take them."""
    return max(min(rules.n_positions, n_approved), 0)


def is_forager(rules: SlotRules, n_approved: int) -> bool:
    """Whether coins have to compete for the slots."""
    return rules.total_limit > 0.0 and not rules.forced and 0 < max_positions(rules, n_approved) < n_approved


def exposure_limit(rules: SlotRules, n_approved: int, n_held: int, own: float | None) -> float:
    """Limit of one position: the coin's own, else its share of the side's total as the engine counts it."""
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    if own is not None:
        return own
    return passivbot_rust.shared_exposure_limit(rules.total_limit, rules.n_positions, n_approved, n_held)


def effective_min_cost(market: Market, price: float) -> float:
    """Smallest cost of an order near `price`, quote currency (5.4)."""
    import passivbot_rust  # lazily, as above

    return passivbot_rust.calc_effective_min_cost(market.min_qty, market.min_cost, price, market.c_mult)


def initial_entry_fits(balance: float, limit: float, params: Mapping[str, float], min_cost: float) -> bool:
    """Whether a coin's first entry is large enough; the planner asks the same (`orchestrator.md` 9.4)."""
    import passivbot_rust  # lazily, as above

    excess, initial = params["risk_we_excess_allowance_pct"], params["entry_initial_qty_pct"]
    return passivbot_rust.initial_entry_is_large_enough(balance, limit, excess, initial, min_cost)


def ideal_coins(
    approved: Collection[str],
    fitting: Collection[str],
    rules: SlotRules,
    volumes: Scores | None,
    volatilities: Scores,
) -> list[str]:
    """The symbols that deserve a slot, best first (7.2); none where a global forced mode decides.

    `approved` are those of the side, `fitting` what is old enough and whose first entry is large enough. Scores that
    are missing count as 0; without any `volumes` (no share of them is to be dropped) the sorted order stands for them.
    """
    import passivbot_rust  # lazily, as above

    candidates = sorted(set(approved) & set(fitting))
    if rules.forced or not is_forager(rules, len(approved)):
        return [] if rules.forced else candidates
    features = [
        {
            "index": i,
            "enabled": True,
            "volume_score": float(len(candidates) - i) if volumes is None else volumes.get(symbol, 0.0),
            "volatility_score": volatilities.get(symbol, 0.0),
        }
        for i, symbol in enumerate(candidates)
    ]
    slots, drops = max_positions(rules, len(approved)), (rules.volume_drop_pct, rules.volatility_drop_pct)
    return [candidates[i] for i in passivbot_rust.select_coin_indices_py(features, slots, *drops, True)]
