"""The sample market is frozen and looks like a market (`additions.md` 10, 11; `docs/sample_market.md`)."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest

from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts
from core.errors import DataError
from markets import sample
from markets.candle import VALUE_FIELDS, Candles
from markets.market import market_of

MINUTES = (
    "2018-07-11T00:00",
    "2019-02-28T23:59",
    "2020-03-12T10:43",
    "2021-04-14T06:00",
    "2022-05-09T13:31",
    "2023-01-01T00:00",
    "2024-02-29T12:34",
    "2025-10-10T21:17",
    "2026-11-20T00:00",
    "2031-06-15T18:45",
)
PINNED = {
    "BTC": (
        (34683.3, 34732.8, 34630.4, 34684.0, 767.278),
        (34484.7, 34496.6, 34453.7, 34458.1, 168.756),
        (29821.3, 29860.5, 29818.5, 29845.4, 238.471),
        (42275.6, 42290.3, 42257.9, 42276.0, 165.962),
        (42120.0, 42123.1, 42059.3, 42060.3, 203.818),
        (63972.9, 63983.9, 63942.0, 63943.9, 58.081),
        (59266.0, 59282.7, 59202.0, 59242.1, 265.608),
        (54517.6, 54575.6, 54372.6, 54383.3, 485.091),
        (44937.0, 44957.5, 44902.9, 44922.6, 155.17),
        (54132.1, 54145.6, 54079.0, 54093.3, 294.446),
    ),
    "SOL": (
        (69.68, 69.77, 69.65, 69.66, 13015.14),
        (71.45, 71.49, 71.38, 71.43, 14543.37),
        (73.11, 73.23, 73.09, 73.17, 16941.44),
        (227.72, 227.89, 227.56, 227.78, 8589.68),
        (142.86, 142.89, 142.57, 142.57, 10924.62),
        (150.34, 150.39, 150.19, 150.22, 3931.21),
        (254.39, 255.07, 254.14, 254.76, 6704.4),
        (86.8, 86.82, 86.46, 86.5, 37292.54),
        (137.12, 137.27, 136.98, 137.04, 22271.32),
        (215.28, 215.29, 214.95, 215.18, 3879.5),
    ),
    "TRX": (
        (0.10358, 0.10366, 0.10349, 0.10354, 3225000.0),
        (0.136, 0.13605, 0.13593, 0.13601, 1627090.0),
        (0.0856, 0.08567, 0.08556, 0.08566, 1227381.0),
        (0.16925, 0.16929, 0.16914, 0.16916, 402430.0),
        (0.13148, 0.13151, 0.13143, 0.13143, 553849.0),
        (0.16445, 0.16473, 0.16416, 0.16445, 4096965.0),
        (0.19174, 0.19203, 0.19151, 0.19176, 2740996.0),
        (0.14158, 0.14207, 0.14151, 0.14171, 3285915.0),
        (0.11423, 0.11431, 0.11422, 0.11425, 403978.0),
        (0.12575, 0.12575, 0.12558, 0.12558, 1744319.0),
    ),
}


@cache
def year(coin: str) -> Candles:
    return sample.candles(f"{coin}/USDT:USDT", date_to_ts("2023-01-01"), date_to_ts("2023-12-31T23:59"))


@pytest.mark.parametrize("coin", PINNED)
def test_pinned_minutes(coin: str) -> None:
    """Single minutes far apart have these bits on every machine."""
    stamps = [date_to_ts(minute) for minute in MINUTES]
    rows = [sample.candles(f"{coin}/USDT:USDT", ts, ts) for ts in stamps]
    assert [row["ts"].tolist() for row in rows] == [[ts] for ts in stamps]
    assert tuple(tuple(row[0].tolist()[1:6]) for row in rows) == PINNED[coin]


@pytest.mark.parametrize(
    ("coin", "seed", "digest"),
    [("BTC", 0, "6a91d2fcb2b4ef48"), ("DOT", 0, "8ca57625dd2538f9"), ("BTC", 1, "044e57c2988185ea")],
)
def test_pinned_month(coin: str, seed: int, digest: str) -> None:
    """A whole month is pinned too; another seed is another market."""
    rows = sample.candles(f"{coin}/USDT:USDT", date_to_ts("2024-01-01"), date_to_ts("2024-01-31T23:59"), seed)
    content = b"".join(rows[field].tobytes() for field in ("ts", *VALUE_FIELDS))
    assert hashlib.sha256(content).hexdigest()[:16] == digest


def test_random_access() -> None:
    """Any part of a range equals the same part made alone, across block boundaries too."""
    edge = 1700 * sample.BLOCK * MINUTE_MS
    whole = sample.candles("LTC/USDT:USDT", edge - 500 * MINUTE_MS, edge + 500 * MINUTE_MS)
    assert len(whole) == 1001
    sample._candle_block.cache_clear()
    sample._market_path.cache_clear()
    for low, high in ((0, 0), (499, 501), (500, 1000), (123, 456)):
        part = sample.candles("LTC/USDT:USDT", int(whole["ts"][low]) + 59_999, int(whole["ts"][high]))
        assert np.array_equal(part, whole[low : high + 1])


def test_launch_and_unknown_symbol() -> None:
    """Nothing exists before the launch, and no other symbol at all; launches lie years before any data."""
    launch = sample.INSTRUMENTS["DOT"].launch_ms
    assert sample.candles("DOT/USDT:USDT", launch - DAY_MS, launch + MINUTE_MS)["ts"].tolist() == [
        launch,
        launch + MINUTE_MS,
    ]
    assert len(sample.candles("DOT/USDT:USDT", 0, launch - 1)) == 0
    assert max(row.launch_ms for row in sample.INSTRUMENTS.values()) < date_to_ts("2019")
    with pytest.raises(DataError, match="no market SHIB/USDT:USDT"):
        sample.candles("SHIB/USDT:USDT", 0, 0)


@pytest.mark.parametrize("coin", ["BTC", "DOGE", "AVAX"])
def test_candles_are_sound(coin: str) -> None:
    """Gapless; open is the previous close; high and low enclose; prices and volumes are decimal multiples of steps."""
    row, rows = sample.INSTRUMENTS[coin], year(coin)
    assert np.array_equal(np.diff(rows["ts"]), np.full(len(rows) - 1, MINUTE_MS))
    assert np.array_equal(rows["o"][1:], rows["c"][:-1])
    assert (rows["h"] >= np.maximum(rows["o"], rows["c"])).all()
    assert (rows["l"] <= np.minimum(rows["o"], rows["c"])).all()
    assert (rows["l"] > 0).all()
    for field in VALUE_FIELDS:
        decimals = row.qty_decimals if field == "bv" else row.price_decimals
        texts = [f"{value:.{decimals}f}" for value in rows[field][:: len(rows) // 200]]
        assert [float(text) for text in texts] == rows[field][:: len(rows) // 200].tolist()


def test_looks_like_a_market() -> None:
    """Size, fat tails, clustered volatility, no drift one could trade on, correlation, volume with range."""
    coins = ("BTC", "ETH", "SOL", "XRP")
    logs = {coin: np.log(year(coin)["c"]) for coin in coins}
    daily = {coin: float(np.std(np.diff(log[::1440]))) for coin, log in logs.items()}
    assert 0.02 < daily["BTC"] < 0.04
    assert all(0.03 < daily[coin] < 0.075 for coin in coins[1:])
    hourly = np.corrcoef([np.diff(log[::60]) for log in logs.values()])
    assert 0.35 < hourly[np.triu_indices(4, 1)].min() < hourly[np.triu_indices(4, 1)].max() < 0.9

    moves = np.diff(logs["BTC"])
    assert 10.0 < np.mean(moves**4) / np.mean(moves**2) ** 2 < 80.0
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.02
    sizes = np.abs(moves)
    assert all(np.corrcoef(sizes[lag:], sizes[:-lag])[0, 1] > low for lag, low in ((1, 0.15), (60, 0.1), (1440, 0.03)))
    ranges = (year("BTC")["h"] - year("BTC")["l"]) / year("BTC")["c"] * 1e4
    assert 5.0 < np.median(ranges) < 20.0
    assert np.corrcoef(np.log(ranges + 1.0), np.log(year("BTC")["bv"]))[0, 1] > 0.5


def test_trends_turn_within_the_year() -> None:
    """Prices fall and rise by a third within weeks, so a grid gets stuck and gets free, and stay in a sane band."""
    closes = year("SOL")["c"][::1440]
    change = closes[45:] / closes[:-45]
    assert change.min() < 0.67
    assert change.max() > 1.5
    assert 0.05 < closes.min() / sample.INSTRUMENTS["SOL"].price < closes.max() / sample.INSTRUMENTS["SOL"].price < 20.0


def test_instruments_are_usable_markets() -> None:
    """Twelve linear swaps with steps, minima and fees."""
    markets = [market_of(entry, "sample") for entry in sample.ccxt_markets().values()]
    assert len(markets) == 12
    btc = markets[0]
    assert (btc.symbol, btc.coin, btc.price_step, btc.qty_step) == ("BTC/USDT:USDT", "BTC", 0.1, 0.001)
    assert (btc.min_qty, btc.min_cost, btc.c_mult, btc.maker_fee, btc.taker_fee) == (0.001, 100.0, 1.0, 0.0002, 0.0005)
    assert all(market.active and market.min_qty > 0 for market in markets)
