"""Each file of `scenarios/` through the production bot, on both protocols (`exchange_simulator.md` 11)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from config.load import load_config
from core.clock import MINUTE_MS, SteppedClock
from core.errors import ConfigError
from exchange_sim.scenario import START_MS, Scenario, read_scenario
from exchange_sim.server import SimConfig, SimServer
from exchanges.accounts import account_of
from exchanges.endpoints import parse_endpoints
from passivbot import Passivbot

FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.glob("*.hjson"))
KEY = "scenario-key"


def laid_over(base: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(base)
    for name, value in patch.items():
        result[name] = laid_over(result.get(name, {}), value) if isinstance(value, dict) else value
    return result


def config_of(scenario: Scenario) -> dict[str, Any]:
    """The parity example with the scenario's coins and settings."""
    config = load_config("configs/examples/parity.json", live_only=True, clock=SteppedClock(START_MS))
    config["live"] |= {"approved_coins": {pside: list(scenario.prices) for pside in ("long", "short")}}
    config["live"] |= {"minimum_coin_age_days": 0, "warmup_jitter_seconds": 0, "balance_hysteresis_snap_pct": 0}
    config.pop("_coins_sources", None)
    return laid_over(config, scenario.config)


async def run(scenario: Scenario, protocol: str, cache_dir: Path) -> list[str]:
    """A cycle a minute, more while there is something to do; what does not hold, and how cycles failed."""
    clock = SteppedClock(START_MS)
    config = SimConfig(market=scenario.market(), clock=clock, protocols=(protocol,))
    failures: list[str] = []
    async with SimServer(config) as sim:
        scenario.prepare(sim, protocol, KEY)
        account = account_of("scenario", {"exchange": protocol, "key": KEY, "secret": "scenario-secret"})
        endpoints = parse_endpoints(sim.endpoints(), "the simulator")
        bot = Passivbot(
            config_of(scenario), {"cache_dir": cache_dir}, account=account, endpoints=endpoints, clock=clock,
            loopback_only=True,
        )  # fmt: skip
        await bot.start()
        errors: list[str] = []
        for minute in range(scenario.minutes):
            scenario.strike(sim, minute)
            for _ in range(4):
                try:
                    acted = (await bot.run_one_cycle()).report.acted
                except Exception as exc:  # noqa: BLE001 - what the loop would wait after, and try again
                    errors.append(f"{type(exc).__name__}: {exc}")
                    acted = True
                bot.let_pass()
                if not acted:
                    break
            failures += scenario.failures(sim, minute, errors)
            clock.advance(MINUTE_MS)
            sim.venue.settle()
        await bot.close()
    return failures


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, protocol: str, tmp_path: Path) -> None:
    """Every check of the file holds at its minute."""
    assert asyncio.run(run(read_scenario(path), protocol, tmp_path)) == []


def test_a_check_can_fail(tmp_path: Path) -> None:
    """What does not hold is told with what there was."""
    path = tmp_path / "wrong.hjson"
    path.write_text('{prices: {ETH: {"0": 3000}}, minutes: 1, checks: [{at: 0, expr: "balance == 1"}]}')
    told = asyncio.run(run(read_scenario(path), "bybit", tmp_path / "caches"))
    assert len(told) == 1 and "minute 0: balance == 1 does not hold" in told[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "an object is needed"),
        ('{prices: {ETH: {"0": 1}}, minutes: 3}', "has no checks"),
        ("{nonsense: 1}", "unknown key nonsense"),
        ('{prices: {ETH: {"0": 1}}, minutes: 3, checks: [{at: 3, expr: "1"}]}', "comes never"),
    ],
)
def test_files_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    """Raises ConfigError naming file and key."""
    path = tmp_path / "scenario.hjson"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_scenario(path)
