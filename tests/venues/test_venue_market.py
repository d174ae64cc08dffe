"""The venue's market: sources, days, the unfinished candle, klines (`exchange_simulator.md` 5)."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_cases import NOW, SYMBOL, floor, minutes

from candles.disk.store import CandleStore
from core.clock import DAY_MS, MINUTE_MS, ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError, DataError
from exchange_sim.klines import INTERVALS, Page, klines
from exchange_sim.market import decimals_of, so_far
from exchange_sim.settings import read_sim_config
from exchange_sim.sources import directory_market, sample_market, store_market
from exchange_sim.trading.engine import Options
from exchange_sim.trading.matching import FillModel
from exchange_sim.trading.upkeep import Funding
from exchange_sim.wire import decimal, decimals_text
from markets import sample
from markets.candle import VALUE_FIELDS, Candles

MARKET = sample_market()
BTC = MARKET.by_symbol[SYMBOL]
CLOCK = ManualClock(NOW)
CANDLES = minutes(SYMBOL, floor(NOW) - 999 * MINUTE_MS, floor(NOW))


@given(st.integers(0, 999), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_unfinished_candles(number: int, first: float, second: float) -> None:
    """A candle in the making lies within its whole, only grows, has prices on the tick, and ends as the whole."""
    row = CANDLES[number : number + 1]
    early, late = (so_far(row, fraction, BTC)[0] for fraction in sorted((first, second)))
    assert row["l"][0] <= late["l"] <= early["l"] <= early["c"] <= early["h"] <= late["h"] <= row["h"][0]
    assert early["o"] == row["o"][0]
    assert 0.0 <= early["bv"] <= late["bv"] <= row["bv"][0]
    assert float(f"{early['c']:.1f}") == early["c"]
    whole = so_far(row, 1.0, BTC)[0]
    assert [whole[name] for name in "ohlc"] == [row[name][0] for name in "ohlc"]
    assert whole["bv"] == pytest.approx(row["bv"][0], abs=2 * BTC.market.qty_step)
    assert so_far(row, 0.0, BTC)[0]["h"] == so_far(row, 0.0, BTC)[0]["l"] == row["o"][0]


@pytest.mark.parametrize(("close", "prices"), [(12.0, [8.0, 15.0, 12.0]), (9.0, [15.0, 8.0, 9.0])])
def test_path_of_a_minute(close: float, prices: list[float]) -> None:
    """From the open to the extreme against the candle's direction, to the other one, to the close; linear between."""
    row = CANDLES[:1].copy()
    row["o"], row["h"], row["l"], row["c"] = 10.0, 15.0, 8.0, close
    assert [float(so_far(row, third / 3.0, BTC)["c"][0]) for third in (1, 2, 3)] == prices
    assert float(so_far(row, 1.0 / 6.0, BTC)["c"][0]) == (10.0 + prices[0]) / 2.0


@settings(deadline=None)  # the first time a day is asked for it is computed
@given(
    st.sampled_from(sorted(INTERVALS)),
    st.integers(1, 40),
    st.none() | st.integers(-60 * 1440, 10),
    st.none() | st.integers(-60 * 1440, 10),
)
def test_pages(name: str, limit: int, start: int | None, end: int | None) -> None:
    """Any page: ascending without holes, within its bounds and limit, nothing after now, rows as on any other page."""
    interval = INTERVALS[name]
    start_ms = None if start is None else NOW + start * MINUTE_MS
    end_ms = None if end is None else NOW + end * MINUTE_MS
    rows = klines(MARKET, BTC, Page(interval, limit, start_ms, end_ms), NOW)
    ts = rows["ts"].tolist()
    assert len(ts) <= limit
    assert all(interval.shift(a, 1) == b for a, b in pairwise(ts))
    assert all(interval.start(t) == t <= min(NOW, NOW if end_ms is None else end_ms) for t in ts)
    if start_ms is None:
        assert len(ts) == limit
    elif ts:
        assert interval.shift(ts[0], -1) < start_ms <= ts[0]
        assert len(ts) == limit or interval.shift(ts[-1], 1) > min(NOW, NOW if end_ms is None else end_ms)
    for ts_one, row in list(zip(ts, rows, strict=True))[-2:]:
        assert klines(MARKET, BTC, Page(interval, 1, ts_one), NOW)[0] == row


def test_weeks_and_months_follow_the_calendar() -> None:
    """Weeks begin on Monday, months on the first; both may be shifted over years."""
    assert INTERVALS["1w"].start(date_to_ts("2025-06-01T12:00")) == date_to_ts("2025-05-26")
    assert INTERVALS["1M"].start(NOW) == date_to_ts("2025-06-01")
    assert INTERVALS["1M"].shift(date_to_ts("2025-06-01"), -18) == date_to_ts("2023-12-01")


def test_price_at_a_boundary() -> None:
    """At a full minute the last price is the close of the minute that ended; before the launch there is none."""
    market = sample_market()
    rows = minutes(SYMBOL, floor(NOW) - MINUTE_MS, floor(NOW))
    rows["o"][1], rows["h"][1] = 2.0 * rows["c"][0], 3.0 * rows["c"][0]
    market.put(SYMBOL, rows[1:])
    assert market.price(market.by_symbol[SYMBOL], floor(NOW)) == float(rows["c"][0])
    assert market.price(market.by_symbol[SYMBOL], floor(NOW) + 1) == pytest.approx(float(rows["o"][1]), rel=1e-4)
    assert MARKET.price(BTC, BTC.launch_ms - 1) is None
    assert MARKET.ticker(BTC, BTC.launch_ms - 1) is None


def test_put_candles() -> None:
    """Candles that are put replace those of the source, in minutes and in sums, and nothing else."""
    market = sample_market()
    item = market.by_symbol[SYMBOL]
    day = floor(NOW) // DAY_MS * DAY_MS - DAY_MS
    before = market.days(item, day, day, NOW)[0]["h"]
    row = minutes(SYMBOL, day, day)
    row["h"] = 2.0 * before
    market.put(SYMBOL, row)
    assert market.finished(item, day, day)[0] == row[0]
    assert market.days(item, day, day, NOW)[0]["h"] == 2.0 * before
    assert np.array_equal(
        market.finished(item, day + MINUTE_MS, day + DAY_MS), minutes(SYMBOL, day + MINUTE_MS, day + DAY_MS)
    )


def with_gap(symbol: str) -> tuple[Candles, Candles]:
    """Two days of candles without an hour in the middle, and what a venue makes of them."""
    start = date_to_ts("2025-05-20")
    rows = minutes(symbol, start, start + 2 * DAY_MS - MINUTE_MS)
    kept = np.concatenate((rows[:1410], rows[1470:]))
    filled = rows.copy()
    for name in ("o", "h", "l", "c"):
        filled[name][1410:1470] = rows["c"][1409]
    filled["bv"][1410:1470] = 0.0
    return kept, filled


def same_values(one: Candles, other: Candles) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("ts", *VALUE_FIELDS))


def test_candles_of_the_store(tmp_path: Path) -> None:
    """Markets and candles of the store; a missing minute repeats the close before, across days; nothing comes after."""
    kept, filled = with_gap(SYMBOL)
    CandleStore(tmp_path, "binance", CLOCK).write(SYMBOL, kept)
    (tmp_path / "binance").mkdir()
    (tmp_path / "binance" / "markets.json").write_text(json.dumps(sample.ccxt_markets()))
    market = store_market(tmp_path, "binance", CLOCK)
    assert list(market.by_symbol) == [SYMBOL]
    item = market.by_symbol[SYMBOL]
    assert item.launch_ms == filled["ts"][0]
    assert same_values(market.finished(item, 0, NOW), filled)
    assert market.price(item, NOW) is None
    with pytest.raises(DataError, match="no market settings of bybit"):
        store_market(tmp_path, "bybit", CLOCK)


def test_candles_of_a_directory(tmp_path: Path) -> None:
    """Files named after coins, with settings of their own or those of the sample market."""
    kept, filled = with_gap(SYMBOL)
    frame = pd.DataFrame({name: kept[name] for name in ("ts", "o", "h", "l", "c", "bv")})
    frame.to_csv(tmp_path / "BTC.csv", index=False)
    frame.to_csv(tmp_path / "OWNUSDT-1m.csv", index=False)
    with pytest.raises(ConfigError, match="no settings of coin 'OWN'"):
        directory_market(tmp_path, None, CLOCK)
    own = tmp_path / "settings.json"
    defaults = {"price_step": 0.1, "qty_step": 0.001, "maker_fee": 0.0001, "taker_fee": 0.0004}
    own.write_text(json.dumps({"quote": "USDT", "defaults": defaults, "coins": {"OWN": {"min_cost": 7}}}))
    market = directory_market(tmp_path, own, CLOCK)
    assert sorted(market.by_id) == ["BTCUSDT", "OWNUSDT"]
    assert market.by_id["OWNUSDT"].market.min_cost == 7.0
    assert same_values(market.finished(market.by_id["OWNUSDT"], 0, NOW), filled)
    with pytest.raises(DataError, match="no candle files"):
        directory_market(tmp_path / "nothing", None, CLOCK)


@pytest.mark.parametrize(("step", "digits"), [(0.1, 1), (1e-05, 5), (1.0, 0), (10.0, 0), (0.25, 2), (5e-07, 7)])
def test_digits_of_steps(step: float, digits: int) -> None:
    """As many decimals as multiples of the step need."""
    assert decimals_of(step) == digits


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=5), st.integers(0, 8))
def test_numbers_on_the_wire(values: list[float], digits: int) -> None:
    """No number loses a bit; none has an exponent; those that fit have exactly the decimals of the market."""
    array = np.array(values)
    for some in (array, np.round(array, digits)):
        texts = decimals_text(some, digits)
        assert [float(text) for text in texts] == some.tolist()
        assert not any("e" in text for text in texts)
    assert decimal(round(values[0], digits), digits) == f"{values[0]:.{digits}f}" or digits > 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"speeed": 2}', "unknown key speeed; known are protocols"),
        ('{"speed": "fast"}', "speed is 'fast', float is needed"),
        ('{"speed": -1}', "speed is -1, it must be 0"),
        ('{"data": "/no/such/place"}', "sample, cache or an existing directory is needed"),
        ('{"start": "2025-13-01"}', "Unable to parse date"),
        ("[]", "list, an object is needed"),
        ('{"faults": {}}', "faults is {}, list is needed"),
        ('{"balance": -1}', "starting balance is -1"),
        ('{"balance": true}', "balance is True, float is needed"),
        ('{"liquidation": 1}', "liquidation is 1, bool is needed"),
        ('{"fill_model": "magic"}', "fill model 'magic' is unknown"),
        ('{"fill_probability": 2}', "fill_probability is 2"),
        ('{"fees": {"make": 1}}', "fees has make: 1; it takes numbers: maker, taker"),
        ('{"fees": {"maker": "x"}}', "fees has maker: 'x'"),
        ('{"funding": {"interval_hours": 8}}', "funding needs a rate"),
        ('{"funding": {"rate": 0.1, "interval_hours": 0}}', "interval_hours is 0, a whole number of hours"),
        ('{"auth": "maybe"}', "auth is 'maybe', any or strict is needed"),
        ('{"auth": "strict"}', "auth strict needs secrets"),
    ],
)
def test_wrong_venue_configs(tmp_path: Path, text: str, message: str) -> None:
    """What a venue's file gets wrong is named."""
    path = tmp_path / "sim.hjson"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_sim_config(path)
    assert message in str(caught.value)


def test_venue_configs(tmp_path: Path) -> None:
    """Market, clock and faults as the file says; without one the sample market at the time of day."""
    path = tmp_path / "sim.hjson"
    path.write_text('{data_seed: 1\nstart: 2025-06-01\nspeed: 0\nprotocols: ["bybit"]\nfaults: [{action: "reset"}]}')
    config = read_sim_config(path)
    assert config.clock == ManualClock(date_to_ts("2025-06-01"))
    assert (config.protocols, config.faults) == (("bybit",), ({"action": "reset"},))
    item = config.market.by_symbol[SYMBOL]
    minute = floor(NOW) - DAY_MS
    assert config.market.finished(item, minute, minute)[0] == sample.candles(SYMBOL, minute, minute, 1)[0]
    assert read_sim_config(None, protocols=("binance",)).protocols == ("binance",)


def test_trading_of_a_venue_config(tmp_path: Path) -> None:
    """Balance, fills, costs, secrets and where accounts are kept; a venue of the past goes on where it was saved."""
    path = tmp_path / "sim.hjson"
    content = {
        "balance": 250, "fill_model": "partial", "participation": 0.5, "slippage": 0, "fees": {"maker": -0.0001},
        "funding": {"rate": 0.0001}, "liquidation": True, "auth": "strict", "secrets": {"a-key": "a-secret"},
        "start": "2025-06-01", "state_dir": str(tmp_path / "state"), "seed": 3,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    config = read_sim_config(path)
    assert config.trading == Options(250, FillModel("partial", seed=3, participation=0.5), 0, Funding(0.0001), True)
    assert (config.secrets, config.state_dir) == ({"a-key": "a-secret"}, tmp_path / "state")
    before, after = sample_market().by_symbol[SYMBOL].market, config.market.by_symbol[SYMBOL].market
    assert (after.maker_fee, after.taker_fee) == (-0.0001, before.taker_fee)
    saved = tmp_path / "state" / "bybit" / "0123" / "account.json"
    saved.parent.mkdir(parents=True)
    saved.write_text(json.dumps({"matched_ms": date_to_ts("2025-07-01")}))
    assert read_sim_config(path).clock.now_ms() >= date_to_ts("2025-07-01")
    path.write_text('{"secrets": {"a-key": "a-secret"}}')
    assert read_sim_config(path).secrets == {}
    assert read_sim_config(path).trading == Options()
