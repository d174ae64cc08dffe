"""The built-in exchange `sample`: twelve instruments and synthetic candles for any minute (`candles.md` 20.6).

Everything follows from (seed, symbol, minute) through integer hashes and + - x / sqrt alone, in a fixed order, so that
every machine and every numpy gives the same bits. `docs/sample_market.md` tells the model in words, with statistics of
what it makes; `tests/test_sample_market.py` pins it. A change of any bit needs a new VERSION.

Time is cut into blocks of 2**14 minutes. The log price at block boundaries is slow noise of many periods; in a block
it is a Brownian bridge whose variance each minute is the *activity*, found by splitting intervals in halves, so any
block can be made alone. A coin is `beta` times the market's path plus one of its own.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from core.clock import MINUTE_MS
from core.dates import date_to_ts
from core.errors import DataError
from markets.candle import CANDLE_DTYPE, UNKNOWN, Candles

EXCHANGE = "sample"
VERSION = 1
DATA_NOTE = "synthetic data: the built-in sample market, no real exchange"
MAKER_FEE, TAKER_FEE = 0.0002, 0.0005

BLOCK_LEVELS = 14
BLOCK = 1 << BLOCK_LEVELS  # minutes

_GOLDEN = 0x9E3779B97F4A7C15
_NORMAL_SCALE = math.sqrt(3.0) / 65536.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract of `sample`: what an exchange would say of it, and the numbers its candles are made from."""

    coin: str
    price_decimals: int
    qty_decimals: int
    min_cost: float
    launch: str
    price: float  # the level its price wanders around
    beta: float  # share of the market's moves
    daily_vol: float  # of its own moves in quiet times, besides the market's
    daily_volume_usd: float

    @property
    def symbol(self) -> str:
        return f"{self.coin}/USDT:USDT"

    @property
    def price_step(self) -> float:
        return 1.0 / float(10**self.price_decimals)

    @property
    def qty_step(self) -> float:
        return 1.0 / float(10**self.qty_decimals)

    @property
    def launch_ms(self) -> int:
        return date_to_ts(self.launch)


# Ticks and minima are those of the coins' large perpetuals; launch times lie years before any data one would use.
INSTRUMENTS = {
    row.coin: row
    for row in (
        Instrument("BTC", 1, 3, 100.0, "2018-01-03", 42000.0, 1.0, 0.008, 9e9),
        Instrument("ETH", 2, 3, 20.0, "2018-01-10", 2300.0, 1.15, 0.016, 6e9),
        Instrument("SOL", 2, 2, 5.0, "2018-04-16", 95.0, 1.30, 0.033, 2e9),
        Instrument("XRP", 4, 1, 5.0, "2018-01-24", 0.62, 1.00, 0.030, 1e9),
        Instrument("BNB", 2, 2, 5.0, "2018-02-07", 330.0, 0.95, 0.020, 6e8),
        Instrument("DOGE", 5, 0, 5.0, "2018-03-14", 0.11, 1.20, 0.036, 1e9),
        Instrument("ADA", 4, 0, 5.0, "2018-02-21", 0.55, 1.15, 0.028, 5e8),
        Instrument("TRX", 5, 0, 5.0, "2018-05-02", 0.11, 0.75, 0.024, 2e8),
        Instrument("AVAX", 3, 0, 5.0, "2018-06-13", 31.0, 1.30, 0.034, 4e8),
        Instrument("LINK", 3, 2, 5.0, "2018-05-23", 14.5, 1.20, 0.031, 4e8),
        Instrument("LTC", 2, 3, 20.0, "2018-01-17", 92.0, 1.05, 0.026, 3e8),
        Instrument("DOT", 3, 1, 5.0, "2018-07-11", 7.8, 1.15, 0.029, 3e8),
    )
}
_BY_SYMBOL = {row.symbol: row for row in INSTRUMENTS.values()}

MARKET_DAILY_VOL = 0.025

# Log activity: (period in minutes, amplitude) of the market's noise and of a coin's own, which is added to it.
_MARKET_ACTIVITY = ((1 << 14, 0.35), (1 << 12, 0.45), (1 << 10, 0.45), (1 << 8, 0.45), (1 << 6, 0.4), (1 << 4, 0.35))
_COIN_ACTIVITY = ((1 << 13, 0.35), (1 << 11, 0.35), (1 << 9, 0.35), (1 << 7, 0.35), (1 << 5, 0.35), (1 << 3, 0.3))
_MINUTE_ACTIVITY = 0.45
_SHARED_ACTIVITY = 0.7
_JUMP_ONE_IN = 1 << 12
_JUMP_ACTIVITY = 120.0

# Slow noise at block boundaries: (period in blocks of 11.4 days, amplitude in units of one block's volatility).
_MARKET_TREND = ((1, 0.6), (2, 0.9), (4, 1.3), (8, 1.9), (16, 2.6), (32, 3.4), (64, 4.0))
_COIN_TREND = ((1, 0.6), (2, 0.8), (4, 1.1), (8, 1.5), (16, 1.8), (32, 2.0))


def instrument(symbol: str) -> Instrument:
    """The instrument of a symbol. Raises DataError for one that `sample` does not have."""
    try:
        return _BY_SYMBOL[symbol]
    except KeyError:
        raise DataError(f"exchange {EXCHANGE} has no market {symbol}; it has {', '.join(INSTRUMENTS)}") from None


def ccxt_markets() -> dict[str, dict[str, Any]]:
    """The instruments as CCXT would list them."""
    return {row.symbol: _ccxt_market(row) for row in INSTRUMENTS.values()}


def _ccxt_market(row: Instrument) -> dict[str, Any]:
    return {
        "id": f"{row.coin}USDT",
        "symbol": row.symbol,
        "base": row.coin,
        "baseName": row.coin,
        "quote": "USDT",
        "settle": "USDT",
        "active": True,
        "swap": True,
        "linear": True,
        "contract": True,
        "contractSize": 1.0,
        "maker": MAKER_FEE,
        "taker": TAKER_FEE,
        "precision": {"amount": row.qty_step, "price": row.price_step},
        "limits": {"amount": {"min": row.qty_step}, "cost": {"min": row.min_cost}},
        "created": row.launch_ms,
        "info": {"source": EXCHANGE, "version": VERSION},
    }


def candles(symbol: str, start_ms: int, end_ms: int, seed: int = 0) -> Candles:
    """The candles of the minutes from `start_ms` through `end_ms` (both floored), none before the launch."""
    row = instrument(symbol)
    first = max(start_ms, row.launch_ms) // MINUTE_MS
    last = end_ms // MINUTE_MS
    if last < first:
        return np.empty(0, CANDLE_DTYPE)
    out = np.empty(last - first + 1, CANDLE_DTYPE)
    for block in range(first // BLOCK, last // BLOCK + 1):
        low, high = max(first, block * BLOCK), min(last + 1, (block + 1) * BLOCK)
        part = _candle_block(row, block, seed)
        out[low - first : high - first] = part[low - block * BLOCK : high - block * BLOCK]
    return out


@lru_cache(maxsize=16)
def _candle_block(row: Instrument, block: int, seed: int) -> Candles:
    """All candles of one block, read-only."""
    path, variance = _coin_path(row, block, seed)
    scale = float(10**row.price_decimals)
    ticks = _at_least_one(np.rint(row.price * _exp(path) * scale))
    opens, closes = ticks[:-1], ticks[1:]
    up, down = (_excursion(row, block, seed, side, path, variance) for side in ("high", "low"))
    highs = np.maximum(np.rint(closes * (1.0 + up)), np.maximum(opens, closes))
    lows = _at_least_one(np.minimum(np.rint(closes * (1.0 - down)), np.minimum(opens, closes)))

    out = np.empty(BLOCK, CANDLE_DTYPE)
    out["ts"] = (np.arange(BLOCK, dtype=np.int64) + block * BLOCK) * MINUTE_MS
    for field, values in (("o", opens), ("h", highs), ("l", lows), ("c", closes)):
        out[field] = values / scale
    out["bv"] = _volumes(row, block, seed, (highs - lows) / closes, closes / scale)
    out["src"] = UNKNOWN
    out.flags.writeable = False
    return out


def _coin_path(row: Instrument, block: int, seed: int) -> tuple[Floats, Floats]:
    """Log price relative to `row.price` at the block's BLOCK + 1 minute boundaries, and its variance each minute."""
    market_path, market_variance, market_activity = _market_path(block, seed)
    stream = f"{seed}:{row.symbol}"
    activity = _smooth_noise(f"{stream}:activity", block, _COIN_ACTIVITY) + _SHARED_ACTIVITY * market_activity
    variance = _variance(stream, block, activity, row.daily_vol)
    path = row.beta * market_path + _bridge(stream, block, variance, _ends(stream, block, row.daily_vol, _COIN_TREND))
    return path, row.beta * row.beta * market_variance + variance


@lru_cache(maxsize=128)
def _market_path(block: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """The common factor: its log path, its variance each minute, and its log activity."""
    stream = f"{seed}:market"
    activity = _smooth_noise(f"{stream}:activity", block, _MARKET_ACTIVITY) + _calendar(block)
    variance = _variance(stream, block, activity, MARKET_DAILY_VOL)
    ends = _ends(stream, block, MARKET_DAILY_VOL, _MARKET_TREND)
    return _bridge(stream, block, variance, ends), variance, activity


def _variance(stream: str, block: int, log_activity: Floats, daily_vol: float) -> Floats:
    """Variance of each minute: activity, with noise from minute to minute and rare jumps, in units of the daily one."""
    minutes = _block_indices(block, 1)
    activity = _exp(log_activity + _MINUTE_ACTIVITY * _normals(f"{stream}:minute", minutes))
    jump = _hashes(f"{stream}:jump", minutes) % np.uint64(_JUMP_ONE_IN) == 0
    return np.where(jump, activity * _JUMP_ACTIVITY, activity) * (daily_vol * daily_vol / 1440.0)


def _ends(stream: str, block: int, daily_vol: float, octaves: tuple[tuple[int, float], ...]) -> tuple[float, float]:
    """Log level at the two boundaries of a block: smooth noise of several periods, so trends last weeks and turn."""
    unit = daily_vol * math.sqrt(BLOCK / 1440.0)
    total = [0.0, 0.0]
    for period, amplitude in octaves:
        for i in range(2):
            left, offset = divmod(block + i, period)
            values = _normals(f"{stream}:trend:{period}", np.array([left, left + 1]))
            total[i] += amplitude * (float(values[0]) + float(values[1] - values[0]) * _smoothstep(offset / period))
    return total[0] * unit, total[1] * unit


def _bridge(stream: str, block: int, variance: Floats, ends: tuple[float, float]) -> Floats:
    """A Brownian path from one end to the other with the given variance each minute, by halving intervals."""
    sums = [variance]
    while len(sums[-1]) > 1:
        sums.append(sums[-1][0::2] + sums[-1][1::2])
    path = np.array(ends)
    for level in reversed(range(BLOCK_LEVELS)):
        left, whole = sums[level][0::2], sums[level + 1]
        noise = _normals(f"{stream}:bridge:{level}", _block_indices(block, 2 << level))
        share = left / whole
        finer = np.empty(2 * len(whole) + 1)
        finer[0::2] = path
        finer[1::2] = path[:-1] + share * (path[1:] - path[:-1]) + np.sqrt(share * sums[level][1::2]) * noise
        path = finer
    return path


def _smooth_noise(stream: str, block: int, octaves: tuple[tuple[int, float], ...]) -> Floats:
    """Sum of value noises over the block's minutes: normal values on a grid, joined smoothly."""
    total = np.zeros(BLOCK)
    for period, amplitude in octaves:
        grid = _block_indices(block, period)
        values = amplitude * _normals(f"{stream}:{period}", np.append(grid, grid[-1] + 1))
        steps = np.asarray(_smoothstep(np.arange(period) / period))
        total += (values[:-1, None] + (values[1:] - values[:-1])[:, None] * steps).reshape(-1)
    return total


def _calendar(block: int) -> Floats:
    """Log activity by hour and weekday: busiest at 15:00 UTC and on Wednesdays."""
    minutes = _block_indices(block, 1)
    return 0.8 * _cycle(minutes, 1440, 900) + 0.4 * _cycle(minutes, 10080, 9360)


def _cycle(minutes: npt.NDArray[np.int64], period: int, peak: int) -> Floats:
    """A smooth wave between -1/2 and 1/2 with its crest at minute `peak` of each period."""
    distance = np.abs((minutes - peak) % period - period // 2) / (period / 2)
    return np.asarray(_smoothstep(distance)) - 0.5


def _excursion(row: Instrument, block: int, seed: int, side: str, path: Floats, variance: Floats) -> Floats:
    """How far a minute's extreme lies beyond its close: the law of a Brownian path's extreme, given both its ends."""
    minutes = _block_indices(block, 1)
    first, second = (_normals(f"{seed}:{row.symbol}:{side}:{i}", minutes) for i in range(2))
    move = path[1:] - path[:-1] if side == "low" else path[:-1] - path[1:]
    return 0.5 * (move + np.sqrt(move * move + variance * (first * first + second * second)))


def _volumes(row: Instrument, block: int, seed: int, ranges: Floats, prices: Floats) -> Floats:
    """Base volume: rises with the range, with noise of its own; a multiple of the quantity step."""
    own = _exp(0.5 * _normals(f"{seed}:{row.symbol}:volume", _block_indices(block, 1)))
    typical = (
        math.sqrt(row.beta * row.beta * MARKET_DAILY_VOL * MARKET_DAILY_VOL + row.daily_vol * row.daily_vol) / 24.0
    )
    relative = ranges / typical
    usd = row.daily_volume_usd / 1440.0 * own * (0.25 + 0.5 * relative + 0.25 * relative * relative)
    scale = float(10**row.qty_decimals)
    return _at_least_one(np.rint(usd / prices * scale)) / scale


def _exp(x: Floats) -> Floats:
    """e**x to about 1e-10, by a polynomial and squaring: library versions differ in the last bits between machines."""
    y = x / 1024.0
    y = 1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0 + y / 24.0)))
    for _ in range(10):
        y = y * y
    return y


def _smoothstep(t: Any) -> Any:
    return t * t * (3.0 - 2.0 * t)


def _at_least_one(values: Floats) -> Floats:
    return np.maximum(values, 1.0)


def _block_indices(block: int, period: int) -> npt.NDArray[np.int64]:
    """Numbers of the intervals of `period` minutes in a block, counted from 1970."""
    count = BLOCK // period
    return np.arange(block * count, (block + 1) * count, dtype=np.int64)


def _normals(stream: str, indices: npt.NDArray[np.int64]) -> Floats:
    """Standard normal to good approximation: the sum of four 16-bit uniforms, at most 3.5 in size."""
    h = _hashes(stream, indices)
    low = np.uint64(0xFFFF)
    total = sum(((h >> np.uint64(shift)) & low) for shift in (16, 32, 48)) + (h & low)
    return (total.astype(np.float64) - 131070.0) * _NORMAL_SCALE


def _hashes(stream: str, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """64 well-mixed bits for each index of a stream (the finaliser of splitmix64)."""
    h = indices.astype(np.uint64) * np.uint64(_GOLDEN) + _stream_key(stream)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@lru_cache(maxsize=1024)
def _stream_key(stream: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little"))
