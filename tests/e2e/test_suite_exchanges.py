"""Suites over several exchanges, combined or one dataset each (`config_cli_suite.md` 15.2, 15.5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import run_program

from test_dataset import candles, fill_cache

COINS = ("BTC", "ETH")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exchanges on disk: one trades more of BTC, the other more of ETH, and has NEW, delisted early."""
    folder = tmp_path_factory.mktemp("exchanges")
    for exchange, volumes in (("one", (9.0, 1.0)), ("two", (1.0, 9.0))):
        rows = {coin: waves(volume) for coin, volume in zip(COINS, volumes, strict=True)}
        if exchange == "two":
            rows["NEW"] = waves(1.0)[: 2 * 1440]
        fill_cache(folder / "caches", rows, exchange)
    return folder


def waves(volume: float) -> Any:
    """Prices that swing enough to be traded."""
    rows = candles("2023-11-13", "2023-11-17")
    close = 100.0 + 3.0 * np.sin(np.arange(len(rows)) / 90.0)
    for name, offset in (("o", 0.0), ("h", 0.2), ("l", -0.2), ("c", 0.0)):
        rows[name] = np.round(close + offset, 1)
    rows["bv"] = volume
    return rows


def run(place: Path, folder: str, scenarios: list[dict[str, Any]], *flags: str, expect: int = 0) -> tuple[Path, str]:
    """The suite's directory and the log."""
    template = json.loads((Path(__file__).parents[2] / "configs" / "template.json").read_text())
    template["backtest"] |= {
        "exchanges": ["one", "two"], "start_date": "2023-11-14", "end_date": "2023-11-16", "base_dir": folder,
        "suite": {"enabled": True, "include_base_scenario": False, "aggregate": {"default": "mean"},
                  "base_label": "base", "scenarios": scenarios},
    }  # fmt: skip
    template["live"] |= {"approved_coins": ["BTC", "ETH", "NEW"], "minimum_coin_age_days": 0, "warmup_ratio": 0.002}
    (place / "suite.json").write_text(json.dumps(template))
    done = run_program("backtest.py", "suite.json", "--offline", "-dp", *flags, cwd=place, expect=expect)
    runs = list((place / folder / "suite_runs").glob("*"))
    return (runs[0] if runs else place), done.stderr


def test_combined(place: Path) -> None:
    """A scenario that names exchanges keeps the coins that come from them; sources route for the whole suite."""
    root, log = run(place, "a", [{"label": "all"}, {"label": "only_one", "exchanges": "one"}])
    assert "scenario only_one: ETH comes from two, the coin is left out" in log
    config = json.loads(next((root / "only_one" / "combined").iterdir()).joinpath("config.json").read_text())
    assert config["live"]["approved_coins"]["long"] == ["BTC"]
    summary = json.loads((root / "suite_summary.json").read_text())
    assert summary["meta"]["scenarios"] == ["all", "only_one"]


def test_separate_datasets(place: Path) -> None:
    """Without combining, a scenario runs on every dataset it may use; its metrics are means over them."""
    root, _ = run(place, "b", [{"label": "both"}, {"label": "only_two", "exchanges": ["two"]}], "-co", "n")
    assert sorted(path.name for path in (root / "both").iterdir()) == ["one", "two"]
    assert [path.name for path in (root / "only_two").iterdir()] == ["two"]
    metrics = json.loads((root / "suite_summary.json").read_text())["suite_metrics"]["metrics"]
    analyses = [
        json.loads((next((root / "both" / name).iterdir()) / "analysis.json").read_text()) for name in ("one", "two")
    ]
    expected = sum(analysis["gain_usd"] for analysis in analyses) / 2
    assert metrics["gain_usd"]["scenarios"]["both"] == pytest.approx(expected, rel=1e-12)


def test_delisted_coin_in_a_later_window(place: Path) -> None:
    """A coin whose candles end before the scenario's window is in the data, and never traded."""
    scenarios = [{"label": "late", "start_date": "2023-11-15T12:00", "end_date": "2023-11-16"}]
    root, _ = run(place, "c", scenarios)
    fills = next((root / "late" / "combined").iterdir()) / "fills.csv"
    assert ",NEW," not in fills.read_text()
    assert ",BTC," in fills.read_text()


def test_conflicting_sources(place: Path) -> None:
    """A coin cannot be sent to two exchanges within one suite."""
    scenarios = [{"label": "x", "coin_sources": {"BTC": "one"}}, {"label": "y", "coin_sources": {"BTC": "two"}}]
    _, log = run(place, "d", scenarios, expect=2)
    assert "send BTC to two, but it is sent to one elsewhere in the suite" in log
