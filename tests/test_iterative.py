"""Comparing, showing and storing runs of the iterative backtester (`optimizer_pareto_tools.md` 10)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.clock import ManualClock
from core.errors import ConfigError, DataError, RunError
from core.paths import TEMPLATE_CONFIG
from optimization.scoring import Scoring
from reporting.iterative_bar import bar_text
from reporting.iterative_run import IterativeRun, LimitCheck, best_run, dominating, pareto_front
from reporting.iterative_tables import MOST_CHANGES, SNAPSHOT_ROWS, Context, arrow, print_history, print_run
from runs.iterative import Finished, Session, changed, judge
from runs.iterative_data import backtest_signature, bot_hash, read_config
from runs.iterative_files import (
    append_history,
    metric_of,
    new_session_folder,
    read_history,
    run_folder,
    write_run,
)

TEMPLATE = json.loads(TEMPLATE_CONFIG.read_text())
AUGUST_MS = 1754049600000  # 2025-08-01T12:00:00
CONFIG = {
    "optimize": {
        "scoring": ["adg_usd", "drawdown_worst_usd"],
        "limits": [
            {"metric": "loss_profit_ratio", "penalize_if": ">", "value": 0.5},
            {"metric": "adg_usd", "penalize_if": "<", "value": 0.0, "stat": "mean"},
            {"metric": "gain_usd", "penalize_if": "outside", "range": [1, 2]},
            {"metric": "gain_usd", "penalize_if": "inside", "range": [3, 4]},
        ],
    }
}


def run(number: int, adg: float, drawdown: float, **other: Any) -> IterativeRun:
    signed = (-adg, drawdown)
    fields: dict[str, Any] = {
        "number": number, "time_ms": AUGUST_MS, "duration_s": 1.5, "directory": Path(f"run_{number}"),
        "objectives": ("adg_usd", "drawdown_worst_usd"), "scores": signed, "signed": signed, "violation": 0.0,
        "metrics": {"adg_usd": adg, "drawdown_worst_usd": drawdown}, "limits": (),
    }  # fmt: skip
    return IterativeRun(**(fields | other))


def test_order_of_runs() -> None:
    """Best has the lexicographically smallest scores, the earlier of equals; the front looks at plain objectives."""
    runs = [run(1, 0.1, 0.2), run(2, 0.2, 0.3), run(3, 0.2, 0.4), run(4, 0.2, 0.3), run(5, 0.3, 0.9, scores=(9.0, 9.0))]
    assert best_run(runs).number == 2
    assert [other.number for other in dominating(runs[2], runs)] == [2, 4]
    assert [member.number for member in pareto_front(runs)] == [2, 4, 1, 5]
    assert best_run([run(1, 0.1, 0.2, scores=(math.inf, 0.2)), run(2, 0.0, 0.9)]).number == 2


@pytest.mark.parametrize(
    ("elapsed", "expected", "text"),
    [
        (0.0, None, "[------------------------] 0.0 s"),
        (1.0, 4.0, "[######------------------] 1.0 s, about 3.0 s left"),
        (9.0, 4.0, "[########################] 9.0 s, about 0.0 s left"),
    ],
)
def test_bar(elapsed: float, expected: float | None, text: str) -> None:
    assert bar_text(elapsed, expected) == text


def judged(**metrics: float | None) -> IterativeRun:
    scoring = Scoring.of(CONFIG, suite=False)
    return judge(Finished(1, AUGUST_MS, 0.5, Path("x"), {"sample": metrics}, {}, ""), scoring)


def test_judged_run() -> None:
    """Limits as what has to hold, with the room that is left; penalties in the scores and not in the objectives."""
    result = judged(adg_usd=0.1, drawdown_worst_usd=0.2, loss_profit_ratio=0.75, gain_usd=1.5)
    assert result.signed == (-0.1, 0.2)
    assert result.scores == (250000.0, 250000.0)
    assert result.violation == 250000.0
    assert result.limits == (
        LimitCheck("loss_profit_ratio.max <= 0.5", 0.75, -0.25),
        LimitCheck("adg_usd.mean >= 0", 0.1, 0.1),
        LimitCheck("1 <= gain_usd.mean <= 2", 1.5, 0.5),
        LimitCheck("gain_usd.mean <= 3 or gain_usd.mean >= 4", 1.5, 1.5),
    )
    assert [check.violated for check in result.limits] == [True, False, False, False]


def test_missing_metric() -> None:
    """An unavailable objective scores infinity, the others the penalty; its limit is violated."""
    result = judged(adg_usd=None, drawdown_worst_usd=0.2, loss_profit_ratio=0.1, gain_usd=1.5)
    assert result.scores == (math.inf, 1e6)
    assert result.signed == (math.inf, 0.2)
    assert [check.violated for check in result.limits] == [False, True, False, False]


def shown(print_it: Any) -> str:
    console = Console(width=120, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    print_it(console)
    return console.export_text()


def test_summary_of_a_run() -> None:
    """Numbers, changes (at most 12), front (6 rows), deltas with arrows, violations before what holds."""
    runs = [run(i, 0.1 + i / 100, 0.2 + i / 100) for i in range(1, 10)]
    limits = (LimitCheck("gain_usd.mean >= 1", 2.0, 1.0), LimitCheck("loss_profit_ratio.max <= 0.5", 0.75, -0.25))
    last = run(10, 0.05, 0.5, limits=limits, data_note="synthetic data")
    changes = {f"bot.long.p{i}": (i, i + 1) for i in range(MOST_CHANGES + 3)}
    text = shown(lambda console: print_run(console, last, Context([*runs, last], runs[-1], changes, 1.25)))
    for part in (
        "synthetic data",
        "Run 10  2025-08-01 12:00:00 UTC",
        "run 9: -0.19, 0.29",
        "run_10",
        "1.50 (mean 1.25)",
    ):
        assert part in text
    assert "bot.long.p11: 11 -> 12" in text
    assert "bot.long.p12" not in text
    assert "and 3 more" in text
    assert "dominated by run 1, 2, 3, 4, 5, 6, 7, 8, 9" in text
    front = text[text.index("Front") : text.index("Metrics")].splitlines()
    assert [line.split()[0] for line in front if line.strip()[:1].isdigit()] == ["9", "8", "7", "6", "5", "4"]
    assert SNAPSHOT_ROWS == 6
    assert any(line.split() == ["adg_usd", "0.05", "-0.14", "-0.14", "▼", "worse"] for line in text.splitlines())
    assert text.index("VIOL") < text.index("OK")


def test_history_table() -> None:
    text = shown(lambda console: print_history(console, [run(1, 0.1, 0.2), run(2, 0.2, 0.1)]))
    assert "best, front" in next(line for line in text.splitlines() if line.startswith(" 2"))
    assert "front" not in next(line for line in text.splitlines() if line.startswith(" 1"))


@pytest.mark.parametrize(
    ("metric", "change", "words"),
    [
        ("adg_usd", 1.0, "▲ better"), ("adg_usd", -1.0, "▼ worse"), ("drawdown_worst_usd", -1.0, "▼ better"),
        ("adg_usd", 0.0, ""), ("adg_usd", None, ""),
    ],
)  # fmt: skip
def test_arrow(metric: str, change: float | None, words: str) -> None:
    """By the metric's direction; nothing where nothing changed."""
    assert words in arrow(metric, change)
    assert bool(words) == bool(arrow(metric, change))


def test_changed_parameters() -> None:
    assert changed({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == {"b": (2, 4), "c": (3, None), "d": (None, 5)}


def test_folders(tmp_path: Path) -> None:
    """Named after the moment; a second session of one second gets a number."""
    clock = ManualClock(AUGUST_MS + 5)
    first, second = (new_session_folder(tmp_path, clock) for _ in range(2))
    assert first == tmp_path / "iterative" / "iterative_20250801_120000"
    assert second.name == "iterative_20250801_120000_2"
    assert run_folder(first, 7, AUGUST_MS).name == "run_007_2025-08-01_120000"
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"backtest\.base_dir"):
        new_session_folder(tmp_path / "file", clock)


def stored(folder: Path, result: IterativeRun) -> IterativeRun:
    """Write a run and its line of history."""
    analyses: dict[str, dict[str, Any]] = {
        "a": {"adg_usd": 1.0, "adg_w_btc": None},
        "b": {"adg_usd": 3.0, "adg_w_btc": 0.5},
    }
    write_run(result, analyses, {"backtest": {"coins": {"a": ["BTC"]}}, "bot": {"x": 1}}, Path("c.json"))
    append_history(result, result, ("s", "h"), {"bot.x": (1, 2)})
    return result


def test_files_of_a_run(tmp_path: Path) -> None:
    """All fields of the specification; null for what is missing; several datasets combined."""
    result = stored(tmp_path, run(1, 1.0, 0.2, directory=tmp_path / "run_001", scores=(math.inf, 1e6), violation=1e6))
    analysis = json.loads((result.directory / "analysis.json").read_text())
    assert list(analysis) == [
        "timestamp_ms", "score_vector", "modifier", "analysis_per_exchange", "analysis_combined", "config_path",
    ]  # fmt: skip
    assert (analysis["score_vector"], analysis["modifier"]) == ([None, 1e6], 1e6)
    assert analysis["analysis_combined"]["adg_usd_max"] == 3.0
    assert json.loads((result.directory / "config_used.json").read_text()) == {"backtest": {}, "bot": {"x": 1}}
    (line,) = read_history(tmp_path)
    assert set(line) == {
        "timestamp_ms", "run_index", "score_vector", "objective_vector", "modifier", "results_path",
        "backtest_signature", "bot_hash", "duration_s", "best_run_index", "is_best", "limits", "scoring",
        "param_deltas", "session",
    }  # fmt: skip
    assert line["param_deltas"] == {"bot.x": [1, 2]}
    assert [metric_of(line, name) for name in ("adg", "adg_btc_w", "gain_usd")] == [2.0, 0.5, None]


def test_history_that_moved_or_broke(tmp_path: Path) -> None:
    """Results are found beside a history that was moved; half a last line is left out, other damage is named."""
    stored(tmp_path, run(1, 1.0, 0.2, directory=tmp_path / "here" / "run_001"))
    moved = (tmp_path / "here").rename(tmp_path / "there")
    (line,) = read_history(moved / "history.jsonl")
    assert metric_of(line, "adg_usd") == 2.0
    (moved / "run_001" / "analysis.json").write_text("{")
    with pytest.raises(DataError, match=r"run_001.analysis\.json"):
        metric_of(line, "adg_usd")
    with (moved / "history.jsonl").open("a") as file:
        file.write('{"run_index": 2')
    assert len(read_history(moved)) == 1
    for damage, message in (("}\n", "line 2 is no JSON"), ("{}\n", "line 2 is no run")):
        (moved / "history.jsonl").write_text(json.dumps(line) + "\n" + damage)
        with pytest.raises(DataError, match=message):
            read_history(moved)
    with pytest.raises(DataError, match="name a history"):
        read_history(tmp_path / "nowhere")


def test_hashes() -> None:
    """`coins` and `cache_dir` do not make other data, `live` does; coin overrides are parameters."""
    config: dict[str, Any] = {"backtest": {"a": 1}, "live": {"b": 1}, "bot": {"c": 1}, "coin_overrides": {}}
    same = {**config, "backtest": {"a": 1, "coins": {"x": ["BTC"]}, "cache_dir": "c"}, "optimize": {}}
    assert backtest_signature(same) == backtest_signature(config)
    assert bot_hash(same) == bot_hash(config)
    assert backtest_signature({**config, "live": {"b": 2}}) != backtest_signature(config)
    assert bot_hash({**config, "coin_overrides": {"BTC": {}}}) != bot_hash(config)


def test_suite_is_refused(tmp_path: Path) -> None:
    backtest = {**TEMPLATE["backtest"], "suite": {"enabled": True}}
    (tmp_path / "c.json").write_text(json.dumps({**TEMPLATE, "backtest": backtest}))
    with pytest.raises(ConfigError, match=r"suite\.enabled is true.*backtest\.py --suite"):
        read_config(tmp_path / "c.json", ManualClock(AUGUST_MS))


def test_prompt_survives_mistakes(tmp_path: Path) -> None:
    """Unknown words get the list of commands; a broken file an error line, and the last failure gives the status."""
    (tmp_path / "c.json").write_text("{")
    text: list[str] = []

    def serve(console: Console) -> None:
        session = Session(tmp_path / "c.json", console, ManualClock(), {})
        session.serve(["what", "?", "run", "h", "quit", "never reached"])
        text.append(str(session.status))

    output = shown(serve)
    assert "unknown command 'what'" in output
    assert output.count("error: ") == 2
    assert "never" not in output
    assert text == ["2"]
