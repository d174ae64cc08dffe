"""Files of an iterative session (`optimizer_pareto_tools.md` 10).

    {base_dir}/iterative/iterative_{YYYYMMDD_HHMMSS}/     UTC
        history.jsonl                                     one object a run
        run_{NNN}_{YYYY-MM-DD_HHMMSS}/analysis.json  config_used.json

What is missing or not finite is null.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.dump import dump_config, without_runtime_keys
from config.objectives import objective_metric
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import DataError, RunError
from core.files import write_json
from reporting.iterative_run import IterativeRun, json_number
from reporting.iterative_tables import Deltas
from runs.data import Config
from simulation.suite_summary import build_scenario_metrics, flatten_metric_stats

HISTORY = "history.jsonl"
ANALYSIS = "analysis.json"
CONFIG_USED = "config_used.json"


def new_session_folder(base_dir: Path, clock: Clock) -> Path:
    """A folder named after the time, with a number if that name is taken."""
    name = f"iterative_{_stamp(clock.now_ms()).replace('-', '')}"
    for number in itertools.count(1):
        folder = base_dir / "iterative" / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise RunError(
                f"cannot make {folder}: {exc.strerror or exc}; set backtest.base_dir to another place"
            ) from exc
        return folder
    raise AssertionError("numbers do not end")


def run_folder(session: Path, number: int, time_ms: int) -> Path:
    return session / f"run_{number:03d}_{_stamp(time_ms)}"


def _stamp(ms: int) -> str:
    """`YYYY-MM-DD_HHMMSS`."""
    return ts_to_date(ms // 1000 * 1000).replace("T", "_").replace(":", "")


def write_run(run: IterativeRun, analyses: Mapping[str, Mapping[str, Any]], config: Config, config_path: Path) -> None:
    """The folder of a run; `analyses` by dataset, combined as `{metric}_{statistic}`. The analysis comes last."""
    dump_config(without_runtime_keys(config), run.directory / CONFIG_USED)
    combined = flatten_metric_stats(build_scenario_metrics(analyses)["stats"])
    content = {
        "timestamp_ms": run.time_ms,
        "score_vector": [json_number(score) for score in run.scores],
        "modifier": run.violation,
        "analysis_per_exchange": {name: dict(analysis) for name, analysis in analyses.items()},
        "analysis_combined": combined,
        "config_path": str(config_path),
    }
    write_json(run.directory / ANALYSIS, content)


def append_history(run: IterativeRun, best: IterativeRun, hashes: tuple[str, str], changes: Deltas) -> None:
    """A line in the session's history; `hashes` are those of the backtest section and of the parameters."""
    limits = [{"requirement": c.requirement, "value": c.value, "distance": c.distance, "violated": c.violated}
              for c in run.limits]  # fmt: skip
    content = {
        "timestamp_ms": run.time_ms,
        "run_index": run.number,
        "score_vector": [json_number(score) for score in run.scores],
        "objective_vector": [json_number(value) for value in run.signed],
        "modifier": run.violation,
        "results_path": str(run.directory),
        "backtest_signature": hashes[0],
        "bot_hash": hashes[1],
        "duration_s": run.duration_s,
        "best_run_index": best.number,
        "is_best": best is run,
        "limits": limits,
        "scoring": {name: run.metrics.get(name) for name in run.objectives},
        "param_deltas": {name: list(pair) for name, pair in changes.items()},
    }
    if run.data_note:
        content["data_note"] = run.data_note
    path = run.directory.parent / HISTORY
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content, allow_nan=False) + "\n")
    except OSError as exc:
        raise RunError(f"cannot write {path}: {exc.strerror or exc}; make room, then run again") from exc


def read_history(path: Path) -> list[dict[str, Any]]:
    """The runs of a history file, or of the session's folder, in order. Raises DataError naming file and line.

    A last line without its end is what a killed session leaves, and is left out.
    """
    file = path / HISTORY if path.is_dir() else path
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"{file} cannot be read ({exc}); name a history.jsonl of the iterative backtester") from exc
    whole = [line for line in lines if line.endswith("\n")]
    runs = [_parsed(line, f"{file} line {number}") for number, line in enumerate(whole, start=1)]
    return [{**run, "session": str(file.parent)} for run in runs]


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        run = json.loads(line)
    except ValueError as exc:
        raise DataError(f"{where} is no JSON ({exc}); remove the line") from exc
    if not isinstance(run, dict) or not {"run_index", "results_path"} <= set(run):
        raise DataError(f"{where} is no run of the iterative backtester: it has no run_index or no results_path")
    return run


def metric_of(run: Mapping[str, Any], name: str) -> float | None:
    """The mean of a metric in a run of `read_history`, under any name that objectives may have; None if the run has
    no finite value. Raises DataError where the result is gone."""
    folder = Path(run["results_path"])
    here = folder if folder.is_dir() else Path(run["session"]) / folder.name
    try:
        combined = json.loads((here / ANALYSIS).read_text(encoding="utf-8"))["analysis_combined"]
    except (OSError, ValueError, KeyError) as exc:
        raise DataError(f"{here / ANALYSIS} cannot be read ({exc}); leave that session out") from exc
    value = combined.get(f"{objective_metric(name) or name}_mean")
    return None if value is None else float(value)
