"""Which resting orders a candle or a price fills, in what order, and how much of them (`exchange_simulator.md` 6.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from passivbot_rust import round_, round_dn, round_up

from core.errors import ConfigError
from core.terms import Side
from exchange_sim.trading.records import Order, Quotes

ModelName = Literal["strict", "touch", "pessimistic", "probabilistic", "partial"]


@dataclass(frozen=True, slots=True)
class Candle:
    """One minute of a symbol; `ts` is its open time, `volume` in base units."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class FillModel:
    """When a crossed order fills. `probability` and `seed` are for probabilistic, `participation` for partial.

    Raises ConfigError for an unknown name or a share outside its range.
    """

    name: ModelName = "strict"
    probability: float = 1.0
    seed: int = 0
    participation: float = 0.1

    def __post_init__(self) -> None:
        if self.name not in get_args(ModelName):
            raise ConfigError(f"fill model {self.name!r} is unknown; known are {', '.join(get_args(ModelName))}")
        for what, share in (("fill_probability", self.probability), ("participation", self.participation)):
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{what} is {share:g}, it must be from 0 to 1")

    @property
    def needs_candles(self) -> bool:
        """Whether a whole candle decides, so that prices within it fill nothing."""
        return self.name in ("probabilistic", "partial")

    def volume(self, candle: Candle) -> float:
        """How much one account can trade in a candle."""
        return candle.volume * self.participation if self.name == "partial" else inf


def crossed(
    key: str, orders: Iterable[Order], candles: Mapping[str, Candle], quotes: Quotes, model: FillModel
) -> list[Order]:
    """The orders of an account that the candles fill, in the order in which they do.

    Long before short, then by symbol, closes before entries, nearest to the previous close first, then by age. Sides
    come before symbols because the backtester books that way, and the peak of realised profit depends on it
    (`backtest_engine.md` 6.2).
    """
    found = [
        order
        for order in orders
        if (candle := candles.get(order.symbol)) is not None
        and is_reached(order, candle, quotes.markets[order.symbol].price_step, model)
        and (model.name != "probabilistic" or _draw(model.seed, key, order.id, candle.ts) < model.probability)
    ]

    def rank(order: Order) -> tuple[bool, str, bool, float, int]:
        previous = quotes.last.get(order.symbol, candles[order.symbol].open)
        distance = abs(order.price - previous)
        return order.works_for == "short", order.symbol, not order.reduces, distance, order.id

    return sorted(found, key=rank)


def is_reached(order: Order, candle: Candle, tick: float, model: FillModel) -> bool:
    """Whether the range goes far enough beyond a resting order's price."""
    price, is_buy = order.price, order.side == "buy"
    if model.name == "touch":
        return candle.low <= price if is_buy else candle.high >= price
    if model.name == "pessimistic":
        return candle.low <= round_(price - tick, tick) if is_buy else candle.high >= round_(price + tick, tick)
    return candle.low < price if is_buy else candle.high > price


def fillable(qty: float, volume_left: float, step: float) -> float:
    """How much of `qty` can be filled with what is left of the candle's volume, in whole steps."""
    return qty if qty <= volume_left else round_dn(volume_left + step * 1e-9, step)


def taker_price(side: Side, last: float, slippage: float, tick: float, limit: float | None) -> float:
    """Where a taker trades: slipped, on the tick that is worse for the trader, never beyond `limit`."""
    slipped = last * (1.0 + slippage if side == "buy" else 1.0 - slippage)
    nearest = round_(slipped, tick)
    if abs(nearest - slipped) > tick * 1e-6:
        nearest = round_up(slipped, tick) if side == "buy" else max(round_dn(slipped, tick), tick)
    if limit is None:
        return nearest
    return min(nearest, limit) if side == "buy" else max(nearest, limit)


def _draw(seed: int, key: str, order_id: int, ts: int) -> float:
    """A number in [0, 1) that belongs to this order and candle."""
    digest = hashlib.blake2b(f"{seed}:{key}:{order_id}:{ts}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64
