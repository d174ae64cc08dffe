"""Datasets of several exchanges: the best feed of each coin, comparable volumes, BTC prices (15.4-15.6)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from core.clock import MINUTE_MS as M
from core.dates import date_to_ts
from core.errors import OfflineDataError
from markets.candle import Candles
from simulation.dataset import Dataset, prepare_dataset
from simulation.feeds import Feeds, FeedSettings
from simulation.plan import make_plan
from simulation.volumes import volume_ratios, window_of
from test_dataset import CLOCK, candles, fill_cache, request, symbol


def traded(volume: float, start: str = "2023-11-13T12:00", end: str = "2023-11-16", price: float = 100.0) -> Candles:
    """Candles with the same volume every minute."""
    rows = candles(start, end, price)
    rows["bv"] = volume
    return rows


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The example: okx trades more BTC, gateio more ETH, and had NEW earlier."""
    fill_cache(
        tmp_path,
        {"BTC": traded(10), "ETH": traded(20), "NEW": traded(5, "2023-11-14T01:00", price=7.0)},
        "okx",
    )
    fill_cache(tmp_path, {"BTC": traded(4), "ETH": traded(50), "NEW": traded(1, price=7.0)}, "gateio")
    return tmp_path


def prepared(cache: Path, coins: str = "BTC ETH NEW", **changes: object) -> Dataset:
    options: dict[str, object] = {"exchanges": ("okx", "gateio"), "warmup_minutes": 101}
    return prepare_dataset(request(cache, coins, **(options | changes)), clock=CLOCK)


def exchanges(dataset: Dataset) -> list[str]:
    return [dataset.markets[coin]["exchange"] for coin in dataset.coins]


def test_best_feed(two: Path) -> None:
    """The earliest first candle wins, then the greater volume; settings come from the chosen exchange."""
    dataset = prepared(two)
    assert dataset.coins == ("BTC", "ETH", "NEW")
    assert exchanges(dataset) == ["okx", "gateio", "gateio"]
    assert dataset.name == "combined"


def test_equal_feeds(tmp_path: Path) -> None:
    """Of equal feeds the first by the name CCXT has for the exchange, however they are listed."""
    for name in ("okx", "gateio"):
        fill_cache(tmp_path, {"BTC": traded(10)}, name)
    assert exchanges(prepared(tmp_path, "BTC")) == ["gateio"]
    assert exchanges(prepared(tmp_path, "BTC", exchanges=("gateio", "okx"))) == ["gateio"]


def test_volumes_are_made_comparable(two: Path) -> None:
    """Volumes count as if traded on the exchange of most coins, by the mean ratio of coins that are on all of them."""
    dataset = prepared(two)
    assert dataset.hlcvs[500, 0, 3] == 10.362297851798214
    assert dataset.hlcvs[500, 1:, 3].tolist() == [50.0, 1.0]
    assert dataset.hlcvs[500, 0, 2] == traded(1)["c"][500 + (date_to_ts("2023-11-13T22:19") - traded(1)["ts"][0]) // M]


def test_ratios_of_the_example(two: Path) -> None:
    """BTC 0.4, ETH 2.5, NEW 1441 by 6905, their mean, to the digit; the reference is gateio with two coins."""

    async def ratios() -> tuple[float, ...]:
        wanted = request(two, "BTC ETH NEW", exchanges=("okx", "gateio"), warmup_minutes=101)
        plan = await make_plan(wanted, Feeds(FeedSettings(two, CLOCK), None), CLOCK)
        window = window_of(date_to_ts("2023-11-13T22:19"), date_to_ts("2023-11-15"))
        of_coins = {item.coin: list(reversed(item.candidates)) for item in plan.coins}
        each = [volume_ratios(wanted, {coin: found}, window)["gateio", "okx"] for coin, found in of_coins.items()]
        return *each, volume_ratios(wanted, of_coins, window)["gateio", "okx"]

    btc, eth, new, mean = asyncio.run(ratios())
    assert (btc, eth, new) == (0.4, 2.5, 1441 / 6905)
    assert (round(new, 6), round(mean, 5)) == (0.208689, 1.03623)
    assert mean * 10 == 10.362297851798214


def test_reference_of_a_tie(tmp_path: Path) -> None:
    """Of exchanges with as many coins, that whose first coin comes last is the reference."""
    fill_cache(tmp_path, {"AAA": traded(10), "BBB": traded(1), "BTC": traded(1)}, "okx")
    fill_cache(tmp_path, {"AAA": traded(5), "BBB": traded(2), "BTC": traded(1)}, "gateio")
    dataset = prepared(tmp_path, "AAA BBB")
    assert exchanges(dataset) == ["okx", "gateio"]
    assert dataset.hlcvs[500, 1, 3] == 2.0
    assert dataset.hlcvs[500, 0, 3] == 10 * (0.5 + 2.0) / 2


def test_volumes_that_cannot_be_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a coin on both exchanges volumes stay as they are, with a warning."""
    fill_cache(tmp_path, {"BTC": traded(10)}, "okx")
    fill_cache(tmp_path, {"ETH": traded(5)}, "gateio")
    dataset = prepared(tmp_path, "BTC ETH")
    assert dataset.hlcvs[500, :, 3].tolist() == [10.0, 5.0]
    assert "volumes of okx and gateio cannot be compared" in caplog.text


def test_forced_exchange(two: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A coin sent to an exchange has no other, not even a better one; that exchange serves no other coin for it."""
    fill_cache(two, {"ETH": traded(1), "BTC": traded(999)}, "bybit")
    assert exchanges(prepared(two, coin_sources={"BTC": "gateio", "ETH": "bybit"})) == ["gateio", "bybit", "gateio"]
    dataset = prepared(two, coin_sources={"NEW": "bybit"})
    assert exchanges(dataset) == ["okx", "gateio"]
    assert "NEW: bybit has no market of it" in caplog.text


def test_volumes_of_an_exchange_of_forced_coins(two: Path) -> None:
    """Coins count for the ratio on every exchange of the dataset, also where they may not be served from."""
    fill_cache(two, {"HYP": traded(3), "BTC": traded(8)}, "bybit")
    dataset = prepared(two, "BTC HYP", exchanges=("okx",), coin_sources={"HYP": "bybit"})
    assert exchanges(dataset) == ["okx", "bybit"]
    assert dataset.hlcvs[500, :, 3].tolist() == [10 * 0.8, 3.0]
    forced = prepared(two, "BTC ETH", coin_sources={"BTC": "okx", "ETH": "gateio"})
    assert forced.hlcvs[500, :, 3].tolist() == [10 * (0.4 + 2.5) / 2, 50.0]


def test_minimum_age(two: Path) -> None:
    """A coin counts from the age it reaches after its first candle on any exchange."""
    dataset = prepared(two, minimum_coin_age_days=0.75)
    first = date_to_ts("2023-11-13T12:00") + round(0.75 * 1440) * M
    assert dataset.markets["NEW"]["first_valid_index"] == (first - dataset.timestamps[0]) // M
    assert exchanges(dataset) == ["okx", "gateio", "okx"]


def test_btc_prices(two: Path) -> None:
    """Several exchanges: binance's; without it, offline, the alphabetically first that has BTC; one: its own."""
    dataset = prepared(two, "ETH")
    assert np.array_equal(dataset.btc_usd, prepared(two, "BTC").hlcvs[:, 0, 2])
    fill_cache(two, {"BTC": traded(1, price=555.0)}, "binance")
    assert prepared(two, "ETH", minimum_coin_age_days=0.1).btc_usd[0] > 550.0
    assert prepared(two, "ETH", exchanges=("okx",)).btc_usd[0] < 110.0


def test_no_btc_at_all(tmp_path: Path) -> None:
    """The error says what to import."""
    for name in ("okx", "gateio"):
        fill_cache(tmp_path, {"ETH": traded(10)}, name)
    with pytest.raises(OfflineDataError, match=r"none of okx, gateio has candles of BTC on disk.*--btc-flat"):
        prepared(tmp_path, "ETH")


def test_exchange_that_is_not_on_disk(two: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It takes no part, with a warning each time; if none is there it is an error."""
    for _ in range(2):
        caplog.clear()
        assert exchanges(prepared(two, exchanges=("okx", "bitget"))) == ["okx"] * 3
        assert "bitget takes no part: market settings of bitget are not on disk" in caplog.text
    with pytest.raises(OfflineDataError, match="market settings of binance are not on disk"):
        prepared(two, exchanges=("binance", "bitget"))


def test_better_candles_change_the_dataset(two: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Candles of a feed that was not chosen are looked at too: when they change, the choice is made anew."""
    caplog.set_level("INFO")
    assert exchanges(prepared(two))[0] == "okx"
    assert "is reused" not in caplog.text
    prepared(two)
    assert "is reused" in caplog.text
    fill_cache(two, {"BTC": traded(40), "ETH": traded(50), "NEW": traded(1, price=7.0)}, "gateio")
    assert exchanges(prepared(two))[0] == "gateio"
    assert "the candles of BTC on gateio have changed" in caplog.text


def test_symbols_of_one_coin(two: Path) -> None:
    """Each exchange calls the coin what it likes."""
    assert prepared(two).markets["BTC"]["symbol"] == symbol("BTC")
