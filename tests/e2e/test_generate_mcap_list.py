"""`generate_mcap_list.py` as a user starts it, against the local venue (`candles.md` 21.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import run_program

from config.coins import sides_of
from core.clock import ManualClock
from core.dates import date_to_ts
from exchange_sim.server import SimConfig, SimServer

TOOL = "tools/generate_mcap_list.py"
PATH = "/coingecko/api/v3/coins/markets"


def with_venue(folder: Path, case: Callable[[SimServer, list[str]], None]) -> None:
    """Run `case(sim, arguments that lead to it)` beside a venue."""

    async def run() -> None:
        async with SimServer(SimConfig(clock=ManualClock(date_to_ts("2025-06-01T12:34:20")))) as sim:
            (folder / "endpoints.json").write_text(json.dumps(sim.endpoints()))
            await asyncio.to_thread(case, sim, ["--custom-endpoints", "endpoints.json", "--cache-dir", "c"])

    asyncio.run(run())


def test_list_is_written(tmp_path: Path) -> None:
    """Coins by market cap that the exchanges trade, no stablecoin; long and short flags mean the same."""

    def case(sim: SimServer, here: list[str]) -> None:
        result = run_program(TOOL, "-n", "7", "-m", "500", "-e", "binance,bybit", "-o", "a.json", *here, cwd=tmp_path)
        long = ("--n_coins=7", "--minimum_market_cap_dollars=500", "--exchange=binance, bybit", "--output=b.json")
        run_program(TOOL, *long, *here, "--log-level", "1", cwd=tmp_path)
        a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
        assert a == b
        assert a[:2] == ["BTC", "ETH"]
        assert len(a) == 7
        assert not {"USDT", "USDC", "DAI", "TUSD", "LEO", "XMR"} & set(a)
        full = json.loads((tmp_path / "a_full.json").read_text())
        assert [row["symbol"].upper() for row in full] == a
        assert sides_of(str(tmp_path / "a.json"), "live.approved_coins")["long"] == a
        assert "stablecoin" in result.stdout
        assert "7 coins of 7 wanted; the list ended with: enough coins" in result.stdout
        assert "written: a.json" in result.stdout

    with_venue(tmp_path, case)


def test_default_name_and_limit(tmp_path: Path) -> None:
    """Without -o the name says what was asked for; without -e coins that nobody trades are in the list."""

    def case(sim: SimServer, here: list[str]) -> None:
        run_program(TOOL, "-m", "1000", *here, cwd=tmp_path)
        names = sorted(path.name for path in (tmp_path / "configs").iterdir())
        assert [name[:15] + name[25:] for name in names] == [
            "approved_coins__100_coins_1000_min_mcap.json",
            "approved_coins__100_coins_1000_min_mcap_full.json",
        ]
        assert {"LEO", "XMR"} < set(json.loads((tmp_path / "configs" / names[0]).read_text()))

    with_venue(tmp_path, case)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-n", "0"], 2, "error: --n_coins 0: at least one coin is needed"),
        (["-m", "-1"], 2, "error: --minimum_market_cap_dollars -1.0"),
        (["-e", "bybitt"], 2, "the custom endpoints lead to this machine, and name none for bybitt"),
        (["-m", "1e9", "-o", "x.json"], 1, "no coin is left, x.json is not written"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    """One line and an exit status: 2 for what was asked, 1 for what came; nothing is written."""

    def case(sim: SimServer, here: list[str]) -> None:
        result = run_program(TOOL, *arguments, *here, cwd=tmp_path, expect=status)
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not list(tmp_path.glob("*x*.json"))
        assert not (tmp_path / "configs").exists()

    with_venue(tmp_path, case)


def test_unknown_flag_and_missing_endpoints(tmp_path: Path) -> None:
    """Wrong usage, before anybody is asked."""
    assert "unrecognized arguments: --coins" in run_program(TOOL, "--coins", "5", cwd=tmp_path, expect=2).stderr
    missing = run_program(TOOL, "--custom-endpoints", "none.json", cwd=tmp_path, expect=2).stderr
    assert "none.json" in missing


def test_no_answer(tmp_path: Path) -> None:
    """When CoinGecko refuses, an older list stays as it is."""

    def case(sim: SimServer, here: list[str]) -> None:
        sim.faults.add("http", status=404, path=PATH, count=0)
        (tmp_path / "x.json").write_text('["OLD"]')
        result = run_program(TOOL, "-o", "x.json", *here, cwd=tmp_path, expect=1)
        assert "HTTP status 404" in result.stderr
        assert (tmp_path / "x.json").read_text() == '["OLD"]'

    with_venue(tmp_path, case)
