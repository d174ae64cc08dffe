"""Public clients and the cache of markets (`candles.md` 3.2, 11; `exchange_simulator.md` 4)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest
from venue_cases import NOW, PROTOCOLS, SYMBOL, in_venue

from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.errors import ConfigError
from exchange_sim.server import SimServer
from exchanges.clients import EXCHANGES, ccxt_id, public_client, public_parameters
from exchanges.endpoints import Endpoints, Override
from exchanges.market_cache import load_markets_cached
from markets.symbols import CoinMaps

IMPORTED = {"symbol": "OWN/USDT:USDT", "id": "OWNUSDT", "base": "OWN", "swap": True, "info": {"source": "import"}}


def test_the_nine_exchanges() -> None:
    """Each short name gives the unmodified ccxt class, rate-limited, with a minute's patience, for swaps."""
    ids = {"binance": "binanceusdm", "kucoin": "kucoinfutures"}
    for name in EXCHANGES:
        client = public_client(name)
        assert type(client) is getattr(ccxt, ids.get(name, name))
        assert (client.enableRateLimit, client.timeout, client.options["defaultType"]) == (True, 60_000, "swap")
    assert type(public_client("KrakenFutures")) is ccxt.krakenfutures


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bybitt", "did you mean bybit?"),
        ("hyperlikuid", "did you mean hyperliquid?"),
        ("??", "known are binance, bybit"),
    ],
)
def test_unknown_exchange(name: str, message: str) -> None:
    """A name that ccxt does not know is an error with the nearest one that it does."""
    with pytest.raises(ConfigError) as caught:
        public_client(name)
    assert message in str(caught.value)


def test_exchange_that_this_ccxt_lacks() -> None:
    """One of the nine that the installed ccxt happens not to have is said so, not guessed at."""
    with pytest.raises(ConfigError, match="exchange defx: the installed ccxt has no defx"):
        ccxt_id("defx", ["bybit", "bitget"])


def test_headers_of_endpoints() -> None:
    """Extra headers are sent with every request."""
    client = public_client("bybit", Endpoints({"bybit": Override(headers={"X-Proxy": "1"})}))
    assert client.prepare_request_headers({})["X-Proxy"] == "1"


@pytest.mark.parametrize(("exchange", "calls"), [("okx", 1), ("bitget", 6), ("gateio", 2), ("hyperliquid", 1)])
def test_only_swaps_are_asked_for(exchange: str, calls: int) -> None:
    """Loading the markets of exchanges that list much else asks for swaps alone."""
    client = public_client(exchange)
    asked: list[str] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        asked.append(f"{url} {body}".lower())
        return {"data": [], "universe": []} if exchange in ("okx", "bitget") else []

    async def run() -> None:
        client.fetch, client.enableRateLimit, client.timeout_on_exit = fetch, False, 0
        try:
            await client.load_markets()
        finally:
            await client.close()

    asyncio.run(run())
    assert len(asked) == calls
    assert all("swap" in call or "futures" in call or "meta" in call for call in asked), asked


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_requests_are_logged(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """Endpoint, parameters, status, duration of each call at debug, of failed ones too; nothing secret."""
    caplog.set_level(logging.DEBUG, logger="exchanges.clients")

    async def case(sim: SimServer, client: Any) -> None:
        await client.fetch_ohlcv(SYMBOL, "1m", limit=3)
        sim.faults.add("http", status=503)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.fetch_ticker(SYMBOL)
        client.timeout = 50
        sim.faults.add("timeout")
        with pytest.raises(ccxt.RequestTimeout):
            await client.fetch_ticker(SYMBOL)
        *_, ok, failed, silent = [record.getMessage() for record in caplog.records]
        assert f"remote_call exchange={client.id} method=GET endpoint={sim.url}/" in ok
        assert "'symbol': 'BTCUSDT'" in ok
        assert "'limit': '3'" in ok
        assert "status=200 error=- ms=" in ok
        assert "status=503 error=ExchangeNotAvailable ms=" in failed
        assert "status=- error=RequestTimeout ms=" in silent
        calls = [record for record in caplog.records if "remote_call" in record.getMessage()]
        assert len(calls) == len(sim.requests) + 1  # the venue has not given up on the last one yet

    in_venue(protocol, case)


@pytest.mark.parametrize(
    ("query", "body", "shown"),
    [
        ("symbol=A&signature=S3&timestamp=5&apiKey=S3", None, {"symbol": "A", "timestamp": "5"}),
        ("", '{"symbol":"A","passphrase":"S3","sign":"S3"}', {"symbol": "A"}),
        ("", "a=1&listenKey=S3", {"a": "1"}),
        ("", '[{"secret":"S3"}]', {"body": "list"}),
        ("", None, {}),
    ],
)
def test_secrets_are_not_logged(query: str, body: Any, shown: dict[str, str]) -> None:
    """Parameters named like secrets are left out, of queries and of both kinds of bodies."""
    assert public_parameters(query, body) == shown


def write_cache(folder: Path, age_ms: int, content: Any) -> Path:
    path = folder / "binance" / "markets.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    os.utime(path, ((NOW - age_ms) / 1000.0,) * 2)
    return path


def test_markets_are_cached_for_a_day(tmp_path: Path) -> None:
    """Fetched once, then taken from disk for 24 hours by the clock; the client knows them either way."""
    clock = ManualClock(NOW)

    async def case(sim: SimServer, client: Any) -> None:
        fetched = await load_markets_cached(client, tmp_path, "binance", clock)
        assert len(fetched) == 12
        assert json.loads((tmp_path / "binance" / "markets.json").read_text()) == fetched
        assert CoinMaps(tmp_path).symbol_to_coin("BTCUSDT") == "BTC"
        assert json.loads((tmp_path / "binance" / "coin_to_symbol_map.json").read_text())["BTC"] == [SYMBOL]
        for age, requests in ((DAY_MS - 1000, 1), (1000, 2), (HOUR_MS, 2)):
            clock.advance(age)
            fresh = type(client)({"urls": client.urls})
            fresh.timeout_on_exit, fresh.urls = 0, client.urls
            assert await load_markets_cached(fresh, tmp_path, "binance", clock) == fetched
            assert len([r for r in sim.requests if r.path == "/fapi/v1/exchangeInfo"]) == requests
            assert len(await fresh.fetch_ohlcv(SYMBOL, "1m", limit=2)) == 2
            assert len([r for r in sim.requests if r.path == "/fapi/v1/exchangeInfo"]) == requests
            await fresh.close()

    in_venue("binance", case)


@pytest.mark.parametrize("age_ms", [0, 2 * DAY_MS])
def test_imported_markets_survive(tmp_path: Path, age_ms: int) -> None:
    """What a user imported stays, unless the exchange lists it itself; imports alone are no listing."""
    listed_too = {**IMPORTED, "symbol": SYMBOL, "id": "BTCUSDT", "base": "BTC"}
    gone = {**IMPORTED, "symbol": "GONE/USDT:USDT", "info": {}}
    content = {"OWN/USDT:USDT": IMPORTED, SYMBOL: listed_too, **({"GONE/USDT:USDT": gone} if age_ms else {})}
    write_cache(tmp_path, age_ms, content)

    async def case(sim: SimServer, client: Any) -> None:
        markets = await load_markets_cached(client, tmp_path, "binance", ManualClock(NOW))
        assert len(markets) == 13
        assert markets["OWN/USDT:USDT"] == IMPORTED
        assert markets[SYMBOL]["info"]["symbol"] == "BTCUSDT"
        assert "OWN/USDT:USDT" not in client.markets
        again = await load_markets_cached(client, tmp_path, "binance", ManualClock(NOW))
        assert again == markets
        assert "OWN/USDT:USDT" not in client.markets
        assert len(sim.requests) == 1

    in_venue("binance", case)


def test_damaged_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no JSON is fetched anew, with a warning; a failed fetch leaves the file as it was."""
    path = write_cache(tmp_path, 0, {})
    path.write_text("{half")

    async def case(sim: SimServer, client: Any) -> None:
        sim.faults.add("http", status=503)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await load_markets_cached(client, tmp_path, "binance", ManualClock(NOW))
        assert path.read_text() == "{half"
        assert len(await load_markets_cached(client, tmp_path, "binance", ManualClock(NOW))) == 12
        assert "cannot be read as JSON" in caplog.text

    in_venue("binance", case)
