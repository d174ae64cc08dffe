"""The iterative backtester at its prompt, through a pipe: a config is edited between runs (spec: optimizer 10)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs import REPOSITORY, only_result, run_program

SAMPLE = REPOSITORY / "configs" / "examples" / "sample.json"
TOOL = REPOSITORY / "src" / "tools" / "iterative_backtester.py"
PROMPT = "iterbt> "


class Prompt:
    """The program in another process: `type` a line, get what it prints until the next prompt."""

    def __init__(self, cwd: Path, *args: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(TOOL), *args],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until_prompt(self) -> str:
        assert self._process.stdout is not None
        text = ""
        while not text.endswith(PROMPT):
            letter = self._process.stdout.read(1)
            assert letter, f"the program ended: {text}"
            text += letter
        return text.removesuffix(PROMPT)

    def type(self, line: str) -> str:
        self.send(line)
        return self.until_prompt()

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Close the pipe and wait."""
        self._process.communicate(timeout=120)
        return self._process.returncode


class Place:
    """A folder with an edited copy of the sample config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config: dict[str, Any] = json.loads(SAMPLE.read_text())
        self._config["live"]["approved_coins"] = ["BTC"]
        self._config["optimize"] = {"scoring": ["adg", "drawdown_worst"], "limits": []}
        self.edit("backtest", start_date="2025-01-10", end_date="2025-01-13")

    def edit(self, *path: str, **values: Any) -> None:
        node = self._config
        for key in path:
            node = node[key]
        node |= values
        (self.folder / "c.json").write_text(json.dumps(self._config))

    def history(self) -> list[dict[str, Any]]:
        (file,) = (self.folder / "backtests" / "iterative").glob("*/history.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    (tmp_path / "caches").symlink_to(cache)
    return Place(tmp_path)


def test_a_session(place: Place) -> None:
    """Runs, edits, old results shown again, limits edited, other dates, reload; every run a folder and a line."""
    prompt = Prompt(place.folder, "c.json", "--auto-run")
    first = prompt.until_prompt()
    assert "synthetic" in first
    assert "Run 1 " in first
    assert "this one" in first
    place.edit("bot", "long", entry_initial_qty_pct=0.05, n_positions=1)
    second = prompt.type("")
    assert "Run 2 " in second
    assert "bot.long.entry_initial_qty_pct: 0.0227 -> 0.05" in second
    place.edit("bot", "long", entry_initial_qty_pct=0.0227, n_positions=3)
    assert "the parameters are those of run 1" in prompt.type("r")
    place.edit("optimize", limits=[{"metric": "drawdown_worst_usd", "penalize_if": ">", "value": 0.0}])
    assert "VIOL" in prompt.type("b")
    assert [line.split()[0] for line in prompt.type("h").splitlines() if line.strip()[:1].isdigit()] == ["1", "2"]
    assert [line["run_index"] for line in place.history()] == [1, 2]
    place.edit("backtest", end_date="2025-01-12")
    after = prompt.type("run")
    assert "the runs so far (2) are forgotten" in after
    assert "Run 3 " in after
    assert "the runs so far (1) are forgotten" in prompt.type("reload")
    assert "no runs yet" in prompt.type("best")
    prompt.send("q")
    assert prompt.end() == 0
    lines = place.history()
    assert [line["run_index"] for line in lines] == [1, 2, 3]
    assert lines[0]["backtest_signature"] == lines[1]["backtest_signature"] != lines[2]["backtest_signature"]
    assert lines[0]["bot_hash"] == lines[2]["bot_hash"] != lines[1]["bot_hash"]
    assert "synthetic" in lines[0]["data_note"]
    for line in lines:
        folder = place.folder / line["results_path"]
        assert sorted(path.name for path in folder.iterdir()) == ["analysis.json", "config_used.json"]


def test_same_numbers_as_the_backtester(place: Place) -> None:
    """Also for longer EMA spans, which need a longer warm-up, after a run with short ones; the saved config runs."""
    prompt = Prompt(place.folder, "c.json")
    prompt.until_prompt()
    prompt.type("")
    place.edit("bot", "long", ema_span_0=3000.0, ema_span_1=2000.0)
    prompt.type("")
    prompt.send("quit")
    assert prompt.end() == 0
    result = place.folder / place.history()[1]["results_path"]
    run_program("backtest.py", result / "config_used.json", "-dp", "--backtest.base_dir", "plain", cwd=place.folder)
    plain = json.loads((only_result(place.folder / "plain") / "analysis.json").read_text())
    assert json.loads((result / "analysis.json").read_text())["analysis_per_exchange"] == {"sample": plain}


def test_mistakes_do_not_end_the_session(place: Place) -> None:
    """A broken edit is one line, the next run works; the exit status is that of the last run."""
    prompt = Prompt(place.folder, "c.json")
    prompt.until_prompt()
    place.edit("optimize", scoring=["agd"])
    assert "did you mean adg" in prompt.type("")
    (place.folder / "c.json").write_text("{")
    broken = prompt.type("")
    assert "error: " in broken
    assert "Traceback" not in broken
    place.edit("optimize", scoring=["adg"])
    assert "Run 1 " in prompt.type("")
    place.edit("bot", "long", close_grid_qty_pct=2)
    assert "warning: bot.long.close_grid_qty_pct is 2" in prompt.type("")
    place.edit("live", approved_coins=["NOPE"])
    assert "NOPE" in prompt.type("")
    assert prompt.end() == 1


@pytest.mark.parametrize(("args", "status"), [(["absent.json"], 2), ([], 2), (["c.json", "--no-such"], 2)])
def test_wrong_usage(place: Place, args: list[str], status: int) -> None:
    result = run_program("tools/iterative_backtester.py", *args, cwd=place.folder, expect=status)
    assert "Traceback" not in result.stderr


def test_plot_of_the_history(place: Place) -> None:
    """The default metrics, drawn beside the history; unknown metrics and files are one clear line."""
    prompt = Prompt(place.folder, "c.json", "--auto-run")
    prompt.until_prompt()
    assert prompt.end() == 0
    (session,) = (place.folder / "backtests" / "iterative").iterdir()
    result = run_program("tools/iterative_history_plot.py", session, cwd=place.folder)
    assert "1 runs drawn" in result.stdout
    assert (session / "history_plot.png").read_bytes()[:4] == b"\x89PNG"
    args = (session / "history.jsonl", "--y-metric", "agd")
    wrong = run_program("tools/iterative_history_plot.py", *args, cwd=place.folder, expect=2)
    assert "--y-metric is 'agd'" in wrong.stderr
    gone = run_program("tools/iterative_history_plot.py", "nowhere", cwd=place.folder, expect=1)
    assert "nowhere" in gone.stderr
