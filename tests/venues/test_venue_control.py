"""The venue from outside: control interface, CoinGecko's stand-in, the server's start and stop, the tool (11, 2)."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_cases import NOW, SYMBOL, as_lists, floor, get, in_venue, minutes

from core.clock import MINUTE_MS, ManualClock, ScaledClock, SystemClock
from core.dates import date_to_ts
from core.errors import ConfigError, RunError
from exchange_sim.coingecko import COINS
from exchange_sim.server import SimConfig, SimServer
from exchanges.client_urls import require_loopback
from exchanges.clients import public_client
from exchanges.endpoints import load_endpoints
from markets import sample

TOOL = Path(__file__).resolve().parents[2] / "src" / "tools" / "exchange_sim.py"


async def control(
    sim: SimServer, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    headers = {"X-Sim-Token": sim.token if token is None else token}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{sim.url}/sim/v1/{path}", json=body) as response,
    ):
        return response.status, await response.json()


def test_control_needs_the_token() -> None:
    """Without the token that the server tells, nothing can be read or changed."""

    async def case(sim: SimServer, client: Any) -> None:
        for token in ("", "wrong", sim.token[:-1]):
            assert (await control(sim, "GET", "clock", token=token))[0] == 403
            assert (await control(sim, "POST", "shutdown", {}, token))[0] == 403
        assert not sim.closing.is_set()
        assert len(sim.token) == 32

    in_venue("binance", case)


def test_stepping_the_clock() -> None:
    """A stepped clock moves by command, forwards only; the venue's market moves with it."""

    async def case(sim: SimServer, client: Any) -> None:
        assert (await control(sim, "GET", "clock"))[1] == {"now_ms": NOW, "speed": 0.0, "stepped": True}
        assert (await control(sim, "POST", "clock/advance", {"minutes": 2}))[1]["now_ms"] == NOW + 2 * MINUTE_MS
        assert (await control(sim, "POST", "clock/advance", {"ms": 5}))[1]["now_ms"] == NOW + 2 * MINUTE_MS + 5
        assert (await client.fetch_ohlcv(SYMBOL, "1m", limit=1))[0][0] == floor(NOW) + 2 * MINUTE_MS
        for body in ({"ms": -1}, {}, {"ms": "x"}):
            assert (await control(sim, "POST", "clock/advance", body))[0] == 400
        assert (await control(sim, "POST", "clock/speed", {"speed": 2}))[0] == 400
        assert sim.venue.now_ms() == NOW + 2 * MINUTE_MS + 5

    in_venue("binance", case)


def test_speed_of_the_clock() -> None:
    """A scaled clock takes another speed; it cannot be stepped."""

    async def case(sim: SimServer, client: Any) -> None:
        assert (await control(sim, "GET", "clock"))[1]["speed"] == 60.0
        status, clock = await control(sim, "POST", "clock/speed", {"speed": 0.5})
        assert (status, clock["speed"], clock["stepped"]) == (200, 0.5, False)
        assert (await control(sim, "POST", "clock/speed", {"speed": 0}))[0] == 400
        assert (await control(sim, "POST", "clock/advance", {"ms": 1}))[0] == 400

    in_venue("binance", case, config=SimConfig(clock=ScaledClock(NOW, 60.0)))


def test_scaled_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts where it is told, runs at its speed, and a new speed holds from then on only."""
    seconds = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    clock = ScaledClock(NOW, 60.0)
    seconds[0] += 2.0
    assert clock.now_ms() == NOW + 120_000
    clock.set_speed(1.0)
    assert clock.now_ms() == NOW + 120_000
    seconds[0] += 2.0
    assert clock.now_ms() == NOW + 122_000
    with pytest.raises(ValueError, match="must be above 0"):
        ScaledClock(NOW, 0.0)


def test_faults_over_control() -> None:
    """Faults are put, listed and taken away, one or all; wrong ones are refused."""

    async def case(sim: SimServer, client: Any) -> None:
        added = [
            (await control(sim, "POST", "faults", {"match": {"path": path}, "action": "http", "count": 0}))[1]
            for path in ("/a", "/fapi/v1/ping")
        ]
        assert (await control(sim, "GET", "faults"))[1] == added
        assert (await get(sim, "/fapi/v1/ping"))[0] == 503
        assert (await control(sim, "DELETE", f"faults?id={added[1]['id']}"))[1] == added[:1]
        assert (await get(sim, "/fapi/v1/ping"))[0] == 200
        assert (await control(sim, "DELETE", "faults"))[1] == []
        status, reply = await control(sim, "POST", "faults", {"action": "explode"})
        assert (status, "explode" in reply["error"]) == (400, True)

    in_venue("binance", case)


def test_request_log() -> None:
    """Requests are logged with parameters, status and duration, without secrets; those of the control are not."""

    async def case(sim: SimServer, client: Any) -> None:
        await get(sim, "/fapi/v1/klines?symbol=XYZ&interval=1m&signature=S3&apiKey=S3")
        sim.venue.clock.advance(10)  # type: ignore[attr-defined]
        await get(sim, "/fapi/v1/ping")
        records = (await control(sim, "GET", "requests"))[1]
        assert [(r["ts_ms"], r["method"], r["path"], r["params"], r["status"]) for r in records] == [
            (NOW, "GET", "/fapi/v1/klines", {"symbol": "XYZ", "interval": "1m"}, 400),
            (NOW + 10, "GET", "/fapi/v1/ping", {}, 200),
        ]
        assert (await control(sim, "GET", f"requests?since={NOW + 1}"))[1] == records[1:]
        assert (await control(sim, "GET", "stats"))[1] == {
            "GET /fapi/v1/klines": {"calls": 1, "weight": 5, "per_minute": 1.0},
            "GET /fapi/v1/ping": {"calls": 1, "weight": 1, "per_minute": 1.0},
        }

    in_venue("binance", case)


def test_candles_over_control() -> None:
    """Rows that are put are what klines and archives show from then on."""
    minute = date_to_ts("2025-05-30")
    url = "/archive/data.binance.vision/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-05-30.zip"

    async def case(sim: SimServer, client: Any) -> None:
        _, before = await get(sim, url)
        row = [minute, 1.0, 2.0, 0.5, 1.5, 7.0]
        assert (await control(sim, "POST", "candles", {"symbol": SYMBOL, "rows": [row]}))[1] == {"rows": 1}
        rows = await client.fetch_ohlcv(SYMBOL, "1m", since=minute, limit=2)
        assert rows == [row, *as_lists(minutes(SYMBOL, minute + MINUTE_MS, minute + MINUTE_MS))]
        assert (await get(sim, url))[1] != before
        for body in ({"symbol": "XYZ", "rows": [row]}, {"symbol": SYMBOL, "rows": [[1, *row[1:]]]}, {"symbol": SYMBOL}):
            assert (await control(sim, "POST", "candles", body))[0] == 400

    in_venue("binance", case)


def test_shutdown() -> None:
    """The control interface can end the venue."""

    async def case(sim: SimServer, client: Any) -> None:
        assert (await control(sim, "POST", "shutdown", {}))[0] == 200
        assert sim.closing.is_set()

    in_venue("binance", case)


def test_coingecko() -> None:
    """Pages by market capitalisation with the venue's prices; the last is followed by empty ones."""
    path = "/coingecko/api/v3/coins/markets?vs_currency=usd&order=market_cap_desc&sparkline=false"

    async def case(sim: SimServer, client: Any) -> None:
        pages = [json.loads((await get(sim, f"{path}&per_page=8&page={page}"))[1]) for page in (1, 2, 3, 4)]
        rows = [row for page in pages for row in page]
        assert [len(page) for page in pages] == [8, 8, len(COINS) - 16, 0]
        caps = [row["market_cap"] for row in rows]
        assert caps == sorted(caps, reverse=True)
        assert [row["market_cap_rank"] for row in rows] == list(range(1, len(COINS) + 1))
        by_symbol = {row["symbol"]: row for row in rows}
        assert {coin.lower() for coin in sample.INSTRUMENTS} < set(by_symbol)
        ticker = await client.fetch_ticker(SYMBOL)
        btc = by_symbol["btc"]
        assert (btc["current_price"], btc["high_24h"], btc["low_24h"]) == (
            ticker["last"],
            ticker["high"],
            ticker["low"],
        )
        assert btc["circulating_supply"] <= btc["max_supply"]
        assert all(abs(by_symbol[coin]["current_price"] - 1.0) < 0.01 for coin in ("usdt", "usdc", "dai"))
        assert json.loads((await get(sim, path))[1]) == rows
        assert (await get(sim, path.replace("usd&", "eur&")))[0] == 422
        assert (await get(sim, f"{path}&page=x"))[0] == 422

    in_venue("binance", case)


def test_unlaunched_coins_have_no_market_cap() -> None:
    """A coin whose market is not there yet is left out."""

    async def case(sim: SimServer, client: Any) -> None:
        body = json.loads((await get(sim, "/coingecko/api/v3/coins/markets?vs_currency=usd"))[1])
        assert "dot" not in {row["symbol"] for row in body}

    in_venue("binance", case, now=sample.INSTRUMENTS["DOT"].launch_ms - 1)


def test_protocols_are_chosen() -> None:
    """Only the protocols asked for are served and redirected to; an unknown one is an error."""

    async def case() -> None:
        async with SimServer(SimConfig(clock=ManualClock(NOW), protocols=("bybit",))) as sim:
            assert (await get(sim, "/v5/market/time"))[0] == 200
            assert (await get(sim, "/fapi/v1/time"))[0] == 404
            assert set(sim.endpoints()["exchanges"]) == {"bybit"}

    asyncio.run(case())
    with pytest.raises(ConfigError, match="protocol 'ftx' is unknown; known are binance, bybit"):
        SimServer(SimConfig(protocols=("ftx",)))


def test_port_that_is_taken() -> None:
    """A port in use is said in one line; only loopback is listened on."""

    async def case() -> None:
        async with SimServer(SimConfig(clock=SystemClock())) as sim:
            with pytest.raises(RunError, match=f"cannot listen on 127.0.0.1:{sim.port}"):
                await SimServer(SimConfig(port=sim.port)).start()

    asyncio.run(case())


def test_the_tool(tmp_path: Path) -> None:
    """It says where it is, writes endpoints that point programs at it, serves, and clears up when interrupted."""
    (tmp_path / "sim.hjson").write_text("start: 2025-06-01\nspeed: 0\n")
    endpoints_path = tmp_path / "configs" / "custom_endpoints.json"
    args = ["--protocol", "binance", "--config", "sim.hjson", "--write-endpoints", str(endpoints_path)]
    process = subprocess.Popen([sys.executable, str(TOOL), *args], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert "synthetic data" in lines[0]
        assert "it is 2025-06-01T00:00:00 there" in lines[0]
        assert lines[1].startswith("token: ")
        assert lines[3].startswith("ready: http://127.0.0.1:")
        assert asyncio.run(newest_minute(str(endpoints_path))) == date_to_ts("2025-06-01")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "stopped\n"
        assert process.returncode == 0
        assert not endpoints_path.exists()
    finally:
        process.kill()
        process.wait()


async def newest_minute(path: str) -> int:
    endpoints = load_endpoints(path)
    client = public_client("binance", endpoints)
    client.timeout_on_exit = 0
    require_loopback(client, endpoints=endpoints)
    try:
        rows = await client.fetch_ohlcv(SYMBOL, "1m", limit=1)
        return int(rows[0][0])
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--protocol", "ftx"], 2, "protocol 'ftx' is unknown"),
        (["--port", "99999"], 2, "--port 99999"),
        (["--config", "nothing.hjson"], 2, "nothing.hjson does not exist"),
        (["--write-endpoints", "mine.json"], 2, "mine.json exists and was not written for a venue"),
        (["--port", "TAKEN"], 1, "cannot listen on 127.0.0.1"),
    ],
)
def test_errors_of_the_tool(tmp_path: Path, args: list[str], status: int, message: str) -> None:
    """Each failure is one line and an exit status; a foreign endpoints file is never overwritten."""
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [word.replace("TAKEN", str(taken.getsockname()[1])) for word in args]
        run = [sys.executable, str(TOOL), *words]
        done = subprocess.run(run, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert message in done.stderr
    assert mine.read_text() == "{}"
