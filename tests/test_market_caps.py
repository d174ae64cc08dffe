"""The rules of coin lists by market cap, one by one and in order; fetching pages; files (`candles.md` 21.2)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from config.coins import sides_of
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import CandleFetchError, ConfigError, DataError
from exchange_sim.server import SimConfig, SimServer
from exchanges.endpoints import Endpoints, parse_endpoints
from exchanges.network import ExchangeNetwork
from runs import market_caps
from runs.market_caps import CoinList, Selection, Wanted, choose, default_output, full_path, is_stablecoin, traded_coins

NOW = date_to_ts("2025-06-01T12:34:20")
PATH = "/coingecko/api/v3/coins/markets"


def row(symbol: str, market_cap: float | None = 1e9, price: float = 5.0, **values: Any) -> dict[str, Any]:
    prices = {"current_price": price, "high_24h": price, "low_24h": price, "price_change_24h": 0.0}
    supplies = {"circulating_supply": 80.0, "total_supply": 100.0, "max_supply": 200.0}
    return {"symbol": symbol, "market_cap": market_cap, "total_volume": 1e8, **prices, **supplies, **values}


def test_enough_coins_end_the_list() -> None:
    """The n-th coin is the last one, whatever follows; fewer rows leave the list open."""
    rows = [row("a"), row("b"), row("c")]
    assert choose(rows, Wanted(2)) == choose(rows[:2], Wanted(2))
    assert (choose(rows, Wanted(2)).coins, choose(rows, Wanted(2)).ended) == (["A", "B"], market_caps.ENOUGH)
    assert choose(rows, Wanted(4)).ended == ""


def test_small_coins_end_the_list() -> None:
    """The first cap below the limit is the end, a stablecoin's too; the limit itself is large enough."""
    rows = [row("a", 300.0), row("tether", 299.9), row("b", 400.0)]
    selection = choose(rows, Wanted(9, 300.0))
    assert (selection.coins, selection.ended, selection.left_out) == (["A"], market_caps.TOO_SMALL, {})


def test_enough_comes_before_small() -> None:
    """With n coins chosen a small one is not why the list ends."""
    assert choose([row("a"), row("b", 1.0)], Wanted(1, 300.0)).ended == market_caps.ENOUGH


def test_unknown_figures_are_left_out() -> None:
    """A row without cap or volume is neither chosen nor the end."""
    selection = choose([row("a", None), row("b", total_volume=None), row("c")], Wanted(9, 300.0))
    assert (selection.coins, selection.left_out) == (["C"], {market_caps.INCOMPLETE: ["A", "B"]})


@pytest.mark.parametrize("symbol", ["tether", "usdb", "usdy", "TUSD", "usd0", "USDe"])
def test_stablecoins_by_name(symbol: str) -> None:
    """Those that are known, in any case, at any price."""
    assert is_stablecoin(row(symbol, price=7.0))


@pytest.mark.parametrize(
    ("values", "stable"),
    [
        ({}, True),
        ({"current_price": 1.009, "high_24h": 1.0095, "low_24h": 0.9905, "price_change_24h": -0.0099}, True),
        ({"current_price": 1.02}, False),
        ({"high_24h": 1.02}, False),
        ({"low_24h": 0.98}, False),
        ({"price_change_24h": 0.01}, False),
        ({"price_change_24h": -0.02}, False),
        ({"high_24h": None}, False),
        ({"price_change_24h": None}, False),
    ],
)
def test_stablecoins_by_price(values: dict[str, Any], stable: bool) -> None:
    """A dollar all day: high, low and price within a cent, and a change of less than a cent."""
    assert is_stablecoin(row("usdx", price=1.0, **values)) is stable


def test_exchanges_and_first_of_equal_symbols() -> None:
    """Left out: stablecoins, then what is not listed, then what is taken; each with one reason, the first."""
    rows = [row("usdx", price=1.0), row("far"), row("btc", 9e9), row("BTC", 8e9), row("tether"), row("eth")]
    selection = choose(rows, Wanted(9, 300.0), {"BTC", "ETH", "USDX"})
    assert selection.coins == ["BTC", "ETH"]
    assert selection.rows["BTC"]["market_cap"] == 9e9
    assert selection.left_out == {
        market_caps.STABLE: ["USDX", "TETHER"],
        market_caps.NOT_LISTED: ["FAR"],
        market_caps.TAKEN: ["BTC"],
    }


def test_ratios() -> None:
    """Share of the supply that circulates, the cap times that, turnover; max supply or 1 stand in for the total."""
    got = choose([row("a"), row("b", total_supply=None), row("c", total_supply=0, max_supply=None)], Wanted()).rows
    assert [(r["supply_ratio"], r["penalized_mcap"]) for r in got.values()] == [
        (0.8, 320.0),
        (0.4, 160.0),
        (80.0, 32e3),
    ]
    assert got["A"]["liquidity_ratio"] == 0.1
    without = choose([row("d", circulating_supply=None)], Wanted()).rows["D"]
    assert (without["supply_ratio"], without["penalized_mcap"]) == (0.0, 0.0)


def test_traded_coins() -> None:
    """Active swaps in the exchange's quote, by every name of the coin, in upper case."""

    def market(base: str, **values: Any) -> dict[str, Any]:
        return {"base": base, "swap": True, "active": True, **values}

    markets = {
        "1000SHIB/USDT:USDT": market("1000SHIB"),
        "kPEPE/USDT:USDT": market("kPEPE"),
        "OLD/USDT:USDT": market("OLD", active=False),
        "SPOT/USDT": market("SPOT", swap=False),
        "LATER/USDT:USDT-250926": market("LATER", swap=False),
        "USDC/USDC:USDC": market("INUSDC"),
    }
    assert traded_coins(markets, "USDT") == {"1000SHIB", "SHIB", "KPEPE", "PEPE"}
    assert traded_coins(markets, "USDC") == {"INUSDC"}


# --- pages


def select(pages: list[Any], wanted: Wanted = Wanted(9, 0.0)) -> tuple[Selection, list[int]]:  # noqa: B008
    """What comes of these pages, and which were asked for."""
    asked: list[int] = []

    async def page(number: int) -> Any:
        if isinstance(pages[number - 1], Exception):
            raise pages[number - 1]
        return pages[number - 1]

    return asyncio.run(market_caps.select(wanted, page, None, asked.append)), asked


def test_pages_until_done() -> None:
    """An empty page, the same page twice, enough coins, and a small one end the asking."""
    a, b, c = [row("a"), row("b")], [row("c")], [row("d", 5.0)]
    for pages, wanted, coins, ended in (
        ([a, b, []], Wanted(9, 0.0), "ABC", market_caps.AT_END),
        ([a, b, b], Wanted(9, 0.0), "ABC", market_caps.REPEATED),
        ([a, b, a], Wanted(3, 0.0), "ABC", market_caps.ENOUGH),
        ([a, b, c, a], Wanted(9, 10.0), "ABC", market_caps.TOO_SMALL),
    ):
        selection, asked = select(pages, wanted)
        assert ("".join(selection.coins), selection.ended, selection.error) == (coins, ended, "")
        assert asked == list(range(1, (2 if ended == market_caps.ENOUGH else 3) + 1))


def test_an_error_ends_the_list() -> None:
    """What came before it counts, with the error said; without a page there is nothing but the error."""
    selection, _ = select([[row("a")], DataError("gone")])
    assert (selection.coins, selection.ended, selection.error) == (["A"], market_caps.FAILED, "gone")
    with pytest.raises(DataError, match="gone"):
        select([DataError("gone")])


def in_venue(case: Any) -> ManualClock:
    """Run `case(sim, endpoints, clock)`; the clock that waiting has moved."""
    clock = ManualClock(NOW)

    async def run() -> None:
        async with SimServer(SimConfig(clock=clock)) as sim:
            await case(sim, parse_endpoints(sim.endpoints(), "venue"), clock)

    asyncio.run(run())
    return clock


def test_pages_of_the_venue() -> None:
    """Asked for as CoinGecko wants it, 150 rows a page; the one behind the last is empty."""

    async def case(sim: SimServer, endpoints: Endpoints, clock: ManualClock) -> None:
        async with CoinList(endpoints, clock) as coins:
            assert [r["symbol"] for r in await coins.page(1)][:2] == ["btc", "eth"]
            assert await coins.page(2) == []
        assert [r.path for r in sim.requests] == [PATH, PATH]
        assert sim.requests[0].params == {
            "vs_currency": "usd", "order": "market_cap_desc", "sparkline": "false", "per_page": "150", "page": "1",
        }  # fmt: skip

    in_venue(case)


def test_retries_wait_as_long_as_they_are_told() -> None:
    """429 waits for its Retry-After, other failures double their waits."""

    async def case(sim: SimServer, endpoints: Endpoints, clock: ManualClock) -> None:
        sim.faults.add("http", status=429, headers={"Retry-After": "37"}, path=PATH)
        sim.faults.add("http", status=503, path=PATH)
        sim.faults.add("http", status=429, headers={"Retry-After": "90000"}, path=PATH)
        async with CoinList(endpoints, clock) as coins:
            assert len(await coins.page(1)) == 19

    assert in_venue(case).sleeps == [37.0, 4.0, market_caps.LONGEST_WAIT_S]


@pytest.mark.parametrize(
    ("fault", "times", "message"),
    [
        ({"action": "http", "status": 503}, 5, "HTTP status 503, 5 times asked"),
        ({"action": "http", "status": 404}, 1, "HTTP status 404"),
        ({"action": "http", "status": 200, "body": "<html>"}, 1, "no JSON"),
        ({"action": "http", "status": 200, "body": {"error": "x"}}, 1, "no list of coins"),
        ({"action": "reset"}, 5, "did not answer"),
    ],
)
def test_what_is_no_answer(fault: dict[str, Any], times: int, message: str) -> None:
    """What may pass is asked for again a few times, what will not is not; either way it is one clear error."""

    async def case(sim: SimServer, endpoints: Endpoints, clock: ManualClock) -> None:
        sim.faults.add(**fault, path=PATH, count=0)
        async with CoinList(endpoints, clock) as coins:
            with pytest.raises(DataError, match=message):
                await coins.page(1)
        assert len(clock.sleeps) == times - 1

    in_venue(case)


def test_exchange_filter(tmp_path: Path) -> None:
    """Any of the exchanges will do; one that cannot be asked, or lists nothing, is an error and no empty filter."""

    async def case(sim: SimServer, endpoints: Endpoints, clock: ManualClock) -> None:
        async with ExchangeNetwork(endpoints, tmp_path, clock) as network:
            both = await market_caps.exchange_filter(Wanted(exchanges=("binance", "bybit")), network)
            assert both is not None
            assert {"BTC", "DOT"} <= both
            assert await market_caps.exchange_filter(Wanted(), network) is None
            with pytest.raises(ConfigError, match="name none for okx"):
                await market_caps.exchange_filter(Wanted(exchanges=("okx",)), network)
        sim.faults.add("http", status=503, path="/v5/market/instruments-info", count=0)
        async with ExchangeNetwork(endpoints, tmp_path / "other", clock) as network:
            with pytest.raises(CandleFetchError, match="markets of bybit could not be fetched"):
                await market_caps.exchange_filter(Wanted(exchanges=("binance", "bybit")), network)
        sim.faults.clear()
        sim.faults.add("delist", count=0)
        async with ExchangeNetwork(endpoints, tmp_path / "third", clock) as network:
            with pytest.raises(DataError, match="binance lists no active swap in USDT"):
                await market_caps.exchange_filter(Wanted(exchanges=("binance",)), network)

    in_venue(case)


# --- files


def test_default_names() -> None:
    """Date, counts, and the exchanges by their short names."""
    clock = ManualClock(NOW)
    assert str(default_output(Wanted(), clock)) == "configs/approved_coins_2025-06-01_100_coins_300_min_mcap.json"
    wanted = Wanted(5, 1.5e6, ("binanceusdm", "bybit"))
    assert default_output(wanted, clock).name == "approved_coins_2025-06-01_5_coins_1.5_min_mcap_binance_bybit.json"
    assert full_path(Path("a/b.json")) == Path("a/b_full.json")
    assert full_path(Path("a/b.txt")) == Path("a/b.txt_full.json")


def test_files(tmp_path: Path) -> None:
    """The list is what `live.approved_coins` may point to; the rows beside it have the derived figures."""
    path = tmp_path / "new" / "list.json"
    market_caps.write(choose([row("btc"), row("eth")], Wanted()), path)
    assert sides_of(str(path), "live.approved_coins") == {"long": ["BTC", "ETH"], "short": ["BTC", "ETH"]}
    full = json.loads((tmp_path / "new" / "list_full.json").read_text())
    assert [(r["symbol"], r["supply_ratio"]) for r in full] == [("btc", 0.8), ("eth", 0.8)]
    with pytest.raises(DataError, match="no coin is left"):
        market_caps.write(choose([], Wanted()), path)
    assert json.loads(path.read_text()) == ["BTC", "ETH"]
