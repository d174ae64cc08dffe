"""Members of a Pareto front, read from their files (`optimizer_pareto_tools.md` 6.3, 6.4, 6.6).

Older files are read too: names with the distance in front of the id, metrics as one flat map `analyses_combined`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.objectives import STATS, canonical_scoring
from core.errors import ConfigError, DataError, UsageError
from markets.sample import DATA_NOTE, EXCHANGE
from optimization.run_files import ROOT
from optimization.space import Vector

PARETO = "pareto"
HOLDOUT = "holdout"
FLAT_METRICS = "analyses_combined"

Stats = dict[str, float]


@dataclass(frozen=True, slots=True)
class Member:
    """One config of a front with its results.

    entry       the file's content without `holdout`: a complete config and the metrics of its run
    holdout     its results outside of the search (`additions.md` 6), None if it has none
    objectives  w_0, w_1, ... in the order of scoring, all minimised
    violation   0 if every limit holds
    values      a metric's value: aggregated over scenarios, or the mean over datasets
    stats       mean, min, max, std of every metric
    scenarios   metric -> label -> value; empty without a suite
    """

    path: Path
    id: str
    entry: dict[str, Any]
    holdout: dict[str, Any] | None
    objectives: Vector
    violation: float
    values: dict[str, float]
    stats: dict[str, Stats]
    scenarios: dict[str, dict[str, float]]

    @property
    def scoring(self) -> list[str]:
        """Names of the objectives; `w_i` where the config does not tell."""
        try:
            names = canonical_scoring(self.entry.get("optimize", {}).get("scoring", []))
        except ConfigError as exc:
            raise DataError(f"{self.path}: {exc}") from exc
        count = len(self.objectives)
        return names if len(names) == count else [f"w_{i}" for i in range(count)]

    @property
    def data_note(self) -> str | None:
        """Says so if the data of its run are synthetic."""
        return DATA_NOTE if self.entry.get("backtest", {}).get("exchanges") == [EXCHANGE] else None

    @property
    def scenario_labels(self) -> list[str]:
        """Labels in the order of the suite; empty without a suite."""
        labels = self.entry.get("suite_metrics", {}).get("scenario_labels")
        if labels is None:
            return sorted({label for values in self.scenarios.values() for label in values})
        return list(labels)


def member_id(path: Path) -> str:
    """The id in a file's name; older names have the distance in front: `012.3000_<id>.json`."""
    return path.stem.rpartition("_")[2]


def read_member(path: Path) -> Member:
    """Read one member. Raises DataError naming the file and what it lacks; FileNotFoundError if it is gone."""
    entry = read_entry(path)
    holdout = entry.pop(HOLDOUT, None)
    if "metrics" not in entry and FLAT_METRICS in entry:
        entry["metrics"] = metrics_of_flat(entry.pop(FLAT_METRICS))
    try:
        metrics, suite = entry["metrics"], entry.get("suite_metrics")
        objectives = objective_vector(metrics["objectives"])
        violation = _number(metrics.get("constraint_violation") or 0.0, "constraint_violation")
        blocks = suite["metrics"] if suite else {name: {"stats": s} for name, s in metrics.get("stats", {}).items()}
        stats = {name: _numbers(block["stats"]) for name, block in blocks.items()}
        values = _values(blocks, stats)
        scenarios = {name: _numbers(block["scenarios"]) for name, block in blocks.items() if block.get("scenarios")}
    except KeyError as exc:
        raise _no_member(path, f"it has no {exc.args[0]!r}") from exc
    except (TypeError, ValueError, AttributeError) as exc:
        raise _no_member(path, str(exc)) from exc
    return Member(path, member_id(path), entry, holdout, objectives, violation, values, stats, scenarios)


def read_entry(path: Path) -> dict[str, Any]:
    """The content of a member's file as it is. Raises DataError when it is no JSON object."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise _no_member(path, f"it is not JSON ({exc})") from exc
    if not isinstance(entry, dict):
        raise _no_member(path, f"it holds a {type(entry).__name__}, not an object")
    return entry


def _no_member(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is no member of a Pareto front: {reason}; move it elsewhere")


def objective_vector(objectives: Mapping[str, Any]) -> Vector:
    """`{"w_0": .., "w_1": ..}` as a vector. Raises KeyError for a gap, ValueError for what is no finite number."""
    if not objectives:
        raise KeyError("w_0")
    return tuple(_number(objectives[f"w_{i}"], f"w_{i}") for i in range(len(objectives)))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}, not a finite number")
    return float(value)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a mapping."""
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}


def _values(blocks: Mapping[str, Mapping[str, Any]], stats: Mapping[str, Stats]) -> dict[str, float]:
    """A metric's aggregated value if it has one, else its mean; metrics without either are left out."""
    found = {name: block.get("aggregated", stats[name].get("mean")) for name, block in blocks.items()}
    return _numbers(found)


def metrics_of_flat(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an older file: `adg_usd_mean` becomes `stats.adg_usd.mean`, `w_0` an objective (9)."""
    stats: dict[str, Stats] = {}
    objectives: dict[str, float] = {}
    for key, value in _numbers(flat).items():
        metric, _, field = key.rpartition("_")
        if metric == "w":
            objectives[key] = value
        elif field in STATS:
            stats.setdefault(metric, {})[field] = value
    violation = _numbers(flat).get("constraint_violation")
    return {"stats": stats, "objectives": objectives} | (
        {} if violation is None else {"constraint_violation": violation}
    )


def member_paths(folder: Path) -> list[Path]:
    """The files of a `pareto` folder, sorted; half-written ones end in `.tmp` and are not among them."""
    return sorted(folder.glob("*.json"))


def read_members(folder: Path) -> list[Member]:
    """All members of a `pareto` folder in the order of their file names.

    A file that vanishes meanwhile (a running optimizer prunes) is passed over. Raises DataError for a file that is no
    member, for an empty folder and for members of different scoring.
    """
    members = [member for path in member_paths(folder) if (member := _if_there(path)) is not None]
    if not members:
        raise DataError(f"{folder} holds no members (*.json): name the `pareto` folder of a run that has found some")
    first = members[0]
    for member in members:
        if len(member.objectives) != len(first.objectives) or member.scoring != first.scoring:
            raise DataError(
                f"{member.path} has the objectives {member.scoring}, {first.path.name} has {first.scoring}: "
                "one folder holds one front"
            )
    return members


def _if_there(path: Path) -> Member | None:
    try:
        return read_member(path)
    except FileNotFoundError:
        return None


def pareto_dir(path: Path) -> Path:
    """The folder of members that a path means: itself, or its `pareto`. Raises UsageError when there is none."""
    if (path / PARETO).is_dir():
        return path / PARETO
    if not path.is_dir():
        raise UsageError(f"{path} is no directory: name a run of the optimizer or its `pareto` folder")
    return path


def run_dir(folder: Path) -> Path:
    """The run that a folder of members belongs to; a folder of another name is its own."""
    return folder.resolve().parent if folder.resolve().name == PARETO else folder


def runs_below(root: Path) -> list[Path]:
    """The runs in a results directory (those with a `pareto` folder), sorted by name."""
    return sorted(folder.parent for folder in root.glob(f"*/{PARETO}") if folder.is_dir())


def newest_pareto(root: Path = ROOT) -> Path:
    """The `pareto` folder changed last. Raises UsageError when there is none."""
    folders = [run / PARETO for run in runs_below(root)]
    if not folders:
        raise UsageError(f"there is no run below {root}: optimize first, or name a `pareto` folder")
    return max(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder))
