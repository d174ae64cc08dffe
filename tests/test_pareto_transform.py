"""`tools/pareto_transform.py`: conversion, pruning, dry runs, mistakes (optimizer_pareto_tools.md 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pareto_transform
import pytest

from core.program import run_program
from front_examples import member_entry, write_member, write_points
from optimization.members import read_member


def run(*args: str | Path) -> int:
    return run_program(pareto_transform.main, [str(arg) for arg in args])


def entries(points: list[tuple[float, ...]]) -> list[dict[str, Any]]:
    return [{"metrics": {"objectives": {f"w_{k}": v for k, v in enumerate(point)}}} for point in points]


OLD = {
    "bot": {"long": {"n_positions": 3.0}},
    "analyses_combined": {
        "adg_usd_mean": 0.1, "adg_usd_min": 0.05, "adg_usd_max": float("inf"), "adg_usd_std": 0.0,
        "position_held_hours_max_mean": 90, "w_0": -0.1, "w_1": 90, "note": "text", "liquidated": None,
    },
    "live": {},
}  # fmt: skip
CONVERTED = {
    "bot": OLD["bot"],
    "live": {},
    "metrics": {
        "stats": {
            "adg_usd": {"mean": 0.1, "min": 0.05, "std": 0.0},
            "position_held_hours_max": {"mean": 90.0},
        },
        "objectives": {"w_0": -0.1, "w_1": 90.0},
    },
}


def test_conversion() -> None:
    """Keys ending in a statistic, `w_*`; what is not finite goes; so does the old map; other files stay."""
    assert pareto_transform.converted_entry(dict(OLD)) == CONVERTED
    new = member_entry({"m": 1.0}, scoring=["m"])
    assert pareto_transform.converted_entry(new) is new
    assert pareto_transform.converted_entry({"analyses_combined": {}, "metrics": {"a": 1}}) == {"metrics": {"a": 1}}


def test_dry_run_then_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --apply nothing changes; with it the layout of 6.6 is written, and the file is a member of today."""
    path = tmp_path / "000.5000_abc.json"
    path.write_text(json.dumps(OLD))
    write_member(tmp_path, member_entry({"m": 1.0}, scoring=["m"]), "new")
    before = path.read_text()
    assert run(tmp_path, "--convert-metrics") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"would rewrite {path}",
        "1 to rewrite, 0 to remove (nothing is changed without --apply)",
    ]
    assert path.read_text() == before
    assert run(tmp_path, "--convert-metrics", "--apply", "--max-inline", "20", "--indent", "2", "--sort-keys") == 0
    assert capsys.readouterr().out.splitlines() == [f"rewrite {path}", "1 to rewrite, 0 to remove"]
    text = path.read_text()
    assert text.startswith('{\n  "bot": {\n    "long": {"n_positions":3.0}\n  },\n  "live": {},\n')
    assert list(json.loads(text)["metrics"]) == ["objectives", "stats"]
    assert json.loads(text) == CONVERTED
    assert read_member(path).objectives == (-0.1, 90.0)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_farthest_points_of_the_example(seed: int) -> None:
    """Nearest the origin first, then always the farthest from the chosen."""
    points = np.array([(0, 0), (1, 0), (2, 0), (10, 0), (10, 1)], dtype=float)
    assert sorted(pareto_transform.far_apart(points, 3, seed)) == [0, 2, 4]
    assert sorted(pareto_transform.far_apart(points, 9, seed)) == [0, 1, 2, 3, 4]
    assert pareto_transform.far_apart(points, 0, seed) == []


def test_kept_members_of_the_example() -> None:
    """w_0 = i, w_1 = i * i mod 7, four of eight."""
    points = [(float(i), float(i * i % 7)) for i in range(8)]
    assert pareto_transform.kept_members(entries(points), 4, 0) == [0, 2, 4, 7]


def test_members_without_objectives_come_first() -> None:
    """They are kept before others, as many as there is room; a missing objective is 0."""
    mixed = [*entries([(1.0,), (2.0,)]), {"bot": {}}, *entries([(5.0, 1.0)]), {"metrics": {}}]
    assert pareto_transform.kept_members(mixed, 1, 0) == [2]
    assert pareto_transform.kept_members(mixed, 2, 0) == [2, 4]
    assert pareto_transform.kept_members(mixed, 9, 0) == [0, 1, 2, 3, 4]


def test_ties_go_by_the_seed() -> None:
    """Equally far points: the seed decides, always in the same way."""
    square = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], dtype=float)
    found = {seed: tuple(pareto_transform.far_apart(square, 2, seed)) for seed in range(20)}
    assert len({pair[0] for pair in found.values()}) == 4
    assert found == {seed: tuple(pareto_transform.far_apart(square, 2, seed)) for seed in range(20)}


def test_prune_each_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """N members stay in each directory; files and directories may be mixed; nothing below is touched."""
    a, b = (write_points(tmp_path, [(i, 9 - i) for i in range(6)], name) / "pareto" for name in "ab")
    write_member(a / "below", member_entry({"m": 1.0}, scoring=["m"]), "x")
    assert run(a, *sorted(b.glob("*.json"))[:5], "--prune", "3", "--apply", "--convert-metrics") == 0
    assert (len(list(a.glob("*.json"))), len(list(b.glob("*.json")))) == (3, 4)
    assert (a / "below" / "x.json").exists()
    assert "0 to rewrite, 5 to remove" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["."], 2, "nothing to do"),
        (["nowhere", "--prune", "2"], 2, "nowhere: there is no JSON file"),
        (["empty", "--prune", "2"], 2, "empty: there is no JSON file"),
        (["broken", "--prune", "1", "--apply"], 1, "b.json is no member of a Pareto front: it is not JSON"),
        (["broken", "--prune", "0"], 2, "--prune must be at least 1"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    code: int,
    message: str,
) -> None:
    """One clear line, and nothing is changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_member(tmp_path / "broken", member_entry({"m": 1.0}, scoring=["m"]), "a")
    (tmp_path / "broken" / "b.json").write_text("{")
    assert run(*args) == code
    assert message in capsys.readouterr().err
    assert len(list((tmp_path / "broken").iterdir())) == 2
