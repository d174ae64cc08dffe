"""Suites from the command line: scenarios, results, summary, words on the log (`config_cli_suite.md` 15, 16)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from programs import REPOSITORY, run_program

EXAMPLE = str(REPOSITORY / "configs/examples/forager_suite.json")
GRID = str(REPOSITORY / "configs/examples/long_grid.json")


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles that one test has computed serve the next."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> tuple[Path, Any]:
    """The example's suite on the sample market; its directory and the finished process."""
    folder = tmp_path_factory.mktemp("suite")
    done = run_program(
        "backtest.py", EXAMPLE, "--suite", "-sd", "2025-02-01", "-ed", "2025-02-20", "--cache-dir", caches, cwd=folder
    )
    return next((folder / "backtests" / "suite_runs").iterdir()), done


def result_of(root: Path, label: str) -> Path:
    return next((root / label / "sample").iterdir())


def test_layout(suite: tuple[Path, Any]) -> None:
    """A directory a scenario, with the files of any backtest, below the suite's summary and figure."""
    root, done = suite
    names = {path.name for path in root.iterdir()}
    assert names == {"suite_summary.json", "suite_comparison.png", "full", "majors", "february", "calm"}
    files = {path.name for path in result_of(root, "majors").iterdir()}
    assert {"analysis.json", "config.json", "fills.csv", "balance_and_equity.csv.gz", "fills_plots"} <= files
    assert "Running scenario majors" in done.stderr
    assert "seconds elapsed for backtest:" in done.stderr
    assert f"Suite {root.name} completed" in done.stderr
    assert "drawdown_worst_usd" in done.stdout


def test_summary(suite: tuple[Path, Any]) -> None:
    """Means of the scenarios, statistics over them, aggregated by the modes of the config."""
    root, _ = suite
    summary = json.loads((root / "suite_summary.json").read_text())
    assert list(summary) == ["suite_id", "meta", "suite_metrics", "per_scenario"]
    assert summary["suite_id"] == summary["meta"]["timestamp"] == root.name
    labels = ["full", "majors", "february", "calm"]
    assert summary["meta"]["scenarios"] == summary["suite_metrics"]["scenario_labels"] == labels
    metrics = summary["suite_metrics"]["metrics"]
    assert list(metrics) == sorted(metrics)
    for label in labels:
        analysis = json.loads((result_of(root, label) / "analysis.json").read_text())
        assert metrics["adg_usd"]["scenarios"][label] == analysis["adg_usd"]
        assert Path(summary["per_scenario"][label]["output_path"]).name == label
    worst = metrics["drawdown_worst_usd"]
    assert worst["aggregated"] == worst["stats"]["max"] == max(worst["scenarios"].values())
    middle = sorted(metrics["mdg_usd"]["scenarios"].values())
    assert metrics["mdg_usd"]["aggregated"] == pytest.approx((middle[1] + middle[2]) / 2)


def test_scenarios_are_their_own(suite: tuple[Path, Any]) -> None:
    """Coins, dates and overrides of each scenario are in its config and its fills."""
    root, _ = suite
    configs = {p: json.loads((result_of(root, p) / "config.json").read_text()) for p in ("majors", "february", "calm")}
    assert configs["majors"]["live"]["approved_coins"]["long"] == ["BTC", "ETH"]
    assert configs["calm"]["bot"]["long"]["n_positions"] == 2
    fills = pd.read_csv(result_of(root, "majors") / "fills.csv", index_col=0)
    assert set(fills["coin"]) <= {"BTC", "ETH"}
    assert len(fills) > 0
    february = pd.read_csv(result_of(root, "february") / "fills.csv", index_col=0)
    assert february["timestamp"].min() >= "2025-02-01"
    assert configs["february"]["backtest"]["end_date"] == "2025-03-01"
    assert february["timestamp"].max() > "2025-02-21"


def test_scenario_equals_its_own_run(suite: tuple[Path, Any], tmp_path: Path, caches: Path) -> None:
    """A scenario trades exactly what a backtest of its config trades: the shared data change nothing."""
    root, _ = suite
    run_program(
        "backtest.py",
        result_of(root, "majors") / "config.json",
        "--suite",
        "n",
        "-dp",
        "--cache-dir",
        caches,
        cwd=tmp_path,
    )
    result = next((tmp_path / "backtests" / "sample").iterdir())
    columns = ["timestamp", "coin", "qty", "price", "psize", "pprice", "type", "usd_total_balance"]
    one, other = (pd.read_csv(p / "fills.csv", index_col=0)[columns] for p in (result_of(root, "majors"), result))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((GRID, "--suite"), 2, "scenarios must contain at least one scenario"),
        ((EXAMPLE, "--suite", "--force-refetch-gaps"), 2, "--force-refetch-gaps does not work with a suite"),
        ((EXAMPLE, "--suite", "-sd", "2025-03-05", "-ed", "2025-03-09"), 0, "completed"),
        ((EXAMPLE, "--suite", "-ss", '[{"label": "x", "coins": ["NONE"]}]'), 1, "Scenario x has no usable coins"),
        ((EXAMPLE, "--suite", "-ss", '[{"label": "a/b"}]'), 2, "label 'a/b' cannot name a directory"),
    ],
)
def test_errors(tmp_path: Path, caches: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    """One line that says what is wrong; a scenario may lie outside the base window."""
    done = run_program("backtest.py", *arguments, "-dp", "--cache-dir", caches, cwd=tmp_path, expect=status)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_backtest_suite_ignores_enabled(tmp_path: Path, caches: Path) -> None:
    """`backtest_suite.py` runs the suite whatever its `enabled` says."""
    done = run_program(
        "backtest_suite.py",
        EXAMPLE,
        "-sd",
        "2025-02-10",
        "-ed",
        "2025-02-12",
        "-dp",
        "--cache-dir",
        caches,
        cwd=tmp_path,
    )
    assert "completed: 4 scenarios" in done.stderr
