"""`src/pareto_store.py`: selection, output, figures, mistakes (optimizer_pareto_tools.md 7, gui_compatibility.md)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from programs import run_program as run_script

import pareto_store
from core.errors import UsageError
from core.program import run_program
from front_examples import SCORING, member_entry, write_member, write_points, write_run
from optimization.expressions import Expression, keeps, limit_expression, member_value, parse_expression
from optimization.members import read_member, read_members
from reporting.front_text import relations
from reporting.plots.front import FrontPicture, correlations, interactive, static
from reporting.plots.style import Heading
from runs.front_selection import objective_columns, objective_name

POINTS = [(0, 10), (1, 6), (2, 5), (5, 2), (9, 1), (10, 0)]
VALUES = {"adg_usd": 0.5, "position_held_hours_max": 90.0, "loss_profit_ratio": 0.4}


def status(*args: str | Path) -> int:
    return run_program(pareto_store.main, [str(arg) for arg in args])


def closest(run: Path, capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, float]:
    assert status(run, "--json", *args) == 0
    said = capsys.readouterr()
    assert ("no member has unknown" in said.err) == ("unknown<0" in args)
    found: dict[str, float] = json.loads(said.out)["closest"]
    return found


def test_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points of 6.5: the third member is closest to (0, 0); the text says so, JSON holds full precision."""
    run = write_points(tmp_path, POINTS)
    assert status(run) == 0
    out = capsys.readouterr().out
    assert "6 members" in out
    assert "synthetic data" in out
    assert "w_0 = m0  0.00000" in out
    assert f"closest member: {run}/pareto/{2:064x}.json" in out
    assert "normalized distance 0.53852" in out
    assert (run / "pareto_front.png").stat().st_size > 10_000
    page = (run / "pareto_front.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert status(run / "pareto", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "n_members": 6,
        "ideal": {"w_0": 0.0, "w_1": 0.0},
        "closest": {"hash": f"{2:064x}", "w_0": 2.0, "w_1": 5.0, "normalized_distance": pytest.approx(0.53851648)},
    }


def test_newest_run_by_default(tmp_path: Path) -> None:
    """As PBGui calls it, and without an argument: exits 0, a plot is there, nothing but JSON on stdout with --json."""
    run = write_run(tmp_path / "optimize_results", count=5, name="b")
    older = write_run(tmp_path / "optimize_results", count=3, name="a")
    os.utime(older / "pareto", ns=(1, 1))
    result = run_script("pareto_store.py", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["n_members"] == 5
    assert (run / "pareto_front.png").is_file()
    assert run_script("pareto_store.py", older / "pareto", cwd=tmp_path).stdout.startswith("3 members")
    assert (older / "pareto_front.html").is_file()
    help_text = run_script("pareto_store.py", "--help", cwd=tmp_path).stdout
    assert "pareto_store.py RUN --json" in help_text


def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights, modes by their short names, limits and objectives choose another member."""
    run = write_points(tmp_path, POINTS)
    assert closest(run, capsys, "-w", "0.1,0.2")["w_0"] == 2.0
    assert closest(run, capsys, "-w", "-1,0")["w_0"] == 1.0
    assert closest(run, capsys, "-m", "g")["w_0"] == 5.0
    assert closest(run, capsys, "-l", "w_1<3", "-l", "m0>=6")["w_0"] == 9.0
    assert closest(run, capsys, "-l", "unknown<0")["w_0"] == 2.0
    assert closest(run, capsys, "-o", "m1") == {
        "hash": f"{5:064x}", "w_1": 0.0, "normalized_distance": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("nowhere",), 2, "nowhere is no directory"),
        (("empty",), 1, "holds no members"),
        (("run", "-m", "best"), 2, "mode 'best' does not exist"),
        (("run", "-w", "1,2,3"), 2, "3 weights for 2 objectives"),
        (("run", "-o", "adg"), 2, "objective 'adg' does not exist: this front has m0, m1"),
        (("run", "-l", "w_0!3"), 2, "limit 'w_0!3' is not understood"),
        (("run", "-l", "w_0<0"), 1, "none of 6 members holds w_0<0"),
        (("broken",), 1, "no member of a Pareto front"),
    ],
)
def test_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, message: str
) -> None:
    """One line that names the value and the remedy."""
    write_points(tmp_path, POINTS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.json").write_text("{}")
    assert status(tmp_path / args[0], *args[1:]) == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_no_run_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without runs the default cannot be found."""
    monkeypatch.chdir(tmp_path)
    assert status() == 2
    assert "there is no run below optimize_results" in capsys.readouterr().err


def test_values_of_names(tmp_path: Path) -> None:
    """`a.max` is a statistic, `position_held_hours_max` a metric; suites count by their aggregated value."""
    entry = member_entry(VALUES, scoring=["adg_usd"], scenarios={"a": 1.0, "b": 0.5})
    member = read_member(write_member(tmp_path, entry))
    found = {
        name: member_value(member, name)
        for name in ("adg", "adg_usd.max", "adg.min", "position_held_hours_max", "w_0", "w_1", "x", "x.max")
    }
    assert found == {
        "adg": 0.5, "adg_usd.max": 0.5, "adg.min": 0.25, "position_held_hours_max": 90.0, "w_0": -0.5, "w_1": None,
        "x": None, "x.max": None,
    }  # fmt: skip
    assert keeps([limit_expression("adg>0.4"), limit_expression("unknown<0")], member)
    assert not keeps([limit_expression("adg>0.4"), limit_expression("adg.mean=0.4")], member)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a<=1", Expression("a", "<=", 1.0)),
        (" a.max >= -1e-3 ", Expression("a.max", ">=", -0.001)),
        ("a<1", Expression("a", "<", 1.0)),
        ("a>1", Expression("a", ">", 1.0)),
        ("a==1", Expression("a", "==", 1.0)),
        ("a = 1", Expression("a", "=", 1.0)),
        ("two words__adg < 2", Expression("two words__adg", "<", 2.0)),
        ("a<b", None),
        ("a<nan", None),
        ("<3", None),
        ("a", None),
        ("a<1 b", None),
        ("", None),
    ],
)
def test_forms_of_expressions(text: str, expected: Expression | None) -> None:
    """Six operators; everything else is none."""
    assert parse_expression(text) == expected


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        ("<=", True, True, False), (">=", False, True, True), ("<", True, False, False), (">", False, False, True),
        ("==", False, True, False), ("=", False, True, False),
    ],
)  # fmt: skip
def test_operators_at_their_bound(op: str, below: bool, at: bool, above: bool) -> None:
    """An exact hit counts for the operators with an equal sign only."""
    expression = limit_expression(f"a{op}1")
    assert [expression.holds(value) for value in (0.5, 1.0, 1.5)] == [below, at, above]


def picture(points: list[tuple[float, ...]]) -> FrontPicture:
    array = np.array(points, dtype=float)
    names = [f"w_{i}" for i in range(array.shape[1])]
    return FrontPicture(array, names, [f"id{i}" for i in range(len(points))], array.sum(axis=1), array.min(axis=0))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_figures(dimensions: int) -> None:
    """One figure a number of objectives; the nearest member is marked."""
    points = [tuple(float((i * (k + 3)) % 7) for k in range(dimensions)) for i in range(7)]
    page = interactive(picture(points), Heading("front"))
    kinds = [trace.type for trace in page.data]
    assert kinds[0] == {1: "scatter", 2: "scatter", 3: "scatter3d", 4: "parcoords"}[dimensions]
    assert ("closest to ideal" in [trace.name for trace in page.data]) == (dimensions < 4)
    assert ("heatmap" in kinds) == (dimensions == 4)
    assert len(static(picture(points), Heading("front")).axes) >= 2


def test_correlations() -> None:
    """Columns that rise together, against each other, or not at all."""
    r = correlations(np.array([(0, 0, 5, 2), (1, -2, 5, 7), (2, -4, 5, 1.0)]))
    assert r[0].tolist() == pytest.approx([1.0, -1.0, 0.0, -0.15554275420956382])
    assert np.diag(r).tolist() == [1.0] * 4


def test_relations_of_many_objectives() -> None:
    """The nearest members, strong pairs with what they mean, ranges from the largest."""
    lines = relations(picture([(0, 0, 9, 1), (1, -2, 0, 2), (2, -4, 9, 3), (3, -6, 0, 4)]), top=2, strong=0.65)
    assert lines[0] == "2 closest members"
    assert [line.split()[-1] for line in lines[1:3]] == ["id1", "id3"]
    assert "objective pairs with |r| > 0.65: 3" in lines
    assert any("-1.00  trade-off   w_0 / w_1" in line for line in lines)
    assert any("+1.00  correlated  w_0 / w_3" in line for line in lines)
    assert [line.split()[0] for line in lines[-4:]] == ["w_2", "w_1", "w_0", "w_3"]


def test_objective_names() -> None:
    """Comma lists of names, short forms and indices; twice the same is once; nothing means all."""
    assert objective_columns(["adg_usd", *SCORING], "adg, w_2,adg_usd") == [0, 2]
    assert objective_columns(SCORING, "") == [0, 1, 2]
    with pytest.raises(UsageError, match="w_7"):
        objective_columns(SCORING, "w_7")
    names = [objective_name(name, i) for i, name in enumerate(["adg_usd", "drawdown_worst_usd", "w_2"])]
    assert names == ["w_0 = -adg_usd", "w_1 = drawdown_worst_usd", "w_2"]


def test_exports(tmp_path: Path) -> None:
    """What users import from the front door."""
    run = write_points(tmp_path, POINTS)
    assert pareto_store.read_members(run / "pareto") == read_members(run / "pareto")
    with pytest.raises(AttributeError):
        _ = pareto_store.nothing
