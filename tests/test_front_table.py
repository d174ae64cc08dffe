"""The table of a front: columns, filters, score, frontier (optimizer_pareto_tools.md 8)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from config.objectives import canonical_limits
from core.errors import DataError
from front_examples import HOLDOUT_LABEL, SCORING, TUNED, member_entry, write_member, write_points, write_run
from optimization.front_table import (
    default_filter,
    direction,
    filter_lines,
    front_table,
    frontier,
    passing,
    presets,
    weighted_score,
)
from optimization.members import read_members

ROWS = pd.DataFrame({"x": [1.0, 2.0, 3.0, 2.0], "y": [3.0, 2.0, 1.0, 1.0], "same": [5.0] * 4, "_id": list("abcd")})


def test_columns_of_a_single_run(tmp_path: Path) -> None:
    """Metrics under their own names, also one that ends like a statistic; statistics, objectives, parameters."""
    run = write_run(tmp_path, count=4)
    table = front_table(read_members(run / "pareto"))
    frame, members = table.frame, read_members(run / "pareto")
    assert frame["_id"].tolist() == [member.path.name for member in members]
    assert table.scoring == SCORING == table.metrics[:3]
    assert {"position_held_hours_max", "position_held_hours_max_mean", "adg_pnl_std"} <= set(frame)
    assert "position_held_hours_max" in table.metrics
    assert "adg_pnl_std" not in table.metrics
    assert frame["objective_w_0"].tolist() == (-frame["adg_pnl"]).tolist()
    assert table.objectives.tolist() == [list(member.objectives) for member in members]
    assert set(table.varying_parameters) <= {f"bot.long.{name}" for name in TUNED}
    assert len(table.parameters) == 74
    assert (table.scenarios, table.windows) == ([], [])
    assert table.filter.splitlines() == [
        "drawdown_worst_usd<=0.9", "adg_pnl_mean>=0.0001", "loss_profit_ratio>=0", "loss_profit_ratio<=0.95",
    ]  # fmt: skip
    assert passing(frame, table.filter).all()


def test_columns_of_a_suite_with_holdout(tmp_path: Path) -> None:
    """`SCENARIO__METRIC`; the metric itself is the aggregated value; hold-out windows, ratios and ranks."""
    run = write_run(tmp_path, count=4, suite=True, holdout=True)
    table = front_table(read_members(run / "pareto"))
    frame = table.frame
    assert table.scenarios == ["base", "majors", "calm"]
    assert frame["majors__adg_pnl"].tolist() == pytest.approx((0.9 * frame["adg_pnl"]).tolist())
    assert table.windows == [HOLDOUT_LABEL]
    ratio = frame[f"holdout.{HOLDOUT_LABEL}.adg_pnl"] / frame["adg_pnl"]
    assert frame["degradation.adg_pnl"].tolist() == pytest.approx(ratio.tolist())
    assert (frame[f"holdout.{HOLDOUT_LABEL}.objective_w_0"] < 0).all()
    assert sorted(frame["rank_in"]) == sorted(frame["rank_out"]) == [1, 2, 3, 4]


def test_members_that_differ_in_metrics(tmp_path: Path) -> None:
    """A metric that only some members have is a column with gaps; a scoring metric without values is its objective."""
    write_member(tmp_path, member_entry({"a": 1.0, "b": 2.0}, scoring=["a"]), "1")
    entry = member_entry({"a": 2.0}, scoring=["a"])
    write_member(tmp_path, entry, "2")
    table = front_table(read_members(tmp_path))
    assert table.metrics == ["a", "b"]
    assert table.frame["b"].isna().tolist() == [False, True]
    assert passing(table.frame, "b>0").tolist() == [True, False]
    del entry["metrics"]["stats"]
    write_member(tmp_path / "bare", entry)
    bare = front_table(read_members(tmp_path / "bare"))
    assert (bare.scoring, bare.metrics) == (["objective_w_0"], [])


def test_limits_that_cannot_be_read(tmp_path: Path) -> None:
    """The file with the odd limits is named."""
    entry = member_entry({"a": 1.0}, scoring=["a"])
    entry["optimize"]["limits"] = [{"metric": "a"}]
    path = write_member(tmp_path, entry)
    with pytest.raises(DataError, match=path.name):
        front_table(read_members(tmp_path))


def test_default_filter() -> None:
    """Limits turned round, so that they keep good members; `inside_range` and `auto` are left out."""
    limits = [
        {"metric": "adg", "penalize_if": "<", "value": 0.001},
        {"metric": "drawdown_worst", "penalize_if": ">", "value": 0.5},
        {"metric": "adg_pnl", "penalize_if": ">", "value": 2, "stat": "std"},
        {"metric": "loss_profit_ratio", "penalize_if": "outside", "range": [0.1, 0.5]},
        {"metric": "omega_ratio", "penalize_if": "inside", "range": [1, 2]},
        {"metric": "gain", "penalize_if": "auto", "value": 1},
    ]
    assert default_filter(canonical_limits(limits)).splitlines() == [
        "adg_usd>=0.001", "drawdown_worst_usd<=0.5", "adg_pnl_std<=2", "loss_profit_ratio>=0.1",
        "loss_profit_ratio<=0.5",
    ]  # fmt: skip


def test_filter_example() -> None:
    """Unknown names, garbage and columns of text are ignored: only row 2 is left."""
    assert passing(ROWS, "x <= 2\ny>1\nunknown < 0\n???\n_id=3\nx=2").tolist() == [False, True, False, False]
    assert passing(ROWS, "").all()
    assert [line.name for line in filter_lines(ROWS, "x <= 2\nz>1\n\n y == 1")] == ["x", "y"]


def test_score_example() -> None:
    """Weights 1 and 3; a constant and an absent column are skipped."""
    weights = {"x": 1.0, "y": 3.0, "same": 9.0, "absent": 2.0}
    assert weighted_score(ROWS, weights).tolist() == [0.75, 0.5, 0.25, 0.125]
    assert weighted_score(ROWS, weights, {"x": -1.0, "y": 1.0}).tolist() == [0.0, 0.5, 1.0, 0.875]
    assert weighted_score(ROWS, {"same": 1.0}).tolist() == [0.0] * 4
    assert weighted_score(ROWS, {"x": 0.0}).tolist() == [0.0] * 4


def test_frontier_example() -> None:
    """Both maximised, both minimised; a row with a gap is never on it."""
    assert frontier(ROWS, {"x": -1.0, "y": -1.0}).tolist() == [True, True, True, False]
    assert frontier(ROWS, {"x": 1.0, "y": 1.0}).tolist() == [True, False, False, True]
    gap = ROWS.assign(x=[None, 2.0, 3.0, 2.0])
    assert frontier(gap, {"x": -1.0, "y": -1.0}).tolist() == [False, True, True, False]
    assert not frontier(ROWS, {}).any()


def test_presets() -> None:
    """Each line only where its metric exists."""
    frame = pd.DataFrame({"adg_pnl": [0.0], "drawdown_worst_usd": [0.2]})
    assert presets(frame) == {
        "conservative": "adg_pnl >= 0\ndrawdown_worst_usd <= 0.3",
        "balanced": "adg_pnl >= 0\ndrawdown_worst_usd <= 0.5",
        "aggressive": "adg_pnl >= 0.001",
    }
    assert presets(ROWS)["aggressive"] == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adg_usd", -1.0), ("drawdown_worst_usd", 1.0), ("adg_pnl_mean", -1.0), ("base__adg_pnl", -1.0),
        ("holdout.last.adg_pnl", -1.0), ("objective_w_0", 1.0), ("peak_recovery_hours_pnl", 1.0), ("own", 1.0),
        ("position_held_hours_max", 1.0),
    ],
)  # fmt: skip
def test_directions(name: str, expected: float) -> None:
    """The one table of directions (5.3) serves every column; what has none is minimised."""
    assert direction(name) == expected


def test_points_without_metrics_table(tmp_path: Path) -> None:
    """A front of one member has a table, too."""
    table = front_table(read_members(write_points(tmp_path, [(1, 2)]) / "pareto"))
    assert table.objectives.tolist() == [[1.0, 2.0]]
    assert table.varying_parameters == []
