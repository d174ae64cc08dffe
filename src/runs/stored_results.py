"""Result directories of the backtester, read back (`config_cli_suite.md` 16)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import DataError
from core.files import read_json

ANALYSIS = "analysis.json"


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result directory: config, metrics, fills and the sampled balance, as `BacktestResult` has them."""

    directory: Path
    config: dict[str, Any]
    analysis: dict[str, Any]
    fills: pd.DataFrame
    balance_and_equity: pd.DataFrame


def load_result(directory: str | Path) -> StoredResult:
    """Read a result. Raises DataError naming what it lacks."""
    folder = Path(directory)
    try:
        analysis, config = (read_json(folder / name) for name in (ANALYSIS, "config.json"))
        fills = pd.read_csv(folder / "fills.csv", index_col=0, parse_dates=["timestamp"])
        table = pd.read_csv(folder / "balance_and_equity.csv.gz", index_col=0, parse_dates=True)
    except (OSError, ValueError) as exc:
        raise DataError(f"{folder} is no complete result of the backtester ({exc}); name its directory") from exc
    return StoredResult(folder, config, analysis, fills, table)


def newest_result(root: str | Path = "backtests") -> Path | None:
    """The result directory below `root` that was written last; None if there is none."""
    found = [path for path in Path(root).rglob(ANALYSIS) if (path.parent / "fills.csv").is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


def compare_metrics(analyses: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Metrics side by side, one column a run; with two runs also their difference."""
    table = pd.DataFrame(
        {
            label: {name: value for name, value in analysis.items() if not isinstance(value, str)}
            for label, analysis in analyses.items()
        },
        dtype=float,
    ).sort_index()
    if len(analyses) == 2:
        first, second = table.columns
        table["difference"] = table[second] - table[first]
    return table
