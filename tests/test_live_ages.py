"""Since when coins are traded: from the own exchange, then from others (`live.md` 6, `candles.md` 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from candles.first_timestamps import lower_first_timestamps
from candlestick_manager import CandlestickManager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.errors import CandleFetchError, ConfigError
from exchanges.endpoints import Endpoints
from exchanges.network import ExchangeNetwork
from live.choice.ages import CoinAges
from live_cases import MINUTE, NOW, book_of, symbol

OLD, YOUNG = MINUTE - 90 * DAY_MS, MINUTE - 3 * DAY_MS


@dataclass
class Source:
    """The own exchange's first candles by coin."""

    firsts: Mapping[str, int | Exception]
    id: str = "binance"
    version: str = ""
    asked: list[str] = field(default_factory=list)

    async def first_ts(self, name: str) -> int | None:
        self.asked.append(name[0])
        first = self.firsts.get(name[0])
        if isinstance(first, Exception):
            raise first
        return first


@dataclass
class Client:
    """Another exchange, which answers with a daily candle."""

    id: str
    firsts: Mapping[str, int]
    asked: list[str] = field(default_factory=list)

    @property
    def markets(self) -> dict[str, Any]:
        return {symbol(coin): {"symbol": symbol(coin), "base": coin, "swap": True} for coin in self.firsts}

    async def fetch_ohlcv(
        self, name: str, timeframe: str = "1m", since: int | None = None, limit: int | None = None, params: Any = None
    ) -> list[list[float]]:
        self.asked.append(name[0])
        first = self.firsts[name[0]]
        return [[first, 1.0, 1.0, 1.0, 1.0, 1.0]] if first >= (since or 0) else []


class Network(ExchangeNetwork):
    """The exchanges of a test; a name with an error cannot be reached."""

    def __init__(self, clients: Mapping[str, Any], folder: Path) -> None:
        super().__init__(Endpoints(), folder, ManualClock(NOW))
        self.known = clients
        self.used: list[str] = []

    def knows(self, exchange: str) -> bool:
        return exchange in self.known

    async def client(self, exchange: str) -> Any:
        self.used.append(exchange)
        found = self.known[exchange]
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Bench:
    folder: Path
    source: Source
    others: Mapping[str, Any] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))

    def __post_init__(self) -> None:
        manager = CandlestickManager(
            self.source, "binance", cache_dir=self.folder, clock=self.clock, archive_enabled=False
        )
        self.network = Network(self.others, self.folder)
        self.ages = CoinAges(manager, self.network, self.folder, self.clock)

    def learn(self, coins: str = "AB", days: float = 7.0) -> dict[str, float]:
        asyncio.run(self.ages.learn([symbol(coin) for coin in coins], book_of(), days))
        return {name[0]: first for name, first in self.ages.first.items()}


def test_own_exchange(tmp_path: Path) -> None:
    """It is asked once a coin, and nobody else about coins that are old enough there; disk knows them next time."""
    bench = Bench(tmp_path, Source({"A": OLD, "B": OLD + 1}), {"bybit": Client("bybit", {"A": 1})})
    assert bench.ages.lacks([symbol("A")])
    assert bench.learn() == {"A": OLD, "B": OLD + 1}
    assert not bench.ages.lacks([symbol("A"), symbol("B")])
    assert bench.ages.lacks([symbol("A"), symbol("C")])
    assert (bench.source.asked, bench.network.used) == (["A", "B"], [])
    again = Bench(tmp_path, Source({}))
    assert again.learn() == {"A": OLD, "B": OLD + 1}
    assert again.source.asked == []


def test_others_are_asked_about_young_coins(tmp_path: Path) -> None:
    """The earliest anywhere counts; who is old enough meanwhile is asked for no more; who does not list it, neither."""
    bybit, gateio = Client("bybit", {"A": OLD, "C": YOUNG}), Client("gateio", {"A": OLD - DAY_MS, "B": YOUNG - DAY_MS})
    bench = Bench(tmp_path, Source({"A": YOUNG, "B": YOUNG}), {"bybit": bybit, "gateio": gateio, "binance": None})
    assert bench.learn() == {"A": OLD, "B": YOUNG - DAY_MS}
    assert set(bybit.asked) == {"A"}
    assert set(gateio.asked) == {"B"}
    assert bench.network.used == ["bybit", "gateio"]


def test_last_resort(tmp_path: Path) -> None:
    """Bitget's search takes long: only for coins that nobody knows."""
    bitget = Client("bitget", {"A": OLD, "B": OLD})
    assert Bench(tmp_path, Source({"A": YOUNG}), {"bitget": bitget}).learn() == {"A": YOUNG, "B": OLD}
    assert set(bitget.asked) == {"B"}


def test_other_programs_knew(tmp_path: Path) -> None:
    """What stands in the files of all exchanges needs no question."""
    lower_first_timestamps(tmp_path, "okx", {"A": OLD})
    bench = Bench(tmp_path, Source({"A": YOUNG}), {"bybit": Client("bybit", {"A": YOUNG})})
    assert bench.learn("A") == {"A": OLD}
    assert bench.network.used == []


@pytest.mark.parametrize("error", [CandleFetchError("down"), ConfigError("no such exchange")])
def test_failures(tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    """They leave a coin unknown, which is told, and the others are asked on."""
    gateio = Client("gateio", {"A": OLD})
    bench = Bench(tmp_path, Source({"B": CandleFetchError("no")}), {"bybit": error, "gateio": gateio})
    assert bench.learn() == {"A": OLD, "B": 0.0}
    assert f"when coins began on bybit stays unknown: {error}" in caplog.text


def test_unknown_coins_are_asked_for_again(tmp_path: Path) -> None:
    """After an hour, since they could not be asked for perhaps; known ones never."""
    firsts = {"A": OLD}
    bench = Bench(tmp_path, Source(firsts))
    assert bench.learn() == {"A": OLD, "B": 0.0}
    both = [symbol("A"), symbol("B")]
    bench.clock.advance(HOUR_MS - 1)
    assert not bench.ages.lacks(both)
    bench.clock.advance(1)
    assert bench.ages.lacks(both)
    assert not bench.ages.lacks(both[:1])
    firsts["B"] = OLD
    assert bench.learn() == {"A": OLD, "B": OLD}


def test_without_a_source(tmp_path: Path) -> None:
    """A manager of what is on disk knows nobody to ask."""
    manager = CandlestickManager(None, "binance", cache_dir=tmp_path, clock=ManualClock(NOW))
    ages = CoinAges(manager, Network({}, tmp_path), tmp_path, ManualClock(NOW))
    asyncio.run(ages.learn([symbol("A")], book_of(), 7.0))
    assert ages.first == {}
