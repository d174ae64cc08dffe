"""Reading members of a front: today's files, older ones, and what is none (optimizer_pareto_tools.md 6.3, 6.6)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import DataError, UsageError
from front_examples import SCORING, holdout_block, member_entry, write_member, write_points, write_run
from optimization.members import (
    member_id,
    metrics_of_flat,
    newest_pareto,
    pareto_dir,
    read_member,
    read_members,
    run_dir,
    runs_below,
)

VALUES = {"adg_pnl": 0.001, "drawdown_worst_usd": 0.3, "loss_profit_ratio": 0.4, "position_held_hours_max": 90.0}


def test_member_of_a_single_run(tmp_path: Path) -> None:
    """Objectives in the order of scoring; a metric's value is its mean; the id is the file's name."""
    path = write_member(tmp_path, member_entry(VALUES, violation=2.5))
    member = read_member(path)
    assert member.objectives == (-0.001, 0.3, 0.4)
    assert member.scoring == SCORING
    assert member.violation == 2.5
    assert member.values == VALUES
    assert member.stats["adg_pnl"] == {"mean": 0.001, "min": 0.001, "max": 0.001, "std": 0.0}
    assert member.scenarios == {}
    assert member.scenario_labels == []
    assert member.id == path.stem
    assert member.holdout is None


def test_synthetic_data_are_told(tmp_path: Path) -> None:
    """A run on the sample market says so; others do not."""
    entry = member_entry(VALUES)
    assert "synthetic" in (read_member(write_member(tmp_path, entry)).data_note or "")
    entry["backtest"]["exchanges"] = ["binance"]
    assert read_member(write_member(tmp_path, entry)).data_note is None


def test_member_of_a_suite(tmp_path: Path) -> None:
    """The aggregated value counts, labels keep the order of the suite."""
    path = write_member(tmp_path, member_entry(VALUES, scenarios={"z": 1.0, "a": 0.5}))
    member = read_member(path)
    assert member.values == VALUES
    assert member.stats["adg_pnl"]["mean"] == pytest.approx(0.00075)
    assert member.scenarios["adg_pnl"] == {"z": 0.001, "a": 0.0005}
    assert member.scenario_labels == ["z", "a"]


def test_holdout_is_kept_apart(tmp_path: Path) -> None:
    """The hold-out is no part of the entry, so that the entry still hashes to the file's name (additions 15)."""
    entry = member_entry(VALUES)
    block = holdout_block(VALUES, np.random.default_rng(1), SCORING)
    member = read_member(write_member(tmp_path, entry | {"holdout": block}))
    assert member.entry == entry
    assert member.holdout == block


def test_w_10_follows_w_9(tmp_path: Path) -> None:
    """Objectives are ordered by number, not by text."""
    entry = member_entry(VALUES)
    entry["metrics"]["objectives"] = {f"w_{i}": i for i in (*range(10, 12), *range(10))}
    assert read_member(write_member(tmp_path, entry)).objectives == tuple(range(12))


def test_older_names_and_flat_metrics(tmp_path: Path) -> None:
    """The id follows the last `_`; `analyses_combined` is understood; limits unknown then count as kept."""
    entry = member_entry(VALUES)
    del entry["metrics"]
    entry["analyses_combined"] = {"adg_pnl_mean": 0.1, "adg_pnl_std": float("inf"), "w_0": -0.1, "w_1": 2, "note": "x"}
    folder = tmp_path / "pareto"
    folder.mkdir()
    path = folder / "000.1235_abc.json"
    path.write_text(json.dumps(entry))
    member = read_member(path)
    assert (member.id, member.objectives, member.violation) == ("abc", (-0.1, 2.0), 0.0)
    assert member.values == {"adg_pnl": 0.1}
    assert member.scoring == ["w_0", "w_1"]
    assert member_id(Path("012.3000_f00.json")) == "f00"


def test_flat_metrics_by_statistic() -> None:
    """The last part of a name is the statistic (9)."""
    flat = {"position_held_hours_max_mean": 3, "a_min": 1.5, "a_std": None, "w_1": 2.0, "constraint_violation": 4}
    assert metrics_of_flat(flat) == {
        "stats": {"position_held_hours_max": {"mean": 3.0}, "a": {"min": 1.5}},
        "objectives": {"w_1": 2.0},
        "constraint_violation": 4.0,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metrics": None}, "NoneType"),
        ({"metrics": {}}, "no 'objectives'"),
        ({"metrics": {"objectives": {}}}, "no 'w_0'"),
        ({"metrics": {"objectives": {"w_0": 1.0, "w_2": 2.0}}}, "no 'w_1'"),
        ({"metrics": {"objectives": {"w_0": "x"}}}, "w_0 is 'x', not a finite number"),
        ({"metrics": {"objectives": {"w_0": float("nan")}}}, "w_0 is nan, not a finite number"),
        ({"metrics": {"objectives": {"w_0": 1.0}, "stats": {"a": 3}}}, "a"),
    ],
)
def test_what_is_no_member_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    """One line: the file, what it lacks, what to do."""
    path = tmp_path / "some.json"
    path.write_text(json.dumps(member_entry(VALUES) | change))
    with pytest.raises(DataError, match="no member of a Pareto front") as caught:
        read_member(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "3"])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    """A list, a number, half a file: an error with the file's name."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json"):
        read_members(tmp_path)


def test_one_folder_is_one_front(tmp_path: Path) -> None:
    """Members of another scoring are an error that names both; an empty folder is one, too."""
    with pytest.raises(DataError, match="no members"):
        read_members(tmp_path)
    write_member(tmp_path, member_entry(VALUES), "a")
    write_member(tmp_path, member_entry(VALUES, scoring=SCORING[::-1]), "b")
    with pytest.raises(DataError, match=r"b\.json has the objectives"):
        read_members(tmp_path)


def test_files_in_the_making_are_passed_over(tmp_path: Path) -> None:
    """Only `*.json` counts."""
    run = write_points(tmp_path, [(0, 1), (1, 0)])
    (run / "pareto" / "c.json.tmp").write_text("{")
    assert [m.objectives for m in read_members(run / "pareto")] == [(0.0, 1.0), (1.0, 0.0)]


def test_folders(tmp_path: Path) -> None:
    """A run means its `pareto`; the newest run is the one whose `pareto` changed last."""
    assert runs_below(tmp_path) == []
    with pytest.raises(UsageError, match="no run below"):
        newest_pareto(tmp_path)
    first, second = write_run(tmp_path, count=1, name="b"), write_run(tmp_path, count=1, name="a")
    (tmp_path / "empty").mkdir()
    assert runs_below(tmp_path) == [second, first]
    assert pareto_dir(first) == pareto_dir(first / "pareto") == first / "pareto"
    assert run_dir(first / "pareto") == first
    os.utime(second / "pareto", ns=(1, 1))
    assert newest_pareto(tmp_path) == first / "pareto"
    with pytest.raises(UsageError, match="no directory"):
        pareto_dir(tmp_path / "nowhere")
