"""The programs that look at an account, over unmodified clients against the simulated venue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fetch_balance
import pytest
from venue_cases import PROTOCOLS, SYMBOL, endpoints_of

import fill_events_manager
from core.clock import SystemClock
from core.program import run_program
from exchange_sim.server import SimConfig, SimServer
from exchanges.accounts import load_account
from exchanges.connect import connected
from exchanges.protocol import TargetOrder

BUY = TargetOrder(SYMBOL, "buy", "long", 0.01, 0.0, False, "entry_grid_normal_long", "market", "0x0004" + "a" * 20)
CLOSE = TargetOrder(SYMBOL, "sell", "long", 0.004, 0.0, True, "close_grid_long", "market", "0x0007" + "b" * 20)


class Place:
    """A directory with the keys of a user, and a venue that all programs are pointed at."""

    def __init__(self, root: Path, protocol: str) -> None:
        self.root, self.protocol = root, protocol
        entry = {"exchange": protocol, "key": "a-key-for-tests", "secret": "a-secret-for-tests"}
        (root / "keys.json").write_text(json.dumps({"alice": entry}))
        (root / "keys.json").chmod(0o600)

    def run(self, case: Callable[[], None]) -> None:
        """Run a case, in which programs may be called, while the venue is up."""

        async def served() -> None:
            async with SimServer() as sim:
                (self.root / "endpoints.json").write_text(json.dumps(sim.endpoints()))
                await self.trade(sim)
                await asyncio.to_thread(case)

        asyncio.run(served())

    async def trade(self, sim: SimServer) -> None:
        """Buy, sell a part, leave an order far below."""
        account = load_account("alice", self.root / "keys.json")
        async with connected(account, endpoints_of(sim), self.root / "other", SystemClock()) as exchange:
            await exchange.set_up_account()
            for order in (BUY, CLOSE):
                assert await exchange.create_order(order) is not None
            last = (await exchange.fetch_tickers([SYMBOL]))[SYMBOL].last
            resting = TargetOrder(
                SYMBOL,
                "buy",
                "long",
                0.02,
                round(last * 0.9),
                False,
                "entry_grid_normal_long",
                "limit",
                "0x0004" + "c" * 20,
            )
            assert await exchange.create_order(resting) is not None

    def words(self, *more: str) -> list[str]:
        files = {"--api-keys": "keys.json", "--custom-endpoints": "endpoints.json", "--cache-dir": "caches"}
        return ["-u", "alice", *(word for name, file in files.items() for word in (name, str(self.root / file))), *more]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fetch_balance(protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Balance, positions with their exposure, open orders with the type that their ids carry; or ccxt's balance."""
    place = Place(tmp_path, protocol)

    def case() -> None:
        assert run_program(fetch_balance.main, place.words()) == 0
        text = capsys.readouterr().out
        for words in (f"{protocol}:alice  balance ", " USDT", SYMBOL, "0.006", "-10.0", "entry_grid_normal_long"):
            assert words in text, text
        assert run_program(fetch_balance.main, place.words("--json")) == 0
        assert json.loads(capsys.readouterr().out)["total"]["USDT"] > 0.0

    place.run(case)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrong_keys(protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are the user's to correct: status 2, one line without them."""
    place = Place(tmp_path, protocol)

    async def served() -> None:
        async with SimServer(SimConfig(secrets={"a-key-for-tests": "another"})) as sim:
            (tmp_path / "endpoints.json").write_text(json.dumps(sim.endpoints()))
            for program in (fetch_balance.main, fill_events_manager.main):
                assert await asyncio.to_thread(run_program, program, place.words()) == 2
                told = capsys.readouterr().err
                assert f"{protocol} does not answer alice: AuthenticationError" in told
                assert "check the account's keys" in told
                assert "a-secret-for-tests" not in told and "a-key-for-tests" not in told

    asyncio.run(served())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fills(protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was traded is fetched, kept and shown, also when the exchange is gone."""
    place = Place(tmp_path, protocol)

    def shown(*words: str) -> list[Any]:
        assert run_program(fill_events_manager.main, place.words("--json", "-d", "2", *words)) == 0
        return [(f["pb_order_type"], f["qty"], f["psize"]) for f in json.loads(capsys.readouterr().out)["fills"]]

    def case() -> None:
        assert shown() == [("entry_grid_normal_long", 0.01, 0.01), ("close_grid_long", -0.004, 0.006)]
        assert len(shown("-S", "BTC")) == 2

    place.run(case)
    assert len(shown("--no-refresh")) == 2
    assert shown("--no-refresh", "-S", "ETH") == []
    assert run_program(fill_events_manager.main, place.words()) == 1
    told = capsys.readouterr().err
    assert f"{protocol} does not answer alice" in told and "check the connection" in told
