"""Candles from an empty cache to a result, on the local venue: archives, REST, coins, faults, a full disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from local_venue import ONLINE, VenueThread, is_archive, is_klines
from programs import REPOSITORY, run_program

from candles.disk.store import CandleStore
from candles.rows import equal_values
from core.clock import DAY_MS, MINUTE_MS, SystemClock
from core.dates import date_to_ts
from markets import sample

SAMPLE = REPOSITORY / "configs" / "examples" / "sample.json"
DATES = ["-sd", "2025-03-10", "-ed", "2025-03-12"]
BEGIN, END = date_to_ts("2025-03-08T12:00"), date_to_ts("2025-03-12")  # with 2160 minutes of warm-up
COINS = ["-s", "BTC,ETH"]


class Place:
    """A directory with a cache and the venue's endpoints, to start programs in."""

    def __init__(self, venue: VenueThread, directory: Path, cache: Path | None = None) -> None:
        self.venue, self.directory, self.cache = venue, directory, cache or directory / "cache"
        self.endpoints = venue.write_endpoints(directory / "endpoints.json")
        self.config = json.loads(SAMPLE.read_text())

    def command(self, *args: str) -> list[str]:
        path = self.directory / "config.json"
        path.write_text(json.dumps(self.config))
        return [str(path), "--custom-endpoints", str(self.endpoints), "--cache-dir", str(self.cache), *args]

    def run(self, script: str, *args: str, expect: int = 0) -> Any:
        return run_program(script, *self.command(*args), cwd=self.directory, expect=expect, env=ONLINE)

    def download(self, *args: str, expect: int = 0) -> Any:
        return self.run("tools/download.py", *args, expect=expect)

    def backtest(self, *args: str, expect: int = 0) -> Any:
        return self.run("backtest.py", "-dp", *args, expect=expect)

    def store(self, exchange: str) -> CandleStore:
        return CandleStore(self.cache, exchange, SystemClock())

    def holds(self, exchange: str, coin: str, begin: int = BEGIN, end: int = END) -> bool:
        """Whether exactly the venue's candles of the range are on disk."""
        symbol = f"{coin}/USDT:USDT"
        return equal_values(self.store(exchange).read(symbol), sample.candles(symbol, begin, end))

    def results(self) -> list[Path]:
        return sorted(path.parent for path in self.directory.rglob("analysis.json"))

    def fills(self) -> set[bytes]:
        """The different contents of all results' fills."""
        return {(folder / "fills.csv").read_bytes() for folder in self.results()}


@pytest.fixture
def place(venue: VenueThread, tmp_path: Path) -> Place:
    return Place(venue, tmp_path)


def of_coin(requests: list[Any], coin: str) -> list[Any]:
    return [r for r in requests if coin in r.path or r.params.get("symbol", "").startswith(coin)]


def test_backtest_from_an_empty_cache(place: Place) -> None:
    """Archives before REST for each coin; the second start asks nothing; equal fills, also offline."""
    place.backtest(*COINS, *DATES, "-e", "binance,bybit")
    asked = place.venue.take_requests()
    for coin in ("BTC", "ETH"):
        kinds = ["archive" if is_archive(r) else "klines" for r in of_coin(asked, coin) if "/v5/" not in r.path]
        kinds = kinds[kinds.index("archive") :]  # the launch was asked for before
        assert kinds == ["archive"] * 6 + ["klines"] * 2, kinds
        assert place.holds("binance", coin)
        assert place.holds("bybit", coin)
    assert all(r.status == 200 for r in asked)
    place.backtest(*COINS, *DATES, "-e", "binance,bybit")
    place.backtest(*COINS, *DATES, "-e", "binance,bybit", "--offline")
    assert place.venue.take_requests() == []
    assert [folder.parent.name for folder in place.results()] == ["combined"] * 3
    assert len(place.fills()) == 1
    assert next(iter(place.fills())).count(b"\n") > 5


def test_each_exchange_for_itself(place: Place) -> None:
    """Without combine_ohlcvs there is a result directory of each exchange, and BTC prices of each."""
    args = ["-s", "ETH", *DATES, "-e", "binance,bybit", "--backtest.combine_ohlcvs", "n"]
    place.backtest(*args)
    assert sorted(folder.parent.name for folder in place.results()) == ["binance", "bybit"]
    assert all(place.holds(exchange, coin) for exchange in ("binance", "bybit") for coin in ("BTC", "ETH"))
    place.venue.sim.clear()
    place.backtest(*args)
    assert place.venue.take_requests() == []
    assert len(place.results()) == 4
    assert len(place.fills()) == 1, "both exchanges have the same candles and rules here"


def test_routed_coins(place: Place) -> None:
    """coin_sources sends a coin to one exchange; volumes are compared on both (15.5); all is found."""
    place.config["backtest"]["coin_sources"] = {"ETH": "bybit"}
    args = [*COINS, *DATES, "-e", "binance"]
    place.download(*args)
    asked = place.venue.take_requests()
    for coin in ("BTC", "ETH"):
        assert {r.path.split("/")[1] for r in of_coin(asked, coin) if is_klines(r)} == {"fapi", "v5"}
    place.backtest(*args)
    assert place.venue.take_requests() == []
    assert {coin for coin in ("BTC", "ETH") if coin.encode() in b"".join(place.fills())} == {"BTC", "ETH"}


def test_all_coins(place: Place) -> None:
    """An empty list with empty_means_all_approved takes all coins that the exchange lists, except ignored ones."""
    ignored = ["SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "LTC"]
    place.config["live"] |= {"approved_coins": [], "ignored_coins": ignored, "empty_means_all_approved": True}
    args = ["-sd", "2025-03-10", "-ed", "2025-03-11", "-e", "binance"]
    place.backtest(*args)
    assert len({r.params["symbol"] for r in place.venue.take_requests() if is_klines(r)}) == 4
    (coins,) = (place.cache / "hlcvs_data").glob("*/coins.json")
    assert json.loads(coins.read_text()) == ["BTC", "DOT", "ETH", "TRX"]
    place.download(*args)
    assert place.venue.take_requests() == []


def row(output: str, coin: str, exchange: str) -> list[str]:
    (line,) = re.findall(rf"^ {coin} +{exchange} .*$", output, re.MULTILINE)
    return str(line).split()[2:]


def test_download_reports(place: Place) -> None:
    """A row a market with its minutes, what is new and missing, requests; a lasting gap is named and is no failure."""
    span = (date_to_ts("2025-03-11T03:00"), date_to_ts("2025-03-11T03:04"))
    place.venue.sim.faults.add("missing", symbol="ETHUSDT", span=span, count=0)
    first = place.download(*COINS, *DATES, "-e", "bybit")
    total = f"{(END - BEGIN) // MINUTE_MS + 1:,}"
    assert row(first.stdout, "BTC", "bybit")[:5] == ["2025-03-08T12:00", "2025-03-12T00:00", total, total, "0"]
    assert row(first.stdout, "ETH", "bybit")[3:6] == [f"{(END - BEGIN) // MINUTE_MS - 4:,}", "5", "0"]
    assert "ETH on bybit lacks 5 minutes: 2025-03-11T03:00 to 2025-03-11T03:04" in first.stdout
    asked = len([r for r in place.venue.take_requests() if r.path == "/v5/market/kline"])
    assert asked == sum(int(row(first.stdout, coin, "bybit")[6]) for coin in ("BTC", "ETH"))
    again = place.download(*COINS, *DATES, "-e", "bybit")
    assert row(again.stdout, "BTC", "bybit")[2:] == [total, "0", "0", "0", "0"]
    assert place.holds("bybit", "BTC")


def test_one_coin_fails(place: Place) -> None:
    """Status 1 with the reason and the other coin there; a dataset made meanwhile is not reused once it can be had."""
    refusal = {"code": -1121, "msg": "Invalid symbol."}  # not asked again at once, which would cost waits
    place.venue.sim.faults.add("ret", **refusal, symbol="ETHUSDT", path="/fapi/v1/klines", count=0)
    place.venue.sim.faults.add("http", status=500, path="/archive/*ETHUSDT*", count=0)
    args = [*COINS, *DATES, "-e", "binance"]
    failed = place.download(*args, expect=1)
    assert re.search(r"^ETH on binance FAILED: binance did not answer fetch_ohlcv of ETH/USDT", failed.stdout, re.M)
    assert place.holds("binance", "BTC")
    place.backtest(*args)
    assert b"ETH" not in next(iter(place.fills()))
    place.venue.sim.clear()
    assert row(place.download(*args).stdout, "BTC", "binance")[3:] == ["0", "0", "0", "0"]
    minutes_asked = [r for r in place.venue.take_requests() if is_klines(r) or is_archive(r)]
    assert minutes_asked == of_coin(minutes_asked, "ETH")
    assert place.holds("binance", "ETH")
    assert "reused" not in place.backtest(*args).stderr
    assert place.venue.take_requests() == []
    assert b"ETH" in b"".join(place.fills())


def test_one_exchange_fails(place: Place) -> None:
    """The same coin comes from the other exchange; only what failed is called so, the BTC prices included."""
    refusal = {"code": -1121, "msg": "Invalid symbol."}
    place.venue.sim.faults.add("ret", **refusal, path="/fapi/v1/klines", count=0)
    place.venue.sim.faults.add("http", status=500, path="/archive/*", count=0)
    failed = place.download(*COINS, *DATES, "-e", "binance,bybit", expect=1)
    assert re.findall(r"^(\w+) on (\w+) FAILED: (\w+) did", failed.stdout, re.M) == [
        ("BTC", "binance", "binance"), ("ETH", "binance", "binance"),
    ]  # fmt: skip
    assert place.holds("bybit", "BTC")
    assert place.holds("bybit", "ETH")
    refused = place.backtest(*COINS, *DATES, "-e", "binance,bybit", expect=1).stderr.splitlines()
    assert refused[-1].startswith("error: binance did not answer fetch_ohlcv of BTC/USDT:USDT 1m")


def test_launches(place: Place) -> None:
    """First candles are asked for once and written down; young coins wait; nothing before the launch is asked for."""
    launch = date_to_ts("2018-01-10")
    args = ["-s", "ETH", "-sd", "2018-01-08", "-ed", "2018-01-14", "-e", "bybit"]
    place.config["live"]["minimum_coin_age_days"] = 2
    place.download(*args)
    assert json.loads((place.cache / "bybit" / "first_timestamps.json").read_text())["ETH"] == launch
    assert place.holds("bybit", "ETH", launch + 2 * DAY_MS, date_to_ts("2018-01-14"))
    place.venue.take_requests()
    place.config["live"]["minimum_coin_age_days"] = 0
    place.download(*args)
    asked = place.venue.take_requests()
    assert place.holds("bybit", "ETH", launch, date_to_ts("2018-01-14"))
    assert asked == of_coin(asked, "ETH")
    assert [int(r.params["start"]) for r in asked] == [
        launch + minutes * MINUTE_MS for minutes in (0, 1000, 1440, 2440)
    ]
    place.download(*args)
    assert place.venue.take_requests() == []
