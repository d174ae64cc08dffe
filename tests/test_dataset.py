"""Preparation of backtest data (`candles.md` 15, 20.5, 20.6, 24; `additions.md` 11)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candles.disk.store import CandleStore
from candles.first_timestamps import first_anywhere, lower_first_timestamps
from core.clock import MINUTE_MS as M
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import DataError, OfflineDataError
from core.files import write_json
from markets import sample
from markets.candle import ARCHIVE, ARCHIVE_FILL, CANDLE_DTYPE, IMPORT, Candles
from simulation.dataset import META, bundle_meta, prepare_dataset
from simulation.request import DatasetRequest

NOW = date_to_ts("2024-06-01")
CLOCK = ManualClock(NOW)
START, END = "2023-11-14", "2023-11-15"


def symbol(coin: str) -> str:
    return f"{coin}/USDT:USDT"


def candles(start: str, end: str, price: float = 100.0) -> Candles:
    """One row a minute from start through end, both included."""
    ts = np.arange(date_to_ts(start), date_to_ts(end) + M, M)
    out = np.empty(len(ts), CANDLE_DTYPE)
    out["ts"] = ts
    for name, offset in (("o", 0.0), ("h", 1.0), ("l", -1.0), ("c", 0.5), ("bv", 5.0)):
        out[name] = price + offset + np.arange(len(ts)) % 7
    out["src"] = IMPORT
    return out


def fill_cache(cache: Path, coins: Mapping[str, Candles], exchange: str = "local") -> CandleStore:
    """Candles, markets and first timestamps, as an import leaves them."""
    store = CandleStore(cache, exchange, CLOCK)
    for coin, rows in coins.items():
        store.write(symbol(coin), rows)
    entry = {
        "base": "X", "quote": "USDT", "active": True, "swap": True, "linear": True, "contractSize": 1.0,
        "maker": 0.0002, "taker": 0.0005, "precision": {"amount": 0.001, "price": 0.1},
        "limits": {"amount": {"min": 0.001}, "cost": {"min": 5.0}}, "info": {"source": "import"},
    }  # fmt: skip
    write_json(
        cache / exchange / "markets.json",
        {symbol(coin): {**entry, "symbol": symbol(coin), "base": coin} for coin in coins},
    )
    lower_first_timestamps(cache, exchange, {coin: int(rows["ts"][0]) for coin, rows in coins.items()})
    return store


def request(cache: Path, coins: str = "BTC", **changes: Any) -> DatasetRequest:
    names = tuple(coins.split())
    base = DatasetRequest(
        name="combined", exchanges=("local",), combined=True, coins={"long": names, "short": names[:1]},
        start_date=START, end_date=END, warmup_minutes=250, coin_warmup_minutes={"__default__": 101, "ETH": 250},
        minimum_coin_age_days=0, gap_tolerance_ohlcvs_minutes=120, cache_dir=cache,
    )  # fmt: skip
    return replace(base, **changes)


def rows_of(dataset: Any, coin: str) -> tuple[int, ...]:
    keys = ("first_valid_index", "last_valid_index", "warmup_minutes", "trade_start_index")
    return tuple(dataset.markets[coin][key] for key in keys)


@pytest.fixture
def three_coins(tmp_path: Path) -> Path:
    """BTC and ETH with a long history, NEW listed at ten o'clock of the first day."""
    history = candles("2023-11-10", "2023-11-16")
    fill_cache(tmp_path, {"BTC": history, "ETH": history, "NEW": candles("2023-11-14T10:00", "2023-11-16", 7.0)})
    return tmp_path


def test_worked_example(three_coins: Path) -> None:
    """Shape, valid rows and trade starts of the example; a coin is NaN before its first candle."""
    dataset = prepare_dataset(request(three_coins, "NEW ETH BTC"), clock=CLOCK)
    assert dataset.coins == ("BTC", "ETH", "NEW")
    assert dataset.hlcvs.shape == (1691, 3, 4)
    assert dataset.hlcvs.dtype == np.float64
    assert dataset.hlcvs.flags.c_contiguous
    assert rows_of(dataset, "BTC") == (0, 1690, 101, 101)
    assert rows_of(dataset, "ETH") == (0, 1690, 250, 250)
    assert rows_of(dataset, "NEW") == (850, 1690, 101, 951)
    assert np.isnan(dataset.hlcvs[:850, 2]).all()
    assert not np.isnan(dataset.hlcvs[850:]).any()
    assert dataset.timestamps.tolist() == list(range(date_to_ts(START) - 250 * M, date_to_ts(END) + M, M))
    real = candles("2023-11-14T10:00", END, 7.0)
    assert np.array_equal(dataset.hlcvs[850:, 2], np.stack([real[name] for name in ("h", "l", "c", "bv")], axis=1))
    assert np.array_equal(dataset.btc_usd, dataset.hlcvs[:, 0, 2])
    assert dataset.data_note is None
    assert dict(dataset.meta) == {
        "requested_start_ts": date_to_ts(START),
        "requested_start_date": "2023-11-14T00:00:00",
        "effective_start_ts": date_to_ts(START) - 250 * M,
        "effective_start_date": "2023-11-13T19:50:00",
        "warmup_minutes_requested": 250,
        "warmup_minutes_provided": 250,
    }


def test_minimum_age(tmp_path: Path) -> None:
    """A coin counts from its first candle plus the minimum age on; too young and not yet listed ones are left out."""
    history = candles("2023-11-01", "2023-11-16")
    fill_cache(tmp_path, {"BTC": history, "NEW": candles("2023-11-13T10:00", "2023-11-16")})
    aged = request(tmp_path, "BTC NEW", warmup_minutes=101, minimum_coin_age_days=1)
    dataset = prepare_dataset(aged, clock=CLOCK)
    assert len(dataset.timestamps) == 1542
    assert rows_of(dataset, "NEW")[0] == 701
    assert np.isnan(dataset.hlcvs[:701, 1]).all()
    young = ManualClock(date_to_ts("2023-11-16"))
    assert prepare_dataset(replace(aged, minimum_coin_age_days=3), clock=young).coins == ("BTC",)
    assert first_anywhere(tmp_path)["NEW"] == date_to_ts("2023-11-13T10:00")


def test_start_is_floored_to_the_minute(three_coins: Path) -> None:
    """Seconds of the start date do not shift the grid."""
    dataset = prepare_dataset(request(three_coins, start_date="2023-11-14T06:30:30", warmup_minutes=21), clock=CLOCK)
    assert dataset.timestamps[0] == date_to_ts("2023-11-14T06:09")
    assert len(dataset.timestamps) == 1072


def test_cube_starts_with_the_first_candle(tmp_path: Path) -> None:
    """Data that begin after the warm-up's start make a shorter cube, and less warm-up than asked for."""
    fill_cache(tmp_path, {"BTC": candles("2023-11-13T23:00", "2023-11-16")})
    dataset = prepare_dataset(request(tmp_path), clock=CLOCK)
    assert dataset.timestamps[0] == date_to_ts("2023-11-13T23:00")
    assert dataset.meta["warmup_minutes_provided"] == 60


@pytest.mark.parametrize(("missing", "kept"), [(119, True), (120, False)])
def test_gap_tolerance(three_coins: Path, missing: int, kept: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A step of more minutes than tolerated costs the coin its place; shorter gaps are filled with zero candles."""
    history = candles("2023-11-10", "2023-11-16")
    hole = date_to_ts("2023-11-14T12:00")
    store = fill_cache(
        three_coins, {"BTC": history, "GAP": history[(history["ts"] < hole) | (history["ts"] >= hole + missing * M)]}
    )
    dataset = prepare_dataset(request(three_coins, "BTC GAP"), clock=CLOCK)
    assert ("GAP" in dataset.coins) is kept
    if kept:
        row = int((hole - dataset.timestamps[0]) // M)
        assert dataset.hlcvs[row, 1].tolist() == [dataset.hlcvs[row - 1, 1, 2]] * 3 + [0.0]
        assert rows_of(dataset, "GAP")[:2] == (0, 1690)
    else:
        assert "GAP: no candles for 120 minutes between 2023-11-14T11:59:00 and 2023-11-14T14:00:00" in caplog.text
    assert store.exchange == "local"


def test_delisted_coin(three_coins: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its candles go on flat with zero volume, but its last valid row is its last real one."""
    history = candles("2023-11-10", "2023-11-16")
    fill_cache(three_coins, {"BTC": history, "OLD": candles("2023-11-10", "2023-11-14T12:00")})
    dataset = prepare_dataset(request(three_coins, "BTC OLD"), clock=CLOCK)
    assert rows_of(dataset, "OLD")[:2] == (0, 250 + 720)
    tail = dataset.hlcvs[250 + 721 :, 1]
    assert (tail[:, :3] == dataset.hlcvs[250 + 720, 1, 2]).all()
    assert (tail[:, 3] == 0.0).all()
    assert "as if delisted: OLD at 2023-11-14T12:00:00" in caplog.text


def test_data_end_before_the_end_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run ends with the last real row of any coin, with a warning, and no coin counts as delisted for it."""
    rows = candles("2023-11-10", "2023-11-14T18:00")
    fill_cache(tmp_path, {"BTC": rows, "ETH": rows})
    dataset = prepare_dataset(request(tmp_path, "BTC ETH"), clock=CLOCK)
    assert dataset.timestamps[-1] == date_to_ts("2023-11-14T18:00")
    last = len(dataset.timestamps) - 1
    assert rows_of(dataset, "BTC")[:2] == rows_of(dataset, "ETH")[:2] == (0, last)
    assert "the candles on disk end at 2023-11-14T18:00:00" in caplog.text
    caplog.clear()
    prepare_dataset(request(tmp_path, "BTC ETH"), clock=CLOCK)
    assert "the candles on disk end at 2023-11-14T18:00:00" in caplog.text
    with pytest.raises(OfflineDataError, match="end at 2023-11-14T18:00:00, before the start date"):
        prepare_dataset(request(tmp_path, start_date="2023-11-14T20:00", warmup_minutes=600), clock=CLOCK)


def test_end_in_the_future(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The end is lowered to the last minute that is over."""
    clock = ManualClock(date_to_ts("2023-11-14T03:00:30"))
    sampled = request(tmp_path, exchanges=("sample",), combined=False)
    dataset = prepare_dataset(sampled, clock=clock)
    assert dataset.timestamps[-1] == date_to_ts("2023-11-14T02:59")
    assert "end date 2023-11-15 is not over yet" in caplog.text


def test_archive_fill_is_never_tradable(three_coins: Path) -> None:
    """Rows an archive filled in before the first and after the last trade stay in the cube, outside the valid rows."""
    rows = candles("2023-11-14T00:00", "2023-11-15T00:00")
    rows["src"] = ARCHIVE
    rows["src"][:600] = rows["src"][-100:] = ARCHIVE_FILL
    rows["src"][700:710] = ARCHIVE_FILL
    fill_cache(three_coins, {"BTC": candles("2023-11-10", "2023-11-16"), "NEW2": rows})
    dataset = prepare_dataset(request(three_coins, "BTC NEW2"), clock=CLOCK)
    assert rows_of(dataset, "NEW2")[:2] == (250 + 600, 250 + 1340)
    assert not np.isnan(dataset.hlcvs[250:, 1]).any()


def test_coins_without_data(three_coins: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are left out with one line that says why, every time, or stop the run where the user wants that."""
    wanted = request(three_coins, "BTC NONE")
    for _ in range(2):
        caplog.clear()
        assert prepare_dataset(wanted, clock=CLOCK).coins == ("BTC",)
        assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
            "coins left out: NONE: local has no market of it"
        ]
    with pytest.raises(DataError, match=r"fail-on-missing-coins.*NONE: local has no market"):
        prepare_dataset(replace(wanted, fail_on_missing_coins=True), clock=CLOCK)
    with pytest.raises(OfflineDataError, match=r"No valid coins found with data on local: NONE.*import_candles\.py"):
        prepare_dataset(request(three_coins, "NONE"), clock=CLOCK)
    with pytest.raises(OfflineDataError, match="BTC: no candles between 2022-11-13T19:50:00 and 2022-11-15"):
        prepare_dataset(request(three_coins, start_date="2022-11-14", end_date="2022-11-15"), clock=CLOCK)


def test_real_exchange_without_candles(tmp_path: Path) -> None:
    """One clear line: nothing on disk and no network; run once with it, import, or use the sample market."""
    with pytest.raises(
        OfflineDataError, match=r"market settings of binance are not on disk.*without --offline.*import_candles.*sample"
    ):
        prepare_dataset(request(tmp_path, exchanges=("binance",), combined=False), clock=CLOCK)


def test_btc_prices_are_needed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without candles of BTC there is an error that says what to do; too short a feed is carried on, with a warning."""
    rows = candles("2023-11-10", "2023-11-16")
    store = fill_cache(tmp_path, {"ETH": rows})
    with pytest.raises(OfflineDataError, match=r"no candles of BTC between .* --btc-flat PRICE"):
        prepare_dataset(request(tmp_path, "ETH"), clock=CLOCK)
    store.write(symbol("BTC"), candles("2023-11-14T06:00", "2023-11-14T07:00", 500.0))
    dataset = prepare_dataset(request(tmp_path, "ETH"), clock=CLOCK)
    assert dataset.coins == ("ETH",)
    assert dataset.btc_usd[0] == dataset.btc_usd[250 + 360] == 500.5
    assert dataset.btc_usd[-1] == 500.5 + 60 % 7
    assert "BTC/USD prices cover only 2023-11-14T06:00:00 to 2023-11-14T07:00:00" in caplog.text


def test_empty_range(three_coins: Path) -> None:
    """A start that is not before the end is an error."""
    with pytest.raises(DataError, match="start date 2023-11-15 is not before the end, 2023-11-15"):
        prepare_dataset(request(three_coins, start_date=END), clock=CLOCK)


def test_sample(tmp_path: Path) -> None:
    """The sample market needs nothing on disk, marks its data as synthetic, and mixes with no real exchange."""
    sampled = request(tmp_path, "SOL BTC", exchanges=("sample",), combined=False, name="sample")
    dataset = prepare_dataset(sampled, clock=CLOCK)
    assert dataset.coins == ("BTC", "SOL")
    assert dataset.synthetic
    assert dataset.data_note is not None
    assert "synthetic" in dataset.data_note
    expected = sample.candles(symbol("SOL"), int(dataset.timestamps[0]), int(dataset.timestamps[-1]))
    assert np.array_equal(dataset.hlcvs[:, 1, 2], expected["c"])
    assert np.array_equal(dataset.btc_usd, dataset.hlcvs[:, 0, 2])
    assert (tmp_path / "ohlcv" / "sample" / "1m" / "SOL_USDT_USDT" / "2023-11.parquet").is_file()
    assert prepare_dataset(replace(sampled, minimum_coin_age_days=180), clock=CLOCK).coins == ("BTC", "SOL")
    with pytest.raises(DataError, match="sample cannot be mixed with real exchanges, but the run names bybit, sample"):
        prepare_dataset(replace(sampled, combined=True, coin_sources={"SOL": "bybit"}), clock=CLOCK)
    with pytest.raises(DataError, match="sample has no market of it"):
        prepare_dataset(request(tmp_path, "SHIB", exchanges=("sample",), combined=False), clock=CLOCK)


def test_coin_sources(three_coins: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They route combined data only: a coin sent to an exchange without its candles is left out."""
    dataset = prepare_dataset(request(three_coins, "BTC ETH", coin_sources={"ETH": "bybit"}), clock=CLOCK)
    assert dataset.coins == ("BTC",)
    assert "left out: ETH: coin_sources sends it to bybit: market settings of bybit are not on disk" in caplog.text
    single = request(three_coins, coin_sources={"BTC": "bybit"}, combined=False, name="local")
    assert prepare_dataset(single, clock=CLOCK).name == "local"
    prepare_dataset(request(three_coins, coin_sources={"ETH": "bybit", "BTC": "local"}), clock=CLOCK)


def test_fees_and_warmups_of_the_running_config(three_coins: Path) -> None:
    """Each run has its own fees and warm-ups, also on a stored dataset."""
    dataset = prepare_dataset(request(three_coins), clock=CLOCK)
    market = dataset.markets["BTC"]
    assert (market["maker"], market["maker_fee"], market["taker"], market["taker_fee"]) == (
        0.0002,
        0.0002,
        0.0005,
        0.0005,
    )
    changed = request(
        three_coins, maker_fee_override=0.0, taker_fee_override=0.001, coin_warmup_minutes={"__default__": 5_000}
    )
    dataset = prepare_dataset(changed, clock=CLOCK)
    market = dataset.markets["BTC"]
    assert (market["maker"], market["maker_fee"], market["taker"], market["taker_fee"]) == (0.0, 0.0, 0.001, 0.001)
    assert rows_of(dataset, "BTC") == (0, 1690, 5000, 1690)


def test_bundle_meta(three_coins: Path) -> None:
    """Everything the bundle of arrays requires, coin by coin."""
    meta = bundle_meta(prepare_dataset(request(three_coins, "BTC NEW"), clock=CLOCK))
    assert meta["requested_start_timestamp_ms"] == date_to_ts(START)
    assert meta["effective_start_timestamp_ms"] == date_to_ts(START) - 250 * M
    assert (meta["warmup_minutes_requested"], meta["warmup_minutes_provided"]) == (250, 250)
    assert meta["coins"][1] == {
        "index": 1, "symbol": "NEW/USDT:USDT", "coin": "NEW", "exchange": "local", "quote": "USDT", "base": "NEW",
        "qty_step": 0.001, "price_step": 0.1, "min_qty": 0.001, "min_cost": 5.0, "c_mult": 1.0,
        "maker_fee": 0.0002, "taker_fee": 0.0005,
        "first_valid_index": 850, "last_valid_index": 1690, "warmup_minutes": 101, "trade_start_index": 951,
    }  # fmt: skip


def test_settings_as_the_stored_file_has_them(three_coins: Path) -> None:
    """Market settings and facts in one mapping; the exchange's entry is kept beside them."""
    settings = prepare_dataset(request(three_coins), clock=CLOCK).settings
    assert set(settings) == {"BTC", META}
    assert settings["BTC"]["hedge_mode"] is True
    assert settings["BTC"]["precision"] == {"amount": 0.001, "price": 0.1}


def test_progress(three_coins: Path) -> None:
    """The callback hears of every coin, and of the end."""
    heard: list[tuple[str, int, int]] = []
    prepare_dataset(request(three_coins, "BTC ETH"), clock=CLOCK, progress=lambda *step: heard.append(step))
    assert heard == [("BTC", 0, 2), ("ETH", 1, 2), ("", 2, 2)]
