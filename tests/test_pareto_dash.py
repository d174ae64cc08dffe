"""The dashboard without a browser: runs, view, export, callbacks, who is let in (optimizer_pareto_tools.md 8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pareto_dash
import pytest
from dash.exceptions import PreventUpdate

from config.normalize import format_config
from core.errors import DataError, UsageError
from core.program import run_program
from dashboards.local import hostname, welcome
from dashboards.pareto.app import make_app
from dashboards.pareto.callbacks.compare import Compare
from dashboards.pareto.callbacks.controls import Controls
from dashboards.pareto.callbacks.export import Export
from dashboards.pareto.callbacks.ideal import Ideal
from dashboards.pareto.callbacks.overview import Overview
from dashboards.pareto.callbacks.robustness import Robustness
from dashboards.pareto.export import bot_config, complete_config, save_config, short_name, target_path
from dashboards.pareto.runs import Runs, backtests_below, read_backtest
from dashboards.pareto.tables import differing, label, shown
from dashboards.pareto.view import Choice, Page, closest, columns, make_view, parameter_bounds, range_lines, with_score
from front_examples import SCORING, made_up_values, member_entry, write_member, write_points, write_run
from optimization.front_table import ID


def choice(**changed: Any) -> Choice:
    plain: dict[str, Any] = {
        "filter_text": "", "ranges": {}, "weights": {}, "frontier_metrics": SCORING, "only_frontier": False,
    }  # fmt: skip
    return Choice(**plain | changed)


def page_of(root: Path) -> Page:
    return Page(Runs(root / "runs"), root / "configs", root / "backtests")


def test_runs_are_read_again_when_files_change(tmp_path: Path) -> None:
    """One parse while nothing changes; a new member, a removed one, a new run are seen."""
    folder = write_run(tmp_path, count=3, name="b") / "pareto"
    runs = Runs(tmp_path)
    first = runs.get("b")
    assert runs.get("b") is first
    values, bot = made_up_values(np.random.default_rng(99))
    added = write_member(folder, member_entry(values, bot=bot))
    assert len(runs.get("b").members) == 4
    added.unlink()
    assert len(runs.get("b").members) == 3
    write_run(tmp_path, count=1, name="c")
    assert runs.names() == ["b", "c"]
    path = next(iter(runs.get("b").members.values())).path
    path.write_text("{")
    with pytest.raises(DataError, match=path.name):
        runs.get("b")
    for name in ("../b", "", "nothing"):
        with pytest.raises(UsageError, match="no run below"):
            runs.get(name)


def test_holdout_file(tmp_path: Path) -> None:
    """The rank correlation of the run, None without validation."""
    write_run(tmp_path, count=2, name="a", holdout=True)
    write_run(tmp_path, count=2, name="b")
    runs = Runs(tmp_path)
    assert (runs.get("a").rank_correlation, runs.get("b").rank_correlation) == (0.42, None)


def test_view(tmp_path: Path) -> None:
    """Filter text and moved sliders choose rows; the frontier is that of what passes; only it, if wanted."""
    run = Runs(tmp_path).get(write_run(tmp_path, count=20).name)
    frame = run.table.frame
    everything = make_view(run, choice())
    assert everything.passing == frame[ID].tolist()
    median = frame["adg_pnl"].median()
    half = make_view(run, choice(filter_text=f"adg_pnl >= {median}\nnonsense"))
    assert half.passing == frame[ID][frame["adg_pnl"] >= median].tolist()
    assert 0 < len(half.frontier) <= len(half.passing)
    best = make_view(run, choice(frontier_metrics=["adg_pnl"], only_frontier=True))
    assert best.passing == best.frontier == [frame[ID][frame["adg_pnl"].idxmax()]]
    upper = make_view(run, choice(ranges={"adg_pnl": [100, 200], "drawdown_worst_usd": [0, 200], "gone": [3, 4]}))
    middle = (frame["adg_pnl"].min() + frame["adg_pnl"].max()) / 2
    assert upper.passing == frame[ID][frame["adg_pnl"] >= float(f"{middle:.6g}")].tolist()


def test_range_lines() -> None:
    """Only moved ends become lines, with six digits."""
    import pandas as pd

    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 4.0]})
    assert range_lines(frame, {"a": [0, 200], "b": None}) == []
    assert range_lines(frame, {"a": [1, 200], "b": [20, 133]}) == ["a >= 0.005", "b >= 1.3", "b <= 2.995"]
    assert range_lines(pd.DataFrame({"a": [0.0, 2 / 3]}), {"a": [0, 100]}) == ["a <= 0.333333"]


def test_score_and_columns(tmp_path: Path) -> None:
    """A weight on what is minimised prefers low values; axes offer metrics first, statistics last."""
    run = Runs(tmp_path).get(write_run(tmp_path, count=6, suite=True, holdout=True).name)
    scored = with_score(run, {"drawdown_worst_usd": 1.0})
    assert scored["score"].idxmax() == scored["drawdown_worst_usd"].idxmin()
    names = columns(run)
    assert names[:3] == SCORING
    assert len(names) == len(set(names))
    assert {"score", "violation", "objective_w_0", "base__adg_pnl", "rank_out", "adg_pnl_std"} <= set(names)
    assert names.index("base__adg_pnl") < names.index("adg_pnl_std")
    assert ID not in names


def test_closest_is_that_of_the_command_line(tmp_path: Path) -> None:
    """The config selected at first is the member closest to the best of everything."""
    run = Runs(tmp_path).get(write_points(tmp_path, [(0, 10), (1, 6), (2, 5), (5, 2), (9, 1), (10, 0)]).name)
    assert closest(run) == f"{2:064x}.json"


def test_parameter_bounds(tmp_path: Path) -> None:
    """The search range by column; none when the config has no bounds."""
    path = write_member(tmp_path / "r" / "pareto", member_entry({"a": 1.0}, scoring=["a"]))
    member = Runs(tmp_path).get("r").members[path.name]
    found = parameter_bounds(member)
    assert len(found) == 74
    assert found["bot.long.n_positions"][0] >= 1
    del member.entry["optimize"]["bounds"]
    assert parameter_bounds(member) == {}


def test_exported_configs(tmp_path: Path) -> None:
    """The complete config has no results and formats unchanged; the short one has parameters only."""
    run = Runs(tmp_path).get(write_run(tmp_path, count=1, suite=True, holdout=True).name)
    member = next(iter(run.members.values()))
    config = complete_config(member)
    assert set(config) == {"backtest", "bot", "coin_overrides", "live", "logging", "optimize"}
    assert "coins" not in config["backtest"]
    assert format_config(config)["bot"] == config["bot"] == member.entry["bot"]
    assert bot_config(member) == {"bot": member.entry["bot"]}
    assert short_name(member) == f"config_{member.id[:16]}.json"
    path = save_config(member, tmp_path / "configs", "found/best")
    assert path == tmp_path / "configs" / "found" / "best.json"
    assert json.loads(path.read_text()) == config


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../out.json", "leads out of"), ("/etc/passwd", "leads out of"), ("a/../../out", "leads out of"),
        ("link/x.json", "leads out of"), ("", "no file name"), ("..", "no file name"), ("taken.json", "exists in"),
        ("taken", "exists in"),
    ],
)  # fmt: skip
def test_saving_stays_below_its_folder(tmp_path: Path, name: str, message: str) -> None:
    """No way out of the folder, by `..`, absolute paths or links; nothing is overwritten."""
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "taken.json").write_text("{}")
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=message):
        target_path(folder, name)


def test_backtests(tmp_path: Path) -> None:
    """Any depth; metrics are the finite numbers, the config is optional; names lead nowhere else."""
    folder = tmp_path / "pbgui" / "x"
    folder.mkdir(parents=True)
    (folder / "analysis.json").write_text('{"adg_usd": 0.5, "note": "x", "gain_usd": NaN}')
    assert backtests_below(tmp_path) == ["pbgui/x"]
    assert read_backtest(tmp_path, "pbgui/x").metrics == {"adg_usd": 0.5}
    (folder / "config.json").write_text('{"bot": {"long": {"n_positions": 3}}}')
    assert read_backtest(tmp_path, "pbgui/x").bot == {"long": {"n_positions": 3}}
    with pytest.raises(UsageError, match="no backtest"):
        read_backtest(tmp_path, "../x")
    assert backtests_below(tmp_path / "nowhere") == []


def test_differing_parameters(tmp_path: Path) -> None:
    """Only what is not the same in all; a backtest counts as one more."""
    run = Runs(tmp_path).get(write_run(tmp_path, count=2).name)
    members = list(run.members.values())
    rows = differing(members, None)
    assert "long ema_span_0" in [row[0] for row in rows]
    assert all(row[1] != row[2] for row in rows)
    assert differing(members[:1], None) == differing([], None) == []


def test_numbers_and_names() -> None:
    """Five digits, a dash for nothing; a member is called by the start of its id."""
    assert [shown(v) for v in (0.123456789, 1234567.0, None, float("nan"), "a", 3)] == [
        "0.12346", "1,234,567", "–", "–", "a", "3",
    ]  # fmt: skip
    assert label("000.1235_0123456789abcdef.json") == "0123456789ab"


@pytest.mark.parametrize(
    ("asked", "host", "welcome_there"),
    [
        ("127.0.0.1:8050", "127.0.0.1", True), ("localhost", "127.0.0.1", True), ("[::1]:8050", "127.0.0.1", True),
        ("LOCALHOST:1", "127.0.0.1", True), ("evil.example:8050", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("192.168.1.5:8050", "127.0.0.1", False), ("192.168.1.5:8050", "192.168.1.5", True),
        ("box:8050", "box", True), ("192.168.1.5:80", "0.0.0.0", True), ("evil.example", "0.0.0.0", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_who_is_let_in(asked: str, host: str, welcome_there: bool) -> None:
    """The address served on and this computer's own names; on all addresses no foreign names."""
    assert welcome(hostname(asked), host) is welcome_there


def test_requests(tmp_path: Path) -> None:
    """Pages of others are refused; the page and everything it loads come from here."""
    write_run(tmp_path / "runs", count=2)
    client = make_app(page_of(tmp_path)).server.test_client()
    page = client.get("/", headers={"Host": "127.0.0.1:8050"})
    assert page.status_code == 200
    assert b"https://" not in page.data
    assert b"http://" not in page.data
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    local = {"Host": "127.0.0.1:8050"}
    update = "/_dash-update-component"
    assert client.post(update, json={}, headers=local | {"Origin": "http://evil.example"}).status_code == 403
    assert client.post(update, json={}, headers=local | {"Origin": "http://127.0.0.1:8050"}).status_code != 403


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    root = tmp_path_factory.mktemp("page")
    write_run(root / "runs", count=10, suite=True, holdout=True, name="full")
    write_run(root / "runs", count=10, name="plain")
    folder = root / "backtests" / "sample" / "x"
    folder.mkdir(parents=True)
    (folder / "analysis.json").write_text('{"adg_pnl": 0.001}')
    return page_of(root)


def stored(page: Page, name: str, **changed: Any) -> Any:
    return make_view(page.runs.get(name), choice(**changed)).stored()


def test_filling_the_sidebar(page: Page) -> None:
    """Axes are the first three objectives, the newest run comes first, the filter is that of the limits."""
    controls = Controls(page)
    assert controls.list_runs(None, None) == (["full", "plain"], "plain")
    assert controls.list_runs(1, "full")[1] == "full"
    full, plain = controls.fill("full"), controls.fill("plain")
    assert [full["values"][name] for name in ("x", "y", "colour")] == SCORING
    assert full["values"]["scenarios"] == ["base", "majors", "calm"]
    assert (plain["values"]["scenario-metric"], plain["options"]["window"]) == (None, [])
    assert full["filter"].startswith("drawdown_worst_usd<=0.9")
    assert full["selected"] in page.runs.get("full").members
    assert "synthetic" in full["note"][1].children
    assert full["weight_rows"] == [False, False, False, True, True]


def test_counting_what_passes(page: Page) -> None:
    """`n / total pass (p%)`, with a word on lines that were not understood and on moved sliders."""
    controls = Controls(page)
    view, text, notes = controls.view("full", "adg_pnl > 9", [[0, 200]] * 3, [1, None, 2], [], SCORING)
    assert (view["passing"], text, notes) == ([], "0 / 10 pass (0%)", [])
    view, text, notes = controls.view("full", "what", [[0, 100], [0, 200], [0, 200]], [1] * 5, ["highlight"], None)
    assert [note.children for note in notes][1] == "1 line not understood"
    assert notes[0].children.startswith("adg_pnl <= ")
    assert view["frontier"] == []


def test_only_the_tab_in_front_is_drawn(page: Page) -> None:
    """Others are left as they are."""
    for draw in (Overview(page).texts, Robustness(page).ranking):
        with pytest.raises(PreventUpdate):
            draw("export", stored(page, "full"), None, None)
    with pytest.raises(PreventUpdate):
        Overview(page).texts("overview", None, None, None)


def test_overview_of_a_config_that_does_not_pass(page: Page) -> None:
    """The selection stays, with a word on it."""
    selected = closest(page.runs.get("full"))
    view = stored(page, "full", filter_text="adg_pnl > 9")
    _, selection = Overview(page).texts("overview", view, selected, None)
    assert "does not pass the filter" in selection[0].children[-1]


def test_ideal_with_weights(page: Page) -> None:
    """The closest member by mode and weights; other numbers of weights (of the run before) count as none."""
    ideal = Ideal(page)
    run = page.runs.get("full")
    assert ideal.aim("ideal", stored(page, "full"), None, None, "weighted", [0, 0, 0])[3] == closest(run)
    assert ideal.aim("ideal", stored(page, "full"), None, None, "weighted", [])[3] == closest(run)
    aimed = ideal.aim("ideal", stored(page, "full"), None, None, "weighted", [1, 0, 1])[3]
    assert aimed == run.table.frame[ID][run.table.frame["drawdown_worst_usd"].idxmin()]
    assert ideal.aim("ideal", stored(page, "full", filter_text="adg_pnl>9"), None, None, "min", [])[3] == ""
    assert ideal.choose(1, "x") == "x"
    with pytest.raises(PreventUpdate):
        ideal.choose(1, "")


def test_runs_without_scenarios_or_holdout(page: Page) -> None:
    """Words, and the command that validates."""
    robustness = Robustness(page)
    boxes, _, text = robustness.scenarios("robustness", stored(page, "plain"), None, None, None, [])
    assert not boxes.data
    assert "without a suite" in text.children
    note, table = robustness.ranking("holdout", stored(page, "plain"), None, None)
    assert "pareto_validate" in note.children[1].children
    assert table is None


def test_comparing(page: Page) -> None:
    """Up to five configs, the sixth pushes out the first; a backtest joins as a column."""
    compare = Compare(page)
    ids = list(page.runs.get("full").members)
    assert compare.add(1, ids[:5], ids[5]) == ids[1:6]
    assert compare.add(1, None, ids[0]) == [ids[0]]
    assert compare.backtests("compare") == ["sample/x"]
    figure, metrics, _ = compare.compare("compare", stored(page, "full"), None, None, ids[:2], "sample/x")
    assert not figure.data  # the backtest has one of the three objectives
    assert metrics.children.children[0].children.children[-1].children == "backtest sample/x"
    figure, metrics, parameters = compare.compare("compare", stored(page, "full"), None, None, ids[:2], None)
    assert [trace.name for trace in figure.data] == [label(name) for name in ids[:2]]
    heads = metrics.children.children[0].children.children
    assert [head.children for head in heads] == ["metric", *(label(name) for name in ids[:2])]
    assert parameters.className == "scroll"


def test_export_callbacks(page: Page) -> None:
    """Preview, download and save are of the selected config; a bad name is answered, not raised."""
    export = Export(page)
    name = closest(page.runs.get("full"))
    preview, copied, _ = export.preview("export", stored(page, "full"), name, None, "bot")
    assert preview == copied
    assert list(json.loads(preview)) == ["bot"]
    file = export.download(1, "full", name, "complete")
    assert set(json.loads(file["content"])) > {"bot", "live"}
    assert export.save(1, "full", name, "../x").className == "error"
    answer = export.save(1, "full", name, "x.json")
    assert answer[1].children.endswith("configs/x.json")
    assert (page.configs / "x.json").is_file()
    with pytest.raises(PreventUpdate):
        export.save(1, "full", "gone.json", "y.json")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--data-root", "nowhere"], 2, "there is no run"),
        (["--port", "70000"], 2, "--port is 70000"),
        (["--port", "1", "--host", "203.0.113.1", "--data-root", "runs"], 1, "cannot serve on 203.0.113.1:1"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    args: list[str],
    code: int,
    message: str,
) -> None:
    """One line and the right status."""
    write_run(tmp_path / "runs", count=1)
    monkeypatch.chdir(tmp_path)
    assert run_program(pareto_dash.main, args) == code
    assert message in capfd.readouterr().err
