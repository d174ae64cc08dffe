"""Volumes of several exchanges made comparable, by what they traded of the same coins (`candles.md` 15.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from core.clock import DAY_MS
from core.errors import DataError
from markets.symbols import normalize_exchange
from simulation.loading import COMPARED_MS, Loaded, daily_volumes, load_checked
from simulation.plan import Candidate, CoinPlan
from simulation.request import DatasetRequest

Ratios = Mapping[tuple[str, str], float]
"""Mean over coins of volume on the first exchange by volume on the second, the first alphabetically before it."""


def window_of(start_ts: int, end_ts: int) -> tuple[int, int]:
    """The last sixty days of the data, up to the last midnight."""
    return max(start_ts, end_ts - COMPARED_MS), end_ts // DAY_MS * DAY_MS


def candidates_on_all(plans: Iterable[CoinPlan], loaded: Sequence[Loaded]) -> dict[str, list[Candidate]]:
    """Coins of the dataset that every chosen exchange has, with their markets in the exchanges' order."""
    exchanges = sorted({item.candidate.feed.exchange for item in loaded})
    in_dataset = {item.coin for item in loaded}
    found = {}
    for plan in plans:
        by_exchange = {c.feed.exchange: c for c in (*plan.candidates, *plan.compared)}
        if plan.coin in in_dataset and len(exchanges) > 1 and set(exchanges) <= set(by_exchange):
            found[plan.coin] = [by_exchange[name] for name in exchanges]
    return found


def volume_ratios(
    request: DatasetRequest, markets: Mapping[str, Sequence[Candidate]], window: tuple[int, int]
) -> Ratios:
    """Ratios of all pairs of exchanges, over the days that a coin has on all of them."""
    collected: dict[tuple[str, str], list[float]] = {}
    for candidates in markets.values():
        try:
            daily = {c.feed.exchange: daily_volumes(load_checked(request, c, window), *window) for c in candidates}
        except DataError:
            continue  # it does not load on all of them
        common = set.intersection(*(set(days) for days in daily.values()))
        sums = {name: sum(days[day] for day in sorted(common)) for name, days in daily.items()}
        for one, other in combinations(sorted(sums), 2):
            collected.setdefault((one, other), []).append(sums[one] / sums[other] if sums[other] else 0.0)
    return {pair: float(np.mean(ratios)) for pair, ratios in collected.items()}


def reference_exchange(loaded: Sequence[Loaded]) -> str:
    """That of most coins; of several, the one whose first coin comes last."""
    coins: dict[str, list[str]] = {}
    for item in loaded:
        coins.setdefault(item.candidate.feed.exchange, []).append(item.coin)
    return max(coins, key=lambda name: (len(coins[name]), min(coins[name])))


def factors(loaded: Sequence[Loaded], ratios: Ratios) -> tuple[dict[str, float], list[str]]:
    """`{exchange: factor of its volumes}`, and warnings where a ratio is not known."""
    reference = reference_exchange(loaded)
    result, notes = {}, []
    for name in sorted({item.candidate.feed.exchange for item in loaded}, key=normalize_exchange):
        pair = (min(name, reference), max(name, reference))
        ratio = 1.0 if name == reference else ratios.get(pair, 0.0)
        if not ratio:
            notes.append(
                f"volumes of {name} and {reference} cannot be compared, no coin trades on both: left as they are"
            )
            ratio = 1.0
        result[name] = ratio if name > reference else 1.0 / ratio
    return result, notes
