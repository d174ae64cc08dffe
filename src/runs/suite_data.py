"""A suite's data, and what runs on it: every scenario on every dataset that it may use (15.2-15.5).

Shared by the backtester and the optimizer, whose data begin early enough for every candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.scenario_config import SuiteData, apply_scenario, suite_warmup_minutes, usable_scenarios
from config.scenarios import Scenario, SuitePlan, master_config, plan_suite
from config.settings import BacktestSettings, backtest_settings
from config.warmup import compute_backtest_warmup_minutes
from core.clock import Clock
from core.paths import DEFAULT_CACHE_DIR
from markets.symbols import CoinMaps
from runs.data import Config, Prepared
from runs.standalone import with_coins
from simulation.dataset import Dataset
from simulation.suite import slice_dataset


@dataclass(frozen=True, slots=True)
class Task:
    """A scenario on one dataset: the config it runs with, its rows of the data, and the warm-up before them."""

    scenario: Scenario
    config: Config
    dataset: Dataset
    coins: tuple[str, ...]
    warmup_minutes: int

    @property
    def label(self) -> str:
        return self.scenario.label


class PlannedSuite:
    """What is planned before the data are prepared, and what becomes of it afterwards.

    `for_search`: warm-ups cover the optimizer's bounds, and scenarios without usable coins are skipped with a warning.
    """

    def __init__(self, options: Mapping[str, Any], clock: Clock, *, for_search: bool = False) -> None:
        self._clock, self._for_search = clock, for_search
        self._to_coin = CoinMaps(Path(options.get("cache_dir", DEFAULT_CACHE_DIR))).symbol_to_coin
        self._plan: SuitePlan | None = None

    def arrange(self, final: Config) -> tuple[Config, BacktestSettings]:
        """Data for all scenarios: their coins, the union of their windows, the longest warm-up."""
        plan = plan_suite(final, clock=self._clock, to_coin=self._to_coin)
        warmup = suite_warmup_minutes(final, plan.scenarios, clock=self._clock, with_bounds=self._for_search)
        settings = replace(backtest_settings(master_config(final, plan)), warmup_minutes=warmup)
        self._plan = plan
        return final, settings

    def tasks(self, prepared: Prepared) -> Iterator[Task]:
        """Every scenario on every dataset that it may use; all are checked before the first one runs."""
        assert self._plan is not None, "the data were arranged"
        datasets = {dataset.name: dataset for dataset in prepared.datasets}
        data = SuiteData({name: {c: str(d.markets[c]["exchange"]) for c in d.coins} for name, d in datasets.items()})
        scenarios = self._plan.scenarios
        for scenario in usable_scenarios(scenarios, data) if self._for_search else scenarios:
            yield from self._tasks_of(scenario, self._plan, prepared.config, datasets, data)

    def _tasks_of(
        self, scenario: Scenario, plan: SuitePlan, base: Config, datasets: Mapping[str, Dataset], data: SuiteData
    ) -> Iterator[Task]:
        config = apply_scenario(base, scenario, plan, data, clock=self._clock)
        warmup = compute_backtest_warmup_minutes(config, with_bounds=self._for_search)
        for name, coins in config["backtest"]["coins"].items():
            window = (scenario.window.start_date, scenario.window.end_date)
            view = slice_dataset(datasets[name], *window, warmup, scenario.label)
            yield Task(scenario, with_coins(config, name, coins), view, tuple(coins), warmup)
