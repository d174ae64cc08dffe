"""The live bot trades what the engine trades, and a restart changes nothing (`exchange_simulator.md` 13.3, 13.5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runs.parity.comparison import MarketChoice, span_of
from runs.parity.live_side import live_run
from runs.parity.span import Span
from tools.live_parity import main

CONFIG = "configs/examples/parity.json"


@pytest.mark.parametrize(
    ("protocol", "coins", "days", "restarts"),
    [("bybit", "ETH,SOL", "1", "0"), ("binance", "BTC,ETH,SOL,XRP,DOGE", "0.06", "31")],
)
def test_live_equals_backtest(
    protocol: str, coins: str, days: str, restarts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same fills in the same minutes, to the last bit: long and short, grid and trailing, unstucking."""
    words = ["--protocol", protocol, "--coins", coins, "--days", days, "--restart-every", restarts]
    assert main([CONFIG, *words, "--debug-level", "0"]) == 0
    told = capsys.readouterr().out
    assert "the same fills in the same minutes" in told
    fills = next(int(line.split("│")[2].replace(",", "")) for line in told.splitlines() if "backtest" in line)
    assert fills > 20


def short_span(coins: list[str], days: float) -> Span:
    return span_of(CONFIG, coins, MarketChoice(), "2025-02-03", days)


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
def test_a_restart_changes_no_order(protocol: str, tmp_path: Path) -> None:
    """Thrown away with all its files in mid-run, the bot places the same orders under the same ids."""
    span = short_span(["ETH", "SOL"], 0.03)
    undisturbed = asyncio.run(live_run(span, protocol, tmp_path / "a"))
    restarted = asyncio.run(live_run(span, protocol, tmp_path / "b", restarts=range(3, span.minutes, 9)))
    assert undisturbed.placed == restarted.placed
    assert len(undisturbed.placed) > 20
