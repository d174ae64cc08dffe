"""The data of a search, and the runs that every candidate makes on them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from config.changes import Config
from config.scenario_config import with_overrides
from config.scenarios import Scenario
from config.settings import BacktestSettings, backtest_settings
from config.warmup import compute_backtest_warmup_minutes
from core.clock import Clock
from core.terms import PSIDES
from optimization.context import CandidateRun, Sides
from runs.data import Prepared, load_data
from runs.standalone import with_coins
from runs.suite_data import PlannedSuite
from simulation.checks import check_dataset

NO_SUITE = "base"


def prepare_search(config: Config, options: Mapping[str, Any], clock: Clock) -> tuple[Prepared, list[CandidateRun]]:
    """Bring the data of a search to disk; what every candidate runs. Raises ConfigError, DataError."""
    if config["backtest"]["suite"]["enabled"]:
        suite = PlannedSuite(options, clock, for_search=True)
        prepared = load_data(config, options, suite.arrange)
        runs = [
            CandidateRun(
                task.label, task.config, task.dataset, task.warmup_minutes, forced(task.scenario, clock, config)
            )
            for task in suite.tasks(prepared)
        ]
    else:
        prepared = load_data(config, options, _with_bounds)
        runs = [_plain_run(prepared, name) for name in range(len(prepared.datasets))]
    for dataset in prepared.datasets:
        check_dataset(dataset)
    return prepared, runs


def _with_bounds(final: Config) -> tuple[Config, BacktestSettings]:
    """Data that begin early enough for every candidate."""
    warmup = compute_backtest_warmup_minutes(final, with_bounds=True)
    return final, replace(backtest_settings(final), warmup_minutes=warmup)


def _plain_run(prepared: Prepared, at: int) -> CandidateRun:
    dataset = prepared.datasets[at]
    config = with_coins(prepared.config, dataset.name, dataset.coins)
    nothing: Sides = {pside: {} for pside in PSIDES}
    return CandidateRun(NO_SUITE, config, dataset, prepared.settings.warmup_minutes, nothing)


def forced(scenario: Scenario, clock: Clock, config: Config) -> Sides:
    """The bot parameters that a scenario sets, by side: they beat the genes, also where they equal the config's."""
    blank = copy.deepcopy(config)
    blank["bot"] = {pside: dict.fromkeys(config["bot"][pside]) for pside in PSIDES}
    bot = with_overrides(blank, scenario, clock=clock)["bot"]
    return {pside: {key: float(value) for key, value in bot[pside].items() if value is not None} for pside in PSIDES}
