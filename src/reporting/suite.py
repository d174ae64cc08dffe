"""A suite in one figure: equity of all scenarios, and their main metrics side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulation.results import Analysis, BacktestResult


@dataclass
class ScenarioResult:
    """What is kept of a scenario: metrics and sampled equity by dataset, the seconds it took, where its files are."""

    label: str
    output_path: str
    analyses: dict[str, Analysis] = field(default_factory=dict)
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    data_note: str | None = None

    def add(self, dataset: str, result: BacktestResult, elapsed_seconds: float) -> None:
        """Keep what the summary and the figure need."""
        self.analyses[dataset] = result.analysis
        equity = result.balance_and_equity["usd_total_equity"]
        self.curves[dataset] = (equity.index.to_numpy(), equity.to_numpy(dtype=np.float64))
        self.elapsed_seconds += elapsed_seconds
        self.data_note = result.data_note


def write_comparison(path: Path, results: Mapping[str, ScenarioResult], suite_id: str) -> None:
    """The figure `suite_comparison.png`."""
    from reporting.plots.comparison import comparison  # lazily: matplotlib takes a third of a second
    from reporting.plots.style import save

    save(comparison(results, suite_id), path)
