"""Trades of both sides, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.terms import Pside

# What a difference can come from. Nothing else is known of; an unexplained one is a bug of ours.
Cause = Literal["rounded the other way", "follows from an earlier difference", "unexplained"]
Steps = Mapping[str, tuple[float, float]]  # of a coin: price step, quantity step


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill: the open time of its minute, contracts signed by side."""

    ts: int
    coin: str
    pside: Pside
    qty: float
    price: float
    order_type: str

    @property
    def place(self) -> tuple[int, str, str, str]:
        """What a trade of the other side must have in common to be taken for the same order."""
        return self.ts, self.coin, self.pside, self.order_type


@dataclass(frozen=True, slots=True)
class Difference:
    """A trade that only one side has (the other one is None), or that both have with other numbers."""

    backtest: Trade | None
    live: Trade | None
    cause: Cause

    @property
    def trade(self) -> Trade:
        return _either(self.backtest, self.live)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`equal` trades to the last bit, how many of each kind, and all differences in the order of time."""

    equal: int
    kinds: Mapping[str, int]
    n_backtest: int
    n_live: int
    differences: tuple[Difference, ...]

    @property
    def by_cause(self) -> dict[str, int]:
        return dict(Counter(difference.cause for difference in self.differences))

    @property
    def unexplained(self) -> int:
        return self.by_cause.get("unexplained", 0)


def compare(backtest: Sequence[Trade], live: Sequence[Trade], steps: Steps) -> Comparison:
    """Every trade of either side once.

    A price or quantity that falls between two steps may be rounded either way by the last digit of an EMA, which does
    not begin at the same candle on both sides. Once something differed, balance and positions do, and all may follow.
    """
    equal = Counter(backtest) & Counter(live)
    only_backtest, only_live = list((Counter(backtest) - equal).elements()), list((Counter(live) - equal).elements())
    pairs = list(_paired(only_backtest, only_live))
    pairs.sort(key=lambda pair: _either(*pair).ts)
    differences: list[Difference] = []
    seen: set[tuple[str, str]] = set()
    for ours, theirs in pairs:
        ts, coin, pside, _ = _either(ours, theirs).place
        follows = (coin, pside) in seen or (bool(differences) and ts > differences[0].trade.ts)
        cause = _cause(ours, theirs, steps.get(coin, (0.0, 0.0)))
        differences.append(Difference(ours, theirs, "follows from an earlier difference" if follows else cause))
        seen.add((coin, pside))
    kinds = Counter(_kind(trade) for trade in equal.elements())
    return Comparison(equal.total(), kinds, len(backtest), len(live), tuple(differences))


def _kind(trade: Trade) -> str:
    """`close_unstuck_long` is of the kind `unstuck`."""
    return trade.order_type.split("_")[1]


def _either(backtest: Trade | None, live: Trade | None) -> Trade:
    """The one that there is; of two the backtest's."""
    found = backtest or live
    assert found is not None
    return found


def _paired(backtest: Iterable[Trade], live: Iterable[Trade]) -> Iterable[tuple[Trade | None, Trade | None]]:
    """Trades of the same place belong together; who has no partner stands alone."""
    rest = list(live)
    for trade in backtest:
        partner = next((other for other in rest if other.place == trade.place), None)
        if partner is not None:
            rest.remove(partner)
        yield trade, partner
    for trade in rest:
        yield None, trade


def _cause(backtest: Trade | None, live: Trade | None, steps: tuple[float, float]) -> Cause:
    if backtest is None or live is None:
        return "unexplained"
    near = [
        abs(a - b) < 1.5 * step
        for a, b, step in zip((backtest.price, backtest.qty), (live.price, live.qty), steps, strict=True)
    ]
    return "rounded the other way" if all(near) else "unexplained"
