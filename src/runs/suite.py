"""A suite: one set of data, every scenario through the engine, in threads; results, summary, table, plot (15)."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.scenario_config import SuiteData, apply_scenario, suite_warmup_minutes
from config.scenarios import Scenario, SuitePlan, master_config, plan_suite
from config.settings import BacktestSettings, backtest_settings
from core.clock import Clock, SystemClock
from core.errors import PassivbotError, RunError
from core.files import write_text
from core.paths import DEFAULT_CACHE_DIR
from markets.symbols import CoinMaps
from reporting.files import time_name
from reporting.suite_tables import print_suite
from runs.data import Config, Prepared, load_data
from runs.standalone import Simulated, simulate, with_coins, write_result
from simulation.dataset import Dataset
from simulation.suite import ScenarioResult, slice_dataset
from simulation.suite_summary import ScenarioRun, suite_metrics, suite_summary

logger = logging.getLogger("backtest")

SUITE_RUNS = "suite_runs"
SUMMARY = "suite_summary.json"


@dataclass(frozen=True, slots=True)
class Task:
    """A scenario on one dataset: the config it runs with, and its rows of the data."""

    label: str
    config: Config
    dataset: Dataset
    coins: tuple[str, ...]


def run_suite(config: Config, options: Mapping[str, Any]) -> Path:
    """Run all scenarios and write their results; the suite's directory. Raises ConfigError, DataError, RunError."""
    started, clock = time.monotonic(), SystemClock()
    suite = _Suite(options, clock)
    prepared = load_data(config, options, suite.arrange)
    tasks = list(suite.tasks(prepared))
    root = _new_directory(Path(config["backtest"]["base_dir"]) / SUITE_RUNS, clock)
    results = _run_all(tasks, root, plot_coins=not options.get("disable_plotting", False))
    summary = _summarise(prepared.config, results, root)
    print_suite(summary, root, prepared.config["backtest"]["suite"]["aggregate"])
    _draw(root, results)
    logger.info("Suite %s completed: %d scenarios in %.2f s", root.name, len(results), time.monotonic() - started)
    return root


class _Suite:
    """What is planned before the data are prepared, and what becomes of it afterwards."""

    def __init__(self, options: Mapping[str, Any], clock: Clock) -> None:
        self._clock = clock
        self._to_coin = CoinMaps(Path(options.get("cache_dir", DEFAULT_CACHE_DIR))).symbol_to_coin
        self._plan: SuitePlan | None = None

    def arrange(self, final: Config) -> tuple[Config, BacktestSettings]:
        """Data for all scenarios: their coins, the union of their windows, the longest warm-up."""
        plan = plan_suite(final, clock=self._clock, to_coin=self._to_coin)
        warmup = suite_warmup_minutes(final, plan.scenarios, clock=self._clock)
        settings = replace(backtest_settings(master_config(final, plan)), warmup_minutes=warmup)
        self._plan = plan
        return final, settings

    def tasks(self, prepared: Prepared) -> Iterator[Task]:
        """Every scenario on every dataset that it may use; all are checked before the first one runs."""
        assert self._plan is not None
        datasets = {dataset.name: dataset for dataset in prepared.datasets}
        data = SuiteData({name: {c: str(d.markets[c]["exchange"]) for c in d.coins} for name, d in datasets.items()})
        for scenario in self._plan.scenarios:
            yield from self._tasks_of(scenario, self._plan, prepared.config, datasets, data)

    def _tasks_of(
        self, scenario: Scenario, plan: SuitePlan, base: Config, datasets: Mapping[str, Dataset], data: SuiteData
    ) -> Iterator[Task]:
        config = apply_scenario(base, scenario, plan, data, clock=self._clock)
        warmup = backtest_settings(config).warmup_minutes
        for name, coins in config["backtest"]["coins"].items():
            window = (scenario.window.start_date, scenario.window.end_date)
            view = slice_dataset(datasets[name], *window, warmup, scenario.label)
            yield Task(scenario.label, with_coins(config, name, coins), view, tuple(coins))


def _new_directory(parent: Path, clock: Clock) -> Path:
    """A directory named after the time, with a number if that name is taken."""
    name = time_name(clock.now_ms())
    for number in range(1, 1000):
        path = parent / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise RunError(
                f"cannot make {path}: {exc.strerror or exc}; set backtest.base_dir to another place"
            ) from exc
        return path
    raise RunError(f"{parent} has a thousand suites of one second")


def _run_all(tasks: list[Task], root: Path, *, plot_coins: bool) -> dict[str, ScenarioResult]:
    """All tasks, as many at once as there are processors; files are written one after the other."""
    results: dict[str, ScenarioResult] = {}
    with ThreadPoolExecutor(min(len(tasks), os.cpu_count() or 1)) as pool:
        running = [(task, pool.submit(_simulate, task)) for task in tasks]
        for task, future in running:
            started = time.monotonic()
            simulated = future.result()
            path = root / task.label
            _write(task, simulated, path, plot_coins=plot_coins)
            logger.info("seconds elapsed for backtest: %.4f (scenario %s)", simulated.seconds, task.label)
            elapsed = simulated.seconds + time.monotonic() - started
            result = results.setdefault(task.label, ScenarioResult(task.label, str(path)))
            result.add(task.dataset.name, simulated.result, elapsed)
    return results


def _simulate(task: Task) -> Simulated:
    logger.info(
        "Running scenario %s: %s, %d coins, %d minutes",
        task.label, task.dataset.name, len(task.coins), len(task.dataset.timestamps),
    )  # fmt: skip
    try:
        return simulate(task.config, task.dataset)
    except PassivbotError as exc:
        raise RunError(f"scenario {task.label}: {exc}") from exc


def _write(task: Task, simulated: Simulated, root: Path, *, plot_coins: bool) -> None:
    """A result that cannot be written is no reason to lose the others."""
    try:
        write_result(simulated.result, task.config, (task.dataset, task.coins), root, plot_coins=plot_coins)
    except PassivbotError:
        logger.exception("the result of scenario %s was not written", task.label)


def _draw(root: Path, results: Mapping[str, ScenarioResult]) -> None:
    from reporting.plots.comparison import comparison  # lazily: matplotlib takes a third of a second
    from reporting.plots.style import save

    save(comparison(results, root.name), root / "suite_comparison.png")


def _summarise(config: Config, results: Mapping[str, ScenarioResult], root: Path) -> dict[str, Any]:
    aggregate = config["backtest"]["suite"]["aggregate"]
    metrics = suite_metrics({label: result.analyses for label, result in results.items()}, aggregate)
    runs = {label: ScenarioRun(result.elapsed_seconds, result.output_path) for label, result in results.items()}
    summary = suite_summary(root.name, metrics, runs)
    write_text(root / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
    return summary
