"""A member of a front, run again, has the objectives of its file (`optimizer_pareto_tools.md` 14, guarantee 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optimization.members import pareto_dir, read_members
from optimization.space import round_dynamic
from runs.first_results import newest_or_own_front, small_config
from runs.replay import replay

SUITE = {
    "enabled": True,
    "include_base_scenario": True,
    "aggregate": {"default": "mean", "adg": "min"},
    "scenarios": [
        {"label": "late", "start_date": "2025-01-03", "coins": ["BTC"]},
        {"label": "wide", "overrides": {"bot.long.entry_grid_spacing_pct": 0.05}},
    ],
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backtest": {"suite": SUITE}},
        {"optimize": {"holdout": {"fraction": 0.3}}},
        {"coin_overrides": {"BTC": {"bot": {"long": {"entry_initial_qty_pct": 0.02}}}}},
    ],
    ids=["plain", "suite", "hold-out", "coin overrides"],
)
def test_members_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    """Every member, to the archive's digits."""
    monkeypatch.chdir(tmp_path)
    config = small_config(days=5, coins=("BTC", "ETH"))
    config["optimize"]["iters"] = 10
    for section, values in changes.items():
        config[section] |= values
    members = read_members(pareto_dir(newest_or_own_front(config)))
    digits = config["optimize"]["round_to_n_significant_digits"]
    for member in members:
        again = replay(member)
        assert tuple(round_dynamic(value, digits) for value in again.scored.objectives) == member.objectives
        assert round_dynamic(again.scored.violation, digits) == member.violation
