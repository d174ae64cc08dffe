"""Hold-out and walk-forward through the command line (`additions.md` 6, issue D 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from optimizer_runs import TEMPLATE, only_run, optimize, records
from programs import REPOSITORY, run_program

from optimization.archive import entry_id

SHORT = ["-e", "sample", "-s", "BTC", "-sd", "2025-01-01", "-ed", "2025-02-01", "-i", "24", "-ps", "12", "--seed", "1"]
TWO = ["--optimize.scoring", "adg_usd,drawdown_worst_usd", "-l", "[]"]


def validated(run: Path) -> list[dict[str, Any]]:
    members = [json.loads(path.read_text()) for path in sorted((run / "pareto").glob("*.json"))]
    for path, member in zip(sorted((run / "pareto").glob("*.json")), members, strict=True):
        assert path.stem == entry_id(member)
    return members


def test_held_out_dates_never_enter_the_search(tmp_path: Path, caches: Path) -> None:
    """The search equals one whose dates end before; every member gains its results outside, ranks and ratios."""
    args = [TEMPLATE, *SHORT, *TWO, "--cache-dir", caches, "-c", "2"]
    held = '{"windows": [["2025-01-19T00:01", "2025-02-01"]]}'
    for name, more in (("with", ["--optimize.holdout", held]), ("without", ["-ed", "2025-01-19"])):
        (tmp_path / name).mkdir()
        optimize(tmp_path / name, *args, *more)
    run = only_run(tmp_path / "with")
    members = validated(run)
    assert members
    label = "2025-01-19T00:01:00..2025-02-01"
    for member in members:
        assert list(member["holdout"]["windows"]) == [label]
        stats = member["holdout"]["windows"][label]["metrics"]["stats"]
        inside, outside = member["metrics"]["stats"]["adg_usd"]["mean"], stats["adg_usd"]["mean"]
        assert member["holdout"]["degradation"]["adg_usd"] == pytest.approx(outside / inside)
    places = range(1, len(members) + 1)
    assert sorted(member["holdout"]["rank_in"] for member in members) == list(places)
    assert sorted(member["holdout"]["rank_out"] for member in members) == list(places)
    summary = json.loads((run / "holdout.json").read_text())
    assert [row["rank_out"] for row in summary["members"]] == list(places)
    ours, theirs = records(run), records(only_run(tmp_path / "without"))
    assert [(r["bot"], r["metrics"]) for r in ours] == [(r["bot"], r["metrics"]) for r in theirs]


def test_validate_a_run_elsewhere(tmp_path: Path, caches: Path) -> None:
    """The tool looks at other dates, and warns of those that the search has seen."""
    optimize(tmp_path, TEMPLATE, *SHORT, *TWO, "--cache-dir", caches, "-c", "2")
    run = only_run(tmp_path)
    held = '{"windows": [["2025-02-05", "2025-02-20"], ["2025-01-10", "2025-01-20"]]}'
    result = run_program("tools/pareto_validate.py", run, "--holdout", held, "--cache-dir", caches, cwd=tmp_path)
    assert "2025-01-10..2025-01-20: the search has seen these dates" in result.stderr
    assert "2025-02-05..2025-02-20: the search" not in result.stderr
    assert "rank correlation" in result.stdout
    assert set(validated(run)[0]["holdout"]["windows"]) == {"2025-01-10..2025-01-20", "2025-02-05..2025-02-20"}


def test_scenarios_kept_from_the_search(tmp_path: Path, caches: Path) -> None:
    """A suite's held-out scenario is in no record, but in every member's hold-out."""
    suite = tmp_path / "suite.json"
    config = json.loads((REPOSITORY / "configs" / "template.json").read_text())
    config["backtest"]["suite"] = {
        "enabled": True, "include_base_scenario": False, "aggregate": {"default": "mean"},
        "scenarios": [
            {"label": "seen", "end_date": "2025-01-15"}, {"label": "kept", "start_date": "2025-01-16"},
        ],
    }  # fmt: skip
    suite.write_text(json.dumps(config))
    held = ["--optimize.holdout", '{"scenarios": ["kept"]}']
    optimize(tmp_path, suite, *SHORT, *TWO, *held, "--cache-dir", caches, "-c", "2")
    run = only_run(tmp_path)
    assert "_suite_1_coins_" in run.name
    assert all(record["suite_metrics"]["scenario_labels"] == ["seen"] for record in records(run))
    assert all(list(member["holdout"]["windows"]) == ["kept"] for member in validated(run))
    unknown = ["--optimize.holdout", '{"scenarios": ["nowhere"]}']
    result = optimize(tmp_path, suite, *SHORT, *TWO, *unknown, "--cache-dir", caches, expect=2)
    assert "nowhere" in result.stderr


def test_walk_forward(tmp_path: Path, caches: Path) -> None:
    """Each window but the last is searched and judged on the next; a table, a figure, results."""
    optimize(tmp_path, TEMPLATE, *SHORT, *TWO, "--cache-dir", caches, "-c", "2")
    run = only_run(tmp_path)
    result = run_program("tools/pareto_validate.py", run, "--walk-forward", "3", "--cache-dir", caches, cwd=tmp_path)
    folds = json.loads((run / "walk_forward" / "walk_forward.json").read_text())["folds"]
    assert len(folds) == 2
    assert folds[0]["next"] == folds[1]["searched"]
    assert all(set(fold["outside"]) == {"adg_usd", "drawdown_worst_usd"} for fold in folds)
    assert (run / "walk_forward" / "walk_forward.png").stat().st_size > 10_000
    assert "Walk-forward" in result.stdout
    assert run_program("tools/pareto_validate.py", run, "--walk-forward", "1", cwd=tmp_path, expect=2).stderr
