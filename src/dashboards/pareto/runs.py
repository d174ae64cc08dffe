"""The runs that the page shows, read once and again when their files change; backtests to compare with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import DataError, UsageError
from core.files import read_json
from optimization.front_table import ID, FrontTable, front_table
from optimization.members import PARETO, Member, member_paths, read_members, runs_below
from optimization.run_files import HOLDOUT_FILE

_Signature: TypeAlias = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A front: its table, and its members by file name."""

    name: str
    folder: Path
    table: FrontTable
    members: Mapping[str, Member]
    rank_correlation: float | None

    def member(self, name: str | None) -> Member | None:
        """The member of a file name, None if there is none, or no longer."""
        return self.members.get(name) if name else None


class Runs:
    """Runs below a directory. Every question looks at the disk: a run may be going on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[_Signature, Run]] = {}

    def names(self) -> list[str]:
        """Names of the runs, sorted, the newest last."""
        return [run.name for run in runs_below(self.root)]

    def get(self, name: str) -> Run:
        """A run by its name. Raises UsageError for a name that is none, DataError for files that are no members."""
        if name not in self.names():
            raise UsageError(f"{name!r} is no run below {self.root}")
        signature = _signature(self.root / name)
        known = self._known.get(name)
        if known is None or known[0] != signature:
            known = signature, _read(self.root / name)
            self._known[name] = known
        return known[1]


def _signature(folder: Path) -> _Signature:
    """Name, time and size of every file that counts."""
    found = []
    for path in [*member_paths(folder / PARETO), folder / HOLDOUT_FILE]:
        try:
            stat = path.stat()
        except FileNotFoundError:  # pruned by the running optimizer, or never there
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _read(folder: Path) -> Run:
    members = read_members(folder / PARETO)
    by_name = {member.path.name: member for member in members}
    return Run(folder.name, folder, front_table(members), by_name, _rank_correlation(folder / HOLDOUT_FILE))


def _rank_correlation(path: Path) -> float | None:
    """What validation found, None before it has run."""
    try:
        value = read_json(path).get("rank_correlation")
    except (FileNotFoundError, AttributeError):
        return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def backtests_below(root: Path) -> list[str]:
    """Result directories of backtests relative to `root`, newest name last."""
    return sorted(path.parent.relative_to(root).as_posix() for path in root.rglob("analysis.json"))


@dataclass(frozen=True, slots=True)
class Backtest:
    """A finished backtest: its metrics, and its config if it lies beside them."""

    name: str
    metrics: Mapping[str, float]
    bot: Mapping[str, Mapping[str, Any]]


def read_backtest(root: Path, name: str) -> Backtest:
    """A backtest by its name from `backtests_below`. Raises UsageError, DataError."""
    if name not in backtests_below(root):
        raise UsageError(f"{name!r} is no backtest below {root}")
    analysis = read_json(root / name / "analysis.json")
    if not isinstance(analysis, dict):
        raise DataError(f"{root / name / 'analysis.json'} holds no metrics")
    config = root / name / "config.json"
    bot = json.loads(config.read_text(encoding="utf-8")).get("bot", {}) if config.is_file() else {}
    numbers = {k: float(v) for k, v in analysis.items() if isinstance(v, int | float) and math.isfinite(v)}
    return Backtest(name, numbers, bot)


def ids(run: Run) -> list[str]:
    """File names of the members in the order of the table."""
    return [str(name) for name in run.table.frame[ID]]
